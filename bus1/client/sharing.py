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
from typing import Generic, TypeVar

from bus1.client import forked
from bus1.client.holdings import Inbox
from bus1.client.link import Link
from bus1.client.objects import Keeper, Message, N
from bus1.client.payload import Fd
from bus1.client.pending import Waiting
from bus1.client.shield import Shield
from bus1.client.socket import Reader, write
from bus1.errors import Unknown

T = TypeVar("T")

PACKETS_A_TURN = 16  # before what was asked for is looked at
LARGE = 4096  # bytes: behind a packet of that size there may be another one already
NEVER = threading.Event()
log = logging.getLogger("bus1.client")


class Shared(Generic[N]):
    """The link is changed inside the shield only."""

    def __init__(self, sock: socket.socket, make: Callable[[Keeper, int], N]) -> None:
        self.sock = sock
        self.link: Link[N] = Link(self, make, self.nudge, self.trouble)
        self.shield = Shield(self.nudge)
        self.on_error: Callable[[BaseException], None] | None = None
        self.reader = Reader(sock)
        self.leaving = False  # the end is our own wish
        self.full = False  # the socket takes no more
        self.mask = select.POLLIN
        self.called = False  # the alarm rings
        self.leading = False  # a thread waits at the socket
        self.followers: list[threading.Event] = []
        self.alarm = Fd(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))  # for that thread
        self.poller = select.poll()
        self.poller.register(self.alarm, select.POLLIN)
        self.poller.register(sock, select.POLLIN)
        forked.peers.add(self)

    # Waiting.

    def ask(self, begin: Callable[[], Waiting[T]], timeout: float | None) -> T:
        """Queue what `begin` asks, write it, and wait for its result."""
        some: list[Waiting[T]] = []
        self.until(lambda: some[0].done, timeout, lambda: some.append(begin()))
        return some[0].take()

    def next_of(self, node: N | None, timeout: float | None) -> Message[N]:
        holdings = self.link.holdings
        some: list[Message[N]] = []

        def taken() -> bool:
            inbox: Inbox[Message[N]] = holdings.inbox if node is None else holdings.claim(node)
            if inbox:
                some.append(holdings.take(inbox))
                return True
            return bool(self.link.ended) or (node is not None and node.spent)

        self.until(taken, timeout)
        if not some:
            if self.link.ended:
                raise ConnectionResetError(self.link.ended)
            raise Unknown("the node is destroyed")
        return some[0]

    def until(
        self,
        ready: Callable[[], bool],
        timeout: float | None,
        begin: Callable[[], None] | None = None,
    ) -> None:
        """Do `begin`, and wait until it is `ready`: both are called inside the shield. Raises
        TimeoutError, and what `begin` raises."""
        deadline = None if timeout is None else time.monotonic() + timeout
        leading = False
        try:
            with self.shield:
                if begin is not None:
                    begin()
                self.flush()
                leading, event, done = self.join(ready)
            while not done:
                came = self.watch(deadline) if leading else event.wait(left(deadline))
                with self.shield:
                    if leading:
                        self.read()
                        self.leave()
                    leading, event, done = self.join(ready)
                if not done and not came:
                    raise TimeoutError("no answer in time")
                if self.link.due and leading:  # callbacks may wait here themselves
                    with self.shield:
                        self.leave()
                        leading = False
                    self.call_due()
                    with self.shield:
                        leading, event, done = self.join(ready)
        finally:
            if leading:
                with self.shield:
                    self.leave()
        self.call_due()

    def join(self, ready: Callable[[], bool]) -> tuple[bool, threading.Event, bool]:
        """Whether to wait at the socket from now on, else for what; and whether it is `ready`."""
        if ready():
            return False, NEVER, True
        if self.link.ended:
            raise ConnectionResetError(self.link.ended)
        if self.leading:
            self.followers.append(event := threading.Event())
            return False, event, False
        self.leading = True
        return True, NEVER, False

    def leave(self) -> None:
        """Somebody else may wait at the socket."""
        self.leading = False
        for event in self.followers:
            event.set()
        self.followers.clear()
        if self.link.ended:
            self.sock.close()

    # The socket. All of it is called inside the shield, but `watch` and `call_due`.

    def watch(self, deadline: float | None) -> bool:
        """Wait until something comes, or the socket takes more. False: the deadline has."""
        wait = left(deadline)
        mask = select.POLLIN | select.POLLOUT if self.full else select.POLLIN
        if mask != self.mask:
            self.mask = mask
            self.poller.modify(self.sock, mask)
        return bool(self.poller.poll(None if wait is None else math.ceil(wait * 1000)))

    def call_due(self) -> None:
        due = self.link.due
        while due:
            try:
                callback, argument = due.popleft()
            except IndexError:  # another thread has taken it
                return
            try:
                callback(argument)
            except Exception:  # the program's: it must not cost others their messages
                log.exception("in a callback of %r", self)

    def flush(self) -> None:
        """Write what waits, until the socket is full: then whoever waits at it goes on."""
        packets = self.link.packets()
        while packets and not self.full:
            try:
                write(self.sock, packets[0])
            except BlockingIOError:
                self.full = True
                if self.leading:
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
        if self.leading:
            self.call_leader()
        else:
            self.leave()

    def part(self, why: str) -> None:
        """In a forked child, where no other thread lives on: what they hold is free."""
        self.link.part(why)
        self.shield = Shield(self.nudge)
        self.leading = False
        self.followers.clear()
        self.sock.close()
        self.alarm.close()

    def trouble(self, error: BaseException) -> None:
        """Nobody waits for this error."""
        self.link.due.append((self.on_error or complain, error))

    def nudge(self) -> None:
        """Something was dropped, in any thread and in the midst of anything: if somebody is inside
        the shield, he sees it on his way out."""
        while self.link.garbage and not self.full and self.shield.enter(False):
            try:
                self.flush()
            finally:
                self.shield.leave(dying=True)


def left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def complain(error: BaseException) -> None:
    log.warning("nobody waits for this error: %s: %s", type(error).__name__, error)
