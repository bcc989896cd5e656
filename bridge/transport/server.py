"""The bus as a process: accepts, watches sockets, reloads, ends.

It decides nothing about messages: connections read and write, the router routes.
"""

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any, Final, final

from bridge.activation.activation import Activation
from bridge.activation.environment import Environment
from bridge.driver.driver import Driver
from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.entry import Kind, entry, process
from bridge.routing.entry import connection as known
from bridge.routing.errors import Disconnect
from bridge.routing.hub import Hub, payer
from bridge.routing.notices import Notices
from bridge.routing.quotas import for_peer, for_user
from bridge.routing.router import Router
from bridge.transport.children import Children
from bridge.transport.connection import Connection, flush_ready
from bridge.transport.deadlines import Deadlines
from bridge.transport.door import Door
from bridge.transport.handshake import Handshake
from bridge.transport.hangups import Hangups
from bridge.transport.identity import ourselves
from bridge.transport.launch import Listener
from bridge.transport.manager import Manager
from bridge.transport.reload import Reloader
from bridge.transport.report import Report
from bridge.transport.settings import Loaded, Settings
from bridge.transport.workshop import Workshop
from bridge.wire.frame import Framer
from bridge.wire.sasl import Sasl
from bus1.bus import Bus

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.transport.latency import Awaited
    from bridge.transport.native import NativeConnection

    Anybody = Handshake | Connection | NativeConnection

log = logging.getLogger("bus1.server")

READS: Final = 16  # of one connection in one go, at its end
CROWDED: Final = 0.01  # seconds until it is asked again whether somebody's descriptors are closed
MOMENT: Final = 0.002  # seconds that a monitor's messages may wait for more


