"""Which message a reply answers, and how long that took. Knows nothing of filters and screens."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, final

from bridge.cli.reading import Seen
from bridge.routing.errors import ACCESS_DENIED
from bridge.wire.frame import Frame
from bridge.wire.protocol import CALL, DRIVER, ERROR, NO_REPLY_EXPECTED, RETURN

# Who says Hello, as this bus shows it to monitors: it has no name yet.
NAMELESS: Final = ":not.active.yet"
# What is remembered of those that wait, in bytes; the oldest are forgotten first.
ROOM: Final = 32 * 1024 * 1024
COST: Final = 512  # of one, without the message itself


@final
@dataclass(slots=True)
class Asked:
    """What a later message may answer: its texts, and the message itself if it is kept."""

    sender: str | None
    destination: str | None
    path: str | None
    interface: str | None
    member: str | None
    moment: float
    expected: bool  # somebody waits for the answer
    whole: Seen | None
    shown: bool = False

    def cost(self) -> int:
        return COST + (len(self.whole.raw) if self.whole else 0)


@final
@dataclass(slots=True)
class Event:
    """One message; what it answers, and what its own answer will answer."""

    seen: Seen
    answers: Asked | None = None
    asked: Asked | None = None

    def latency(self) -> float | None:
        """Seconds since the call was read."""
        return None if self.answers is None else self.seen.moment - self.answers.moment

    def verdict(self) -> str | None:
        """Of a reply: answered, error, or denied, which only the bus itself can say."""
        frame = self.seen.frame
        if frame.kind == RETURN:
            return "answered"
        if frame.kind != ERROR:
            return None
        by_bus = frame.sender() == DRIVER and frame.error_name() == ACCESS_DENIED
        return "denied" if by_bus else "error"


@final
class Waiting:
    """Messages by sender and serial, the oldest first, within a number of bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.held = 0
        self.entries: OrderedDict[tuple[str | None, int], Asked] = OrderedDict()
        self.forgotten = 0  # that were shown, and for whose answers somebody waits

    def add(self, serial: int, asked: Asked) -> None:
        """One more. If its sender uses a serial again, the earlier one will not be answered."""
        key = (asked.sender, serial)
        if key in self.entries:
            self.forget(self.entries.pop(key))
        self.entries[key] = asked
        self.held += asked.cost()
        while self.held > self.room:
            self.forget(self.entries.popitem(last=False)[1])

    def forget(self, asked: Asked) -> None:
        self.held -= asked.cost()
        self.forgotten += asked.shown and asked.expected

    def take(self, sender: str | None, serial: int) -> Asked | None:
        """It is answered."""
        asked = self.entries.pop((sender, serial), None)
        if asked is not None:
            self.held -= asked.cost()
        return asked

    def unanswered(self) -> int:
        return self.forgotten + sum(each.shown and each.expected for each in self.entries.values())


@final
class Pairs:
    """Pairs what passes. `keep`: calls may have to be shown later, when their errors come."""

    def __init__(self, keep: bool) -> None:
        self.keep = keep
        self.calls = Waiting(ROOM)
        # A signal or reply that the bus refuses is answered with an error at once, or never.
        self.others = Waiting(ROOM // 64)

    def pair(self, seen: Seen) -> Event:
        """The message with what it answers."""
        frame = seen.frame
        event = Event(seen)
        if frame.kind in (RETURN, ERROR) and frame.reply_serial:
            event.answers = self.answered(frame)
        if frame.destination() is not None:
            event.asked = self.remember(seen)
        return event

    def answered(self, frame: Frame) -> Asked | None:
        """What a reply answers. That to Hello goes to the name that it gives."""
        to, serial = frame.destination(), frame.reply_serial
        found = self.calls.take(to, serial) or self.others.take(to, serial)
        if found is None and frame.sender() == DRIVER:
            found = self.calls.take(NAMELESS, serial)
        return found

    def remember(self, seen: Seen) -> Asked:
        frame = seen.frame
        call = frame.kind == CALL
        asked = Asked(
            frame.sender(),
            frame.destination(),
            frame.path(),
            frame.interface(),
            frame.member(),
            seen.moment,
            call and not frame.flags & NO_REPLY_EXPECTED,
            seen if self.keep else None,
        )
        (self.calls if call else self.others).add(frame.serial, asked)
        return asked

    def unanswered(self) -> int:
        """Calls that were shown, and that nobody has answered."""
        return self.calls.unanswered()
