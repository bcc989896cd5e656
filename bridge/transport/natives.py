"""All native programs of one bus: lets them in, and answers what their sessions cannot know.

What they say to each other is the sessions' and the core's business; what they say to D-Bus
programs, the gateway's.
"""

import errno
import logging
import os
import socket
from typing import TYPE_CHECKING, final

from bridge.driver.bus import check_room
from bridge.gateway.gateway import Gateway
from bridge.routing.above import Native
from bridge.routing.credentials import Credentials
from bridge.routing.entry import Kind, entry, process
from bridge.routing.errors import LIMITS_EXCEEDED, Refused
from bridge.routing.hub import payer
from bridge.routing.quotas import for_native, for_peer, for_user
from bridge.transport.launch import PACKETS, Listener
from bridge.transport.native import NativeConnection, in_requests
from bridge.transport.otherend import OtherEnd
from bus1.errors import Quota
from bus1.native.session import Session
from bus1.peer import Peer
from bus1.queue import Queue
from bus1.quota import Limits

if TYPE_CHECKING:
    from bridge.transport.server import Server

log = logging.getLogger("bus1.server")


@final
class Natives:
    """The listeners for native programs, and those who came by them; a session's House.

    `ends` are the connections by the inodes of our ends of their sockets. Of those that we made in
    pairs, `given` has them by the inodes of the ends that were given away.
    """

    def __init__(self, server: "Server", listeners: tuple[Listener, ...]) -> None:
        self.server = server
        self.hub = server.hub
        self.listeners = listeners
        self.gateway = Gateway(server.hub, server.router, server.notices)
        self.guid = bytes.fromhex(server.settings.guid)
        self.bridge: Queue | None = self.gateway.peer.queue
        self.other_end = OtherEnd()
        self.ends: dict[int, NativeConnection] = {}
        self.given: dict[int, NativeConnection] = {}

    def start(self) -> None:
        """Begin to accept. There is no handshake: who is here is here."""
        for listener in self.listeners:
            self.server.door.watch(listener, self.welcome)

    def stop(self) -> None:
        """Nobody comes any more. Remove the sockets."""
        for listener in self.listeners:
            self.server.door.leave(listener)
            listener.close()
        self.other_end.close()

    def adopt(self) -> None:
        """Other limits hold, for those who are there, too."""
        for connection in self.ends.values():
            if not connection.peer.queue.closed:
                connection.session.most = self.allot(connection.peer, connection.credentials)

    def all(self) -> list[Native]:
        """Who is here."""
        found: list[Native] = []
        for each in self.ends.values():
            face = self.gateway.faces.get(each.peer.number)
            client = None if face is None else face.client
            found.append(Native(each.peer, each.credentials, client))
        return found

    # ------------------------------------------------------------------- coming, going

    def welcome(self, accepted: socket.socket, credentials: Credentials, _: Listener) -> None:
        """Somebody connected."""
        if not self.server.may_connect(credentials):
            self.turn_away(accepted, credentials, "policy", "its user may not use this bus")
            return
        try:
            self.check_room(credentials, accepted)
            peer = self.connect(credentials, seeded=True)
        except Refused as refused:
            self.turn_away(accepted, credentials, "too many", refused.text)
            return
        self.begin(accepted.detach(), peer, credentials)

    def turn_away(
        self, accepted: socket.socket, credentials: Credentials, why: str, text: str
    ) -> None:
        """It is not let in, and the log says so."""
        extra = entry(Kind.TURNED_AWAY, process(credentials), reason=text)
        log.warning("Refusing a native connection (%s): %s", credentials, text, extra=extra)
        self.server.door.turn_away(accepted, why)

    def check_room(self, credentials: Credentials, ours: socket.socket) -> None:
        """May this user have one more connection, whose end here this is? Raises Refused."""
        if os.fstat(ours.fileno()).st_ino in self.ends:  # the kernel counts them with 32 bits
            raise Refused(LIMITS_EXCEEDED, "Its socket has the number of another one")
        uid = credentials.uid
        limits = self.hub.gate.policy.allowances.of_user(uid)
        check_room(self.hub, uid, limits.max_connections_per_user)

    def connect(self, credentials: Credentials, seeded: bool) -> Peer:
        """A peer for which this user pays. Raises Refused."""
        peer = self.hub.bus.connect(payer(credentials))
        self.allot(peer, credentials)
        try:
            self.gateway.admit(peer, credentials, seeded=seeded)
        except Quota:
            peer.close()
            raise Refused(LIMITS_EXCEEDED, "There is no room for one more peer") from None
        return peer

    def allot(self, peer: Peer, credentials: Credentials) -> Limits:
        """It has the limits that hold for its user."""
        allowed = self.hub.gate.policy.allowances.of_user(credentials.uid)
        limits = self.hub.bus.peer_limits
        if allowed is not self.hub.limits:
            peer.user.limits = for_user(allowed)
            limits = for_peer(allowed)
        limits = for_native(limits)
        peer.reset(limits)
        return limits

    def begin(self, fd: int, peer: Peer, credentials: Credentials, given: int = 0) -> None:
        """From now on the peer is whoever has the other end of this socket."""
        session = Session(peer, payer(credentials), credentials.pid or 0, self)
        connection = NativeConnection(self, fd, session, credentials, given)
        self.ends[connection.inode] = connection
        if given:
            self.given[given] = connection
        self.hub.count_native(credentials.uid, 1)
        self.server.watch(connection)
        connection.flush()

    def leave(self, connection: NativeConnection) -> None:
        """It is no peer any more: others hear of its nodes, and of what it was to answer."""
        if not connection.peer.queue.closed:
            self.gateway.leave(connection.peer)
            connection.peer.close()

    def forget(self, connection: NativeConnection) -> None:
        """Its socket is closed."""
        del self.ends[connection.inode]
        self.given.pop(connection.given, None)
        self.hub.count_native(connection.credentials.uid, -1)
        self.leave(connection)

    # ------------------------------------------------------------- what sessions ask

    def peer_of(self, fd: int) -> Peer | None:
        """The peer whose socket this is a descriptor of, if it is one of this bus."""
        found = self.other_end.of(fd)
        if found is None:
            return None
        own, other = found
        connection = self.given.get(own) or self.ends.get(other)
        if connection is None or connection.peer.queue.closed:
            return None
        return connection.peer

    def spawn(self, session: Session) -> tuple[Peer, int]:
        """A new peer of the same user, and the other end of its socket. Raises OSError."""
        maker = session.peer.queue.reader
        assert isinstance(maker, NativeConnection)
        credentials = maker.credentials
        ours, theirs = socket.socketpair(socket.AF_UNIX, PACKETS)
        ours.setblocking(False)  # and theirs blocks, as a socket does that one has connected
        try:
            self.server.hangups.watch(ours.fileno())
            self.check_room(credentials, ours)
            peer = self.connect(credentials, seeded=False)
        except Refused as refused:
            ours.close()
            theirs.close()
            raise OSError(errno.EDQUOT, refused.text) from None
        self.begin(ours.detach(), peer, credentials, given=os.fstat(theirs.fileno()).st_ino)
        return peer, theirs.detach()

    def equip(self, session: Session, peer: Peer) -> None:
        """It may say to D-Bus programs what its maker lets it."""
        self.gateway.bounds.equip(peer, session.peer)

    def settle(self) -> int:
        """Something may have come for D-Bus programs. The work is the session's to count."""
        hub = self.hub
        before = hub.work
        self.gateway.settle()
        done = hub.work - before
        hub.work = before
        return in_requests(done)
