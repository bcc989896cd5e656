"""What has passed on one bus, in numbers, since it began. Counts only; asks nothing."""

from collections import Counter

from bridge.wire.frame import Frame


class Tally:
    """Messages that were handed on, by their type, and those that were refused.

    `signals` went to one receiver, `broadcasts` to all whose rules wanted them, the bus's own
    and what is overheard besides: `copies` of all these. `bus` are calls of the bus's own methods.
    `refused` counts by type and error name, `dropped` what slow receivers missed, `missed` what
    slow monitors did. `bytes` is the size of all messages that came. `asked` counts questions for
    statistics, by method.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.replies = 0
        self.signals = 0
        self.broadcasts = 0
        self.copies = 0
        self.bus = 0
        self.bytes = 0
        self.dropped = 0
        self.missed = 0
        self.refused: Counter[tuple[int, str]] = Counter()
        self.asked: Counter[str] = Counter()

    def ask(self, method: str) -> int:
        """Somebody asks for statistics: how often was that before?"""
        self.asked[method] += 1
        return self.asked[method] - 1

    def refuse(self, frame: Frame, error: str) -> None:
        """A message was answered with this error by the bus itself."""
        self.refused[frame.kind, error] += 1
