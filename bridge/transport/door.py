"""Who comes in: accepts connections, as many and as often as may come, and begins handshakes.
Native programs come in the same way; what begins with them is not known here.
"""

import contextlib
import errno
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from bridge.routing.credentials import Credentials, is_trusted
from bridge.routing.entry import Kind, entry, process
from bridge.routing.hub import is_power_of_two
from bridge.transport.deadlines import Deadlines
from bridge.transport.handshake import Handshake
from bridge.transport.identity import identify
from bridge.transport.launch import Listener
from bridge.transport.rate import Doorkeeper
from bridge.wire.sasl import Sasl
from bus1.fds.closing import hang_up
from policy.configuration import Configuration

if TYPE_CHECKING:
    from bridge.transport.server import Server

Begin = Callable[[socket.socket, Credentials, Listener], None]

OUT_OF_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

log = logging.getLogger("bus1.server")


@final
class Door:
    """The bus's listeners, and those who came by them and have not said Hello: `incomplete`."""

    def __init__(self, server: "Server", listeners: list[Listener]) -> None:
        configuration = server.settings.loaded.configuration
        self.server = server
        self.loop = server.loop
        self.listeners = listeners
        self.most = configuration.limits.max_incomplete_connections
        # None named: all there are. What is named here and is none of ours stays outside.
        self.mechanisms = configuration.auth or ("EXTERNAL", "ANONYMOUS")
        self.incomplete = Deadlines(
            self.loop, configuration.limits.auth_timeout / 1000, server.too_slow
        )
        self.doorkeeper = Doorkeeper(configuration.connection_rate)
        self.listening = False
        self.refused = 0
        self.failures: Counter[str] = Counter()  # who was not let in, by why
        self.spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def open(self) -> None:
        """Accept, unless max_incomplete_connections are still on their way."""
        if not self.listening and len(self.incomplete) < self.most:
            self.listening = True
            for listener in self.listeners:
                self.watch(listener, self.shake_hands)

    def shut(self) -> None:
        """Leave those who want to connect in the kernel's queue."""
        if self.listening:
            self.listening = False
            for listener in self.listeners:
                self.leave(listener)

    def watch(self, listener: Listener, begin: Begin) -> None:
        """Accept who comes by this one, and begin with them."""
        self.loop.add_reader(listener.socket, self.accept, listener, begin)

    def leave(self, listener: Listener) -> None:
        """Accept nobody there for now."""
        self.loop.remove_reader(listener.socket)

    def stop(self) -> None:
        """Nobody comes any more. Remove the sockets."""
        self.shut()
        for listener in self.listeners:
            listener.close()
        self.incomplete.stop()
        if self.spare >= 0:
            os.close(self.spare)

    def adopt(self, configuration: Configuration) -> None:
        """Other limits hold, for those who are on their way, too."""
        self.most = configuration.limits.max_incomplete_connections
        self.incomplete.change(configuration.limits.auth_timeout / 1000)
        self.doorkeeper.adopt(configuration.connection_rate)
        self.crowd()
        self.open()

    def addresses(self) -> str:
        """Where clients find it."""
        return ";".join(listener.address for listener in self.listeners)

    # ------------------------------------------------------------------- accepting

    def accept(self, listener: Listener, begin: Begin) -> None:
        """Somebody wants to connect. One at a time: if more do, the loop calls again."""
        try:
            accepted, _ = listener.socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS:
                raise
            self.hang_up(listener, error)
            return
        if not self.has_spare():  # the next one could not even be hung up on
            hang_up(accepted.detach())
            self.has_spare()
            return
        self.welcome(accepted, listener, begin)
        self.crowd()

    def crowd(self) -> None:
        """Are there as many on their way as may be?"""
        if len(self.incomplete) >= self.most:
            self.shut()

    def welcome(self, accepted: socket.socket, listener: Listener, begin: Begin) -> None:
        """Somebody connected: find out who, and begin."""
        try:
            credentials = identify(accepted)
            self.server.hangups.watch(accepted.fileno())
        except OSError as error:
            log.warning("Refusing a connection: %s", error)
            hang_up(accepted.detach())
            return
        if self.comes_too_often(credentials):
            self.turn_away(accepted)
            return
        accepted.setblocking(False)
        begin(accepted, credentials, listener)

    def shake_hands(
        self, accepted: socket.socket, credentials: Credentials, listener: Listener
    ) -> None:
        """Somebody connected to speak D-Bus."""
        if self.crowds_out(credentials):
            self.turn_away(accepted)
            return
        sasl = Sasl(
            credentials.uid,
            listener.guid,
            anonymous="ANONYMOUS" in self.mechanisms,
            can_pass_fds=True,
            external="EXTERNAL" in self.mechanisms,
        )
        handshake = Handshake(self.server, accepted.detach(), credentials, sasl)
        self.server.watch(handshake)
        self.incomplete.add(handshake.fd)

    def turn_away(self, accepted: socket.socket, why: str = "too many") -> None:
        """It is not let in."""
        self.failures[why] += 1
        hang_up(accepted.detach())

    def comes_too_often(self, credentials: Credentials) -> bool:
        """connection_rate. It does not hold for the bus's own user and for root, without whom
        nobody could set right what is wrong."""
        if self.is_trusted(credentials.uid):
            return False
        count = self.doorkeeper.refuses(credentials.uid, self.loop.time())
        if count and is_power_of_two(count):
            log.warning(
                "Refusing a connection, they come too often: %s (%d)",
                credentials,
                count,
                extra=entry(Kind.TURNED_AWAY, process(credentials), refused=count),
            )
        return count > 0

    def crowds_out(self, credentials: Credentials) -> bool:
        """Has this user as many incomplete connections as are left for all others?

        Else one user could hold all of max_incomplete_connections, and shut the door for
        everybody (CVE-2014-3639). The bus's own user and root could do worse anyway.
        """
        if self.is_trusted(credentials.uid):
            return False
        there = self.server.connections
        own = sum(there[fd].credentials.uid == credentials.uid for fd in self.incomplete)
        if own < self.most - len(self.incomplete):
            return False
        log.warning(
            "Refusing one more connection that may be only trying: %s",
            credentials,
            extra=entry(Kind.TURNED_AWAY, process(credentials)),
        )
        return True

    def is_trusted(self, uid: int | None) -> bool:
        """Is it the bus's own user, or root?"""
        return is_trusted(uid, self.server.credentials)

    def hang_up(self, listener: Listener, error: OSError) -> None:
        """No descriptor is free: use the spare one to hang up, or the loop would spin."""
        self.refused += 1
        self.failures["descriptors"] += 1
        if is_power_of_two(self.refused):
            log.error(
                "Cannot accept connections (%d so far): %s",
                self.refused,
                error.strerror,
                extra=entry(Kind.TURNED_AWAY, refused=self.refused, reason=error.strerror),
            )
        if self.spare >= 0:
            os.close(self.spare)
            self.spare = -1
        with contextlib.suppress(OSError):
            hang_up(listener.socket.accept()[0].detach())
        self.has_spare()

    def has_spare(self) -> bool:
        """Is there a spare descriptor again? Others may have taken it meanwhile: those who read
        the files in their thread, and at ENFILE anybody."""
        if self.spare < 0:
            with contextlib.suppress(OSError):
                self.spare = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        return self.spare >= 0
