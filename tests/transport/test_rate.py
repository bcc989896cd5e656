"""Nobody connects more often than the rate, at whatever times; and nobody less often is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.transport.rate import MANY, Bucket, Doorkeeper
from policy.configuration import Rate


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    keeper = Doorkeeper(Rate(2, 5))
    assert [keeper.refuses(7, 100.0) for _ in range(8)] == [0, 0, 0, 0, 0, 1, 2, 3]
    assert [keeper.refuses(7, 101.0) for _ in range(3)] == [0, 0, 4]
    assert [keeper.refuses(7, 1000.0) for _ in range(6)] == [0, 0, 0, 0, 0, 5]


def test_each_user_has_its_own() -> None:
    keeper = Doorkeeper(Rate(1, 1))
    assert [keeper.refuses(uid, 0.0) for uid in (1, 2, None, 1, 2, None)] == [0, 0, 0, 1, 1, 1]


def test_without_a_rate_all_may_come() -> None:
    keeper = Doorkeeper(None)
    assert [keeper.refuses(1, 0.0) for _ in range(100)] == [0] * 100


def test_another_rate_holds_at_once() -> None:
    keeper = Doorkeeper(Rate(1, 1))
    assert [keeper.refuses(1, 0.0) for _ in range(2)] == [0, 1]
    keeper.adopt(Rate(1, 1))
    assert keeper.refuses(1, 0.0) == 2
    keeper.adopt(Rate(1, 3))
    assert [keeper.refuses(1, 0.0) for _ in range(4)] == [0, 0, 0, 1]
    keeper.adopt(None)
    assert keeper.refuses(1, 0.0) == 0


def test_who_has_not_come_for_long_costs_nothing() -> None:
    keeper = Doorkeeper(Rate(1, 1))
    for uid in range(MANY + 10):
        keeper.refuses(uid, float(uid))
    assert len(keeper.buckets) < MANY


def test_many_users_who_come_at_once_are_not_looked_through_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill, filled = Bucket.fill, 0

    def count(bucket: Bucket, rate: Rate, now: float) -> None:
        nonlocal filled
        filled += 1
        fill(bucket, rate, now)

    monkeypatch.setattr(Bucket, "fill", count)
    keeper = Doorkeeper(Rate(1, 2))
    for uid in range(10 * MANY):
        assert keeper.refuses(uid, 0.0) == 0
    assert filled < 3 * 10 * MANY
    for uid in range(30 * MANY):
        keeper.refuses(uid, 1000.0 + uid)
    assert len(keeper.buckets) < 20 * MANY


@given(
    st.floats(0.1, 100),
    st.integers(1, 20),
    st.lists(st.floats(0, 3), min_size=1, max_size=200),
)
def test_over_any_time_there_are_no_more_than_the_rate(
    per_second: float, burst: int, pauses: list[float]
) -> None:
    keeper, now, came = Doorkeeper(Rate(per_second, burst)), 0.0, list[float]()
    for pause in pauses:
        now += pause
        if not keeper.refuses(1, now):
            came.append(now)
    for first in range(0, len(came), 7):
        for last in range(first, len(came)):
            most = burst + (came[last] - came[first]) * per_second
            assert last - first + 1 <= most + 1e-6
