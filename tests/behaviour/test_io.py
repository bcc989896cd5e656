"""One client's pace is its own: slow readers, floods, storms (contract E.57, E.58, E.63)."""

from __future__ import annotations

import threading
import time

import pytest

from tests.buses import Bus
from tests.pace import stopwatch
from tests.raw import CALL, DRIVER, SIGNAL, Client, Closed, build, call_fields

SOON = 1.0  # seconds; an answer takes well under a millisecond on an idle bus


def slowest_answer(bus: Bus, client: Client, seconds: float) -> float:
    """The longest that a call to the bus took during this time."""
    worst, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        taken = stopwatch(bus.pid)
        client.ask("GetId")
        worst = max(worst, taken())
    return worst


@pytest.mark.parametrize("broadcast", [True, False])
def test_a_client_that_does_not_read_delays_nobody(
    bus: Bus, a: Client, b: Client, broadcast: bool
) -> None:
    deaf = bus.connect()
    deaf.match("member=S")
    b.match("member=S")
    for _ in range(400):
        a.signal("S", "s", "x" * 50_000, to=None if broadcast else deaf.name)
        a.ask("GetId")
    assert slowest_answer(bus, a, 0.1) < SOON
    if broadcast:
        assert len(b.take()) == 400
    assert len(deaf.take()) == 400


def test_a_slow_reader_gets_everything_in_order(bus: Bus, a: Client) -> None:
    slow = bus.connect()
    for number in range(300):
        a.signal("S", "us", number, "x" * 20_000, to=slow.name)
    a.take()
    assert [slow.next().args[0] for _ in range(300)] == list(range(300))


def test_a_flood_does_not_starve_the_others(bus: Bus, a: Client) -> None:
    """Input of one client is read in turn with the others'."""
    flooder = bus.connect()
    one = build(SIGNAL, 5, call_fields(None, "/t", "t.T", "Nobody"), "s", ["x" * 100])
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            flooder.sock.sendall(one * 500)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        assert slowest_answer(bus, a, 0.5) < SOON
    finally:
        stop.set()
        thread.join()
    assert flooder.is_open()


def test_calls_to_the_bus_whose_answers_nobody_reads(bus: Bus, a: Client) -> None:
    deaf = bus.connect()
    one = build(CALL, 5, call_fields(DRIVER, "/", DRIVER, "ListNames"))
    deaf.sock.sendall(one * 2000)
    assert slowest_answer(bus, a, 0.1) < SOON
    deaf.close()
    a.until_gone(deaf.name)


def test_many_clients_come_and_go(bus: Bus, a: Client) -> None:
    a.take()
    before = bus.usage()[1]
    for _ in range(3):
        crowd = [bus.connect() for _ in range(200)]
        for each in crowd:
            each.signal("S", to=a.name)
        assert len({a.next().sender for _ in crowd}) == 200
        for each in crowd:
            each.close()
    a.until(lambda: bus.usage()[1] == before)


def test_a_stream_of_partial_messages_from_many(bus: Bus, a: Client) -> None:
    """Everybody is in the middle of a message, and each is finished later."""
    crowd = [bus.connect() for _ in range(50)]
    messages = [
        build(SIGNAL, 9, call_fields(a.name, "/t", "t.T", "S"), "us", [n, "x" * 3000])
        for n in range(len(crowd))
    ]
    for each, data in zip(crowd, messages, strict=True):
        each.write(data[: 1 + len(data) // 3])
    for each, data in zip(crowd, messages, strict=True):
        each.write(data[1 + len(data) // 3 :])
    assert sorted(a.next().args[0] for _ in crowd) == list(range(50))


def test_memory_of_a_dead_reader_is_given_back(bus: Bus, a: Client) -> None:
    deaf = bus.connect()
    for _ in range(200):
        a.signal("S", "s", "x" * 100_000, to=deaf.name)
    a.take()
    full = bus.usage()[0]
    deaf.close()
    a.until_gone(deaf.name)
    for _ in range(200):
        a.signal("S", "s", "x" * 100_000, to=a.name)
        a.receive("S")
    assert bus.usage()[0] < full + 10_000_000


def test_writing_to_a_bus_that_hung_up(bus: Bus, a: Client) -> None:
    bad = bus.connect()
    bad.write(b"\0" * 16)
    with pytest.raises(Closed):
        bad.wait(lambda message: False)
    assert a.is_open()
