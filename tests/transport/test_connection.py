"""One client's socket: whole messages out of any pieces, in order, and its faults its own."""

from __future__ import annotations

import os
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.raw import (
    CALL,
    DRIVER,
    SIGNAL,
    UNIX_FDS,
    Client,
    Closed,
    build,
    call_fields,
)
from tests.transport.running import Running, unread

Make = Callable[..., Running]


def signal(to: str | None, number: int, size: int = 0, fds: int = 0, serial: int = 9) -> bytes:
    fields = call_fields(to, "/t", "t.T", "S")
    return build(
        SIGNAL, serial, [*fields, (UNIX_FDS, fds)] if fds else fields, "us", [number, "x" * size]
    )


def texts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def who(client: Client) -> str:
    with open("/proc/self/comm") as file:
        return f'{client.name} (uid={os.geteuid()} pid={os.getpid()} comm="{file.read().strip()}")'


# ---------------------------------------------------------------------------- reading


@pytest.mark.parametrize("size", [1, 7, 100, 4096, 1 << 20])
def test_messages_may_come_in_any_pieces(a: Client, b: Client, size: int) -> None:
    data = b"".join(signal(b.name, number, 100 * number) for number in range(4))
    for at in range(0, len(data), size):
        a.sock.sendall(data[at : at + size])
    assert [b.next().args for _ in range(4)] == [[n, "x" * 100 * n] for n in range(4)]


def test_a_big_message_is_passed_on_whole(a: Client, b: Client) -> None:
    thread = threading.Thread(target=a.write, args=[signal(b.name, 1, 3_000_000)])
    thread.start()
    assert b.next().args == [1, "x" * 3_000_000]
    thread.join()


def test_input_is_read_in_turn(here: Running, a: Client, b: Client, c: Client) -> None:
    """Who has sent a lot gives way to others between two reads."""
    stop = threading.Event()

    def flood() -> None:
        data = signal(c.name, 0, 1000) * 100
        while not stop.is_set():
            a.sock.sendall(data)

    def listen() -> None:
        while not stop.is_set():
            seen.append(c.next().args[0])
            if seen[-1]:
                stop.set()

    seen: list[int] = []
    threads = [threading.Thread(target=target) for target in (flood, listen)]
    for thread in threads:
        thread.start()
    b.sock.sendall(signal(c.name, 1))
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert seen[-1] == 1


def test_what_came_before_the_end_is_heard(a: Client, b: Client) -> None:
    a.sock.sendall(signal(b.name, 1) + signal(b.name, 2) + signal(b.name, 3)[:-1])
    a.close()
    assert [b.next().args[0] for _ in range(2)] == [1, 2]
    b.until_gone(a.name)
    assert b.seen() == []


def test_who_closes_only_its_own_direction_gets_its_answers(here: Running, a: Client) -> None:
    with here.held():
        serials = [a.call("GetId") for _ in range(3)]
        a.sock.shutdown(socket.SHUT_WR)
    assert [message.reply_to for message in a.rest()] == serials


def test_a_half_closed_client_gets_all_that_is_queued(here: Running, a: Client) -> None:
    """However long it takes it to read, and the bus writes it in pieces."""
    here.narrow(a)
    serials = [a.call("ListNames") for _ in range(3000)]
    a.sock.shutdown(socket.SHUT_WR)
    assert [message.reply_to for message in a.rest()] == serials


def test_a_half_closed_client_that_goes_is_gone(here: Running, a: Client, b: Client) -> None:
    here.narrow(a)
    for _ in range(3000):
        a.call("ListNames")
    a.sock.shutdown(socket.SHUT_WR)
    assert b.ask("NameHasOwner", "s", a.name).args == [1]
    a.close()
    b.until_gone(a.name)


def test_what_a_client_sent_before_it_went_is_not_lost_with_what_it_did_not_read(
    here: Running, a: Client, b: Client
) -> None:
    """The bus finds out that it cannot write before it has read."""
    a.match("member=S")
    b.match("member=T")
    with here.held():
        b.signal("S")
        a.signal("T", "s", "last words")
        a.close()
    assert b.receive("T").args == ["last words"]
    b.until_gone(a.name)


