"""How late the event loop comes to what is due: measured once a second, in a histogram.

Whoever keeps the bus from its work, even a kernel without time for it, shows here.
"""

from typing import Any, Final, final

from bridge.transport.histogram import Histogram

EACH: Final = 1.0  # seconds
BOUNDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


@final
class Lag:
    """What was measured is in `seconds`."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.seconds = Histogram(BOUNDS)
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
        self.seconds.observe(max(0.0, self.loop.time() - self.due))
        self.start()
