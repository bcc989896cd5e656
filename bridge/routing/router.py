"""Where a message goes: the one place that every message of every connection passes.

    dispatch   whom is it for?       nobody there: an error to its sender
     call       a unicast with a one-shot reply handle for the callee
     answer     a reply, on that handle and on nothing else
     broadcast  one transaction to the handles that the match index yields

Decisions only: it marshals nothing itself, and knows no sockets.
"""

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.errors import LIMITS_EXCEEDED, NO_REPLY, Disconnect, Refused
from bridge.routing.gate import Gate
from bridge.routing.match import Index
from bridge.routing.names import Names, owned
from bridge.routing.quotas import for_peer, for_user
from bridge.routing.refusals import full, no_fds, nobody, unknown_type
from bridge.routing.replies import Replies
from bridge.wire.build import build
from bridge.wire.frame import Frame
from bridge.wire.protocol import CALL, DRIVER, ERROR, SIGNAL
from bus1.bus import Bus
from bus1.errors import Quota, Unknown
from bus1.message import ONCE_DROPPED, Message
from bus1.node import Handle
from bus1.transaction import multicast

if TYPE_CHECKING:
    from collections.abc import Callable

    from policy.configuration import Configuration
    from policy.policy import Policy


# All anonymous connections are one user, with the uid that is nobody's: (uid_t) -1.
NOBODY: Final = 0xFFFFFFFF
# How dbus-daemon addresses those who have not said Hello.
NAMELESS: Final = ":not.active.yet"

GONE: Final = "Message recipient disconnected from message bus without replying"
TOO_LATE: Final = "Message did not receive a reply (timeout by message bus)"
LOST: Final = "The reply was lost: too many file descriptors are on their way"

log = logging.getLogger("bus1.router")


class Driver(Protocol):
    """What the router asks of org.freedesktop.DBus, which stands above it."""

    def call(self, client: Client, frame: Frame) -> None:
        """A message to org.freedesktop.DBus."""

    def local(self, client: Client, frame: Frame) -> None:
        """A method call without a destination."""

    def left(self, client: Client) -> None:
        """Give up what a client leaves behind, and tell the others."""