def test_a_flood_of_signals_lets_others_be_served(here: Running, a: Client, b: Client) -> None:
    """One buffer of signals to many: somebody else's answer does not come after all of them."""
    crowd = [here.connect() for _ in range(100)]
    for each in crowd:
        each.match("member=S")
    last, asking = here.client(crowd[-1]), here.client(b)
    hub: Any = here.server.hub
    driver, clocks = hub.driver, []

    class Watching:
        """How far the flood has come when the other one is served."""

        leaving = driver.leaving
        local = driver.local

        @staticmethod
        def call(client: Any, frame: Any) -> None:
            if client is asking:
                clocks.append(last.peer.queue.clock)
            driver.call(client, frame)

    hub.driver = Watching
    flood = b"".join(build(4, n, call_fields(None, "/t", "t.T", "S")) for n in range(1, 1501))
    with here.held():
        a.write(flood)
        serial = b.call("GetId")
    b.answer(serial)
    a.take()
    assert clocks[0] < here.do(lambda: last.peer.queue.clock)
    assert [m.member for m in crowd[-1].take() if m.member == "S"] == ["S"] * 1500


def test_a_connection_that_rests_is_resumed_once_a_turn(here: Running, a: Client) -> None:
    """What comes meanwhile must not make it do more than its share of each turn: there is more
    than fits into the socket, so that this is readable all the time."""
    server: Any = here.server
    waiting: list[int] = [0]
    most: list[int] = []

    def soon(connection: Any) -> None:
        waiting[0] += 1
        most.append(waiting[0])
        here.loop.call_soon(resume, connection)

    def resume(connection: Any) -> None:
        waiting[0] -= 1
        connection.resume()

    server.soon = soon
    calls = [build(CALL, n, call_fields(DRIVER, "/", DRIVER, "GetId")) for n in range(1, 8001)]
    a.write(b"".join(calls))
    assert [a.next().reply_to for _ in calls] == list(range(1, 8001))
    assert len(most) > 3
    assert set(most) == {1}


# ---------------------------------------------------------------------------- writing


def test_what_does_not_fit_is_written_later(here: Running, a: Client, b: Client) -> None:
    """In pieces that end anywhere in a message: each goes on where it ended."""
    here.narrow(b)
    sizes = [(number * 7919) % 20_000 for number in range(200)]
    for number, size in enumerate(sizes):
        a.write(signal(b.name, number, size))
    assert a.is_open()
    assert here.client(b).peer.query().queued > 0
    for number, size in enumerate(sizes):
        assert b.next().args == [number, "x" * size]
    assert here.client(b).peer.query()[1:] == (0, 0, 1, 0, 1, 0)


def test_unread_answers_cost_no_descriptors(here: Running, a: Client, b: Client) -> None:
    """Each carries a ProcessFD, where the kernel has one: all the same."""
    here.narrow(a)
    before = here.descriptors()
    for _ in range(200):
        a.call("GetConnectionCredentials", "s", a.name)
    here.until(lambda: here.server.hub.names.owner(a.name).peer.query().queued > 50)
    assert b.is_open()
    assert here.descriptors() == before


def test_each_message_with_descriptors_has_its_own_time(
    here: Running, a: Client, b: Client
) -> None:
    """A steady stream is never whole when it is looked at, and is not late for that."""
    fd = os.open(os.devnull, os.O_RDONLY)
    whole = signal(b.name, 1, fds=1)
    due: list[float] = []
    a.write(whole[:-4], [fd])
    for _ in range(3):
        here.until(lambda: len(here.server.partial) == 1)
        due += here.do(lambda: list(here.server.partial._due.values()))
        time.sleep(0.01)  # its clock counts milliseconds
        with here.held():
            a.write(whole[-4:])
            a.write(whole[:-4], [fd])
        b.next()
    os.close(fd)
    assert due == sorted(set(due))
    assert len(due) == 3


def test_descriptors_come_once_with_the_first_byte(here: Running, a: Client, b: Client) -> None:
    here.narrow(b)
    pipes = [os.pipe() for _ in range(6)]
    for number, (_, write) in enumerate(pipes):
        a.write(signal(b.name, number, 30_000, fds=number % 3), [write] * (number % 3))
    for number, (read, write) in enumerate(pipes):
        message = b.next()
        assert (message.args[0], len(message.fds)) == (number, number % 3)
        for fd in message.fds:
            os.write(fd, b"x")
            assert os.read(read, 9) == b"x"
        for fd in (read, write, *message.fds):
            os.close(fd)
    assert b.fds == []


