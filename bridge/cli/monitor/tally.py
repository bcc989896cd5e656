"""What was seen, in numbers, and the closing words. It does not grow with what it counts."""

import math
from collections import Counter
from typing import Final, final

from bridge.cli.monitor.pairs import Event
from bridge.wire.protocol import CALL, ERROR, RETURN, SIGNAL

STEPS: Final = 100  # of a latency's logarithm: its error is below one percent
LEAST: Final = 1e-7


@final
class Tally:
    """Counts of what was to be shown, of what the bus lost, and of what was dropped here."""

    def __init__(self) -> None:
        self.messages = 0
        self.kinds: Counter[int] = Counter()
        self.denied = 0
        self.lost = 0
        self.dropped = 0
        self.latencies: Counter[int] = Counter()

    def count(self, event: Event) -> None:
        """One more message is wanted."""
        self.messages += 1
        self.kinds[event.seen.frame.kind] += 1
        self.denied += event.verdict() == "denied"
        if event.answers is not None and event.answers.expected:
            self.latencies[step(event.latency() or 0.0)] += 1

    def quantile(self, part: float) -> float | None:
        """So many seconds the part of all latencies at most took."""
        left = math.ceil(self.latencies.total() * part)
        for each in sorted(self.latencies):
            left -= self.latencies[each]
            if left <= 0:
                return math.exp(each / STEPS)
        return None

    def words(self, unanswered: int | None, seconds: float) -> str:
        """All of it in a few lines. Unanswered None: the replies were not watched."""
        kinds = self.kinds
        parts = [
            plural(kinds[CALL], "call"),
            plural(kinds[RETURN], "reply", "replies"),
            plural(kinds[ERROR], "error") + f" ({self.denied} denied)",
            plural(kinds[SIGNAL], "signal"),
        ]
        if unanswered is not None:
            parts.append(f"{unanswered} unanswered")
        lines = [f"{plural(self.messages, 'message')} in {seconds:.1f} s: {', '.join(parts)}"]
        median, late = self.quantile(0.5), self.quantile(0.99)
        if median is not None and late is not None:
            lines.append(f"latency: median {span(median)}, p99 {span(late)}")
        dropped = f", not shown: {self.dropped}" if self.dropped else ""
        lines.append(f"lost: {self.lost}{dropped}")
        return "\n".join(lines)


def step(seconds: float) -> int:
    return round(math.log(max(seconds, LEAST)) * STEPS)


def span(seconds: float) -> str:
    """A time that people read: three digits and a unit."""
    if seconds < 0.000_999_5:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 0.999_5:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.2f} s"


def plural(count: int, one: str, several: str = "") -> str:
    return f"{count} {one if count == 1 else several or one + 's'}"
