"""The socket of a link that threads share: one of them waits at it, and reads for all.

It knows no operations of the bus.
"""

from __future__ import annotations

import logging
import math
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from bus1.client import forked
from bus1.client.holdings import Inbox
from bus1.client.link import Link
from bus1.client.objects import Keeper, Message, N
from bus1.client.payload import Fd
from bus1.client.pending import Call, Waiting
from bus1.client.shield import Shield
from bus1.client.socket import Reader, write
from bus1.errors import Unknown

T = TypeVar("T")

PACKETS_A_TURN = 16  # before what was asked for is looked at
LARGE = 4096  # bytes: behind a packet of that size there may be another one already
NESTED_MOST = 16  # callbacks of one thread inside each other: further ones wait for the first
log = logging.getLogger("bus1.client")

# What a thread does that waits.
DONE, LEAD, CALL = threading.Event(), threading.Event(), threading.Event()


class Ready(Protocol):
    """What a thread waits for."""

    @property
    def done(self) -> bool: ...


R = TypeVar("R", bound=Ready)


class When:
    """What has to be asked again and again."""

    __slots__ = ("ready",)

    def __init__(self, ready: Callable[[], bool]) -> None:
        self.ready = ready

    @property
    def done(self) -> bool:
        return self.ready()


class Shared(Generic[N]):
    """The link is changed inside the shield only."""

    def __init__(self, sock: socket.socket, make: Callable[[Keeper, int], N]) -> None:
        self.sock = sock
        self.link: Link[N] = Link(self, make, self.nudge, self.trouble)
        self.shield = Shield(self.link.garbage, self.nudge)
        self.on_error: Callable[[BaseException], None] | None = None
        self.reader = Reader(sock)
        self.leaving = False  # the end is our own wish
        self.full = False  # the socket takes no more
        self.mask = select.POLLIN
        self.called = False  # the alarm rings
        self.leader = 0  # the thread that waits at the socket
        self.followers: list[threading.Event] = []
        self.nested = threading.local()  # .depth: the callbacks that this thread is in
        self.alarm = Fd(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))  # for that thread
        self.poller = select.poll()
        self.poller.register(self.alarm, select.POLLIN)
        self.poller.register(sock, select.POLLIN)
        forked.peers.add(self)

    # Waiting.

    def ask(self, begin: Callable[[], Waiting[T]], timeout: float | None) -> T:
        """Queue what `begin` asks, write it, and wait for its result."""
        return self.wait(begin, timeout).take()

    def next_of(self, node: N | None, timeout: float | None) -> Message[N]:
        holdings = self.link.holdings
        some: list[Message[N]] = []

        def taken() -> bool:
            inbox: Inbox[Message[N]] = holdings.inbox if node is None else holdings.claim(node)
            if inbox:
                some.append(holdings.take(inbox))
                self.listen()
                return True
            return bool(self.link.ended) or (node is not None and node.spent)

        self.until(taken, timeout)
        if not some:
            if self.link.ended:
                raise ConnectionResetError(self.link.ended)
            raise Unknown("the node is destroyed")
        return some[0]

    def until(self, ready: Callable[[], bool], timeout: float | None) -> None:
        """Write what there is to write, and wait until it is so."""
        self.wait(lambda: When(ready), timeout)

    def wait(self, begin: Callable[[], R], timeout: float | None) -> R:
        """Do `begin`, and wait until what it returns is done: both are asked inside the shield.
        Raises TimeoutError, and what `begin` raises."""
        deadline = None if timeout is None else time.monotonic() + timeout
        waiting, step = None, DONE
        try:
            with self.shield:
                waiting = begin()
                self.flush()
                step = self.join(waiting)
            while step is not DONE:
                if step is LEAD:
                    self.watch(deadline)
                elif step is CALL:  # a callback may wait here itself
                    self.call_due()
                else:
                    step.wait(left(deadline))
                with self.shield:
                    if step is LEAD:
                        self.read()
                        self.leave()
                        step = DONE
                    step = self.join(waiting)
                if step is not DONE and left(deadline) == 0:
                    raise TimeoutError("no answer in time")
        except BaseException:
            with self.shield:
                if step is LEAD:
                    self.leave()
                if isinstance(waiting, Call):
                    self.link.forget(waiting)
            raise
        if self.link.due:
            self.call_due()
        return waiting

    def join(self, waiting: Ready) -> threading.Event:
        """What to do next: nothing (DONE), the callbacks, wait at the socket, or for this event."""
        if waiting.done:
            return DONE
        if self.link.ended:
            raise ConnectionResetError(self.link.ended)
        if self.link.due and self.depth() < NESTED_MOST:
            return CALL
        mine = threading.get_ident()
        if self.leader not in {0, mine}:  # 0, or our own from when a second Ctrl-C has hit
            self.listen()
            self.followers.append(event := threading.Event())
            return event
        self.leader = mine
        mask = 0 if self.link.sated() else select.POLLIN
        if self.full:
            mask |= select.POLLOUT
        if mask != self.mask:
            self.mask = mask
            self.poller.modify(self.sock, mask)
        return LEAD

    def leave(self) -> None:
        """Somebody else may wait at the socket."""
        self.leader = 0
        if self.followers:
            for event in self.followers:
                event.set()
            self.followers.clear()
        if self.link.ended:
            self.sock.close()

    # The socket. All of it is called inside the shield, but `watch` and `call_due`.

    def watch(self, deadline: float | None) -> None:
        """Wait until something comes, the socket takes more, or the deadline has come."""
        wait = left(deadline)
        self.poller.poll(None if wait is None else math.ceil(wait * 1000))

    def listen(self) -> None:
        """Whoever waits at the socket reads again, if that was enough for a while."""
        if self.leader and not self.mask & select.POLLIN and not self.link.sated():
            self.call_leader()

    def depth(self) -> int:
        found: int = getattr(self.nested, "depth", 0)
        return found

    def call_due(self) -> None:
        """Call the callbacks. One that waits here may call others."""
        due, depth = self.link.due, self.depth()
        self.nested.depth = depth + 1
        try:
            while due and depth < NESTED_MOST:
                try:
                    callback, argument = due.popleft()
                except IndexError:  # another thread has taken it
                    return
                try:
                    callback(argument)
                except Exception:  # the program's: it must not cost others their messages
                    log.exception("in a callback of %r", self)
        finally:
            self.nested.depth = depth

    def flush(self) -> None:
        """Write what waits, until the socket is full: then whoever waits at it goes on."""
        if self.link.garbage:
            self.link.sweep()
        packets = self.link.outbox.packets
        while packets and not self.full:
            try:
                write(self.sock, packets[0])
            except BlockingIOError:
                self.full = True
                if self.leader:
                    self.call_leader()
            except OSError as error:
                while self.read_one():  # what has come is still worth something
                    pass
                self.finish(str(error))
            else:
                self.link.outbox.sent()

    def read(self) -> None:
        if self.called:
            self.called = False
            os.eventfd_read(self.alarm.fileno())
        if self.full and not self.link.ended:
            self.full = False
            self.flush()
        for _ in range(PACKETS_A_TURN):
            if self.read_one() < LARGE:
                break

    def read_one(self) -> int:
        """Read one packet and do what it is for; its size, or 0."""
        if self.link.ended:
            return 0
        try:
            size, fds = self.reader.read()
            if size == 0:
                raise ConnectionResetError("the bus has ended the connection")
            self.link.take(self.reader.packet, size, fds)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.finish(str(error))
            return 0
        return size

    def call_leader(self) -> None:
        """Wake the thread that waits at the socket."""
        if not self.called:
            self.called = True
            os.eventfd_write(self.alarm.fileno(), 1)

    def end(self, why: str) -> None:
        with self.shield:
            self.leaving = True
            self.finish(why)

    def finish(self, why: str) -> None:
        """The end, whoever has wanted it."""
        self.link.end(why)
        if self.leader:
            self.call_leader()
        else:
            self.leave()

    def part(self, why: str) -> None:
        """In a forked child, where no other thread lives on: what they hold is free."""
        self.link.part(why)
        self.shield = Shield(self.link.garbage, self.nudge)
        self.leader = 0
        self.followers.clear()
        self.sock.close()
        self.alarm.close()

    def trouble(self, error: BaseException) -> None:
        """Nobody waits for this error."""
        self.link.due.append((self.on_error or complain, error))

    def nudge(self) -> None:
        """Something was dropped, in any thread and in the midst of anything: if somebody is inside
        the shield, he sees it on his way out."""
        while self.link.garbage and not self.full and self.shield.enter(wait=False):
            try:
                self.flush()
            finally:
                self.shield.leave(dying=True)


def left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def complain(error: BaseException) -> None:
    log.warning("nobody waits for this error: %s: %s", type(error).__name__, error)