@pytest.mark.parametrize("size", [100, 10_000, 30_000])
def test_descriptors_of_two_messages_are_not_confused(
    here: Running, a: Client, b: Client, size: int
) -> None:
    """The second comes in one piece with the end of the first, whose own came long ago."""
    pipes = [os.pipe() for _ in range(2)]
    first, second = (signal(b.name, number, size, fds=1) for number in range(2))
    a.write(first[:50], [pipes[0][1]])
    here.until(lambda: len(here.server.partial) == 1)
    with here.held():
        a.write(first[50:])
        a.write(second, [pipes[1][1]])
    for number, (read, write) in enumerate(pipes):
        message = b.next()
        assert message.args[0] == number
        os.write(message.fds[0], b"x")
        assert os.read(read, 9) == b"x"
        for fd in (read, write, *message.fds):
            os.close(fd)
    here.until(lambda: len(here.server.partial) == 0)


@pytest.mark.parametrize("size", [100, 30_000])
def test_descriptors_that_are_repeated_are_closed(
    here: Running, a: Client, b: Client, size: int
) -> None:
    """sd-bus sends them with every part of a message that it writes in several."""
    read, write = os.pipe()
    before = here.descriptors()
    data = signal(b.name, 1, size, fds=1)
    with here.held():
        for part in (data[:10], data[10:60], data[60:]):
            a.write(part, [write])
        a.write(signal(b.name, 2, fds=1), [write])
    for number in (1, 2):
        message = b.next()
        assert (message.args[0], len(message.fds)) == (number, 1)
        os.close(message.fds[0])
    assert b.fds == []
    assert here.descriptors() == before
    assert a.is_open()
    for fd in (read, write):
        os.close(fd)


