"""One client's socket: bytes in, messages to the router; the peer's queue out again.

It decides nothing about messages, and knows the event loop only through its server.
"""

from errno import ETOOMANYREFS
from time import monotonic
from typing import TYPE_CHECKING, Any

from bridge.routing.client import Client
from bridge.routing.errors import Disconnect
from bridge.routing.hub import NAMELESS, Hub, payer
from bridge.routing.notices import Notices
from bridge.routing.reader import Reader
from bridge.routing.router import Router
from bridge.transport.socket import BATCH, Truncated, receive, send
from bridge.wire.frame import BadMessage, Frame, Framer
from bus1.bus import Bus
from bus1.fds import closing
from bus1.fds.closing import crowded
from bus1.message import ONCE_DROPPED, Message
from bus1.peer import Peer
from bus1.queue import Queue

if TYPE_CHECKING:
    from bridge.transport.server import Server


# What one may do in one turn before others are served (Hub.work): about a millisecond.
TURN = 4096
# A monitor sees when calls and replies come: on a bus that is not busy it gets them at once. When
# so many messages have come in a moment, the next wait for its end, or until they are this many
# bytes: to wake the monitor costs the bus, and who shares a CPU with it, more than many messages.
AT_ONCE = 4
ENOUGH = 64 * 1024


