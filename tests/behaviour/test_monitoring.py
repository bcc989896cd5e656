"""Monitors: what they see, in which order, and what they are not any more (contract A.5, E.35)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from tests.buses import Bus, start
from tests.raw import (
    CALL,
    DRIVER,
    ERROR,
    REPLY_SERIAL,
    RETURN,
    SIGNAL,
    Client,
    Closed,
    Message,
    call_fields,
)

MONITORING = "org.freedesktop.DBus.Monitoring"
DENIED = "org.freedesktop.DBus.Error.AccessDenied"
KINDS = {CALL: "call", RETURN: "return", ERROR: "error", SIGNAL: "signal"}


class Monitor:
    """A client that has become a monitor. It cannot ask; it reads up to a signal of another."""

    def __init__(self, bus: Bus, *rules: str) -> None:
        self.client = bus.connect()
        self.herald = bus.connect()
        self.name = self.client.name
        answer = become(self.client, rules)
        assert answer.kind == RETURN, answer.args
        self.first = self.client.wait(lambda m: m.member == "NameLost" and m.args == [self.name])

    def seen(self) -> list[Message]:
        """All that it was shown since the last time, but for what this itself makes."""
        self.herald.signal("Herald", path="/herald")
        shown: list[Message] = []
        while (message := self.client.next()).path != "/herald":
            if self.herald.name not in (message.sender, message.destination):
                shown.append(message)
        return shown

    def lines(self) -> list[str]:
        return [line(message) for message in self.seen()]


def become(client: Client, rules: tuple[str, ...], flags: int = 0, path: str = "") -> Message:
    at = {"path": path} if path else {}
    return client.ask("BecomeMonitor", "asu", list(rules), flags, interface=MONITORING, **at)


def line(message: Message) -> str:
    """One message in short: kind, from, to, and what."""
    what = message.member or message.error or str(message.reply_to)
    return f"{KINDS[message.kind]} {message.sender} -> {message.destination}: {what}"


def test_it_sees_everything_once_and_in_order(bus: Bus, a: Client, b: Client) -> None:
    monitor = Monitor(bus, "eavesdrop=true")  # dbus-monitor writes it; it means nothing here
    b.match("member=S")
    serial = a.call("M", to=b.name, interface="t.T", path="/t")
    b.reply(b.receive("M"))
    a.answer(serial)
    a.signal("S")
    b.receive("S")
    shown = monitor.lines()
    rule, reply = shown[0], shown[1]
    assert rule == f"call {b.name} -> {DRIVER}: AddMatch"
    assert reply.startswith(f"return {DRIVER} -> {b.name}: ")
    assert shown[2:] == [
        f"call {a.name} -> {b.name}: M",
        f"return {b.name} -> {a.name}: {serial}",
        f"signal {a.name} -> None: S",
    ]


def test_it_gives_up_its_names_after_the_reply(bus: Bus, a: Client, b: Client, name: str) -> None:
    b.match("type=signal,member=NameOwnerChanged")
    a.ask("RequestName", "su", name, 0)
    a.take(), b.take()
    serial = a.call("BecomeMonitor", "asu", ["member=Nothing"], 0, interface=MONITORING)
    read = [a.next() for _ in range(3)]
    assert [m.reply_to or m.args[0] for m in read] == [serial, a.name, name]
    assert [m.member for m in read[1:]] == ["NameLost", "NameLost"]
    gone = [m.args for m in b.take() if m.member == "NameOwnerChanged"]
    assert gone == [[a.name, a.name, ""], [name, a.name, ""]]
    assert not b.ask("NameHasOwner", "s", a.name).args[0]
    assert b.ask("GetConnectionUnixUser", "s", a.name).error.endswith("NameHasNoOwner")


def test_whoever_sends_as_a_monitor_is_disconnected(bus: Bus, b: Client) -> None:
    monitor = Monitor(bus, "member=Nothing")
    monitor.client.call("GetId")
    with pytest.raises(Closed):
        monitor.client.wait(lambda message: False)
    assert b.ask("GetId").kind == RETURN


def test_its_own_match_rules_are_gone(bus: Bus, a: Client, b: Client) -> None:
    a.match("member=S")
    assert become(a, ("member=Other",)).kind == RETURN
    b.signal("S"), b.signal("Other")
    assert a.wait(lambda m: m.path == "/t").member == "Other"


def test_who_waits_for_it_gets_no_reply(bus: Bus, a: Client, b: Client) -> None:
    serial = b.call("Slow", to=a.name, interface="t.T", path="/t")
    a.receive("Slow")
    assert become(a, ("member=Nothing",)).kind == RETURN
    a.close()
    assert b.answer(serial).error.endswith("NoReply")


def test_messages_to_it_find_nobody(bus: Bus, b: Client) -> None:
    monitor = Monitor(bus, "member=Nothing")
    answer = b.ask("M", to=monitor.name, interface="t.T", path="/t")
    assert answer.error.endswith("ServiceUnknown")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("type='method_call'", ["M"]),
        ("type='signal',interface='t.T'", ["S"]),
        ("path='/t'", ["M", "S"]),
        ("arg0='x'", ["M"]),
        ("arg1='x'", []),
        ("member='S',path='/other'", []),
    ],
)
def test_rules_choose_what_it_sees(
    bus: Bus, a: Client, b: Client, rule: str, expected: list[str]
) -> None:
    monitor = Monitor(bus, rule, "path='/herald'")
    a.call("M", "s", "x", to=b.name, interface="t.T", path="/t")
    b.receive("M")
    a.signal("S", "s", "y")
    shown = [m for m in monitor.seen() if m.interface == "t.T"]
    assert [m.member for m in shown] == expected


def test_destinations_are_names_of_the_receiver(
    bus: Bus, a: Client, b: Client, names: Callable[[], str]
) -> None:
    first, second, nobody = names(), names(), names()
    for name in (first, second):
        b.ask("RequestName", "su", name, 0)
    monitor = Monitor(bus, f"destination='{first}'", f"destination='{nobody}'", "path='/herald'")
    for to in (b.name, first, second, nobody):
        a.call("M", to=to, interface="t.T", path="/t")
        b.take()
    destinations = [m.destination for m in monitor.seen() if m.member == "M"]
    assert destinations == [b.name, first, second, nobody]


def test_what_nobody_gets_is_shown_with_the_error(bus: Bus, a: Client, name: str) -> None:
    monitor = Monitor(bus)
    answer = a.ask("M", to=name, interface="t.T", path="/t")
    assert answer.kind == ERROR
    assert monitor.lines() == [
        f"call {a.name} -> {name}: M",
        f"error {DRIVER} -> {a.name}: {answer.error}",
    ]


def test_a_client_before_hello_is_nobody(bus: Bus) -> None:
    monitor = Monitor(bus)
    client = bus.connect(hello=False)
    name = client.ask("Hello").args[0]
    shown = monitor.lines()
    sender = ":not.active.yet" if bus.kind == "ours" else name  # the reference looks late
    assert shown[0] == f"call {sender} -> {DRIVER}: Hello"
    assert shown[1].startswith(f"return {DRIVER} -> {name}: ")
    assert shown[2:] == [
        f"signal {DRIVER} -> None: NameOwnerChanged",
        f"signal {DRIVER} -> {name}: NameAcquired",
    ]


def test_what_a_client_loses_by_its_end(bus: Bus, a: Client, name: str) -> None:
    a.ask("RequestName", "su", name, 0)
    monitor = Monitor(bus)
    a.close()
    monitor.client.wait(lambda m: m.member == "NameOwnerChanged" and m.args[0] == a.name)
    lost = [m for m in monitor.client.unread if m.member in ("NameLost", "NameOwnerChanged")]
    assert [(m.member, m.destination, m.args[0]) for m in lost[-3:]] == [
        ("NameLost", a.name, name),
        ("NameOwnerChanged", None, name),
        ("NameLost", a.name, a.name),
    ]


def test_a_call_without_destination_stays_private(bus: Bus, a: Client) -> None:
    monitor = Monitor(bus)
    a.ask("Ping", to=None, interface="org.freedesktop.DBus.Peer")
    assert monitor.lines() == []


def test_descriptors_reach_a_monitor_that_takes_them(bus: Bus, a: Client, b: Client) -> None:
    monitor = Monitor(bus)
    read, write = os.pipe()
    a.send(CALL, call_fields(b.name, "/t", "t.T", "M"), "h", [0], fds=[read])
    b.receive("M")
    (shown,) = monitor.seen()
    assert os.fstat(shown.fds[0]).st_ino == os.fstat(read).st_ino
    for fd in (read, write, *shown.fds):
        os.close(fd)


def test_flags_wrong_rules_and_other_paths_are_refused(a: Client) -> None:
    flags = become(a, (), flags=1)
    assert (flags.error, flags.args[0]) == (
        "org.freedesktop.DBus.Error.InvalidArgs",
        "BecomeMonitor does not support any flags yet",
    )
    assert become(a, ("nonsense=1",)).error.endswith("MatchRuleInvalid")
    assert become(a, (), path="/").error.endswith("UnknownInterface")
    assert a.ask("GetId").kind == RETURN  # and none of this has made it a monitor


def test_two_monitors_see_the_same(bus: Bus, a: Client, b: Client) -> None:
    first, second = Monitor(bus), Monitor(bus)
    first.client.wait(lambda m: m.member == "NameLost" or m.reply_to != 0)
    a.call("M", to=b.name, interface="t.T", path="/t")
    b.receive("M")
    mine = [line(m) for m in first.seen() if m.interface == "t.T"]
    assert mine == [line(m) for m in second.seen() if m.interface == "t.T"] != []


def test_a_forged_reply_is_shown_with_its_end(bus: Bus, a: Client, b: Client) -> None:
    """Whether it is delivered is the policy's; a monitor sees that somebody tried."""
    monitor = Monitor(bus)
    a.send(RETURN, [(6, b.name), (REPLY_SERIAL, 77)])
    a.take(), b.take()
    assert monitor.lines()[0] == f"return {a.name} -> {b.name}: 77"