def test_a_client_that_does_not_read_delays_nobody(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left out of broadcasts and named in the log; what it was sent before stays intact."""
    here = make(max_outgoing_messages=50)
    a, b, stuck = (here.connect() for _ in range(3))
    for each in (b, stuck):
        each.match("member=S")
    stuck.own("com.example.Stuck")
    stuck.take()
    here.narrow(stuck)
    for number in range(300):
        a.write(signal(None, number, 2000))
        assert b.next().args[0] == number
    dropped = here.client(stuck).dropped
    assert 0 < dropped < 300
    assert texts(caplog) == [
        who(stuck).replace(" ", " com.example.Stuck ", 1)
        + f" does not read: {1 << power} messages to it dropped, the last from {a.name}"
        for power in range(dropped.bit_length())
    ]
    assert [stuck.next().args[0] for _ in range(300 - dropped)] == list(range(300 - dropped))
    a.write(signal(None, 999))
    assert stuck.next().args[0] == 999
    assert stuck.is_open()


def test_who_only_looks_on_is_written_to_when_others_have_what_they_wait_for(
    here: Running, a: Client, b: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the monitor is shown the message before its receiver gets it."""
    monitor = here.connect()
    monitor.ask("BecomeMonitor", "asu", [], 0, interface="org.freedesktop.DBus.Monitoring")
    others_have: list[bool] = []

    def begin_moment(_connection: object) -> None:
        others_have.append(bool(select.select([b.sock], [], [], 0)[0]))

    b.take()
    time.sleep(0.1)  # the moment of what the monitor has seen so far is over
    monkeypatch.setattr(here.server, "collect", begin_moment)
    a.sock.sendall(signal(b.name, 1))
    here.until(lambda: others_have != [])
    assert others_have == [True]


def test_a_unicast_to_who_does_not_read_is_refused(make: Make) -> None:
    here = make(max_outgoing_messages=50)
    a, stuck = here.connect(), here.connect()
    here.narrow(stuck)
    answers = []
    for number in range(300):
        a.write(signal(stuck.name, number, 2000, serial=number + 1000))
        if number % 20 == 19:  # it reads: what waits for it is limited, too
            answers += a.take()
    assert {str(message) for message in answers} == {"!LimitsExceeded"}
    count = 300 - len(answers)
    assert [message.reply_to - 1000 for message in answers] == list(range(count, 300))
    assert [stuck.next().args[0] for _ in range(count)] == list(range(count))
    assert stuck.is_open()


def test_bytes_are_limited_too(make: Make) -> None:
    here = make(max_outgoing_bytes=300_000)
    a, stuck = here.connect(), here.connect()
    here.narrow(stuck)
    for number in range(20):
        a.write(signal(stuck.name, number, 50_000))
    refused = len(a.take())
    assert 13 <= refused <= 15
    assert [stuck.next().args[0] for _ in range(20 - refused)] == list(range(20 - refused))
    assert stuck.is_open()


def test_who_left_without_reading_leaves_nothing(here: Running, a: Client, b: Client) -> None:
    here.narrow(b)
    for number in range(100):
        a.write(signal(b.name, number, 10_000))
    a.call("M", to=b.name)
    client = here.client(b)
    user = client.peer.user
    b.close()
    assert str(a.next()) == "!NoReply"
    a.until_gone(b.name)
    assert here.do(lambda: (user.bytes, user.messages)) == (0, 0)


# ------------------------------------------------------------------------- its faults

BROKEN: dict[str, tuple[bytes, str]] = {
    "no message": (b"\0" * 16, "."),
    "half a message, then nonsense": (signal(":1.0", 1) + b"nonsense" * 2, "."),
    "too long": (struct.pack("<BBBBIII", ord("l"), 4, 0, 1, 2**31, 1, 0), "."),
    "a missing descriptor": (signal(":1.0", 1, fds=1), "."),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("hello", [True, False])
def test_broken_input_ends_its_client_with_a_reason(
    here: Running, a: Client, caplog: pytest.LogCaptureFixture, case: str, hello: bool
) -> None:
    data, reason = BROKEN[case]
    bad = here.connect(hello=hello)
    bad.write(data)
    bad.rest()
    name = who(bad) if hello else f"a connection without a name ({who(bad)[2:-1]})"
    (text,) = texts(caplog)
    assert re.fullmatch(f"Disconnecting {re.escape(name)}: {reason}+", text)
    assert a.is_open()
    if hello:
        a.until_gone(bad.name)


def test_what_was_whole_before_it_is_heard(a: Client, b: Client) -> None:
    a.sock.sendall(signal(b.name, 1) + b"\0" * 16)
    assert b.next().args[0] == 1
    b.until_gone(a.name)


def test_speaking_to_others_before_hello_ends_it(
    here: Running, a: Client, caplog: pytest.LogCaptureFixture
) -> None:
    bad = here.connect(hello=False)
    bad.signal("S", to=a.name)
    assert bad.rest() == []
    assert texts(caplog)[0].endswith(": it sent a message to others before Hello")
    assert a.seen() == []


def test_more_descriptors_than_allowed_end_it(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    here = make(max_message_unix_fds=2)
    a, bad = here.connect(), here.connect()
    a.write(signal(a.name, 1, fds=2), [0, 0])
    for fd in a.next().fds:
        os.close(fd)
    before = here.descriptors()
    bad.write(signal(a.name, 1, fds=3), [0, 0, 0])
    bad.rest()
    assert texts(caplog)[0].startswith(f"Disconnecting {who(bad)}: ")
    assert here.descriptors() < before
    assert a.is_open()


class Faulty:
    """A driver with a mistake in one of its methods, or in what it does when somebody leaves."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.local = driver.local
        self.victim = ""

    def call(self, client: Any, frame: Any) -> None:
        if frame.member() == "Mistake":
            raise RuntimeError("a mistake of ours")
        self.driver.call(client, frame)

    def leaving(self, client: Any) -> Any:
        return self.driver.leaving(client)


def test_a_mistake_of_the_bus_ends_only_who_met_it(
    here: Running, a: Client, b: Client, caplog: pytest.LogCaptureFixture
) -> None:
    hub = here.server.hub
    here.do(lambda: setattr(hub, "driver", Faulty(hub.driver)))
    a.match(f"arg0={b.name}")
    b.call("Mistake")
    assert b.rest() == []
    assert str(a.next()) == f"NameOwnerChanged({b.name},{b.name},)"
    (record,) = caplog.records
    assert record.getMessage() == f"Disconnecting {who(b)} after an error of the bus itself"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)
    assert a.is_open()
    here.connect()


def test_who_hangs_up_is_not_worth_a_line(
    here: Running, a: Client, b: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor one whose end is a reset: it left answers unread."""
    b.call("GetId")
    a.until(lambda: unread(b.sock) > 0)
    b.sock.close()
    a.until_gone(b.name)
    assert texts(caplog) == []
    with pytest.raises((Closed, OSError)):
        b.ask("GetId")


def test_calls_that_nobody_reads_the_answers_of(make: Make) -> None:
    """Its own quota bounds what the bus keeps for it."""
    here = make(max_outgoing_messages=50)
    a, deaf = here.connect(), here.connect()
    here.narrow(deaf)
    one = build(CALL, 5, call_fields(DRIVER, "/", DRIVER, "GetId"))
    deaf.sock.sendall(one * 2000)
    client = here.client(deaf)
    here.until(lambda: client.dropped > 0)
    assert client.peer.query().messages <= 50
    assert a.is_open()
