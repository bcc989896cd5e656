"""What starting services needs of the loop: clocks and processes. It knows no services.

What it calls back may send messages, so that queues are flushed afterwards, as after what comes
from a socket.
"""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import final

from bridge.activation import failures
from bridge.transport.children import Child, Children
from bridge.transport.spawn import CannotFork


@final
class Workshop:
    """One bus's clocks and processes. `flush` is called after all that happens by itself."""

    def __init__(
        self, loop: AbstractEventLoop, children: Children, flush: Callable[[], None]
    ) -> None:
        self.loop = loop
        self.children = children
        self.flush = flush

    def now(self) -> float:
        """Seconds on the loop's clock."""
        return self.loop.time()

    def later(self, seconds: float, then: Callable[[], None]) -> TimerHandle:
        """Call it then, once."""
        return self.loop.call_later(seconds, self.do, then)

    def start(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        ended: Callable[[int], None],
        name: str,
    ) -> Child:
        """Start a program under this name in the log. Raises OSError if it cannot be executed,
        Refused if there can be no process."""

        def over(status: int) -> None:
            self.do(partial(ended, status))

        try:
            return self.children.start(words, environment, over, name)
        except CannotFork as error:
            raise failures.not_forked(name, error) from None

    def do(self, what: Callable[[], None]) -> None:
        """Something happens now."""
        what()
        self.flush()
