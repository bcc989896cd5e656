"""Which message a reply answers; and what waits for one is bounded."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.cli.monitor.names import MOST, Names
from bridge.cli.monitor.pairs import COST, ROOM, Event, Pairs
from bridge.cli.monitor.tally import Tally, span
from bridge.cli.reading import Reader
from tests.raw import (
    CALL,
    DESTINATION,
    DRIVER,
    ERROR,
    ERROR_NAME,
    MEMBER,
    PATH,
    REPLY_SERIAL,
    RETURN,
    SENDER,
    SIGNAL,
    build,
    call_fields,
)

DENIED = "org.freedesktop.DBus.Error.AccessDenied"
reader = Reader()


@pytest.fixture
def pairs() -> Pairs:
    return Pairs(keep=False)


def call(pairs: Pairs, serial: int, moment: float = 0.0, **more: Any) -> Event:
    fields = [(PATH, "/"), (MEMBER, "Ask"), (DESTINATION, "x.Y"), (SENDER, ":1.1")]
    event = pairs.pair(reader.read(build(CALL, serial, fields, **more), (0.0, moment)))
    assert event.asked
    event.asked.shown = True
    return event


def answer(pairs: Pairs, serial: int, moment: float = 0.0, error: str = "", of: str = "") -> Event:
    fields: list[tuple[int, Any]] = [(REPLY_SERIAL, serial), (DESTINATION, ":1.1")]
    fields += [(SENDER, of or ":1.2"), *([(ERROR_NAME, error)] if error else [])]
    raw = build(ERROR if error else RETURN, 9, fields)
    return pairs.pair(reader.read(raw, (0.0, moment)))


def test_a_reply_belongs_to_one_call(pairs: Pairs) -> None:
    call(pairs, 5, 1.0)
    call(pairs, 6, 2.0)
    assert pairs.unanswered() == 2
    assert answer(pairs, 6, 4.5).latency() == 2.5
    assert answer(pairs, 6).latency() is None
    assert answer(pairs, 7).answers is None
    assert answer(pairs, 5, 1.5).latency() == 0.5
    assert pairs.unanswered() == 0


def test_only_the_bus_denies(pairs: Pairs) -> None:
    assert answer(pairs, 1, error=DENIED, of=DRIVER).verdict() == "denied"
    assert answer(pairs, 1, error=DENIED).verdict() == "error"
    assert answer(pairs, 1, error="x.Other", of=DRIVER).verdict() == "error"
    assert answer(pairs, 1).verdict() == "answered"
    assert call(pairs, 1).verdict() is None


def test_the_reply_to_hello(pairs: Pairs) -> None:
    """It goes to the name that it gives; who says Hello has none."""
    hello = [*call_fields(DRIVER, "/", DRIVER, "Hello"), (SENDER, ":not.active.yet")]
    event = pairs.pair(reader.read(build(CALL, 1, hello), (0.0, 1.0)))
    assert event.asked
    event.asked.shown = True
    assert answer(pairs, 1, 1.5).answers is None  # of another client, to a call not seen
    assert (answer(pairs, 1, 1.5, of=DRIVER).latency(), pairs.unanswered()) == (0.5, 0)


def test_a_denied_signal_is_found(pairs: Pairs) -> None:
    fields = [*call_fields("x.Y", "/", "t.T", "Said"), (SENDER, ":1.1")]
    pairs.pair(reader.read(build(SIGNAL, 3, fields), (0.0, 0.0)))
    event = answer(pairs, 3, error=DENIED, of=DRIVER)
    assert event.answers
    assert (event.answers.member, pairs.unanswered()) == ("Said", 0)


def test_calls_that_nobody_answers_are_forgotten_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.cli.monitor.pairs.ROOM", 1000 * COST + 1)
    pairs = Pairs(keep=False)
    for serial in range(1, 1101):
        call(pairs, serial)
    assert len(pairs.calls.entries) == 1000
    assert pairs.unanswered() == 1100
    assert answer(pairs, 100).answers is None
    assert answer(pairs, 101).answers is not None


def test_kept_messages_count_with_their_bytes() -> None:
    pairs = Pairs(keep=True)
    for serial in range(1, 51):
        call(pairs, serial, signature="ay", args=[bytes(1_000_000)])
    assert 30 < len(pairs.calls.entries) < 35
    assert pairs.calls.held <= ROOM


def test_a_serial_that_is_used_again(pairs: Pairs) -> None:
    call(pairs, 5, 1.0)
    call(pairs, 5, 2.0)
    assert answer(pairs, 5, 3.0).latency() == 1.0
    assert pairs.unanswered() == 1


def test_names_are_bounded() -> None:
    names = Names()
    for number in range(MOST + 10):
        names.settle(f"x.N{number}", "", ":1.1")
    assert len(names.of(":1.1")) == len(names.owners) == MOST


def test_names_change_hands() -> None:
    names = Names()
    names.settle("x.A", "", ":1.1")
    names.settle("x.B", "", ":1.1")
    names.settle("x.A", ":1.1", ":1.2")
    assert (names.of(":1.1"), names.of(":1.2")) == (["x.B"], ["x.A"])
    assert names.same("x.A", ":1.2")
    assert not names.same("x.A", "x.B")
    assert names.same("x.Nobody", "x.Nobody")
    assert not names.same(None, "x.A")
    names.settle("x.A", ":1.2", "")
    assert (names.owner("x.A"), names.of(":1.2"), names.owner(":1.2")) == (None, (), ":1.2")


def test_latencies_in_a_bounded_space(pairs: Pairs) -> None:
    tally = Tally()
    for serial in range(1, 1001):
        tally.count(call(pairs, serial))
        tally.count(answer(pairs, serial, serial / 1000))
    assert tally.quantile(0.5) == pytest.approx(0.5, rel=0.01)
    assert tally.quantile(0.99) == pytest.approx(0.99, rel=0.01)
    assert len(tally.latencies) < 1000
    words = tally.words(0, 2.0)
    assert words.startswith("2000 messages in 2.0 s: 1000 calls, 1000 replies, 0 errors (0 denied)")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.23e-5, "12 us"), (0.0012345, "1.23 ms"), (0.25, "250 ms"), (0.9996, "1.00 s")],
)
def test_times_for_people(seconds: float, text: str) -> None:
    assert span(seconds) == text
