"""How late the event loop comes to what is due: measured once a second, in a histogram.

Whoever keeps the bus from its work, even a kernel without time for it, shows here.
"""

from bisect import bisect_left
from typing import Any, Final, final

EACH: Final = 1.0  # seconds
BOUNDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


@final
class Lag:
    """`counts` has one number for each of BOUNDS, as many as were not later, and one for all that
    were later; `total` is the sum of seconds."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        self.due = 0.0
        self.timer: Any = None

    def start(self) -> None:
        """Measure from now on."""
        self.due = self.loop.time() + EACH
        self.timer = self.loop.call_at(self.due, self.measure)

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def measure(self) -> None:
        """It should be `due` now, and is later."""
        late = max(0.0, self.loop.time() - self.due)
        self.counts[bisect_left(BOUNDS, late)] += 1
        self.total += late
        self.start()

    def buckets(self) -> list[tuple[str, float]]:
        """As OpenMetrics has them: each with all below."""
        found: list[tuple[str, float]] = []
        count = 0
        for bound, more in zip([*map(str, BOUNDS), "+Inf"], self.counts, strict=True):
            count += more
            found.append((bound, count))
        return found
