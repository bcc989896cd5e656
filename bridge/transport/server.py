"""The bus as a process: listens, accepts, watches sockets, ends. It owns the event loop.

It decides nothing about messages: connections read and write, the router routes.
"""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable
from typing import final

import uvloop

from bridge.driver.driver import Driver
from bridge.routing.errors import Disconnect
from bridge.routing.router import Router
from bridge.transport.connection import Connection, flush_ready
from bridge.transport.deadlines import Deadlines
from bridge.transport.handshake import Handshake
from bridge.transport.hangups import Hangups
from bridge.transport.identity import identify, ourselves
from bridge.transport.launch import Listener
from bridge.transport.settings import Settings
from bridge.wire.frame import Framer
from bridge.wire.sasl import Sasl
from bus1 import quota
from bus1.bus import Bus
from policy.limits import Limits

log = logging.getLogger("bus1.server")

SHARES = 4  # connections of one user that can be full at the same time, at least
READS = 16  # of one connection in one go, at its end
OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def run(
    settings: Settings,
    listeners: list[Listener],
    ready: Callable[[], None],
    stopping: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT: `ready` is called when clients are being served, and
    `stopping` when that ends, before anything is closed."""
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(serve(loop, settings, listeners, ready, stopping))
    finally:
        loop.close()


async def serve(
    loop: asyncio.AbstractEventLoop,
    settings: Settings,
    listeners: list[Listener],
    ready: Callable[[], None],
    stopping: Callable[[], None],
) -> None:
    """A coroutine, because the loop must run before the signals are handled: uvloop loses
    those that come in between, and one may come as soon as somebody has read the address."""
    ended = asyncio.Event()
    server = Server(loop, settings, listeners)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, server.reload)
    server.start()
    ready()
    await ended.wait()
    stopping()
    server.stop()


@final
class Server:
    """One bus: its listeners, its connections, its router."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: Settings, listeners: list[Listener]
    ) -> None:
        limits = settings.configuration.limits
        self.loop = loop
        self.settings = settings
        self.limits = limits
        self.listeners = listeners
        self.credentials = ourselves()
        self.bus = Bus(limits=for_user(limits), peer_limits=for_peer(limits))
        self.router = Router(self.bus, limits, self.credentials, settings.guid)
        self.router.driver = Driver(self.router)
        self.connections: dict[int, Handshake | Connection] = {}
        self.listening = False
        self.refused = 0
        self.spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self.hangups = Hangups(loop, self.hung_up)
        self.incomplete = Deadlines(loop, limits.auth_timeout / 1000, self.too_slow)
        self.partial = Deadlines(loop, limits.pending_fd_timeout / 1000, self.fds_pending)

    # ------------------------------------------------------------ beginning and end

    def start(self) -> None:
        """Begin to accept. Garbage collection then leaves out what is here already, and runs
        seldom: what a bus makes and drops all day is in no cycles."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 20, 20)
        self.listen()

    def stop(self) -> None:
        """Hang up on everybody, remove the sockets. Nobody is left to be told anything."""
        self.deafen()
        for listener in self.listeners:
            listener.close()
        for connection in self.connections.values():
            self.loop.remove_reader(connection.fd)
            self.loop.remove_writer(connection.fd)
            connection.hang_up()
        self.connections.clear()
        self.hangups.stop()
        self.incomplete.stop()
        self.partial.stop()
        if self.spare >= 0:
            os.close(self.spare)

    def reload(self) -> None:
        """SIGHUP."""
        log.info("Nothing is reloaded: this release reads its configuration only at the start")

    # ------------------------------------------------------------------- accepting

    def listen(self) -> None:
        """Accept, unless max_incomplete_connections are still on their way."""
        if not self.listening and len(self.incomplete) < self.limits.max_incomplete_connections:
            self.listening = True
            for listener in self.listeners:
                self.loop.add_reader(listener.socket, self.accept, listener)

    def deafen(self) -> None:
        """Leave those who want to connect in the kernel's queue."""
        if self.listening:
            self.listening = False
            for listener in self.listeners:
                self.loop.remove_reader(listener.socket)

    def accept(self, listener: Listener) -> None:
        """Somebody wants to connect. One at a time: if more do, the loop calls again."""
        try:
            accepted, _ = listener.socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS:
                raise
            self.turn_away(listener, error)
            return
        self.welcome(accepted, listener)
        if len(self.incomplete) >= self.limits.max_incomplete_connections:
            self.deafen()

    def welcome(self, accepted: socket.socket, listener: Listener) -> None:
        """Somebody connected: find out who, and begin the handshake."""
        try:
            credentials = identify(accepted)
            self.hangups.watch(accepted.fileno())
        except OSError as error:
            log.warning("Refusing a connection: %s", error)
            accepted.close()
            return
        if self.crowds_out(credentials.uid):
            log.warning("Refusing one more connection that may be only trying: %s", credentials)
            accepted.close()
            return
        accepted.setblocking(False)
        anonymous = "ANONYMOUS" in self.settings.configuration.auth
        sasl = Sasl(credentials.uid, listener.guid, anonymous, can_pass_fds=True)
        handshake = Handshake(self, accepted.detach(), credentials, sasl)
        self.watch(handshake)
        self.incomplete.add(handshake.fd)

    def crowds_out(self, uid: int | None) -> bool:
        """Has this user as many incomplete connections as are left for all others?

        Else one user could hold all of max_incomplete_connections, and shut the door for
        everybody (CVE-2014-3639). The bus's own user and root could do worse anyway.
        """
        if uid in (0, self.credentials.uid):
            return False
        own = sum(self.connections[fd].credentials.uid == uid for fd in self.incomplete)
        return own >= self.limits.max_incomplete_connections - len(self.incomplete)

    def turn_away(self, listener: Listener, error: OSError) -> None:
        """No descriptor is free: use the spare one to hang up, or the loop would spin."""
        self.refused += 1
        if self.refused & (self.refused - 1) == 0:  # the 1st, 2nd, 4th, 8th, …
            log.error("Cannot accept connections (%d so far): %s", self.refused, error.strerror)
        if self.spare >= 0:
            os.close(self.spare)
            self.spare = -1  # at ENFILE others may take it: then there is none for a while
        with contextlib.suppress(OSError):
            listener.socket.accept()[0].close()
        with contextlib.suppress(OSError):
            self.spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    # ----------------------------------------------------------------- connections

    def watch(self, connection: Handshake | Connection) -> None:
        """From now on this one reads what comes on its descriptor."""
        self.connections[connection.fd] = connection
        self.loop.add_reader(connection.fd, connection.on_readable)

    def begin(self, handshake: Handshake, sasl: Sasl) -> None:
        """The handshake is over: a client, if its user may use this bus. Raises Disconnect."""
        credentials = handshake.credentials
        if sasl.anonymous:
            credentials = credentials._replace(uid=None, groups=None)
        configuration = self.settings.configuration
        if not configuration.may_connect(credentials.uid, self.credentials.uid or 0):
            raise Disconnect("its user may not use this bus")
        framer = Framer(self.limits.max_message_size, self.limits.max_message_unix_fds)
        client = self.router.admit(credentials, sasl.takes_fds)
        connection = Connection(self, handshake.fd, client, framer)
        self.watch(connection)
        if sasl.rest:
            connection.begin(sasl.rest)

    def complete(self, connection: Connection) -> None:
        """It has a name: it is no longer one of those that may be only trying."""
        self.incomplete.discard(connection.fd)
        self.listen()

    def watch_partial(self, connection: Connection, begun: bool) -> None:
        """Descriptors came without the rest of their message, or that rest came."""
        if begun:
            self.partial.add(connection.fd)
        else:
            self.partial.discard(connection.fd)

    def wait_writable(self, connection: Connection) -> None:
        """Call it again when the kernel takes more."""
        self.loop.add_writer(connection.fd, connection.on_writable)

    def stop_reading(self, connection: Connection) -> None:
        """Nothing more will come from it."""
        self.loop.remove_reader(connection.fd)

    def stop_waiting(self, connection: Connection) -> None:
        """It writes again when it has something to write."""
        self.loop.remove_writer(connection.fd)

    def soon(self, connection: Connection) -> None:
        """It has more to do than one may do in one turn of the loop."""
        self.loop.call_soon(connection.resume)

    def hung_up(self, fd: int) -> None:
        """The other end was closed: read what came before, then it is dropped."""
        for _ in range(READS):
            connection = self.connections.get(fd)
            if connection is None:
                return
            if connection.ending:  # only what is to be written keeps it
                connection.on_writable()
                return
            connection.on_readable()
        # Others are served in between; and by then the number may be somebody else's.
        self.loop.call_soon(self.go_on, self.connections.get(fd))

    def go_on(self, connection: Handshake | Connection | None) -> None:
        """There was more to read than one may have read in one go."""
        if connection is not None and self.connections.get(connection.fd) is connection:
            self.hung_up(connection.fd)

    def too_slow(self, fd: int) -> None:
        """auth_timeout: it connected, and never said Hello."""
        self.drop(
            self.connections[fd], f"it did not authenticate within {self.limits.auth_timeout} ms"
        )
        flush_ready(self.bus)

    def fds_pending(self, fd: int) -> None:
        """pending_fd_timeout: descriptors came, the rest of their message did not."""
        limit = self.limits.pending_fd_timeout
        self.drop(
            self.connections[fd], f"the message its descriptors belong to took over {limit} ms"
        )
        flush_ready(self.bus)

    def drop(self, connection: Handshake | Connection, reason: str | None) -> None:
        """End a connection. The reason, if it was the client's fault, goes to the log."""
        if self.connections.get(connection.fd) is not connection:
            return  # it has ended already
        if reason is not None:
            log.warning("Disconnecting %s: %s", connection, reason)
        del self.connections[connection.fd]
        self.loop.remove_reader(connection.fd)
        self.loop.remove_writer(connection.fd)
        self.incomplete.discard(connection.fd)
        self.partial.discard(connection.fd)
        try:
            connection.close()
        except Exception:
            log.exception("An error of the bus itself, when %s ended", connection)
        self.listen()

    def blame_self(self, connection: Handshake | Connection) -> None:
        """An exception that should not be: the connection that met it ends, the bus goes on."""
        log.exception("Disconnecting %s after an error of the bus itself", connection)
        self.drop(connection, None)


def for_peer(limits: Limits) -> quota.Limits:
    """What may wait for one connection. Descriptors are the bus's own while they wait, so all
    users together leave it half of what it may have open."""
    most_open = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return quota.Limits(
        bytes=limits.max_outgoing_bytes,
        messages=limits.max_outgoing_messages,
        handles=limits.max_handles_per_connection,
        fds=min(limits.max_outgoing_unix_fds, most_open // (4 * SHARES)),
    )


def for_user(limits: Limits) -> quota.Limits:
    """What may wait for all connections of one user together.

    One connection can take half of what its user's others leave (bus1/quota.py), so the
    user's limit is that of SHARES full connections and as much again.
    """
    peer = for_peer(limits)
    return quota.Limits(
        bytes=peer.bytes * 2 * SHARES,
        messages=peer.messages * 2 * SHARES,
        handles=peer.handles * 2 * SHARES,
        fds=peer.fds * 2 * SHARES,
    )
