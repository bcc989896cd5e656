"""The socket of a link in an event loop, and tasks that wait. It knows no operations of the bus."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from bus1.client import forked
from bus1.client.holdings import INBOX_MOST, Inbox
from bus1.client.link import Link
from bus1.client.objects import Keeper, Message, N
from bus1.client.pending import Waiting
from bus1.client.socket import Reader, write
from bus1.client.turnstile import Turnstile
from bus1.errors import Unknown

T = TypeVar("T")

PACKETS_A_TURN = 16  # then others of the loop have theirs
LARGE = 4096  # bytes: behind a packet of that size there may be another one already
log = logging.getLogger("bus1.client")


class Pump(Generic[N]):
    """Used from its loop's thread only, but for `nudge`."""

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        make: Callable[[Keeper, int], N],
    ) -> None:
        self.sock = sock
        self.loop = loop
        self.thread = threading.get_ident()
        self.link: Link[N] = Link(self, make, self.nudge, self.trouble)
        self.on_error: Callable[[BaseException], None] | None = None
        self.reader = Reader(sock)
        self.reading = False
        self.writing = False  # the socket is full, and the loop tells when it is not
        self.nudged = False
        self.written = False  # since this turn has begun, or since anything was read
        self.later = False  # what waits is written at the end of this turn
        self.senders = Turnstile(loop)
        self.receivers: dict[int, Turnstile] = {}  # of inboxes, by their identity
        forked.peers.add(self)

    # Waiting.

    async def ask(self, waiting: Waiting[T]) -> T:
        """Write what `waiting` has queued, and wait for it."""
        self.push()
        return await self.done(waiting)

    async def done(self, waiting: Waiting[T]) -> T:
        if not waiting.done:
            turn = self.loop.create_future()
            waiting.wake = partial(ring, turn)
            await turn
        return waiting.take()

    async def room(self) -> None:
        """Until not too much waits to be written."""
        while self.link.outbox.crowded():
            self.listen()
            await self.senders.wait()
        self.senders.wake()

    async def next_of(self, inbox: Inbox[Message[N]], node: N | None = None) -> Message[N]:
        while not inbox:
            if self.link.ended:
                raise ConnectionResetError(self.link.ended)
            if node is not None and node.spent:
                inbox.ring()  # and so on, for all that wait
                raise Unknown("the node is destroyed")
            turnstile = self.receivers.get(id(inbox))
            if turnstile is None:
                turnstile = self.receivers[id(inbox)] = Turnstile(self.loop)
                inbox.bell = turnstile.wake
            try:
                await turnstile.wait()
            finally:
                if not turnstile.queue:
                    inbox.bell = None
                    self.receivers.pop(id(inbox), None)
        message = self.link.holdings.take(inbox)
        self.listen()
        return message

    # The socket.

    def push(self) -> None:
        """Write at once the first request of a turn, and all others of it in one packet at its
        end: one call is quick, and many cost little."""
        if not self.reading:
            self.listen()
        if self.later:
            return
        if not self.written:
            self.written = True
            self.flush()
            if self.link.awaited:  # something will come, which begins a turn as well
                return
        self.later = True
        self.loop.call_soon(self.turn_over)

    def turn_over(self) -> None:
        self.later = self.written = False
        self.flush()

    def flush(self) -> None:
        """Write what waits, until the socket is full."""
        if self.link.garbage:
            self.link.sweep()
        packets = self.link.outbox.packets
        while packets and not self.writing:
            try:
                write(self.sock, packets[0])
            except BlockingIOError:
                self.writing = True
                self.loop.add_writer(self.sock.fileno(), self.writable)
            except OSError as error:
                self.writing = True  # and never again; but what has come is still to be read
                self.loop.call_soon(self.fail, error)
            else:
                self.link.outbox.sent()
        if self.senders.queue and not self.link.outbox.crowded():
            self.senders.wake()

    def writable(self) -> None:
        self.loop.remove_writer(self.sock.fileno())
        self.writing = False
        self.flush()

    def listen(self) -> None:
        """Read, unless enough waits here already."""
        wanted = not self.link.sated() and not self.link.ended
        if wanted != self.reading:
            self.reading = wanted
            if wanted:
                self.loop.add_reader(self.sock.fileno(), self.readable)
            else:
                self.loop.remove_reader(self.sock.fileno())

    def readable(self) -> None:
        """Packets have come. What is answered to them goes out as one packet."""
        later, self.later = self.later, True
        try:
            for _ in range(PACKETS_A_TURN):
                if self.read() < LARGE:  # nothing, or hardly more behind it
                    break
        finally:
            self.later = later
            self.written = False
        if self.link.outbox.packets:
            self.flush()
        if self.link.holdings.stored >= INBOX_MOST:
            self.listen()

    def read(self) -> int:
        """Read one packet and do what it is for; its size, or 0."""
        try:
            size, fds = self.reader.read()
            if size == 0:
                raise ConnectionResetError("the bus has ended the connection")
            self.link.take(self.reader.packet, size, fds)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.end(str(error))
            size = 0
        if self.link.due:
            self.call_due()
        return size

    def call_due(self) -> None:
        due = self.link.due
        while due:
            callback, argument = due.popleft()
            try:
                callback(argument)
            except Exception as error:  # the program's: it must not cost others their messages
                self.loop.call_exception_handler(
                    {"message": f"in a callback of {self!r}", "exception": error}
                )

    def fail(self, error: OSError) -> None:
        """Nothing can be written any more: read what is there, then end."""
        while self.read():
            pass
        self.end(str(error))

    def end(self, why: str) -> None:
        """The end, whoever has wanted it."""
        if self.link.ended:
            return
        self.link.end(why)
        if self.reading:
            self.loop.remove_reader(self.sock.fileno())
        if self.writing:
            self.loop.remove_writer(self.sock.fileno())
        self.reading = False
        self.senders.wake_all()
        for turnstile in list(self.receivers.values()):
            turnstile.wake_all()
        self.sock.close()

    def part(self, why: str) -> None:
        """In a forked child. The loop stays as it is: what it polls is the parent's, too."""
        self.link.part(why)
        self.reading = self.writing = False
        self.sock.close()

    def trouble(self, error: BaseException) -> None:
        """Nobody waits for this error."""
        self.link.due.append((self.on_error or complain, error))

    def nudge(self) -> None:
        """Something was dropped: from any thread, and in the midst of anything."""
        if self.nudged:
            return
        self.nudged = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody will write
            if threading.get_ident() == self.thread:
                self.loop.call_soon(self.nudge_over)
            else:
                self.loop.call_soon_threadsafe(self.nudge_over)

    def nudge_over(self) -> None:
        self.nudged = False
        if not self.link.ended:
            self.flush()


def ring(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def complain(error: BaseException) -> None:
    log.warning("nobody waits for this error: %s: %s", type(error).__name__, error)
