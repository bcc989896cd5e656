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
from bus1.client.pending import Call, Pending, Quiet, Result, Waiting, error_of
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

    def take(self, data: bytearray | bytes, size: int, fds: list[Fd]) -> None:
        """One packet. ConnectionError if it is not what the protocol says."""
        at = 0
        view = memoryview(data)
        try:
            while at < size:
                if size - at < HEADER:
                    raise ConnectionError("the bus sent a record that is cut off")
                length, kind, flags, cookie, many = read_header(data, at)
                if length < HEADER or length > size - at:
                    raise ConnectionError("the bus sent a record that is cut off")
                some: list[Fd] = []
                if many and fds:
                    some = fds[:many]
                    del fds[:many]
                self.take_record(view, at, at + length, kind, flags, cookie, some, many)
                at += (length + 7) // 8 * 8
        except struct.error as error:
            raise ConnectionError(f"the bus sent a record that is too short: {error}") from None

    def take_record(
        self,
        view: memoryview,
        at: int,
        end: int,
        kind: int,
        flags: int,
        cookie: int,
        fds: list[Fd],
        many: int,
    ) -> None:
        # The kernel leaves out descriptors that this process has no room for.
        lost = None
        if many and len(fds) < many:
            lost = OSError(EMFILE, "no room for a descriptor that came")
        at += HEADER
        if kind == DATA:
            self.take_data(view, at, end, flags, fds, lost)
        elif kind == RESULT:
            self.take_result(view[at:end], flags, cookie, fds, lost)
        elif kind in {NODE_GONE, NO_HANDLES_LEFT, ONCE_DROPPED}:
            self.take_notice(view[at:end], kind)
        elif kind == WELCOME:
            version, uid, number, bus = records.WELCOME.unpack_from(view[at:end])
            self.opening.finish(Welcome(version, uid, number, bus.hex()))

    def take_result(
        self, body: memoryview, flags: int, cookie: int, fds: list[Fd], lost: OSError | None
    ) -> None:
        error, many, stamp, size = records.RESULT.unpack_from(body)
        at = records.RESULT.size
        values = struct.unpack_from(f"={many}Q", body, at) if many else ()
        rest = body[at + 8 * many :]
        pending = self.answered(cookie)
        if error:
            for handle in pending.moved:
                self.holdings.restore(handle)
            pending.refused(error_of(error, str(rest[:size], "utf-8", "replace")))
            return
        try:
            if lost:
                raise lost
            payload = mapped(fds.pop(0), size) if flags & MEMFD else bytes(rest[:size])
        except (OSError, ValueError, OverflowError, IndexError) as problem:
            pending.refused(problem)
            return
        pending.answered(Result(stamp, values, payload, fds))

    def answered(self, cookie: int) -> Pending:
        """Whose RESULT this is. Those before it were QUIET and have succeeded."""
        while self.pending:
            number, pending = self.pending.popleft()
            if number == cookie:
                if not isinstance(pending, Quiet | Call):
                    self.awaited -= 1
                return pending
        raise ConnectionError("the bus answered what was not asked")

    def take_data(
        self,
        view: memoryview,
        at: int,
        end: int,
        flags: int,
        fds: list[Fd],
        lost: OSError | None,
    ) -> None:
        if end - at < DATA_HEAD:
            raise ConnectionError("the bus sent a message that is cut off")
        stamp, sender, id, cookie, uid, pid, many, _, size = read_data(view, at)
        at += DATA_HEAD
        if end - at - 16 * many != (0 if flags & MEMFD else size):
            raise ConnectionError("the bus sent a message of another length")
        handles: list[Handle | None] = []
        for _ in range(many):
            handles.append(self.carried(view, at))
            at += 16
        node = self.holdings.node(id)
        if node is None:  # destroyed while this was on its way: all that came dies here
            return
        payload: bytes | memoryview
        if flags & MEMFD or lost is not None:
            try:
                if lost is not None:
                    raise lost
                payload = mapped(fds.pop(0), size)
            except (OSError, ValueError, OverflowError, IndexError) as problem:
                # No memory, or no descriptors left. Its traceback would keep the handles.
                self.lose(node, cookie, problem.with_traceback(None))
                return
        else:
            payload = bytes(view[at:end])
        self.deliver(
            Message(DATA, node, stamp, sender, cookie, payload, uid, pid, handles, fds, flags)
        )

    def carried(self, view: memoryview, at: int) -> Handle | None:
        id, flags, _ = read_carried(view, at)
        return self.holdings.hold(id, bool(flags & ONE_SHOT)) if id else None

    def deliver(self, message: Message[N]) -> None:
        """To whom it concerns: a call, the node's callback, or an inbox."""
        node = message.node
        if node is self.replies:
            call = self.calls.pop(message.cookie, None)
            if call is not None:
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
            call.refused(problem)
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

    def forget(self, call: Call[Message[N]]) -> None:
        """Nobody waits for this reply any more: if it comes, it is dropped with all it carries."""
        if self.calls.pop(call.cookie, None) is not None:
            self.awaited -= 1
