"""A face: what D-Bus sees of a native peer. A client of the bus without a socket: what comes for it
is passed on at once, and nothing else happens before.

It decides nothing about messages: the router did, as for any other client.
"""

from typing import TYPE_CHECKING, Any

from bridge.gateway.crossing import contents, enclosed
from bridge.gateway.debts import Debt
from bridge.routing.client import Client
from bridge.routing.errors import INCONSISTENT_MESSAGE, LIMITS_EXCEEDED, UNKNOWN_METHOD, Refused
from bridge.routing.notices import make_late, number_of
from bridge.routing.reader import Reader
from bridge.routing.refusals import full
from bridge.wire.frame import BadMessage, Frame
from bridge.wire.relay import relay
from bus1.errors import BusError, Quota, TooLong
from bus1.message import ONCE_DROPPED, Message
from bus1.node import Handle
from bus1.peer import Peer
from bus1.quota import User

if TYPE_CHECKING:
    from bridge.gateway.gateway import Gateway

# Of a native message that becomes a D-Bus one, so many bytes are copied and checked in the time
# that is one of Hub.work.
COPIED = 64

MUTE = "{} is a native peer that has attached no node to be sent to"


class Face(Reader):
    """`native` is the peer that it is the face of, `client` what it is on the D-Bus. `node` is the
    handle to what was attached, or None. `calls` are those that wait for an answer, by their
    serials, with the handle on which the native peer awaits it, or None; `gifts` are the handles
    that go with answers; `offers` are by names. `carried` are the handles of the message that is
    being routed; `debts` the cookies of what it owes."""

    def __init__(self, gateway: "Gateway", native: Peer, client: Client) -> None:
        self.gateway = gateway
        self.hub = gateway.hub
        self.router = gateway.router
        self.native = native
        self.client = client
        self.peer: Peer = client.peer
        self.node: Handle | None = None
        self.calls: dict[int, Handle | None] = {}
        self.gifts: dict[int, Handle] = {}
        self.offers: dict[str, Handle] = {}
        self.carried: list[Handle | None] = []
        self.debts: set[int] = set()
        self.serial = 0
        self.peer.queue.reader = self

    def __str__(self) -> str:
        return f"{self.client.unique} ({self.client.credentials})"

    # -------------------------------------------- as the server knows its connections

    @property
    def closed(self) -> bool:
        """Has it ended?"""
        return self.peer.queue.closed

    @property
    def fd(self) -> int:
        """The socket of the native peer."""
        connection: Any = self.native.queue.reader
        number: int = connection.fd
        return number

    # ------------------------------------------------------------------- to the D-Bus

    def next_serial(self) -> int:
        """The serial of its next message."""
        self.serial = following(self.serial, self.calls)
        return self.serial

    def frame(self, message: Message, destination: str | None, reply_serial: int) -> Frame:
        """The D-Bus message that a native one brings. Raises Refused."""
        limits = self.client.limits
        self.hub.work += 1 + message.size // COPIED
        try:
            if message.size > limits.max_message_size:
                raise BadMessage("longer than this bus allows (max_message_size)")
            return relay(
                contents(message),
                sender=self.client.unique,
                serial=self.next_serial(),
                destination=destination,
                reply_serial=reply_serial,
                longest=limits.max_message_size,
                most_fds=limits.max_message_unix_fds,
                fds=enclosed(message),
            )
        except BadMessage as broken:
            raise Refused(INCONSISTENT_MESSAGE, f"That is no D-Bus message: {broken}") from None
        except OSError as error:
            raise Refused(LIMITS_EXCEEDED, f"The message cannot be read: {error}") from None

    def send(self, frame: Frame, handles: list[Handle | None]) -> None:
        """Have a message of the native peer routed; these handles came with it, and are released
        unless somebody takes them. The first is for the answer, if one is wanted."""
        self.carried = handles
        if frame.kind == 1 and not frame.flags & 1:  # CALL, NO_REPLY_EXPECTED
            self.calls[frame.serial] = handles.pop(0) if handles else None
        try:
            self.router.route(self.client, frame)
        finally:
            self.carried = []
            self.gateway.drop(handles)

    # ----------------------------------------------------------------- from the D-Bus

    def flush(self) -> None:
        """Pass on what has come."""
        queue = self.peer.queue
        message = queue.peek(0)
        while message is not None:
            if message.kind:
                self.peer.receive()
                self.hear(message)
            else:
                self.take(message)
            message = queue.peek(0)

    def hear(self, notice: Message) -> None:
        """A notice of the core: perhaps an answer that will not come."""
        notices = self.gateway.notices
        if notice.kind == ONCE_DROPPED and not notices.is_late(self.client, notice):
            frame = notices.no_reply(self.client, notice)
            if frame is not None:
                self.answer(frame, self.hub.peer.user)
                return
            self.give_up(notice.cookie)
        notices.forget(self.client, notice)

    def take(self, message: Message) -> None:
        """A message, which stays in the queue until it is passed on: so its sender, who pays at
        either end, does not leave the bus's users in between."""
        frame: Any = message.payload
        share: Any = message.share
        refused = None
        if frame.reply_serial and frame.kind in (2, 3) and self.is_for_it(frame):
            self.answer(frame, share.actor)
        else:
            refused = self.bring(message, frame, share.actor)
        self.peer.receive()
        if refused is not None:
            self.refuse(message, frame, refused)

    def is_for_it(self, frame: Frame) -> bool:
        """Is it addressed to this one, and not only overheard?"""
        if frame.destination_number == self.client.number:
            return True
        name = frame.destination()
        return name is not None and self.hub.names.owner(name) is self.client

    def answer(self, frame: Frame, payer: User) -> None:
        """What the native peer waits for. There is no other way to it: if it is full, it hears
        that its handle was dropped."""
        handle = self.calls.pop(frame.reply_serial, None)
        gift = self.gifts.pop(frame.reply_serial, None)
        if handle is not None:
            try:
                self.gateway.post(handle, frame, payer, None if gift is None else [gift])
            except Quota:
                self.hub.note_drop(self.client, self.sender(frame))
            except BusError:
                pass  # the native peer waits no longer
        self.gateway.drop([handle, gift])

    def give_up(self, serial: int) -> None:
        """To this call comes no answer: the native peer hears that its handle was dropped."""
        self.gateway.drop([self.calls.pop(serial, None), self.gifts.pop(serial, None)])

    def bring(self, message: Message, frame: Frame, payer: User) -> Refused | None:
        """To the node that is attached: a call that is to be answered with a handle for that. What
        is wrong, if it cannot be."""
        node = self.node
        if node is None:
            return Refused(UNKNOWN_METHOD, MUTE.format(self.client.unique))
        once = None
        if message.handles:
            once = message.handles[0]
        try:
            if once is None:
                self.gateway.post(node, frame, payer, None)
            else:
                self.lend(node, frame, payer, once)
        except Quota:
            sender = self.sender(frame)
            if sender is None:
                return Refused(LIMITS_EXCEEDED, "The receiver has no room")
            return full(sender, self.client, frame)
        except TooLong as error:
            return Refused(LIMITS_EXCEEDED, str(error))
        except BusError as error:  # the node is gone, and the gateway has not read that yet
            return Refused(UNKNOWN_METHOD, str(error))
        return None

    def lend(self, node: Handle, frame: Frame, payer: User, once: Handle) -> None:
        """A call with a handle to answer on."""
        gateway = self.gateway
        cookie = gateway.debts.add(Debt(self, number_of(once), frame.serial, once))
        handle = gateway.peer.once(gateway.desk, None, cookie)
        try:
            gateway.post(node, frame, payer, [handle])
        except BusError:
            gateway.debts.pop(cookie)
            raise

    def refuse(self, message: Message, frame: Frame, refused: Refused) -> None:
        """It did not reach the native peer. Who called hears why; others are told nothing."""
        once = message.handles[0] if message.handles else None
        if once is None:
            if refused.name == LIMITS_EXCEEDED:
                self.hub.note_drop(self.client, self.sender(frame))
            return
        caller = self.hub.names.client(number_of(once))
        if caller is not None and self.hub.replies.settle(caller, self.client, frame.serial):
            make_late(caller, frame.serial)
            self.hub.tally.refuse(frame, refused.name)
            self.hub.refuse(caller, frame, refused)
        if once.table is not None:
            self.peer.release([once])

    def sender(self, frame: Frame) -> Client | None:
        """Who sent it; None: the bus, or somebody who has left."""
        name = frame.sender()
        return None if name is None else self.hub.names.owner(name)

    # ------------------------------------------------------------------ what it gives

    def attach(self, handle: Handle) -> None:
        """What comes goes there from now on."""
        self.gateway.guard(handle, self.detach)
        self.detach()
        self.node = handle

    def detach(self) -> None:
        """It has no node any more."""
        node, self.node = self.node, None
        self.gateway.drop([node])

    def offer(self, name: str, handle: Handle) -> None:
        """Who looks for this name finds this, and nothing that was offered before."""
        self.withdraw(name)
        self.gateway.guard(handle, lambda: self.withdraw(name))
        self.offers[name] = handle

    def withdraw(self, name: str) -> None:
        """Nobody finds that any more."""
        self.gateway.drop([self.offers.pop(name, None)])

    def close(self) -> None:
        """The native peer leaves."""
        gateway = self.gateway
        gateway.debts.forget(self)
        self.detach()
        gateway.drop([*self.calls.values(), *self.gifts.values(), *self.offers.values()])
        self.calls.clear()
        self.gifts.clear()
        self.offers.clear()
        self.hub.leave(self.client)


def following(serial: int, waiting: dict[int, Handle | None]) -> int:
    """The serial after this one, of 32 bits and not 0, that no call that waits has."""
    while True:
        serial = 1 if serial >= 0xFFFFFFFF else serial + 1
        if serial not in waiting:
            return serial