class Router:
    """One bus's routing: its names, its match rules, its replies, its policy, its limits.

    The transport sets `driver`; `reloader`, which the driver asks to read the configuration
    anew; and `cut_off`, which ends a client's connection soon.

    `work` counts what was done, in units of a message put into a queue (about 250 ns), so
    that nobody does too much in one turn.
    """

    driver: Driver
    reloader: Any
    cut_off: "Callable[[Client], None]"

    def __init__(
        self,
        bus: Bus,
        configuration: "Configuration",
        policy: "Policy",
        credentials: Credentials,
        guid: str,
    ) -> None:
        self.bus = bus
        self.configuration = configuration
        self.limits = configuration.limits
        self.gate = Gate(policy)
        self.credentials = credentials
        self.guid = guid
        self.peer = bus.connect(payer(credentials))
        self.peer.reset(bus.limits)  # no connection's limit: it holds a handle to every client
        self.names = Names()
        self.matches = Index()
        self.replies = Replies()
        self.users: dict[int | None, int] = {}
        self.active = 0
        self.work = 0
        self.last_serial = 0

    # ------------------------------------------------------------- coming and going

    def admit(self, credentials: Credentials, takes_fds: bool) -> Client:
        """A new client, authenticated and still without a name. Raises Disconnect."""
        peer = self.bus.connect(payer(credentials))
        try:
            client = Client(peer, self.peer, credentials, takes_fds, self.limits)
        except Quota:
            peer.close()
            raise Disconnect("there is no room for one more client") from None
        limits = self.gate.policy.allowances.of_user(credentials.uid)
        if limits is not self.limits:
            peer.user.limits = for_user(limits)
            self.allot(client)
        return client

    def join(self, client: Client) -> None:
        """The client said Hello: it gets its unique name."""
        self.names.join(client)
        self.gate.admit(client)
        self.active += 1
        uid = client.credentials.uid
        self.users[uid] = self.users.get(uid, 0) + 1

    def leave(self, client: Client) -> None:
        """The client is gone: others hear of its names first, then of its missing replies."""
        if client.active():
            self.driver.left(client)
            self.names.leave(client)
            self.active -= 1
            self.users[client.credentials.uid] -= 1
            if not self.users[client.credentials.uid]:
                del self.users[client.credentials.uid]
        self.peer.release([client.handle])
        client.peer.close()
        client.recent = client.right = None
        # Handles may still lead to the node: they need to know who it was, and no more.
        client.node.tag = client.number

    def adopt(self, configuration: "Configuration", policy: "Policy") -> None:
        """Another configuration holds from now on, for those who are there, too. What they
        have, they keep: names, rules, and messages on their way."""
        self.configuration = configuration
        self.limits = configuration.limits
        self.gate.adopt(policy)
        self.bus.limits = for_user(self.limits)
        self.bus.peer_limits = for_peer(self.limits)
        self.peer.reset(self.bus.limits)
        for user in self.bus.users.values():
            user.limits = for_user(policy.allowances.of_user(user.uid))
        for client in self.names.clients.values():
            self.gate.admit(client)
            self.allot(client)

    def allot(self, client: Client) -> None:
        """Give the client the limits that hold for its user and for the names that it owns."""
        limits = self.gate.policy.allowances.of(client.credentials.uid, owned(client))
        if limits is not client.limits:
            client.peer.reset(for_peer(limits))
            client.allot(limits)

    def clients_of(self, uid: int | None) -> int:
        """How many clients of this user have said Hello?"""
        return self.users.get(uid, 0)

    # -------------------------------------------------------------------- messages

    def route(self, sender: Client, frame: Frame) -> None:
        """Take one message from a client. Raises Disconnect if the client cannot stay."""
        try:
            self.dispatch(sender, frame)
        except Refused as refused:
            self.refuse(sender, frame, refused)

    def dispatch(self, sender: Client, frame: Frame) -> None:
        """Whom is it for?

        Here and in `call` stand numbers where a name would be looked up for every message.
        """
        if frame.kind > 4:  # SIGNAL
            if frame.destination() is not None:
                raise unknown_type()
            return
        if frame.destination_number >= 0 and sender.number >= 0:
            receiver = self.receiver(sender, frame.destination_number)
        else:
            destination = frame.destination()
            if destination is None:
                self.undirected(sender, frame)
                return
            if destination == DRIVER:
                joined = sender.number >= 0
                if joined:
                    self.gate.check(sender, None, frame, False)
                self.work += 16
                self.driver.call(sender, frame)
                if joined and self.matches.eavesdropping:
                    self.overhear(sender, None, frame)  # what the bus refuses is not overheard
                return
            if sender.number < 0:
                raise Disconnect("it sent a message to others before Hello")
            receiver = self.names.owner(destination)
        if receiver is None:
            raise nobody(frame)
        if frame.kind == 1:  # CALL
            self.call(sender, receiver, frame)
        elif frame.kind == 4:  # SIGNAL
            self.signal(sender, receiver, frame)
        else:
            self.answer(sender, receiver, frame)
        self.work += 1
        if self.matches.eavesdropping:
            self.overhear(sender, receiver, frame)

    def receiver(self, sender: Client, number: int) -> Client | None:
        """The client with this number, if it is there."""
        recent = sender.recent
        if recent is None or recent.number != number or recent.peer.queue.closed:
            recent = self.names.client(number)
            sender.recent = recent
            sender.right = None
        return recent

    def undirected(self, sender: Client, frame: Frame) -> None:
        """A message without a destination: a broadcast, or a call to the bus itself."""
        if frame.kind == CALL:
            self.driver.local(sender, frame)
        elif sender.number < 0:
            raise Disconnect("it sent a message before Hello")
        elif frame.kind == SIGNAL:
            self.broadcast(sender, frame)
        else:
            raise self.gate.unasked(sender, None, frame)

    def call(self, sender: Client, receiver: Client, frame: Frame) -> None:
        """A method call: it carries the right to answer once, unless no reply is wanted."""
        if frame.flags & 1:  # NO_REPLY_EXPECTED
            self.signal(sender, receiver, frame)
            return
        self.gate.check(sender, receiver, frame, self.is_awaited(sender, receiver, frame))
        if frame.fd_count and not receiver.takes_fds:
            raise no_fds()
        right = self.right(sender, receiver)
        once = self.replies.expect(sender, receiver, frame.serial)
        try:
            sender.peer.send(right, frame, frame.size, frame.fds, frame.fd_count, [once])
        except Quota:
            raise full(sender, receiver, frame) from None
        self.replies.owe(sender, receiver, frame.serial, once)

    def signal(self, sender: Client, receiver: Client, frame: Frame) -> None:
        """A unicast that nobody answers."""
        self.gate.check(sender, receiver, frame, self.is_awaited(sender, receiver, frame))
        if frame.fd_count and not receiver.takes_fds:
            raise no_fds()
        right = self.right(sender, receiver)
        try:
            sender.peer.send(right, frame, frame.size, frame.fds, frame.fd_count)
        except Quota:
            raise full(sender, receiver, frame) from None

    def answer(self, sender: Client, receiver: Client, frame: Frame) -> None:
        """A reply: possible only on the handle that came with the call, and once."""
        once = self.replies.find(receiver, sender, frame.reply_serial)
        if once is None:
            raise self.gate.unasked(sender, receiver, frame)
        self.gate.check(sender, receiver, frame, True)
        if frame.fd_count and not receiver.takes_fds:
            raise no_fds()
        try:
            sender.peer.send(once, frame, frame.size, frame.fds, frame.fd_count)
        except Quota:
            raise full(sender, receiver, frame) from None
        except Unknown:  # the call is still in the replier's own queue: it guessed the serial
            raise self.gate.unasked(sender, receiver, frame) from None
        self.replies.settle(receiver, sender, frame.reply_serial)

    def is_awaited(self, sender: Client, receiver: Client, frame: Frame) -> bool:
        """Does it say, without being a reply, that it answers what the receiver waits for?"""
        if not frame.reply_serial:
            return False
        return self.replies.find(receiver, sender, frame.reply_serial) is not None

    def broadcast(self, sender: Client, frame: Frame) -> None:
        """A signal to all whose match rules want it: one transaction, one stamp."""
        self.cast(sender, self.matches.broadcast(frame, sender), frame)

    def overhear(self, sender: Client | None, receiver: Client | None, frame: Frame) -> None:
        """A unicast goes to those, too, whose rules say eavesdrop='true', if they may."""
        found = self.matches.eavesdrop(frame, sender, receiver)
        self.send(
            sender, [each for each in found if self.gate.overhears(sender, each, frame)], frame
        )

    def cast(self, sender: Client | None, receivers: list[Client], frame: Frame) -> None:
        """To all of these whom it may reach. Most stand where the one before stands."""
        last = None
        passes = True
        reached: list[Client] | None = None  # made only if somebody is barred
        for asked, client in enumerate(receivers):
            if last is None or client.standing is not last:
                passes = self.gate.reaches(sender, client, frame)
                last = client.standing
            if not passes and reached is None:
                reached = receivers[:asked]
            elif passes and reached is not None:
                reached.append(client)
        self.send(sender, receivers if reached is None else reached, frame)

    def send(self, sender: Client | None, receivers: list[Client], frame: Frame) -> None:
        """One transaction to many. The rights are the match index's, the cost the sender's."""
        if frame.fd_count:
            receivers = [client for client in receivers if client.takes_fds]
        if receivers:
            peer = self.peer if sender is None else sender.peer
            self.work += len(receivers)
            nodes = [client.node for client in receivers]
            refused = multicast(
                peer.queue, peer.user, nodes, frame, frame.size, frame.fds, frame.fd_count
            )
            for node in refused or ():
                slow: Any = node.tag
                self.note_drop(slow, sender)

    def right(self, sender: Client, receiver: Client) -> Handle:
        """The sender's own handle to the receiver; granted by the bus the first time."""
        if sender.right is not None and sender.recent is receiver:
            return sender.right
        if sender.routes is None:
            sender.routes = {}
        handle: Handle | None = sender.routes.get(receiver.number)
        if handle is None:
            try:
                handle = self.peer.transfer(receiver.handle, sender.peer)
            except Quota:
                raise Refused(LIMITS_EXCEEDED, "You may not talk to more connections") from None
            sender.routes[receiver.number] = handle
        if sender.recent is receiver:
            sender.right = handle
        return handle

    # --------------------------------------------------- what the bus itself sends

    def serial(self) -> int:
        """The serial for the bus's next message: 1 to 2**32 - 1, then again from 1."""
        self.last_serial = 1 if self.last_serial >= 0xFFFFFFFF else self.last_serial + 1
        return self.last_serial

    def tell(self, client: Client, frame: Frame) -> None:
        """A message of the bus to one client, if the policy says that it may have it. As with
        the reference nobody overhears it."""
        if client.number < 0 or self.gate.reaches(None, client, frame):
            self.hand(client, frame)

    def hand(self, client: Client, frame: Frame) -> None:
        """A message to one client that no policy is asked about; dropped if that client is over
        its quota."""
        self.work += 1 + frame.size // 256
        try:
            self.peer.send(client.handle, frame, frame.size, frame.fds, frame.fd_count)
        except Quota:
            self.note_drop(client, None)

    def announce(self, frame: Frame) -> None:
        """A signal of the bus to all whose match rules want it."""
        self.cast(None, self.matches.broadcast(frame, None), frame)

    def refuse(self, client: Client, frame: Frame, refused: Refused) -> None:
        """Answer a message with an error."""
        self.tell(client, self.error(client, frame.serial, refused.name, refused.text))

    def no_reply(self, client: Client, notice: Message) -> Frame | None:
        """What a client reads when the core says that a reply handle died unused; None if the
        policy keeps it from the client: then the notice is as one that comes late."""
        client.awaited -= 1
        frame = self.error(client, notice.cookie, NO_REPLY, GONE)
        if self.gate.reaches(None, client, frame):
            return frame
        make_late(client, notice.cookie)
        return None

    def error(self, client: Client, reply_serial: int, name: str, text: str) -> Frame:
        """An error of the bus itself."""
        return build(
            ERROR,
            serial=self.serial(),
            reply_serial=reply_serial,
            error_name=name,
            destination=client.unique or NAMELESS,
            signature="s",
            body=(text,),
        )

    def expire(self, number: int, callee: Client, serial: int) -> None:
        """reply_timeout: the caller hears that nothing came, and nothing may come any more.

        The reply handle dies with the call, which the callee may not even have read: of that
        the caller hears no second time.
        """
        caller = self.names.client(number)
        if caller is None:
            return
        once = self.replies.find(caller, callee, serial)
        if once is None:
            return
        self.replies.settle(caller, callee, serial)
        make_late(caller, serial)
        self.tell(caller, self.error(caller, serial, NO_REPLY, TOO_LATE))
        if once.table is not None:  # else it is in the callee's queue still
            callee.peer.release([once])

    def is_late(self, client: Client, notice: Message) -> bool:
        """Does the core tell of a reply handle whose time was over before?"""
        return client.late is not None and notice.cookie in client.late

    def forget(self, client: Client, notice: Message) -> None:
        """Somebody is gone whom this client could send to, or owed a reply; or a reply handle
        is whose time was over."""
        if client.late is not None and notice.kind == ONCE_DROPPED:
            client.late[notice.cookie] -= 1
            if not client.late[notice.cookie]:
                del client.late[notice.cookie]
        handle = notice.target
        if isinstance(handle, Handle):
            number = number_of(handle)
            if handle.once:
                self.replies.excuse(number, client, handle.cookie)
            elif client.routes is not None:
                client.routes.pop(number, None)
                client.recent = client.right = None
            client.peer.release([handle])

    def undelivered(self, client: Client, message: Message | None) -> None:
        """The kernel does not take a message to this client: it has too many descriptors on
        their way. Whoever waits for the reply, or for this as a reply, gets NoReply."""
        if message is None:
            return
        handles = [handle for handle in message.handles or () if handle is not None]
        for handle in handles:
            self.replies.excuse(number_of(handle), client, handle.cookie)
        client.peer.release(handles)
        frame: Any = message.payload
        if frame.reply_serial:
            self.tell(client, self.error(client, frame.reply_serial, NO_REPLY, LOST))
        client.dropped += 1
        if is_power_of_two(client.dropped):
            log.warning(
                "A message from %s to %s (%s) is lost: too many descriptors are on their way",
                frame.sender(),
                client.unique,
                client.credentials,
            )

    def note_drop(self, client: Client, sender: Client | None) -> None:
        """Log that a slow client lost a message: the 1st, 2nd, 4th, 8th, … of each client."""
        client.dropped += 1
        if is_power_of_two(client.dropped):
            names = " ".join([client.unique, *self.names.owned(client)])
            log.warning(
                "%s (%s) does not read: %d messages to it dropped, the last from %s",
                names,
                client.credentials,
                client.dropped,
                sender.unique if sender is not None else DRIVER,
            )
        if self.configuration.slow_receivers == "disconnect":
            self.cut_off(client)


def payer(credentials: Credentials) -> int:
    """The user to whom the core charges what a connection holds."""
    return NOBODY if credentials.uid is None else credentials.uid


def make_late(client: Client, serial: int) -> None:
    """The end of the reply handle to this call is still to come, and is no news then."""
    if client.late is None:
        client.late = {}
    client.late[serial] = client.late.get(serial, 0) + 1


def number_of(handle: Handle) -> int:
    """The number of the client that a handle leads, or led, to."""
    client: Any = handle.node.tag
    return client.number if isinstance(client, Client) else int(client)


def is_power_of_two(count: int) -> bool:
    """The 1st, 2nd, 4th, 8th, … time: what may happen any number of times is logged so."""
    return count & (count - 1) == 0
