"""The gateway: D-Bus for native peers. What is sent to its nodes it has routed as the messages of
their senders' faces, and what comes for a face it sends on to the native peer.

One peer of the core, as the bus's own one. It knows no sockets and no packets.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from bridge.gateway.bounds import Bounds
from bridge.gateway.crossing import letter
from bridge.gateway.debts import Debt, Debts
from bridge.gateway.face import Face
from bridge.gateway.joining import join
from bridge.gateway.native1 import NAME
from bridge.gateway.right import Own, Right
from bridge.gateway.rights import Rights
from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.errors import ACCESS_DENIED, Refused
from bridge.routing.hub import Hub, payer
from bridge.routing.notices import Notices
from bridge.routing.reader import Reader
from bridge.routing.router import Router
from bridge.wire.build import build
from bridge.wire.frame import Frame
from bridge.wire.protocol import DRIVER, ERROR
from bus1.errors import BusError, Quota
from bus1.message import NODE_GONE, ONCE_DROPPED, Message
from bus1.native.parcel import inline
from bus1.node import Handle, Node
from bus1.peer import Peer
from bus1.quota import User
from bus1.sending import unicast


class Gateway(Reader):
    """One bus's. `natives` are the peers that may send, with their credentials, and `faces` those
    of them that have sent, both by the numbers of their peers. `bridge` is the node to which
    anything can be sent; the others of its nodes are of Rights, and `desk`, where all answers
    come in; `bounds` says who may send to them. `ends` says what else ends with a node to which it
    holds a handle, by that handle's id."""

    def __init__(self, hub: Hub, router: Router, notices: Notices) -> None:
        self.hub = hub
        self.router = router
        self.notices = notices
        self.peer: Peer = hub.bus.connect(payer(hub.credentials))
        self.peer.reset(hub.bus.limits)
        self.limits = hub.bus.limits
        self.peer.queue.reader = self
        self.debts = Debts()
        self.bridge: Node = self.peer.create(None)
        self.entrance: Handle = self.peer.handle(self.bridge)
        self.desk: Node = self.peer.create(self.debts)
        self.natives: dict[int, tuple[Peer, Credentials]] = {}
        self.faces: dict[int, Face] = {}
        self.bounds = Bounds(self.bridge)
        self.ends: dict[int, Callable[[], None]] = {}
        self.rights = Rights(hub, self)
        self.own = Own(hub.gate)
        hub.unanswered = self.unanswered

    # ----------------------------------------------------------------- coming and going

    def admit(self, peer: Peer, credentials: Credentials, seeded: bool = True) -> None:
        """A native peer has come. Its seed is the bridge, unless it was made by another. Raises
        Quota."""
        if seeded:
            seed = inline(b"", payer(self.hub.credentials), self.hub.credentials.pid or 0)
            peer.set_seed(seed, 0, None, 0, [self.entrance], self.peer)
        else:
            self.bounds.begin(peer, credentials.uid)
        self.natives[peer.number] = peer, credentials

    def leave(self, peer: Peer) -> None:
        """It is about to end: it has no face any more. What it has sent before is still routed; and
        what D-Bus has sent before comes to all native peers before they hear of its end."""
        for each in self.faces.values():
            each.flush()
        self.settle()
        self.natives.pop(peer.number, None)
        self.bounds.end(peer)
        face = self.faces.pop(peer.number, None)
        if face is not None:
            face.close()

    def face(self, number: int) -> Face:
        """The face of a native peer; with its first message it gets one. Raises Refused."""
        face: Face | None = self.faces.get(number)
        if face is None:
            if number not in self.natives:
                raise Refused(ACCESS_DENIED, "It has left")
            native, credentials = self.natives[number]
            face = join(self, native, credentials)
            self.faces[number] = face
            face.flush()  # what it hears of itself is no news: Attach says it
        return face

    def face_of(self, client: Client) -> Face | None:
        """The face that this client is, if it is one."""
        reader = client.peer.queue.reader
        return reader if isinstance(reader, Face) else None

    # -------------------------------------------------------------------- what comes

    def flush(self) -> None:
        """As the reader of its own queue."""
        self.settle()

    def settle(self) -> None:
        """Do what was asked of it, and have the faces pass on what that brought them: so all is
        in its place before the next operation of anybody begins."""
        queue = self.peer.queue
        if self.limits is not self.hub.bus.limits:  # others hold since
            self.limits = self.hub.bus.limits
            self.peer.reset(self.limits)
        while queue.peek(0) is not None:
            start = len(queue.ready)
            message = self.peer.receive()
            assert message is not None
            if message.kind:
                self.hear(message)
            else:
                self.take(message)
            self.flush_faces(start)

    def flush_faces(self, start: int) -> None:
        """Those that have become ready since. No other face is: each is flushed in the turn in
        which something comes for it."""
        ready = self.peer.queue.ready
        while start < len(ready):
            queue = ready[start]
            if isinstance(queue.reader, Face):
                reader = queue.reader
                queue.woken = False
                del ready[start]
                reader.flush()
            else:
                start += 1

    def take(self, message: Message) -> None:
        """A native message: an answer, or something for the D-Bus."""
        node: Any = message.target
        handles: list[Handle | None] = list(message.handles or ())
        if node is self.desk:
            self.drop(handles)
            self.settle_debt(self.debts.pop(message.cookie), message)
            return
        try:
            self.bounds.check(message.tie, node)
            face, frame = self.read(message, node.tag)
        except Refused as refused:
            self.refuse(handles[0] if handles else None, refused)
            self.drop(handles)
            return
        face.send(frame, handles)

    def read(self, message: Message, right: Right | None) -> tuple[Face, Frame]:
        """Who sends what, and on a Right whether that is for this. Raises Refused."""
        face = self.face(message.tie)
        frame = face.frame(message, None if right is None else right.name, 0)
        if right is not None:
            right.limit(frame)
            frame.right = right
        elif frame.interface() == NAME and frame.destination() == DRIVER:
            frame.right = self.own
        return face, frame

    def refuse(self, handle: Handle | None, refused: Refused) -> None:
        """A message that was not even routed. Its own serial is not known, or not to be trusted."""
        if handle is None:
            return
        self.hub.work += 200
        frame = build(
            ERROR,
            serial=self.hub.serial(),
            reply_serial=1,
            error_name=refused.name,
            signature="s",
            body=(refused.text,),
        )
        with suppress(BusError):  # then it hears that its handle is dropped
            self.post(handle, frame, self.hub.peer.user, None)

    # ------------------------------------------------------------------------ answers

    def settle_debt(self, debt: Debt | None, message: Message | None) -> None:
        """The answer to a call from D-Bus, or (None) the end of the handle for it: then the caller
        hears that there is none. So it does if that is no answer."""
        if debt is None:
            return
        face, replies = debt.face, self.hub.replies
        caller = self.hub.names.client(debt.number)
        if caller is not None and replies.find(caller, face.client, debt.serial) is debt.once:
            if message is not None:
                self.give(caller, debt, message)
            if debt.once.table is not None:
                replies.excuse(debt.number, face.client, debt.serial)
        if debt.once.table is not None:
            face.peer.release([debt.once])

    def give(self, caller: Client, debt: Debt, message: Message) -> None:
        """Route an answer, if it is one."""
        try:
            frame = debt.face.frame(message, caller.unique, debt.serial)
        except Refused:
            return
        if frame.kind in (2, 3) and frame.destination() == caller.unique:
            self.router.route(debt.face.client, frame)

    def unanswered(self, client: Client, serial: int) -> None:
        """The bus cannot or may not give a client the answer to this call."""
        face = self.face_of(client)
        if face is not None:
            face.give_up(serial)

    def post(self, handle: Handle, frame: Frame, payer: User, handles: list[Handle] | None) -> None:
        """A D-Bus message to a native peer, for which its sender pays. Raises BusError."""
        uid, pid = self.process(frame, payer)
        try:
            parcel, fds, count = letter(frame, uid, pid)
        except OSError as error:
            raise Quota(str(error)) from None
        self.hub.work += 1 + frame.size // 256
        unicast(self.peer.queue, payer, handle, parcel, frame.size, fds, count, handles)

    def process(self, frame: Frame, payer: User) -> tuple[int, int]:
        """Of which process it is: 0 if that has left."""
        name = frame.sender()
        if name == DRIVER or name is None:
            own = self.hub.credentials
            return own.uid or 0, own.pid or 0
        client = self.hub.names.owner(name)
        return payer.uid, 0 if client is None else client.credentials.pid or 0

    # ------------------------------------------------------------- handles and their ends

    def hear(self, notice: Message) -> None:
        """A notice of the core."""
        thing: Any = notice.target
        if notice.kind == NODE_GONE:
            end = self.ends.pop(thing.id, None)
            if end is not None:
                end()
            self.drop([thing])
        elif notice.kind == ONCE_DROPPED:
            self.settle_debt(self.debts.pop(notice.cookie), None)
        elif isinstance(thing.tag, Right):
            self.rights.revoke(thing)

    def guard(self, handle: Handle, end: Callable[[], None]) -> None:
        """Do this when the node of a handle is gone."""
        self.ends[handle.id] = end

    def drop(self, handles: list[Any]) -> None:
        """Let go of handles that it still holds."""
        held = []
        for handle in handles:
            if handle is not None and handle.table is not None:
                self.ends.pop(handle.id, None)
                held.append(handle)
        if held:
            self.peer.release(held)
