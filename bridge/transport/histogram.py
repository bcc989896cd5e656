"""How many things took how long: a histogram as OpenMetrics has it. It knows not what they are."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import final


@final
class Histogram:
    """`counts` has one number for each of `bounds` (seconds), as many as took no longer and
    longer than the one before, and one for all that took longer; `total` is the sum of seconds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def add(self, other: "Histogram") -> None:
        """All of another with the same bounds."""
        self.counts = [mine + more for mine, more in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def buckets(self) -> list[tuple[str, float]]:
        """As OpenMetrics has them: each with all below."""
        found: list[tuple[str, float]] = []
        count = 0
        for bound, more in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            count += more
            found.append((bound, count))
        return found
