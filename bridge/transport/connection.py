"""One client's socket: bytes in, messages to the router; the peer's queue out again.

It decides nothing about messages, and knows the event loop only through its server.
"""

import logging
import os
from typing import TYPE_CHECKING

from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.errors import Disconnect
from bridge.routing.router import Router
from bridge.transport.socket import BATCH, Truncated, receive, send
from bridge.wire.frame import BadMessage, Frame, Framer
from bridge.wire.sasl import AuthFailed, Sasl
from bus1.message import Message
from bus1.peer import Peer

if TYPE_CHECKING:
    from bridge.transport.server import Server

log = logging.getLogger("bus1.connection")

HANDSHAKE = 4096  # bytes read at a time before the client is authenticated


class Connection:
    """A socket on its way through handshake, Hello and messages to its end.

    `client` is None until the handshake is over; then its peer's queue is what is written.
    `offset` is how much of the first message in the queue the kernel has taken already,
    `blocked` says that it takes no more for now; `partial` that descriptors have come and
    the rest of their message has not.
    """

    def __init__(self, server: "Server", fd: int, credentials: Credentials, sasl: Sasl) -> None:
        self.server = server
        self.fd = fd
        self.credentials = credentials
        self.sasl: Sasl | None = sasl
        self.router: Router = server.router
        self.client: Client | None = None
        self.framer: Framer | None = None
        self.peer: Peer | None = None
        self.named = False
        self.blocked = False
        self.closed = False
        self.partial = False
        self.offset = 0

    def __str__(self) -> str:
        name = self.client.unique if self.client is not None else ""
        return f"{name or 'a connection without a name'} ({self.credentials})"

    # --------------------------------------------------------------------- reading

    def on_readable(self) -> None:
        """The event loop says that there is something to read."""
        if self.closed:
            return
        try:
            if self.client is None:
                self.shake_hands()
            else:
                self.read()
        except (AuthFailed, BadMessage, Disconnect, Truncated) as broken:
            self.server.drop(self, str(broken))
        except OSError:
            self.server.drop(self, None)  # it is gone, as by ECONNRESET
        except Exception:
            log.exception("Disconnecting %s after an error of the bus's own", self)
            self.server.drop(self, None)
        self.server.flush_ready()

    def shake_hands(self) -> None:
        """Before the first message: lines of text, answered at once (wire/sasl.py)."""
        sasl = self.sasl
        assert sasl is not None
        data = os.read(self.fd, HANDSHAKE)
        if not data:
            self.server.drop(self, None)
            return
        try:
            self.reply(sasl.feed(data))
        except AuthFailed as failed:
            self.reply(failed.answer)
            raise
        if sasl.done:
            self.begin(sasl)

    def reply(self, answer: bytes) -> None:
        """Lines of text: few bytes into an empty socket; who lets them not fit is no client."""
        if answer:
            os.write(self.fd, answer)

    def begin(self, sasl: Sasl) -> None:
        """The handshake is over: from now on there is a client, who must say Hello."""
        if sasl.anonymous:
            self.credentials = Credentials(None, None)
        self.server.check_user(self.credentials)
        limits = self.router.limits
        self.sasl = None
        self.framer = Framer(limits.max_message_size, limits.max_message_unix_fds)
        self.client = self.router.admit(self.credentials, sasl.takes_fds)
        self.peer = self.client.peer
        self.peer.queue.reader = self
        if sasl.rest:
            self.framer.feed(sasl.rest)
            self.dispatch()

    def read(self) -> None:
        """One recvmsg, and every whole message that it completed."""
        count = receive(self.fd, self.framer)
        if count > 0:
            self.dispatch()
        elif count == 0:
            self.flush()  # it may have closed only its own direction, and wait for an answer
            self.server.drop(self, None)

    def dispatch(self) -> None:
        """Route what has been read."""
        framer = self.framer
        frame = framer.take()
        while frame is not None:
            self.router.route(self.client, frame)
            if not self.named and self.client.active():
                self.named = True
                framer.stamp(self.client.unique)
                self.server.complete(self)
            frame = framer.take()
        framer.settle()
        if bool(framer.fds) != self.partial:
            self.partial = not self.partial
            self.server.watch_partial(self, self.partial)

    # --------------------------------------------------------------------- writing

    def flush(self) -> None:
        """Write what the peer's queue holds, until it is empty or the kernel takes no more."""
        if self.blocked or self.closed or self.peer is None:
            return
        try:
            while self.write():
                pass
        except OSError:
            self.server.drop(self, None)

    def write(self) -> bool:
        """One sendmsg. True if it may be worth another one."""
        queue = self.peer.queue
        frames: list[Frame] = []
        place = 0
        message = queue.peek(0)
        while message is not None and place < BATCH:
            if message.kind:
                self.hear(message)
            frames.append(message.payload)
            place += 1
            message = queue.peek(place)
        if not frames:
            return False
        count = send(self.fd, frames, self.offset)
        if count < 0:
            self.blocked = True
            self.server.wait_writable(self)
            return False
        count += self.offset
        for frame in frames:
            if count < frame.size:
                break
            count -= frame.size
            self.peer.receive()
        self.offset = count
        return True

    def hear(self, notice: Message) -> None:
        """A notice of the core becomes what this client is to read of it, if anything."""
        if notice.payload is None:
            notice.payload = self.router.hear(self.client, notice) or SILENCE

    def on_writable(self) -> None:
        """The event loop says that the kernel takes more."""
        self.blocked = False
        self.server.stop_waiting(self)
        self.flush()
        self.server.flush_ready()

    # ------------------------------------------------------------------------- end

    def close(self) -> None:
        """Give everything back. Only the server calls this, once."""
        self.closed = True
        os.close(self.fd)
        if self.credentials.pidfd is not None:
            os.close(self.credentials.pidfd)
        if self.framer is not None:
            self.framer.close()
        if self.client is not None:
            self.router.leave(self.client)


SILENCE = Frame()
