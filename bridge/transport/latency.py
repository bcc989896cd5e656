"""How long calls wait for their ends, by who is called: measured only where metrics are wanted.

It stands where the replies note their deadlines (routing/replies.py), and hands those on: so
calls cost nothing more where nobody measures.
"""

import time
from collections.abc import Callable
from typing import Final, final

from bridge.routing.client import Client
from bridge.transport.deadlines import Deadlines
from bridge.transport.histogram import Histogram

Awaited = tuple[int, Client, int]  # the caller's number, the callee, the call's serial

BOUNDS: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 25.0)
MOST: Final = 256  # callees that have a histogram of their own


@final
class Latency:
    """`label` says under which name a callee is known; `seconds` has a histogram for each such,
    the rest in that of `other`. `deadlines` are told, too, if there are any."""

    def __init__(self, label: Callable[[Client], str], other: str) -> None:
        self.label = label
        self.other = other
        self.deadlines: Deadlines[Awaited] | None = None
        self.begun: dict[Awaited, float] = {}
        self.seconds: dict[str, Histogram] = {other: Histogram(BOUNDS)}

    def add(self, call: Awaited) -> None:
        """A call is on its way."""
        self.begun[call] = time.monotonic()
        if self.deadlines is not None:
            self.deadlines.add(call)

    def discard(self, call: Awaited) -> None:
        """It was answered, or never will be."""
        begun = self.begun.pop(call, None)
        if begun is not None:
            self.histogram(self.label(call[1])).observe(time.monotonic() - begun)
        if self.deadlines is not None:
            self.deadlines.discard(call)

    def histogram(self, name: str) -> Histogram:
        """The one for this name."""
        if name not in self.seconds:
            if len(self.seconds) > MOST:
                return self.seconds[self.other]
            self.seconds[name] = Histogram(BOUNDS)
        return self.seconds[name]
