"""What is not discarded in time expires: once, oldest first, on one timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bridge.transport.deadlines import Deadlines


class Timer:
    def __init__(self, due: float, function: Callable[[], None]) -> None:
        self.due, self.function, self.cancelled = due, function, False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """An event loop's clock; it stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Timer] = []
        self.most = 0

    def time(self) -> float:
        return self.now

    def call_at(self, due: float, function: Callable[[], None]) -> Timer:
        self.timers.append(Timer(due, function))
        self.most = max(self.most, sum(not timer.cancelled for timer in self.timers))
        return self.timers[-1]

    def go(self, seconds: float) -> None:
        """In steps, as a loop that has nothing else to do."""
        end = self.now + seconds
        while due := [t for t in self.timers if t.due <= end and not t.cancelled]:
            timer = min(due, key=lambda t: t.due)
            self.now = max(self.now, timer.due)
            self.timers.remove(timer)
            timer.function()
        self.now = end


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def expired() -> list[int]:
    return []


@pytest.fixture
def deadlines(clock: Any, expired: list[int]) -> Deadlines[int]:
    return Deadlines(clock, 10, expired.append)


def test_everything_has_its_own_time(
    clock: Clock, deadlines: Deadlines[int], expired: list[int]
) -> None:
    for thing in (3, 1, 2):
        deadlines.add(thing)
        clock.go(1)
    assert (len(deadlines), expired) == (3, [])
    clock.go(6.9)
    assert expired == []
    clock.go(0.1)
    assert expired == [3]
    clock.go(1)
    assert expired == [3, 1]
    clock.go(100)
    assert (len(deadlines), expired) == (0, [3, 1, 2])
    assert (clock.timers, clock.most) == ([], 1)


def test_what_is_over_in_time_does_not_expire(
    clock: Clock, deadlines: Deadlines[int], expired: list[int]
) -> None:
    for thing in (1, 2, 3):
        deadlines.add(thing)
    for thing in (1, 3, 3, 99):
        deadlines.discard(thing)
    assert len(deadlines) == 1
    clock.go(100)
    assert expired == [2]


def test_adding_again_does_not_prolong(
    clock: Clock, deadlines: Deadlines[int], expired: list[int]
) -> None:
    deadlines.add(1)
    clock.go(9)
    deadlines.add(1)
    clock.go(1)
    assert expired == [1]


def test_a_number_that_is_used_again_begins_anew(
    clock: Clock, deadlines: Deadlines[int], expired: list[int]
) -> None:
    """Descriptors are: the timer of the first is still running when the second comes."""
    deadlines.add(1)
    clock.go(9)
    deadlines.discard(1)
    deadlines.add(1)
    clock.go(9)
    assert expired == []
    clock.go(1)
    assert expired == [1]


def test_what_the_end_of_another_ended_does_not_expire(clock: Any) -> None:
    """Dropping one connection may make another fail, whose time is over, too."""
    ended = []

    def expire(thing: int) -> None:
        ended.append(thing)
        times.discard(2)
        times.add(4)

    times = Deadlines(clock, 10, expire)
    for thing in (1, 2, 3):
        times.add(thing)
    clock.go(10)
    assert ended == [1, 3]
    clock.go(10)
    assert ended == [1, 3, 4]


def test_after_the_end_nothing_expires(
    clock: Clock, deadlines: Deadlines[int], expired: list[int]
) -> None:
    deadlines.stop()
    deadlines.add(1)
    deadlines.stop()
    clock.go(100)
    assert (expired, len(deadlines)) == ([], 0)


def test_another_time_for_all(clock: Clock, deadlines: Deadlines[int], expired: list[int]) -> None:
    """As if it had been so always: longer, shorter, and over at once."""
    deadlines.add(1)
    clock.go(5)
    deadlines.add(2)
    deadlines.change(20)
    clock.go(14)
    assert expired == []
    clock.go(1)
    assert expired == [1]
    deadlines.add(3)
    deadlines.change(3)
    assert expired == [1]
    clock.go(0)
    assert expired == [1, 2]
    clock.go(3)
    assert expired == [1, 2, 3]
    assert clock.most == 1
