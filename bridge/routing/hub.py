"""One bus: who is on it, what holds for them, and what the bus itself says to them.

The rooms share it: the router takes messages through it, the driver answers in it, and the
transport tells it who comes and who goes. It marshals errors and nothing else.
"""

import logging
from typing import TYPE_CHECKING, Any, Final

from bridge.routing import leaving
from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.entry import Kind, connection, entry
from bridge.routing.errors import ACCESS_DENIED, Disconnect, Refused
from bridge.routing.gate import Gate
from bridge.routing.grants import Grants
from bridge.routing.match import Index
from bridge.routing.monitors import Monitors
from bridge.routing.name import owned
from bridge.routing.names import Names
from bridge.routing.quotas import for_monitor, for_peer, for_user
from bridge.routing.replies import Replies
from bridge.routing.tally import Tally
from bridge.routing.verbose import note
from bridge.wire.build import build
from bridge.wire.frame import Frame
from bridge.wire.protocol import DRIVER, DRIVER_PATH, ERROR, SIGNAL
from bus1.bus import Bus
from bus1.errors import Quota
from bus1.sending import multicast, unicast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.routing.above import Activation, Driver, Process, Reloader
    from bridge.routing.rule import Rule
    from policy.configuration import Configuration
    from policy.policy import Policy


# All anonymous connections are one user, with the uid that is nobody's: (uid_t) -1.
NOBODY: Final = 0xFFFFFFFF
# How dbus-daemon addresses those who have not said Hello.
NAMELESS: Final = ":not.active.yet"
# The interface of the signal that tells a monitor what it missed.
MONITOR: Final = "org.bus1.Monitor1"

log = logging.getLogger("bus1.hub")


