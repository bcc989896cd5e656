"""Things that must be over in time, oldest first, on one timer. Knows not what they are."""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar, final

T = TypeVar("T", bound=Hashable)


@final
class Deadlines(Generic[T]):
    """Every thing gets the same time; those that are not discarded expire."""

    def __init__(
        self, loop: AbstractEventLoop, seconds: float, expire: Callable[[T], None]
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._expire = expire
        self._due: dict[T, float] = {}  # in the order of being added, so the first is due first
        self._timer: TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def __iter__(self) -> Iterator[T]:
        return iter(self._due)

    def add(self, thing: T) -> None:
        """Its time begins now, or goes on if it was there already."""
        self._due.setdefault(thing, self._loop.time() + self._seconds)
        self._arm()

    def discard(self, thing: T) -> None:
        """It is over, if it was there."""
        self._due.pop(thing, None)

    def change(self, seconds: float) -> None:
        """Everything gets another time, what is here already as if it had been so always."""
        later = seconds - self._seconds
        if not later:
            return
        self._seconds = seconds
        self._due = {thing: due + later for thing, due in self._due.items()}
        self._disarm()
        self._arm()

    def stop(self) -> None:
        """Nothing expires any more."""
        self._due.clear()
        self._disarm()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

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
