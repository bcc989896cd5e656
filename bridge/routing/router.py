"""Where a message goes: the one place that every message of every connection passes.

    dispatch   whom is it for?       nobody there: an error to its sender
     call       a unicast with a one-shot reply handle for the callee
     answer     a reply, on that handle and on nothing else
     broadcast  one transaction to the handles that the match index yields

Each asks the gate first. Decisions only: it marshals nothing, and knows no sockets.
"""

from bridge.routing.client import Client
from bridge.routing.errors import LIMITS_EXCEEDED, Disconnect, Refused
from bridge.routing.hub import Hub
from bridge.routing.notices import sweep
from bridge.routing.refusals import full, no_fds, nobody, unknown_type
from bridge.wire.frame import Frame
from bridge.wire.protocol import CALL, DRIVER, SIGNAL
from bus1.errors import Quota, Unknown
from bus1.node import Handle


class Router:
    """The way of messages through one bus. What it looks at most is at hand."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.gate = hub.gate
        self.names = hub.names
        self.matches = hub.matches
        self.replies = hub.replies
        self.monitors = hub.monitors
        self.tally = hub.tally

    def route(self, sender: Client, frame: Frame) -> None:
        """Take one message from a client. Raises Disconnect if the client cannot stay."""
        try:
            self.dispatch(sender, frame)
        except Refused as refused:
            self.refuse(sender, frame, refused)

    def resume(self, sender: Client, receiver: Client, frame: Frame) -> None:
        """Take a message again that has waited for its receiver to be started."""
        try:
            self.deliver(sender, receiver, frame)
        except Refused as refused:
            self.refuse(sender, frame, refused)

    def refuse(self, sender: Client, frame: Frame, refused: Refused) -> None:
        """It goes nowhere: its sender hears why."""
        self.hub.work += 200  # REFUSAL: who and why takes 50 µs to say
        self.tally.refuse(frame, refused.name)
        self.hub.refuse(sender, frame, refused)

    def dispatch(self, sender: Client, frame: Frame) -> None:
        """Whom is it for?

        Here and in `call` stand numbers where a name would be looked up for every message.
        """
        self.tally.bytes += frame.size
        if sender.number < 0 and sender.observing:
            raise Disconnect("it is a monitor, and sent a message")
        if self.monitors.watching:
            self.show(sender, frame)
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
                try:
                    self.ask(sender, frame)
                finally:
                    if self.monitors.watching and frame.kind == SIGNAL and sender.number >= 0:
                        self.hub.show(sender, None, frame)
                return
            if sender.number < 0:
                raise Disconnect("it sent a message to others before Hello")
            receiver = self.names.owner(destination)
        if receiver is None:
            self.start(sender, frame)
            return
        self.deliver(sender, receiver, frame)

    def ask(self, sender: Client, frame: Frame) -> None:
        """To the bus itself. What comes of a signal, systemd's of a failure, is seen by monitors
        before the signal, as with the reference."""
        joined = sender.number >= 0
        if joined:
            self.gate.check(sender, None, frame, False)
        self.hub.work += 16
        self.tally.bus += 1
        self.hub.driver.call(sender, frame)
        if joined and self.matches.eavesdropping:
            self.overhear(sender, None, frame)  # what the bus refuses is not overheard

    def start(self, sender: Client, frame: Frame) -> None:
        """Nobody has that name: a service may. As with the reference, monitors see what the bus
        asks systemd before they see why."""
        try:
            if not self.hub.activation.take(sender, frame):
                raise nobody(frame)
        finally:
            if self.monitors.watching:
                self.hub.show(sender, None, frame)

    def deliver(self, sender: Client, receiver: Client, frame: Frame) -> None:
        """To the one whom it is for: at once, or when that one has been started."""
        if frame.kind == 1:  # CALL
            self.call(sender, receiver, frame)
        elif frame.kind == 4:  # SIGNAL
            self.signal(sender, receiver, frame)
        else:
            self.answer(sender, receiver, frame)
        self.hub.work += 1
        if self.matches.eavesdropping:
            self.overhear(sender, receiver, frame)

    def show(self, sender: Client, frame: Frame) -> None:
        """Let the monitors see what a client sends, before anything comes of it. A call without
        a destination stays between the client and the bus."""
        receiver = self.addressee(sender, frame)
        if receiver is None and frame.kind < 5 and not self.is_shown_now(sender, frame):
            return
        self.hub.show(sender, receiver, frame)

    def is_shown_now(self, sender: Client, frame: Frame) -> bool:
        """Is a message that no client gets by its name to be shown before it is handled? What
        may start a service is shown by `start`, and signals to the bus by `dispatch`."""
        destination = frame.destination()
        if destination is None:
            return frame.kind != CALL
        return sender.number < 0 or (destination == DRIVER and frame.kind != SIGNAL)

    def addressee(self, sender: Client, frame: Frame) -> Client | None:
        """The client that has the name to which the message is addressed."""
        if frame.destination_number >= 0 and sender.number >= 0:
            return self.receiver(sender, frame.destination_number)
        destination = frame.destination()
        return None if destination in (None, DRIVER) else self.names.owner(destination)

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
            self.hub.driver.local(sender, frame)
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
            raise self.full(sender, receiver, frame) from None
        self.replies.owe(sender, receiver, frame.serial, once)
        self.tally.calls += 1

    def signal(self, sender: Client, receiver: Client, frame: Frame) -> None:
        """A unicast that nobody answers."""
        self.gate.check(sender, receiver, frame, self.is_awaited(sender, receiver, frame))
        if frame.fd_count and not receiver.takes_fds:
            raise no_fds()
        right = self.right(sender, receiver)
        try:
            sender.peer.send(right, frame, frame.size, frame.fds, frame.fd_count)
        except Quota:
            raise self.full(sender, receiver, frame) from None
        if frame.kind == 1:  # CALL
            self.tally.calls += 1
        else:
            self.tally.signals += 1

    def answer(self, sender: Client, receiver: Client, frame: Frame) -> None:
        """A reply: possible only on the handle that came with the call, and once."""
        once = self.replies.find(receiver, sender, frame.reply_serial)
        if once is None:
            sweep(sender)  # it may come too late
            raise self.gate.unasked(sender, receiver, frame)
        self.gate.check(sender, receiver, frame, True)
        if frame.fd_count and not receiver.takes_fds:
            raise no_fds()
        try:
            sender.peer.send(once, frame, frame.size, frame.fds, frame.fd_count)
        except Quota:
            raise self.full(sender, receiver, frame) from None
        except Unknown:  # the call is still in the replier's own queue: it guessed the serial
            raise self.gate.unasked(sender, receiver, frame) from None
        self.replies.settle(receiver, sender, frame.reply_serial)
        self.tally.replies += 1

    def full(self, sender: Client, receiver: Client, frame: Frame) -> Refused:
        """The receiver's queue holds all that this sender may put there."""
        self.tally.exceed(receiver, sender)
        return full(sender, receiver, frame)

    def is_awaited(self, sender: Client, receiver: Client, frame: Frame) -> bool:
        """Does it say, without being a reply, that it answers what the receiver waits for?"""
        if not frame.reply_serial:
            return False
        return self.replies.find(receiver, sender, frame.reply_serial) is not None

    def broadcast(self, sender: Client, frame: Frame) -> None:
        """A signal to all whose match rules want it."""
        self.tally.broadcasts += 1
        self.hub.broadcast(sender, frame)

    def overhear(self, sender: Client | None, receiver: Client | None, frame: Frame) -> None:
        """A unicast goes to those, too, whose rules say eavesdrop='true', if they may."""
        found = self.matches.eavesdrop(frame, sender, receiver)
        self.hub.send(
            sender, [each for each in found if self.gate.overhears(sender, each, frame)], frame
        )

    def right(self, sender: Client, receiver: Client) -> Handle:
        """The sender's own handle to the receiver; granted by the bus the first time."""
        if sender.right is not None and sender.recent is receiver:
            return sender.right
        if sender.routes is None:
            sender.routes = {}
        handle: Handle | None = sender.routes.get(receiver.number)
        if handle is None:
            try:
                handle = self.hub.peer.transfer(receiver.handle, sender.peer)
            except Quota:
                raise Refused(LIMITS_EXCEEDED, "You may not talk to more connections") from None
            sender.routes[receiver.number] = handle
        if sender.recent is receiver:
            sender.right = handle
        return handle