@final
class Server:
    """One bus: its door, its connections, its hub and router."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: Settings, listeners: list[Listener]
    ) -> None:
        configuration, policy = settings.loaded.configuration, settings.loaded.policy
        limits = configuration.limits
        self.loop = loop
        self.settings = settings
        self.limits = limits
        self.policy = policy
        self.credentials = ourselves()
        self.bus = Bus(limits=for_user(limits), peer_limits=for_peer(limits))
        self.hub = Hub(self.bus, configuration, policy, self.credentials, settings.guid)
        self.hub.gate.mediator = settings.mediator
        self.router = Router(self.hub)
        self.notices = Notices(self.hub)
        self.manager = Manager(os.environ)
        self.reloader = Reloader(self)
        self.hub.driver = Driver(self.hub)
        self.children = Children(loop, settings.journal)
        self.activation = Activation(
            self.hub,
            self.router.resume,
            Workshop(loop, self.children, self.flush),
            settings.loaded.services,
            Environment(settings.environment, settings.address, settings.native_address),
            settings.systemd_activation,
        )
        self.hub.activation = self.activation
        self.hub.reloader = self.reloader
        self.hub.cut_off = self.cut_off
        self.hub.later = self.later
        self.hub.process = Report(self)
        self.counting: Any = None  # Counting, where metrics are wanted
        self.connections: dict[int, Anybody] = {}
        self.held_back: set[Anybody] = set()
        self.hangups = Hangups(loop, self.hung_up)
        self.door = Door(self, listeners)
        self.natives: Any = None  # Natives, where they find it
        self.partial = Deadlines(loop, limits.pending_fd_timeout / 1000, self.fds_pending)
        self.replies: Deadlines[Awaited] | None = None
        self.limit_replies(limits.reply_timeout)

    # ------------------------------------------------------------ beginning and end

    def start(self) -> None:
        """Begin to accept."""
        if self.settings.metrics:
            self.count()
        self.door.open()
        if self.settings.native:
            self.listen_natively()

    def listen_natively(self) -> None:
        """Let native programs in. What that takes is imported only if somebody wants it."""
        from bridge.transport.natives import Natives

        self.natives = Natives(self, self.settings.native)
        self.natives.start()

    def count(self) -> None:
        """Tell in numbers what happens. What that takes is imported only if somebody wants it."""
        from bridge.transport.counting import Counting

        self.counting = Counting(self)
        self.counting.start()
        self.limit_replies(self.limits.reply_timeout)

    def stop(self) -> None:
        """Hang up on everybody, remove the sockets. Nobody is left to be told anything."""
        self.door.stop()
        self.reloader.stop()
        for connection in list(self.connections.values()):
            if isinstance(connection, Connection):
                connection.write_collected()
        for connection in self.connections.values():
            self.loop.remove_reader(connection.fd)
            self.loop.remove_writer(connection.fd)
            connection.hang_up()
        self.connections.clear()
        if self.natives is not None:
            self.natives.stop()
        self.hangups.stop()
        if self.counting is not None:
            self.counting.stop()
        self.partial.stop()
        self.limit_replies(None)
        self.manager.close()
        self.activation.stop()
        self.children.stop()

    def adopt(self, loaded: Loaded) -> None:
        """Another configuration holds. Who is connected stays, and keeps its names; the limits
        on the size of messages are those of when it connected, as with dbus-daemon."""
        self.limits = loaded.configuration.limits
        self.policy = loaded.policy
        self.hub.adopt(loaded.configuration, loaded.policy)
        self.activation.services = loaded.services
        for connection in self.connections.values():
            if isinstance(connection, Connection):
                self.hub.allot(connection.client)
        if self.natives is not None:
            self.natives.adopt()
        self.partial.change(self.limits.pending_fd_timeout / 1000)
        self.limit_replies(self.limits.reply_timeout)
        self.door.adopt(loaded.configuration)

    def limit_replies(self, milliseconds: int | None) -> None:
        """reply_timeout. Without one nothing is noted of a call: that is the usual case."""
        if milliseconds is None:
            if self.replies is not None:
                self.replies.stop()
            self.replies = None
        elif self.replies is None:
            self.replies = Deadlines(self.loop, milliseconds / 1000, self.no_reply)
        else:
            self.replies.change(milliseconds / 1000)
        counting = self.counting
        self.hub.replies.deadlines = counting.beside(self.replies) if counting else self.replies

    # ----------------------------------------------------------------- connections

    def watch(self, connection: "Anybody") -> None:
        """From now on this one reads what comes on its descriptor."""
        self.connections[connection.fd] = connection
        self.loop.add_reader(connection.fd, connection.on_readable)

    def begin(self, handshake: Handshake, sasl: Sasl) -> None:
        """The handshake is over: a client, if its user may use this bus. Raises Disconnect."""
        credentials = handshake.credentials
        if sasl.anonymous:
            credentials = credentials._replace(uid=None, groups=None)
        if not self.may_connect(credentials):
            raise Disconnect("its user may not use this bus")
        limits = self.policy.allowances.of_user(credentials.uid)
        whose = payer(credentials)
        framer = Framer(limits.max_message_size, limits.max_message_unix_fds, whose)
        client = self.hub.admit(credentials, sasl.takes_fds)
        connection = Connection(self, handshake.fd, client, framer)
        self.watch(connection)
        if sasl.rest:
            connection.begin(sasl.rest)

    def may_connect(self, credentials: Credentials) -> bool:
        """Anonymous clients are admitted or not by <allow_anonymous/> alone; like all that is
        about authentication, that is what it was at the start."""
        if credentials.uid is None:
            return self.settings.loaded.configuration.allow_anonymous
        groups, own = credentials.groups or (), self.credentials.uid or 0
        return self.policy.may_connect(credentials.uid, groups, own)

    def complete(self, connection: Connection) -> None:
        """It has a name: it is no longer one of those that may be only trying."""
        self.door.incomplete.discard(connection.fd)
        self.door.open()

    def watch_partial(self, connection: Connection, begun: bool) -> None:
        """Descriptors came without the rest of their message, or that rest came."""
        if begun:
            self.partial.add(connection.fd)
        else:
            self.partial.discard(connection.fd)

    def wait_writable(self, connection: "Connection | NativeConnection") -> None:
        """Call it again when the kernel takes more."""
        self.loop.add_writer(connection.fd, connection.on_writable)

    def stop_reading(self, connection: "Connection | NativeConnection") -> None:
        """Nothing more will come from it, or is to come."""
        self.loop.remove_reader(connection.fd)

    def hold_back(self, connection: "Anybody") -> None:
        """Its user has sent many descriptors, and to close them takes long (bus1/fds/closing.pyx):
        nothing more of that user's is read before it is done."""
        self.loop.remove_reader(connection.fd)
        if connection not in self.held_back:
            self.held_back.add(connection)
            self.loop.call_later(CROWDED, self.look_again, connection)

    def look_again(self, connection: "Anybody") -> None:
        """It may be read again; else it is held back again."""
        self.held_back.discard(connection)
        if self.connections.get(connection.fd) is connection and not connection.ending:
            self.watch(connection)

    def stop_waiting(self, connection: "Connection | NativeConnection") -> None:
        """It writes again when it has something to write."""
        self.loop.remove_writer(connection.fd)

    def soon(self, connection: "Connection | NativeConnection") -> None:
        """It has more to do than one may do in one turn of the loop."""
        self.loop.call_soon(connection.resume)

    def collect(self, connection: Connection) -> None:
        """Have it write what is there in a moment."""
        self.loop.call_later(MOMENT, connection.write_collected)

    # -------------------------------------------------------------- their ends

    def hung_up(self, fd: int) -> None:
        """The other end was closed: read what came before, then it is dropped."""
        for _ in range(READS):
            connection = self.connections.get(fd)
            if connection is None or connection in self.held_back:
                return  # it is gone; or it is read again, and then the end is seen
            if connection.ending:  # only what is to be written keeps it
                connection.on_writable()
                return
            connection.on_readable()
        # Others are served in between; and by then the number may be somebody else's.
        self.loop.call_soon(self.go_on, self.connections.get(fd))

    def go_on(self, connection: "Anybody | None") -> None:
        """There was more to read than one may have read in one go."""
        if connection is not None and self.connections.get(connection.fd) is connection:
            self.hung_up(connection.fd)

    def cut_off(self, client: Client) -> None:
        """It does not read, and slow_receivers says that it is to go: after what is being done
        now, which may still be about it."""
        self.loop.call_soon(self.cut, client)

    def cut(self, client: Client) -> None:
        connection: Any = client.peer.queue.reader
        if connection is not None and not connection.closed:  # once for each that it missed
            self.end(connection.fd, "it does not read")

    def later(self, act: "Callable[[], None]") -> None:
        """Do something in the next turn, and write what it sent."""
        self.loop.call_soon(self.act, act)

    def act(self, act: "Callable[[], None]") -> None:
        try:
            act()
        except Exception:
            log.exception("An error of the bus itself, in what it had put off")
        flush_ready(self.bus)

    def too_slow(self, fd: int) -> None:
        """auth_timeout: it connected, and never said Hello."""
        self.door.failures["timeout"] += 1
        self.end(fd, f"it did not authenticate within {self.limits.auth_timeout} ms")

    def fds_pending(self, fd: int) -> None:
        """pending_fd_timeout: descriptors came, the rest of their message did not."""
        limit = self.limits.pending_fd_timeout
        self.end(fd, f"the message its descriptors belong to took over {limit} ms")

    def no_reply(self, call: "Awaited") -> None:
        """reply_timeout: a call was not answered."""
        self.notices.expire(*call)
        flush_ready(self.bus)

    def flush(self) -> None:
        """Write what was sent by what happened by itself."""
        flush_ready(self.bus)

    def end(self, fd: int, reason: str) -> None:
        """Something that the loop finds out by itself: others may have to be told."""
        self.drop(self.connections[fd], reason)
        flush_ready(self.bus)

    def drop(self, connection: "Anybody", reason: str | None) -> None:
        """End a connection. The reason, if it was the client's fault, goes to the log."""
        if self.connections.get(connection.fd) is not connection:
            return  # it has ended already
        if reason is not None:
            extra = ending(connection, reason)
            log.warning("Disconnecting %s: %s", connection, reason, extra=extra)
        del self.connections[connection.fd]
        self.loop.remove_reader(connection.fd)
        self.loop.remove_writer(connection.fd)
        self.door.incomplete.discard(connection.fd)
        self.partial.discard(connection.fd)
        try:
            connection.close()
        except Exception:
            log.exception("An error of the bus itself, when %s ended", connection)
        self.door.open()

    def blame_self(self, connection: "Anybody") -> None:
        """An exception that should not be: the connection that met it ends, the bus goes on."""
        why = "an error of the bus itself"
        log.exception("Disconnecting %s after %s", connection, why, extra=ending(connection, why))
        self.drop(connection, None)


def ending(connection: "Anybody", reason: str) -> dict[str, Any]:
    """What the log is to say in fields of who is disconnected, and why."""
    if isinstance(connection, Connection):
        return entry(Kind.DISCONNECTED, known(connection.client), reason=reason)
    return entry(Kind.DISCONNECTED, process(connection.credentials), reason=reason)
