"""All that is measured only where metrics are wanted, and the socket where it is told."""

from typing import TYPE_CHECKING, Final, final

from bridge.transport.deadlines import Deadlines
from bridge.transport.families import Families, label
from bridge.transport.histogram import Histogram
from bridge.transport.lag import Lag
from bridge.transport.latency import Awaited, Latency
from bridge.transport.metrics import Metrics
from bridge.transport.openmetrics import OTHER

if TYPE_CHECKING:
    from bridge.transport.server import Server

TURNS: Final = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.01, 0.1, 1.0)


@final
class Counting:
    """`turns` are the times from reading what a client sent to having written what came of it."""

    def __init__(self, server: "Server") -> None:
        self.lag = Lag(server.loop)
        self.turns = Histogram(TURNS)
        self.latency = Latency(label, OTHER)
        families = Families(server, self.lag.seconds, self.turns, self.latency)
        self.metrics = Metrics(server.loop, server.settings.metrics, families.expose)

    def start(self) -> None:
        self.lag.start()
        self.metrics.start()

    def stop(self) -> None:
        self.lag.stop()
        self.metrics.stop()

    def beside(self, deadlines: Deadlines[Awaited] | None) -> Latency:
        """Who is to hear of calls that wait, when these are to hear of them, too."""
        self.latency.deadlines = deadlines
        return self.latency
