"""Where tasks wait for room or for a message, first come first served. It knows neither."""

import asyncio
from collections import deque


class Turnstile:
    """One `wake` lets one task through, or the next one if that one was cancelled meanwhile."""

    __slots__ = ("loop", "queue")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.queue: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        turn = self.loop.create_future()
        self.queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.wake()  # it was this one's turn already: the next one's, then
            elif turn in self.queue:
                self.queue.remove(turn)
            raise

    def wake(self) -> None:
        while self.queue:
            turn = self.queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def wake_all(self) -> None:
        while self.queue:
            self.wake()
