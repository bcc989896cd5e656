"""Becoming a monitor, and the loop that reads what it sees until it is told to stop."""

import os
import select
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, final

from bridge.cli.link import BusError, Link, NoBus
from bridge.cli.monitor.choice import Choice
from bridge.cli.monitor.names import Names
from bridge.cli.monitor.outlet import Outlet
from bridge.cli.monitor.pairs import Event, Pairs
from bridge.cli.monitor.tally import Tally
from bridge.cli.reading import Seen
from bridge.routing.errors import PREFIX
from bridge.wire.body import unpack
from bridge.wire.protocol import DRIVER

MONITORING: Final = "org.freedesktop.DBus.Monitoring"
LOST: Final = ("org.bus1.Monitor1", "Lost", "t")
PATIENCE: Final = 2.0  # seconds for what is still to be written after Ctrl-C


def become_monitor(link: Link, choice: Choice) -> None:
    """From here on nothing may be sent. Raises NoBus."""
    try:
        link.ask(("BecomeMonitor", "asu", (choice.match_rules(), 0)), interface=MONITORING)
    except BusError as error:
        raise NoBus(refusal(link.place, error)) from None


def refusal(place: str, error: BusError) -> str:
    """Why the bus did not let us, in words that say what to do."""
    kind = error.name.removeprefix(PREFIX)
    if kind == "AccessDenied":
        return f"{place} lets only root and its own user monitor it"
    if kind in ("UnknownMethod", "UnknownInterface"):
        return f"{place} cannot be monitored: it has no BecomeMonitor"
    if kind == "MatchRuleInvalid":
        return f"{place} does not take the rule: {error.text.strip()}"
    return f"{place} says {error}"


@contextmanager
def interruptions() -> Iterator[int]:
    """A descriptor that is readable once Ctrl-C was pressed, or somebody sent SIGTERM."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {
        number: signal.signal(number, lambda number, frame: None)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    woken = signal.set_wakeup_fd(write)
    try:
        yield read
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(read)
        os.close(write)


@final
class Watch:
    """A monitor at work."""

    def __init__(
        self, link: Link, names: Names, choice: Choice, outlets: Sequence[Outlet], limit: int
    ) -> None:
        """`limit`: so many messages are shown; 0: all."""
        self.link = link
        self.names = names
        self.choice = choice
        self.outlets = outlets
        self.limit = limit
        self.pairs = Pairs(choice.late())
        self.tally = Tally()
        self.began = time.monotonic()
        self.over = False

    def run(self, interrupted: int) -> None:
        """Watch to the end, or until there is something to read from `interrupted`. Raises NoBus
        if the bus ends first, OSError if nothing can be written, BrokenPipeError if nobody
        reads it."""
        try:
            self.begin()
            while not self.over:
                if self.ready(interrupted, self.link.socket.fileno()):
                    self.read()
        finally:
            self.drain(interrupted)

    def begin(self) -> None:
        """What came together with the bus's consent."""
        for outlet in self.outlets:
            outlet.begin()
        while self.link.unread and not self.over:
            self.take(self.link.unread.popleft())

    def ready(self, interrupted: int, incoming: int) -> bool:
        """Wait for anything to do, and write what can be written. Has something come?"""
        poll = select.poll()
        poll.register(interrupted, select.POLLIN)
        poll.register(incoming, select.POLLIN)
        for outlet in self.outlets:
            poll.register(outlet.fd, outlet.wanted())
        events = dict(poll.poll())
        for outlet in self.outlets:
            if outlet.fd in events:
                outlet.writable()
                outlet.flush()
        self.over = interrupted in events
        return incoming in events and not self.over

    def read(self) -> None:
        for seen in self.link.receive():
            if not self.over:
                self.take(seen)
        for outlet in self.outlets:
            outlet.flush()

    def drain(self, interrupted: int) -> None:
        """What was shown is to be read: wait for it, but after Ctrl-C not for long."""
        asked = bool(select.select([interrupted], [], [], 0)[0])
        end = time.monotonic() + PATIENCE
        for outlet in self.outlets:
            while outlet.held:
                outlet.flush()
                events = select.select([] if asked else [interrupted], [outlet.fd], [], 0.1)
                if events[0] or (asked and time.monotonic() > end):
                    return

    # --------------------------------------------------------------------- messages

    def take(self, seen: Seen) -> None:
        """One message has come."""
        frame = seen.frame
        if frame.sender() == DRIVER and frame.destination() == self.link.name:
            self.told(seen)
            return
        self.names.hear(frame)
        event = self.pairs.pair(seen)
        if not self.choice.shows(event, self.names):
            return
        asked = event.answers
        if asked is not None and asked.whole is not None and not asked.shown:
            self.show(Event(asked.whole, asked=asked))
        self.show(event)

    def show(self, event: Event) -> None:
        if self.over:
            return
        if event.asked is not None:
            event.asked.shown = True
        self.tally.count(event)
        written = [outlet.message(event) for outlet in self.outlets]
        self.tally.dropped += not all(written)
        self.over = self.tally.messages == self.limit

    def told(self, seen: Seen) -> None:
        """The bus speaks to us: that our names are gone, or what we were too slow for."""
        frame = seen.frame
        if (frame.interface(), frame.member(), frame.signature()) == LOST:
            (count,) = unpack(frame)
            assert isinstance(count, int)
            self.tally.lost += count
            for outlet in self.outlets:
                outlet.lost(count, seen)

    def words(self) -> str:
        """The closing words."""
        unanswered = self.pairs.unanswered() if self.choice.pairs() else None
        return self.tally.words(unanswered, time.monotonic() - self.began)