@pytest.fixture
def busy(fresh: Bus) -> Bus:
    return fresh


def test_a_stuck_monitor_stops_nobody(busy: Bus) -> None:
    """It reads nothing while others send much more than may wait for it."""
    stuck = busy.connect()
    become(stuck, ())
    a, b = busy.connect(), busy.connect()
    before, _ = busy.usage()
    payload = "x" * 100_000
    for _ in range(1000):
        a.call("M", "s", payload, to=b.name, interface="t.T", path="/t", flags=1)
        assert b.receive("M").args == [payload]
    after, _ = busy.usage()
    if busy.kind == "ours":  # the reference keeps all that max_outgoing_bytes allows
        assert after - before < 64 << 20


def test_a_slow_monitor_is_told_what_it_missed(tmp_path: pytest.TempPathFactory) -> None:
    """Ours only: one gap, and where it is, one signal that says how large it is."""
    bus = start("ours", tmp_path / "bus")  # type: ignore[operator]
    try:
        slow = Monitor(bus, "member='M'", "path='/herald'")
        a, b = bus.connect(), bus.connect()
        payload = "x" * 100_000
        for number in range(1000):
            a.call("M", "us", number, payload, to=b.name, interface="t.T", path="/t", flags=1)
            b.receive("M")
        shown, told = [], None
        while told is None:
            message = slow.client.read()
            if message.member == "M":
                shown.append(message.args[0])
            elif message.member == "Lost":
                told = message
        assert (told.sender, told.interface) == (DRIVER, "org.bus1.Monitor1")
        assert shown == list(range(len(shown)))
        assert told.args == [1000 - len(shown)]
        assert told.args[0] > 0
        a.call("M", "us", 1000, "", to=b.name, interface="t.T", path="/t", flags=1)
        assert [m.args[0] for m in slow.seen()] == [1000]  # it has caught up
        assert "a monitor, missed" in bus.log()
    finally:
        bus.stop()


def test_a_monitor_that_goes_leaves_nothing(bus: Bus, a: Client, b: Client) -> None:
    for _ in range(20):
        monitor = Monitor(bus)
        monitor.client.close(), monitor.herald.close()
    deadline = time.monotonic() + 5
    while len(a.ask("ListNames").args[0]) > 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    a.call("M", to=b.name, interface="t.T", path="/t")
    assert b.receive("M").sender == a.name
