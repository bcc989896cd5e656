"""What has passed on one bus, in numbers, since it began. Counts only; asks nothing."""

from collections import Counter

from bridge.routing.client import Client
from bridge.wire.frame import Frame


class Tally:
    """Messages that were handed on, by their type, and those that were refused.

    `signals` went to one receiver, `broadcasts` to all whose rules wanted them, the bus's own
    and what is overheard besides: `copies` of all these. `bus` are calls of the bus's own methods.
    `refused` counts by type and error name, `dropped` what slow receivers missed, `missed` what
    slow monitors did. `bytes` is the size of all messages that came, `sent` all that was written.
    `asked` counts questions for statistics, by method. `exceeded` counts messages that a user had
    no room for, by that user and the sender's (None: the bus); `starts` has, by service and how it
    ended, how many starts there were and how many seconds they took.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.replies = 0
        self.signals = 0
        self.broadcasts = 0
        self.copies = 0
        self.bus = 0
        self.bytes = 0
        self.sent = 0
        self.dropped = 0
        self.missed = 0
        self.refused: Counter[tuple[int, str]] = Counter()
        self.asked: Counter[str] = Counter()
        self.exceeded: Counter[tuple[int | None, int | None]] = Counter()
        self.starts: dict[tuple[str, str], tuple[int, float]] = {}

    def ask(self, method: str) -> int:
        """Somebody asks for statistics: how often was that before?"""
        self.asked[method] += 1
        return self.asked[method] - 1

    def start(self, name: str, result: str, seconds: float) -> None:
        """The start of a service is over."""
        count, spent = self.starts.get((name, result), (0, 0.0))
        self.starts[name, result] = count + 1, spent + seconds

    def exceed(self, receiver: Client, sender: Client | None) -> None:
        """The receiver's user has no room for a message."""
        payer = None if sender is None else sender.credentials.uid
        self.exceeded[receiver.credentials.uid, payer] += 1

    def refuse(self, frame: Frame, error: str) -> None:
        """A message was answered with this error by the bus itself."""
        self.refused[frame.kind, error] += 1
