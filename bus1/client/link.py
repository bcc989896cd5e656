"""One connection without its socket: requests into packets, packets into results and messages.

Sans-IO: a face (aio or blocking) gives it what it has read, writes the packets in its outbox (after
a `sweep`), and calls what is `due`. It waits for nothing and takes no locks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, TypeVar

from bus1.client import records
from bus1.client.holdings import INBOX_MOST
from bus1.client.intake import Intake
from bus1.client.objects import Handle, Keeper, Message, N, Node, Once
from bus1.client.outbox import Outbox
from bus1.client.payload import Buffer, Fd, Sealed, duplicate
from bus1.client.pending import Call, Pending, Quiet, Result, Waiting
from bus1.client.records import Carry
from bus1.errors import Invalid, Unknown
from bus1.native import words
from bus1.native.words import INLINE_MOST, QUIET

T = TypeVar("T")

LEDGER = 128  # unanswered requests: then the next one, even if QUIET, asks for a RESULT
IDS_MOST = 4096  # in one RELEASE


class Release(Quiet):
    """If one of many ids was no longer ours (a RESET took it), the others still are: one by one."""

    __slots__ = ("ids", "link")

    def __init__(self, link: Link[Any], ids: list[int]) -> None:
        super().__init__()
        self.link = link
        self.ids = ids

    def refused(self, error: BaseException) -> None:
        if len(self.ids) > 1:
            for id in self.ids:
                self.link.let_go([id])


class Link(Intake[N]):
    """`make` makes the face's nodes; `nudge` is called, from any thread, when something has been
    dropped; `trouble` gets the errors that nobody waits for."""

    def __init__(
        self,
        owner: Any,
        make: Callable[[Keeper, int], N],
        nudge: Callable[[], None],
        trouble: Callable[[BaseException], None],
    ) -> None:
        super().__init__(self, make, trouble)
        self.owner = owner
        self.nudge = nudge
        self.ended = ""  # why, once it has
        self.closing: Waiting[None] = Waiting(None)  # until then
        self.outbox = Outbox()
        self.garbage: deque[int] = deque()  # ids to release, from any thread
        self.number = 0  # of the last request
        self.cookies = count(1)  # of calls

    # Out.

    def wants(self) -> bool:
        """Whether there is something to write."""
        return bool(self.garbage or self.outbox.packets) and not self.ended

    def drop(self, id: int) -> None:
        """Release this id with the next packet. From any thread, and inside any other call."""
        if not self.ended:
            self.garbage.append(id)
            self.nudge()

    def sweep(self) -> None:
        """RELEASE what was dropped, behind all requests that may still use it."""
        while self.garbage and not self.ended:
            some = [self.garbage.popleft() for _ in range(min(len(self.garbage), IDS_MOST))]
            for id in some:
                self.holdings.lose(id)
            self.let_go(some)

    def let_go(self, some: list[int]) -> None:
        self.ask(words.RELEASE, Release(self, some), records.ids(some), flags=QUIET)

    def ask(
        self,
        kind: int,
        pending: Pending,
        body: bytes = b"",
        fds: Sequence[Fd] = (),
        flags: int = 0,
    ) -> None:
        """Queue one request. Raises ConnectionError after the end, TooLong for an oversized one."""
        records.fit(len(body), fds)
        flags, number = self.enter(pending, flags)
        self.outbox.put(records.request(kind, flags, number, body, fds), fds)

    def enter(self, pending: Pending, flags: int) -> tuple[int, int]:
        """Remember who asks until it is answered, and give the flags and the number that the
        request has. Its record has to follow: from here on nothing fails on our side."""
        if self.ended:
            raise ConnectionResetError(self.ended)
        if self.garbage:
            self.sweep()
        if len(self.pending) >= LEDGER:  # so that those before it, which were QUIET, are forgotten
            flags &= ~QUIET
        self.number = number = self.number % 0xFFFFFFFF + 1
        self.pending.append((number, pending))
        for handle in pending.moved:
            self.holdings.spend(handle)
        self.awaited += pending.awaited
        return flags, number

    # Requests.

    def expect(
        self,
        kind: int,
        make: Callable[[Result], T],
        body: bytes = b"",
        fds: Sequence[Fd] = (),
        flags: int = 0,
    ) -> Waiting[T]:
        """A request whose RESULT somebody waits for."""
        waiting = Waiting(make)
        self.ask(kind, waiting, body, fds, flags)
        return waiting

    def send(
        self,
        targets: Sequence[Handle],
        payload: Buffer | Sealed,
        carried: Sequence[Carry],
        fds: Sequence[Any],
        pending: Pending,
        flags: int = 0,
    ) -> None:
        """One message to all targets. What is wrong already here raises, and changes nothing."""
        body, along, memfd = self.freight(targets, payload, carried, fds)
        pending.moved = [
            each for each in (*targets, *carried) if isinstance(each, Handle) and each.once
        ]
        self.ask(words.SEND, pending, body, along, flags | memfd)

    def freight(
        self,
        targets: Sequence[Handle],
        payload: Buffer | Sealed,
        carried: Sequence[Carry],
        fds: Sequence[Any],
    ) -> tuple[bytes, Sequence[Fd], int]:
        """The body of SEND, SET_SEED or PEER, its descriptors and the flag of its payload. The
        descriptors are duplicated: they are the caller's to close, whenever this is written."""
        for each in (*targets, *carried):
            self.ours(each)
        for each in targets:
            if not isinstance(each, Handle):
                raise Invalid(f"not a handle: {each!r}")
        along = [duplicate(each if isinstance(each, int) else each.fileno()) for each in fds]
        memfd, size, data, all_fds = records.load(payload, along)
        return records.cargo(targets, carried, size) + data, all_fds, memfd

    def ours(self, thing: Carry) -> None:
        if not isinstance(thing, Handle | Node | Once):
            raise Invalid(f"neither a handle nor a node: {thing!r}")
        if (thing.node if isinstance(thing, Once) else thing).link is not self:
            raise Unknown(f"{thing!r} belongs to another peer")

    def call(
        self,
        target: Handle,
        payload: Buffer | Sealed,
        carried: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
    ) -> Call[Message[N]]:
        """A message with a handle to answer on, the first of its handles. `replies` is there."""
        assert self.replies is not None
        cookie = next(self.cookies)
        call: Call[Message[N]] = Call(cookie)
        if (  # as nearly all calls are
            type(payload) is bytes
            and len(payload) <= INLINE_MOST
            and not (carried or fds or target.once or target.spent)
            and target.link is self
        ):
            flags, number = self.enter(call, QUIET)
            node = self.replies.id
            self.outbox.put(records.call(flags, number, target.id, node, cookie, payload))
        else:
            first = self.replies.once(cookie)
            self.send([target], payload, [first, *carried], fds, call, QUIET)
        self.calls[cookie] = call
        return call

    def answer(
        self,
        target: Handle,
        payload: Buffer | Sealed,
        carried: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
    ) -> None:
        """A message that nobody waits for, on a one-shot handle. If it is refused, the handle
        dies with its last reference, and whoever waits for the answer hears of that."""
        if (  # as nearly all answers are
            type(payload) is bytes
            and len(payload) <= INLINE_MOST
            and not (carried or fds or target.spent)
            and target.link is self
        ):
            flags, number = self.enter(Quiet((target,) if target.once else ()), QUIET)
            self.outbox.put(records.plain(flags, number, target.id, payload))
        else:
            self.send([target], payload, carried, fds, Quiet(), QUIET)

    def sated(self) -> bool:
        """Whether to leave what comes with the bus: enough waits here, no result is awaited, and
        not much waits to be written (the bus takes no more of whoever leaves much unread)."""
        return (
            self.holdings.stored >= INBOX_MOST
            and not self.awaited
            and not self.outbox.crowded()
        )  # fmt: skip

    def part(self, why: str) -> None:
        """A fork's copy of a link: nothing of it is ours, nothing is written, nobody is told."""
        self.ended = why
        self.pending.clear()
        self.garbage.clear()
        self.outbox.clear()

    def end(self, why: str) -> None:
        """No more packets. Whoever waits gets a ConnectionError; what has come can be taken."""
        if self.ended:
            return
        self.ended = why
        waiting: list[Waiting[Any]] = [w for _, w in self.pending if isinstance(w, Waiting)]
        waiting += [self.opening, *self.calls.values()]
        waiting += [each for some in self.holdings.watchers.values() for each in some]
        for store in (self.pending, self.calls, self.holdings.watchers, self.garbage):
            store.clear()
        self.outbox.clear()
        self.awaited = 0
        self.closing.finish(None)
        for each in waiting:
            each.fail(ConnectionResetError(why))