class Hub:
    """One bus: its names, its match rules, its replies, its policy, its limits.

    Who builds it sets `driver`; `activation`; `reloader`, which the driver asks to read the
    configuration anew; `cut_off`, which ends a client's connection soon; `later`, which does
    something in the next turn; and `process`. Whoever waits for answers on behalf of clients
    sets `unanswered`, which hears of those that are lost.

    `work` counts what was done, in units of a message put into a queue (about 250 ns), so
    that nobody does too much in one turn.
    """

    driver: "Driver"
    activation: "Activation"
    reloader: "Reloader"
    cut_off: "Callable[[Client], None]"
    later: "Callable[[Callable[[], None]], None]"
    process: "Process"
    unanswered: "Callable[[Client, int], None] | None"

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
        self.monitors = Monitors()
        self.gate.grants = self.grants = Grants(self)
        self.tally = Tally()
        self.users: dict[int | None, int] = {}
        self.natives: dict[int | None, int] = {}
        self.active = 0
        self.native = 0
        self.work = 0
        self.last_serial = 0
        self.unanswered = None

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
        self.allot(client)  # it may have come before the configuration was read again
        self.active += 1
        uid = client.credentials.uid
        self.users[uid] = self.users.get(uid, 0) + 1

    def leave(self, client: Client) -> None:
        """The client is gone: others hear of its names first, then of its missing replies."""
        client.peer.queue.reader = None
        leaving.go_on(self, leaving.steps(self, client))

    def quit(self, client: Client) -> None:
        """It takes no part in the bus any more."""
        self.names.leave(client)
        self.grants.leave(client)
        self.replies.abandon(client)
        self.active -= 1
        self.users[client.credentials.uid] -= 1
        if not self.users[client.credentials.uid]:
            del self.users[client.credentials.uid]

    def observe(self, client: Client, rules: "Sequence[Rule]") -> None:
        """The client has given up its names and becomes a monitor: all that others may send it
        ends with its node, and those that wait for its replies hear that none will come."""
        self.quit(client)
        self.peer.release([client.handle])
        client.node.tag = client.number  # those who have handles to it need to know who it was
        client.peer.release([client.node, *client.peer.handles.values()])
        client.number = -1
        client.routes = client.late = client.stale = None
        client.recent = client.right = None
        client.begin(self.peer)
        client.observing = True
        self.allot(client)
        self.monitors.add(client, rules)
        log.info("%s (%s) has become a monitor", client.unique, client.who())

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
        self.grants.reconsider()
        for client in self.monitors.all():
            self.allot(client)

    def allot(self, client: Client) -> None:
        """Give the client the limits that hold for its user and for the names that it owns."""
        limits = self.gate.policy.allowances.of(client.credentials.uid, owned(client))
        if limits is not client.limits or client.observing:
            client.peer.reset(for_monitor(limits) if client.observing else for_peer(limits))
            client.allot(limits)

    def count_native(self, uid: int | None, more: int) -> None:
        """One native peer of this user more, or fewer (-1)."""
        self.native += more
        count = self.natives.pop(uid, 0) + more
        if count:
            self.natives[uid] = count

    def clients_of(self, uid: int | None) -> int:
        """How many clients of this user have said Hello, or speak natively?"""
        return self.users.get(uid, 0) + self.natives.get(uid, 0)

    # --------------------------------------------------- what the bus itself sends

    def serial(self) -> int:
        """The serial for the bus's next message: 1 to 2**32 - 1, then again from 1."""
        self.last_serial = 1 if self.last_serial >= 0xFFFFFFFF else self.last_serial + 1
        return self.last_serial

    def tell(self, client: Client, frame: Frame, payer: Client | None = None) -> None:
        """A message of the bus to one client, if the policy says that it may have it. As with
        the reference only monitors see it besides. The bus pays, or who made it say that."""
        if self.monitors.watching:
            self.show(None, client, frame)
        if client.number < 0 or self.gate.reaches(None, client, frame):
            self.hand(client, frame, payer)
            return
        if self.monitors.watching:
            self.show_denial(None, client, frame)
        self.lose(client, frame)

    def hand(self, client: Client, frame: Frame, payer: Client | None = None) -> None:
        """A message to one client that no policy is asked about; dropped if that client is over
        its quota."""
        self.work += 1 + frame.size // 256
        user = self.peer.user if payer is None else payer.peer.user
        handle, size, fds = client.handle, frame.size, frame.fds
        try:
            unicast(self.peer.queue, user, handle, frame, size, fds, frame.fd_count, None)
        except Quota:
            self.note_drop(client, payer)
            self.lose(client, frame)

    def lose(self, client: Client, frame: Frame) -> None:
        """The client does not get this. If it is an answer, nobody will ever give it another."""
        if frame.reply_serial and self.unanswered is not None:
            self.unanswered(client, frame.reply_serial)

    def announce(self, frame: Frame) -> None:
        """A signal of the bus to all whose match rules want it."""
        if self.monitors.watching:
            self.show(None, None, frame)
        self.broadcast(None, frame)

    def refuse(self, client: Client, frame: Frame, refused: Refused) -> None:
        """Answer a message with an error."""
        self.tell(client, self.error(client, frame.serial, refused.name, refused.text))

    def error(self, client: Client | None, reply_serial: int, name: str, text: str) -> Frame:
        """An error of the bus to a client, or to itself: that one is only shown."""
        return build(
            ERROR,
            serial=self.serial(),
            reply_serial=reply_serial,
            error_name=name,
            destination=DRIVER if client is None else client.unique or NAMELESS,
            signature="s",
            body=(text,),
        )

    # -------------------------------------------------------------------- to many

    def broadcast(self, sender: Client | None, frame: Frame) -> None:
        """To all whose match rules want it: one transaction, one stamp."""
        receivers = self.matches.broadcast(frame, sender)
        self.work += self.matches.looked
        self.cast(sender, receivers, frame)

    def cast(self, sender: Client | None, receivers: list[Client], frame: Frame) -> None:
        """To all of these whom it may reach. Most stand where the one before stands."""
        last = None
        passes = True
        reached: list[Client] | None = None  # made only if somebody is barred
        for asked, client in enumerate(receivers):
            if last is None or client.standing is not last:
                passes = self.gate.reaches(sender, client, frame)
                last = client.standing
            if not passes and self.monitors.watching:
                self.show_denial(sender, client, frame)
            if not passes and reached is None:
                reached = receivers[:asked]
            elif passes and reached is not None:
                reached.append(client)
        if reached is None:
            reached = receivers
        if self.gate.mediator is not None:
            reached = self.gate.mediated(sender, reached, frame)
        self.send(sender, reached, frame)

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
            self.tally.copies += len(receivers)
            for node in refused or ():
                slow: Any = node.tag
                self.note_drop(slow, sender)

    def note_drop(self, client: Client, sender: Client | None) -> None:
        """Log that a slow client lost a message: the 1st, 2nd, 4th, 8th, … of each client. A
        monitor is told itself."""
        if client.observing:
            client.missed += 1
            self.tally.missed += 1
            return
        client.dropped += 1
        self.tally.dropped += 1
        self.tally.exceed(client, sender)
        if is_power_of_two(client.dropped):
            names = " ".join([client.unique, *self.names.owned(client)])
            log.warning(
                "%s (%s) does not read: %d messages to it dropped, the last from %s",
                names,
                client.credentials,
                client.dropped,
                sender.unique if sender is not None else DRIVER,
                extra=entry(
                    Kind.DROPPED,
                    connection(client),
                    dropped=client.dropped,
                    sender=sender.unique if sender is not None else DRIVER,
                ),
            )
        if self.configuration.slow_receivers == "disconnect":
            self.cut_off(client)

    # ---------------------------------------------------------------- to monitors

    def show(self, sender: Client | None, receiver: Client | None, frame: Frame) -> None:
        """Let the monitors see a message, at the bus's cost; and the log, if it is verbose."""
        if self.monitors.verbose:
            note(sender, receiver, frame)
        found = self.monitors.find(frame, sender, receiver)
        for client in found:
            if client.missed:
                found = [each for each in found if not each.missed or self.is_back(each, frame)]
                break
        if len(found) == 1 and not frame.fd_count:
            client = found[0]
            try:
                self.peer.send(client.handle, frame, frame.size)
            except Quota:
                self.note_drop(client, None)
        elif found:
            self.send(None, found, frame)

    def show_denial(self, sender: Client | None, receiver: Client, frame: Frame) -> None:
        """Somebody does not get a broadcast, or a message of the bus. The sender is not told,
        but monitors see the error that it would have got."""
        text = self.gate.objection(sender, receiver, frame)
        self.show(None, sender, self.error(sender, frame.serial, ACCESS_DENIED, text))

    def is_back(self, monitor: Client, frame: Frame) -> bool:
        """Is there room again for what a monitor is to see? Who has missed some sees no more until
        it has read what waits for it: so there is one gap, and not a hole here and there. Nobody
        else tells of a gap for which nothing was waiting, as of one message that is too large."""
        if monitor.peer.queue.peek(0) is None and self.catch_up(monitor):
            return True
        if monitor.takes_fds or not frame.fd_count:
            self.note_drop(monitor, None)
        return False

    def catch_up(self, monitor: Client) -> bool:
        """It has read what waited for it: tell it how much it has missed, and go on. False: there
        is no room even for that, its user has too much elsewhere."""
        signal = build(
            SIGNAL,
            serial=self.serial(),
            path=DRIVER_PATH,
            interface=MONITOR,
            member="Lost",
            destination=monitor.unique,
            signature="t",
            body=(monitor.missed,),
        )
        try:
            self.peer.send(monitor.handle, signal, signal.size)
        except Quota:
            return False
        name, who = monitor.unique, monitor.who()
        log.warning("%s (%s), a monitor, missed %d messages", name, who, monitor.missed)
        monitor.missed = 0
        return True


def payer(credentials: Credentials) -> int:
    """The user to whom the core charges what a connection holds."""
    return NOBODY if credentials.uid is None else credentials.uid


def is_power_of_two(count: int) -> bool:
    """The 1st, 2nd, 4th, 8th, … time: what may happen any number of times is logged so."""
    return count & (count - 1) == 0
