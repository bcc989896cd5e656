"""Things that must be over in time, oldest first, on one timer. Knows not what they are."""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Iterator
from typing import final


@final
class Deadlines:
    """Every thing, a number, gets the same time; those that are not discarded expire."""

    def __init__(
        self, loop: AbstractEventLoop, seconds: float, expire: Callable[[int], None]
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._expire = expire
        self._due: dict[int, float] = {}  # in the order of being added, so the first is due first
        self._timer: TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def __iter__(self) -> Iterator[int]:
        return iter(self._due)

    def add(self, thing: int) -> None:
        """Its time begins now, or goes on if it was there already."""
        self._due.setdefault(thing, self._loop.time() + self._seconds)
        self._arm()

    def discard(self, thing: int) -> None:
        """It is over, if it was there."""
        self._due.pop(thing, None)

    def stop(self) -> None:
        """Nothing expires any more."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is None and self._due:
            self._timer = self._loop.call_at(next(iter(self._due.values())), self._check)

    def _check(self) -> None:
        self._timer = None
        now = self._loop.time()
        late = [thing for thing, due in self._due.items() if due <= now]
        for thing in late:
            if self._due.pop(thing, None) is not None:  # else the end of one before was its own
                self._expire(thing)
        self._arm()