class Connection(Reader):
    """A socket from the first message to its end. Its peer's queue is what is written.

    `offset` is how much of the first message in the queue the kernel has taken already;
    `blocked` says that it takes no more for now, `deaf` that it never will: the other end
    reads no more, but what it sent before is still to be read. `named`: the client has said
    Hello. `partial`: descriptors have come and the rest of their message has not.
    `resting`: whole messages wait here for the next turn, because this turn did enough.
    `ending`: nothing more will come, and what is queued is still to be written.
    `collecting`: it is a monitor's, and a moment has begun, in which so many messages have
    `come`; those that wait are counted again whenever there are more of them.
    """

    def __init__(self, server: "Server", fd: int, client: Client, framer: Framer) -> None:
        self.server = server
        self.hub: Hub = server.hub
        self.router: Router = server.router
        self.notices: Notices = server.notices
        self.fd = fd
        self.client = client
        self.credentials = client.credentials
        self.payer = payer(client.credentials)
        self.peer: Peer = client.peer
        self.turns = None if server.counting is None else server.counting.turns
        self.framer = framer
        self.most_fds = 0
        framer.stamp(NAMELESS)  # for monitors: nobody can pose as somebody before Hello
        self.offset = 0
        self.blocked = False
        self.deaf = False
        self.named = False
        self.partial = False
        self.resting = False
        self.ending = False
        self.collecting = False
        self.come = 0
        self.closed = False
        self.peer.queue.reader = self

    def __str__(self) -> str:
        name = self.client.unique or "a connection without a name"
        return f"{name} ({self.credentials})"

    # --------------------------------------------------------------------- reading

    def on_readable(self) -> None:
        """The event loop says that there is something to read: not before the rest is routed."""
        if not self.closed and not self.resting:
            self.attend(None)

    def resume(self) -> None:
        """The next turn has come, one for each time that it rested."""
        if not self.closed:
            self.attend(None)

    def begin(self, data: bytes) -> None:
        """The first messages came with the end of the handshake."""
        self.attend(data)

    def attend(self, data: bytes | None) -> None:
        """Take what there is; whatever goes wrong with it ends this connection and no other."""
        turns = self.turns
        began = 0.0 if turns is None else monotonic()
        try:
            if data is not None:
                self.framer.feed(data)
                self.dispatch()
            elif self.resting:
                self.dispatch()
            elif not self.ending:
                self.read()
        except (BadMessage, Disconnect, Truncated) as broken:
            self.server.drop(self, str(broken))
        except OSError:
            self.server.drop(self, None)  # it is gone, as by ECONNRESET
        except Exception:
            self.server.blame_self(self)
        flush_ready(self.hub.bus)
        if turns is not None:
            turns.observe(monotonic() - began)

    def read(self) -> None:
        """One recvmsg, and every whole message that it completed."""
        if crowded(self.payer):
            self.server.hold_back(self)
            return
        count = receive(self.fd, self.framer, self.client.takes_fds)
        if count > 0:
            self.dispatch()
        elif count == 0:
            self.end()

    def dispatch(self) -> None:
        """Route what has been read, as much as one may in one turn."""
        framer = self.framer
        hub, router = self.hub, self.router
        enough = hub.work + TURN
        self.resting = False
        claimed = False
        frame = framer.take()
        while frame is not None:
            router.route(self.client, frame)
            if frame.fd_count:
                claimed = True
            if not self.named and self.client.active():
                self.named = True
                framer.stamp(self.client.unique)
                self.server.complete(self)
            if hub.work > enough:
                self.resting = True
                self.server.soon(self)
                break
            frame = framer.take()
        framer.settle()
        if framer.fds or self.partial:
            self.watch_partial(claimed)

    def watch_partial(self, claimed: bool) -> None:
        """Each message with descriptors has its own time to become complete."""
        if claimed and self.partial:
            self.server.watch_partial(self, False)
        self.partial = bool(self.framer.fds)
        self.most_fds = max(self.most_fds, len(self.framer.fds))
        self.server.watch_partial(self, self.partial)

    def waiting(self) -> tuple[int, int, int, int]:
        """Bytes and descriptors that wait for the rest of their message, and the most that did."""
        size, most = self.framer.kept()
        return size, len(self.framer.fds), most, self.most_fds

    def end(self) -> None:
        """The other end sends no more. It may still read: it gets what is queued for it."""
        self.ending = True
        self.server.stop_reading(self)
        self.blocked = False
        self.flush()

    # --------------------------------------------------------------------- writing

    def flush(self) -> None:
        """Write what the peer's queue holds; a monitor's perhaps later."""
        if self.blocked or self.closed:
            return
        if self.client.observing and not self.ending and self.may_wait():
            return
        self.write_all()

    def may_wait(self) -> bool:
        """Is it enough to write to this monitor when more has come, or at the moment's end?"""
        account = self.peer.queue.account
        if not self.collecting:
            self.collecting = True
            self.come = 0
            self.server.collect(self)
        busy = self.come >= AT_ONCE
        self.come += account.messages
        return busy and account.bytes < ENOUGH

    def write_collected(self) -> None:
        """The moment is over."""
        self.collecting = False
        if not self.blocked and not self.closed:
            self.write_all()
            flush_ready(self.hub.bus)

    def write_all(self) -> None:
        """Write until the queue is empty or the kernel takes no more."""
        try:
            while self.write():
                pass
        except (BrokenPipeError, ConnectionResetError):
            # Not the end yet: what it sent before it stopped reading is still to be read.
            self.blocked = self.deaf = True
        except OSError:
            self.server.drop(self, None)
        except Exception:
            self.server.blame_self(self)
        if self.client.missed and not self.blocked and not self.closed:
            self.hub.catch_up(self.client)
        if self.ending and (self.deaf or not self.blocked):
            self.server.drop(self, None)

    def write(self) -> bool:
        """One sendmsg. True if it may be worth another one.

        The kernel may hold too many descriptors on their way to take more. Those belong to
        the first message then: it is dropped, not its receiver (CVE-2014-3532).
        """
        frames = self.batch()
        if not frames:
            return False
        try:
            count = send(self.fd, frames, self.offset)
        except OSError as error:
            if error.errno != ETOOMANYREFS:
                raise
            self.notices.undelivered(self.client, self.peer.receive())
            return True
        if count < 0:
            self.blocked = True
            self.server.wait_writable(self)
            return False
        self.hub.tally.sent += count
        count += self.offset
        for frame in frames:
            if count < frame.size:
                break
            count -= frame.size
            self.peer.receive()
        self.offset = count
        return self.peer.queue.peek(0) is not None

    def batch(self) -> list[Frame]:
        """What the queue holds, as far as one sendmsg takes it. It stays there until written."""
        queue = self.peer.queue
        frames: list[Frame] = []
        place, most = 0, BATCH
        message = queue.peek(0)
        while message is not None and place < most:
            if message.kind and message.payload is None and not self.hear(message, place):
                message = queue.peek(0) if not place else None
                continue
            frames.append(message.payload)  # type: ignore[arg-type]
            place += 1
            message = queue.peek(place)
        return frames

    def hear(self, notice: Message, place: int) -> bool:
        """A notice of the core. True if the client is to read something of it: that is its
        payload from now on, which also marks it as heard, since a batch may be made twice.

        Else it concerns only the bus, which hears it when it is the first in the queue: that
        may change what is behind it.
        """
        if notice.kind == ONCE_DROPPED and not self.notices.is_late(self.client, notice):
            notice.payload = self.notices.no_reply(self.client, notice)
            if notice.payload is not None:
                return True
        if place == 0:
            self.peer.receive()
            self.notices.forget(self.client, notice)
        return False

    def on_writable(self) -> None:
        """The event loop says that the kernel takes more, or that something is wrong."""
        if self.closed:
            return
        self.blocked = False
        self.server.stop_waiting(self)
        self.write_all()
        flush_ready(self.hub.bus)

    # ------------------------------------------------------------------------- end

    def hang_up(self) -> None:
        """Close the descriptors: all that is needed when the whole bus ends."""
        self.closed = True
        closing.hang_up(self.fd)
        self.framer.close()

    def close(self) -> None:
        """Give everything back. Only the server calls this, once."""
        try:
            self.hang_up()
        finally:
            self.hub.leave(self.client)


def flush_ready(bus: Bus) -> None:
    """Let everybody write for whom the last batch left something in the queue; monitors when all
    others, who may work on in the meantime, have what they wait for."""
    ready = bus.ready
    while ready:
        if len(ready) == 1:  # who was called, or gets the answer: nearly always
            queue = ready[0]
            del ready[:]
            queue.woken = False
            reader: Any = queue.reader
            if reader is not None:
                reader.flush()
        else:
            flush_all(bus.take_ready())


def flush_all(queues: list[Queue]) -> None:
    """Several of them at once."""
    monitors = []
    for queue in queues:
        reader: Any = queue.reader
        if reader is None:  # it was closed meanwhile
            continue
        if isinstance(reader, Connection) and is_monitors(reader):
            monitors.append(reader)
        else:
            reader.flush()
    for reader in monitors:
        reader.flush()


def is_monitors(connection: Connection) -> bool:
    """Does it only look on?"""
    return connection.client.observing
