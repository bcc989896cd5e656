"""What comes, record by record: results to those who asked, messages to those whom they concern.

It knows the layout of records, and nothing of how requests are made.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from errno import EMFILE
from typing import Any, Generic, NamedTuple

from bus1.client import records
from bus1.client.holdings import Holdings
from bus1.client.objects import Handle, Keeper, Message, N
from bus1.client.payload import Fd, mapped
from bus1.client.pending import Call, Pending, Result, Waiting, error_of
from bus1.native.words import (
    DATA,
    HEADER,
    MEMFD,
    NO_HANDLES_LEFT,
    NODE_GONE,
    ONCE_DROPPED,
    ONE_SHOT,
    RESULT,
    WELCOME,
)

read_header = records.HEADER.unpack_from
read_data = records.DATA.unpack_from
read_carried = records.CARRIED.unpack_from
DATA_HEAD = records.DATA.size
NOTICES = (NODE_GONE, NO_HANDLES_LEFT, ONCE_DROPPED)


class Welcome(NamedTuple):
    """Who this peer is: its number in the order of the bus, the user that pays, the bus's id."""

    version: int
    uid: int
    number: int
    bus: str


class Intake(Generic[N]):
    """`trouble` gets the errors that nobody waits for. What is `due` are callbacks for the face."""

    def __init__(
        self,
        keeper: Keeper,
        make: Callable[[Keeper, int], N],
        trouble: Callable[[BaseException], None],
    ) -> None:
        self.trouble = trouble
        self.holdings: Holdings[N] = Holdings(keeper, make)
        self.opening: Waiting[Welcome] = Waiting(None)
        self.pending: deque[tuple[int, Pending]] = deque()
        self.awaited = 0  # results and replies that somebody waits for
        self.replies: N | None = None  # where the replies come
        self.calls: dict[int, Call[Message[N]]] = {}
        self.due: deque[tuple[Callable[[Any], Any], Any]] = deque()

    def take(self, packet: memoryview, size: int, fds: list[Fd]) -> None:
        """Its first `size` bytes. ConnectionError if they are not what the protocol says."""
        at = 0
        try:
            while at < size:
                length, kind, flags, number, many = read_header(packet, at)
                end = at + length
                if length < HEADER or end > size:
                    raise ConnectionError("the bus sent a record that is cut off")
                if kind == DATA:
                    some = taken(fds, many) if many else []
                    self.take_data(packet, at + HEADER, end, flags, some, many)
                else:
                    body = packet[at + HEADER : end]
                    self.take_other(body, kind, flags, number, taken(fds, many), many)
                at = (end + 7) & ~7
        except struct.error as error:
            raise ConnectionError(f"the bus sent a record that is too short: {error}") from None

    def take_data(
        self, packet: memoryview, at: int, end: int, flags: int, fds: list[Fd], promised: int
    ) -> None:
        if end - at < DATA_HEAD:
            raise ConnectionError("the bus sent a message that is cut off")
        stamp, sender, id, cookie, uid, pid, many, _, size = read_data(packet, at)
        at += DATA_HEAD
        if end - at != 16 * many + (0 if flags & MEMFD else size):
            raise ConnectionError("the bus sent a message of another length")
        handles: list[Handle | None] = []
        for _ in range(many):
            other, kind, _ = read_carried(packet, at)
            handles.append(self.holdings.hold(other, kind & ONE_SHOT != 0) if other else None)
            at += 16
        reference = self.holdings.nodes.get(id)
        node = None if reference is None else reference()
        if node is None:  # destroyed while this was on its way: all that came dies here
            return
        payload: bytes | memoryview
        if promised or flags & MEMFD:
            try:
                payload = carried(packet[at:end], size, flags, fds, promised)
            except (OSError, ValueError, OverflowError, IndexError) as problem:
                # No memory, or no descriptors left. Its traceback would keep the handles.
                self.lose(node, cookie, problem.with_traceback(None))
                return
        else:
            payload = packet[at:end].tobytes()
        self.deliver(
            Message(DATA, node, stamp, sender, cookie, payload, uid, pid, handles, fds, flags)
        )

    def take_other(
        self, body: memoryview, kind: int, flags: int, number: int, fds: list[Fd], promised: int
    ) -> None:
        if kind == RESULT:
            self.take_result(body, flags, number, fds, promised)
        elif kind in NOTICES:
            self.take_notice(body, kind)
        elif kind == WELCOME:
            version, uid, peer, bus = records.WELCOME.unpack_from(body)
            self.opening.finish(Welcome(version, uid, peer, bus.hex()))

    def take_result(
        self, body: memoryview, flags: int, number: int, fds: list[Fd], promised: int
    ) -> None:
        error, many, stamp, size = records.RESULT.unpack_from(body)
        at = records.RESULT.size
        values = struct.unpack_from(f"={many}Q", body, at)
        rest = body[at + 8 * many :]
        pending = self.answered(number)
        if error:
            for handle in pending.moved:
                self.holdings.restore(handle)
            self.refuse(pending, error_of(error, str(rest[:size], "utf-8", "replace")))
            return
        try:
            payload = carried(rest[:size], size, flags, fds, promised)
        except (OSError, ValueError, OverflowError, IndexError) as problem:
            self.refuse(pending, problem)
        else:
            pending.answered(Result(stamp, values, payload, fds))

    def answered(self, number: int) -> Pending:
        """Whose RESULT this is. Those before it were QUIET and have succeeded."""
        while self.pending:
            asked, pending = self.pending.popleft()
            if asked == number:
                if not isinstance(pending, Call):
                    self.awaited -= pending.awaited
                return pending
        raise ConnectionError("the bus answered what was not asked")

    def refuse(self, pending: Pending, error: BaseException) -> None:
        if isinstance(pending, Call):
            self.forget(pending)
        pending.refused(error)

    def deliver(self, message: Message[N]) -> None:
        """To whom it concerns: a call, the node's callback, or an inbox."""
        node = message.node
        if node is self.replies:
            call = self.calls.pop(message.cookie, None)
            if call is not None:
                if self.pending and self.pending[0][1] is call:  # it was sent, then
                    self.pending.popleft()
                self.awaited -= 1
                call.finish(message)
        elif node.on_message is not None:
            self.due.append((node.on_message, message))
        else:
            self.holdings.store(message)

    def lose(self, node: N, cookie: int, problem: BaseException) -> None:
        """A message came that this process has no room for."""
        call = self.calls.get(cookie) if node is self.replies else None
        if call is not None:
            self.refuse(call, problem)
        else:
            self.trouble(problem)

    def take_notice(self, body: memoryview, kind: int) -> None:
        stamp, sender, id, cookie = records.NOTICE.unpack_from(body)
        if kind == NODE_GONE:
            handle = self.holdings.mark_gone(id, stamp)
            if handle is not None and handle.on_gone is not None:
                self.due.append((handle.on_gone, handle))
            return
        node = self.holdings.node(id)
        if node is not None:
            self.deliver(Message(kind, node, stamp, sender, cookie))

    def flush(self, stamp: int) -> None:
        """The bus has dropped what this peer had, and with it the node where replies come."""
        self.holdings.flush()
        node, self.replies = self.replies, None
        if node is not None:
            node.spent = True
            self.holdings.lose(node.id)
            for call in list(self.calls.values()):
                self.forget(call)
                call.finish(Message(ONCE_DROPPED, node, stamp, 0, call.cookie))

    def forget(self, call: Call[Message[N]]) -> None:
        """Nobody waits for this reply any more: if it comes, it is dropped with all it carries."""
        if self.calls.pop(call.cookie, None) is not None:
            self.awaited -= 1


def taken(fds: list[Fd], many: int) -> list[Fd]:
    """The next record's."""
    some = fds[:many]
    del fds[:many]
    return some


def carried(
    inline: memoryview, size: int, flags: int, fds: list[Fd], promised: int
) -> bytes | memoryview:
    """A payload: from the record, or from the memory that came with it. OSError if the kernel has
    left out descriptors that this process has no room for; ValueError, OverflowError, IndexError
    for a memory that is none."""
    if len(fds) < promised:
        raise OSError(EMFILE, "no room for a descriptor that came")
    return mapped(fds.pop(0), size) if flags & MEMFD else inline.tobytes()
