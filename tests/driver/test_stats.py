"""org.freedesktop.DBus.Debug.Stats: after the same actions, the same numbers as dbus-daemon."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.files import Files
from tests.buses import Bus, need_root
from tests.driver.desk import Caller, Desk, text
from tests.raw import (
    CALL,
    DRIVER,
    ERROR,
    Client,
    Message,
    build,
    call_fields,
    socket_to,
    take,
)

STATS = f"{DRIVER}.Debug.Stats"
VERBOSE = f"{DRIVER}.Verbose"
NOBODY = 65534
POOL = {f"ListMemPool{what}Bytes" for what in ("Used", "Cached", "Allocated")}
WHOLE = {
    "Serial", *POOL, "ActiveConnections", "IncompleteConnections", "MatchRules", "PeakMatchRules",
    "PeakMatchRulesPerConnection", "BusNames", "PeakBusNames", "PeakBusNamesPerConnection",
}  # fmt: skip
HELD = ("MatchRules", "PeakMatchRules", "BusNames", "PeakBusNames")
TRAFFIC = {
    "IncomingMessages", "IncomingBytes", "IncomingFDs", "PeakIncomingBytes", "PeakIncomingFDs",
    "OutgoingMessages", "OutgoingBytes", "OutgoingFDs", "PeakOutgoingBytes", "PeakOutgoingFDs",
}  # fmt: skip
PEERS = "org.bus1.DBus.Debug.Stats.PeerAccounting"
USERS = "org.bus1.DBus.Debug.Stats.UserAccounting"


@pytest.fixture
def both(bus: Bus) -> Bus:
    """Whole buses: the numbers are those of sockets and queues."""
    return bus


def stats(client: Client) -> dict[str, Any]:
    """GetStats, without what says how it is made."""
    said = client.ask("GetStats", interface=STATS).args[0]
    return {key: value for key, value in said.items() if key not in {"Serial", *POOL}}


def of(client: Client, name: str) -> dict[str, Any]:
    said: dict[str, Any] = client.ask("GetConnectionStats", "s", name, interface=STATS).args[0]
    return said


def held(client: Client, name: str) -> tuple[int, ...]:
    said = of(client, name)
    return tuple(said[key] for key in HELD)


def types(answer: Message) -> dict[str, str]:
    """The type of each value of an a{sv}."""
    found, at = {}, 8
    while at < len(answer.body):
        key, at = take(answer.body, at + -at % 8, "s", answer.order)
        found[key], _ = take(answer.body, at, "g", answer.order)
        _, at = take(answer.body, at, "v", answer.order)
    return found


# ------------------------------------------------------------------------ the whole bus


def test_all_keys_of_the_reference_with_their_types(bus: Bus, a: Client) -> None:
    found = types(a.ask("GetStats", interface=STATS))
    assert {key for key, kind in found.items() if kind == "u"} == WHOLE
    wanted = {} if bus.kind == "dbus-daemon" else {
        PEERS: "a(sa{sv}a{su})", USERS: "a(ua(suu)a{ua{su}})"
    }  # fmt: skip
    assert {key: kind for key, kind in found.items() if kind != "u"} == wanted
    found = types(a.ask("GetConnectionStats", "s", a.name, interface=STATS))
    assert found.pop("UniqueName") == "s"
    assert found == dict.fromkeys({"Serial", *HELD, *TRAFFIC}, "u")


def test_connections_names_and_rules(fresh: Bus) -> None:
    a, b = fresh.connect(), fresh.connect()
    for rule in ("type='signal',sender='x.y'", "arg0='x'", "arg0='x'"):
        a.match(rule)
    a.ask("RemoveMatch", "s", "arg0='x'")
    b.match("member='M'")
    a.own("x.y")
    a.own("x.z")
    b.own("x.z")  # and waits for it
    b.own("x.b")
    b.ask("ReleaseName", "s", "x.b")
    wanted = {
        "ActiveConnections": 2, "IncompleteConnections": 0,
        "MatchRules": 3, "PeakMatchRules": 3, "PeakMatchRulesPerConnection": 3,
        "BusNames": 5, "PeakBusNames": 6, "PeakBusNamesPerConnection": 3,
    }  # fmt: skip
    assert wanted.items() <= stats(a).items()
    assert held(b, a.name) == (2, 3, 3, 3)
    assert held(a, b.name) == (1, 1, 2, 3)
    b.close()
    a.until_gone(b.name)
    assert (wanted | {"ActiveConnections": 1, "MatchRules": 2, "BusNames": 3}).items() <= (
        stats(a).items()
    )


def test_a_name_that_passes_on_is_counted_once(fresh: Bus) -> None:
    a, b = fresh.connect(), fresh.connect()
    a.own("x.y", 1)  # ALLOW_REPLACEMENT
    b.own("x.y", 2 | 4)  # REPLACE_EXISTING, DO_NOT_QUEUE
    assert (held(a, a.name)[2], held(a, b.name)[2], stats(a)["BusNames"]) == (2, 2, 4)
    b.ask("ReleaseName", "s", "x.y")
    assert (held(a, a.name)[2], held(a, b.name)[2], stats(a)["BusNames"]) == (2, 1, 3)


def test_those_who_have_not_said_hello(fresh: Bus) -> None:
    a = fresh.connect()
    with socket_to(fresh.address):
        fresh.connect(hello=False)
        a.until(lambda: stats(a)["IncompleteConnections"] == 2)
        assert stats(a)["ActiveConnections"] == 1
    a.until(lambda: stats(a)["IncompleteConnections"] == 1)


def test_monitors_are_connections_without_names(fresh: Bus) -> None:
    a, b = fresh.connect(), fresh.connect()
    b.own("x.y")
    b.match("member='M'")
    rules = ["type='signal'", "type='error'"]
    b.ask("BecomeMonitor", "asu", rules, 0, interface=f"{DRIVER}.Monitoring")
    said = stats(a)
    assert [said[key] for key in ("ActiveConnections", "BusNames", "MatchRules")] == [2, 1, 2]
    b.close()
    a.until(lambda: stats(a)["ActiveConnections"] == 1)
    assert stats(a)["MatchRules"] == 0


@pytest.mark.parametrize("method", ["GetStats", "GetConnectionStats"])
def test_each_method_has_its_serial(fresh: Bus, method: str) -> None:
    a = fresh.connect()
    arguments = ("s", a.name) if method == "GetConnectionStats" else ()
    found = [a.ask(method, *arguments, interface=STATS).args[0]["Serial"] for _ in range(3)]
    assert found == [0, 1, 2]


# ---------------------------------------------------------------------- one connection


def test_it_goes_by_any_name(a: Client, b: Client, name: str) -> None:
    a.own(name)
    assert of(b, name)["UniqueName"] == of(b, a.name)["UniqueName"] == a.name


def test_what_waits_for_who_does_not_read(bus: Bus, a: Client, b: Client) -> None:
    for _ in range(40):
        a.signal("S", "s", "x" * 50_000, to=b.name)
    with open("/dev/null") as file:
        for _ in range(3):
            a.signal("S", "h", 0, to=b.name, fds=[file.fileno()])
    said = of(a, b.name)
    assert 10 < said["OutgoingMessages"] <= 43
    assert said["OutgoingBytes"] > 10 * 50_000
    assert said["OutgoingFDs"] == 3
    assert said["PeakOutgoingBytes"] >= said["OutgoingBytes"]
    assert said["PeakOutgoingFDs"] == 3
    b.take()
    now = of(a, b.name)
    assert [now[key] for key in ("OutgoingMessages", "OutgoingBytes", "OutgoingFDs")] == [0, 0, 0]
    assert now["PeakOutgoingBytes"] >= said["PeakOutgoingBytes"]
    assert now["PeakOutgoingFDs"] == 3


def test_who_asks_has_sent_something(a: Client) -> None:
    said = of(a, a.name)
    assert 100 < said["IncomingBytes"] <= said["PeakIncomingBytes"]
    assert said["IncomingMessages"] == said["IncomingFDs"] == 0


def test_what_came_in_parts_is_remembered(a: Client, b: Client) -> None:
    data = build(CALL, 99, call_fields(b.name, "/", None, "M"), "s", ["x" * 50_000])
    a.write(data[:30_000])
    b.settle()
    a.write(data[30_000:])
    b.receive("M")
    assert of(b, a.name)["PeakIncomingBytes"] >= 30_000
    assert of(b, a.name)["IncomingBytes"] == 0


def test_descriptors_that_wait_for_their_message(a: Client, b: Client) -> None:
    data = build(CALL, 99, [*call_fields(b.name, "/", None, "M"), (9, 2)], "hh", [0, 1])
    with open("/dev/null") as file:
        a.write(data[:50], [file.fileno(), file.fileno()])
    b.settle()
    a.write(data[50:])
    assert len(b.receive("M").fds) == 2
    said = of(b, a.name)
    assert (said["IncomingFDs"], said["PeakIncomingFDs"]) == (0, 2)


@pytest.mark.parametrize("name", [DRIVER, "no.such", ":1.999999", "!", ""])
def test_it_is_about_clients_that_are_there(bus: Bus, a: Client, name: str) -> None:
    answer = a.ask("GetConnectionStats", "s", name, interface=STATS)
    if name == DRIVER:
        text = f'GetConnectionStats is not meaningful for the message bus "{DRIVER}" itself'
        assert (str(answer), answer.args) == ("!InvalidArgs", [text])
    else:
        text = f"Could not get statistics of name '{name}': no such name"
        assert (str(answer), answer.args) == ("!NameHasNoOwner", [text])


def test_all_rules_as_the_reference_writes_them(fresh: Bus) -> None:
    a, b = fresh.connect(), fresh.connect()
    for rule in ("", "path='/a',type='signal'", "arg1='x',member='M',arg0namespace='a.b'", ""):
        a.match(rule)
    (said,) = a.ask("GetAllMatchRules", interface=STATS).args
    assert said.keys() == {a.name, b.name}
    assert said[b.name] == []
    assert sorted(said[a.name]) == [
        "",
        "",
        "member='M',arg0namespace='a.b',arg1='x'",
        "type='signal',path='/a'",
    ]


@pytest.mark.parametrize("method", ["GetStats", "GetAllMatchRules"])
def test_what_is_much_to_tell_is_much_work(desk: Desk, caller: Caller, method: str) -> None:
    """Else whoever asks again and again would keep all others waiting."""
    for number in range(500):
        caller.match(f"path='/{number}'")
    before = desk.work
    assert caller.ask(method, interface=STATS).error is None
    assert desk.work - before >= 500 * 4  # of 250 ns


def test_more_than_a_message_can_say(desk: Desk, caller: Caller) -> None:
    """An array has 64 MiB at most; who asks is told so, and stays."""
    desk.activation.services.names = lambda: ["x" * (1 << 20)] * 65  # type: ignore[method-assign]
    assert text(caller.ask("ListActivatableNames")).startswith(
        "!LimitsExceeded There is too much to answer: "
    )
    assert caller.ask("GetId").error is None


# ------------------------------------------------------------------------------ who may


@pytest.fixture
def files() -> Iterator[Files]:
    """Where every user may look."""
    with tempfile.TemporaryDirectory(prefix="bus1-stats-") as directory:
        yield Files(Path(directory))


@pytest.fixture
def nobody(bus_kind: str, files: Files) -> Iterator[Client]:
    """A user without rights, on a bus that allows all."""
    need_root()
    files.configure()
    bus = files.start(bus_kind)
    yield connected(bus, NOBODY)
    bus.stop()


def connected(bus: Bus, uid: int) -> Client:
    """Who connects now is this user."""
    os.seteuid(uid)
    try:
        return bus.connect()
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("path", ["/", "/x", "/org/freedesktop/DBus/x"])
def test_only_at_the_buss_own_path(a: Client, path: str) -> None:
    for method, arguments in (
        ("GetStats", ()), ("GetAllMatchRules", ()), ("GetConnectionStats", ("s", a.name))
    ):  # fmt: skip
        assert str(a.ask(method, *arguments, interface=STATS, path=path)) == "!UnknownInterface"


def test_anybody_may_whom_the_policy_lets(nobody: Client) -> None:
    """As with the reference: nothing but rules keeps it from somebody."""
    assert stats(nobody)["ActiveConnections"] == 1
    assert of(nobody, nobody.name)["BusNames"] == 1
    assert nobody.ask("GetAllMatchRules", interface=STATS).args == [{nobody.name: []}]


def test_on_the_system_bus_that_is_root(bus_kind: str, files: Files) -> None:
    need_root()
    whole = (Path(__file__).parents[2] / "conf/system.conf").read_text()
    rules = re.sub(r"<include\w*.*?</include\w*>|<(user|fork|pidfile|listen|syslog).*", "", whole)
    rules = rules[rules.index("<busconfig>") :].replace("</busconfig>", "")
    listen = f"<listen>unix:path={files.directory}/bus</listen>"
    files.root.write_text(f"{rules}{listen}</busconfig>")
    bus = files.start(bus_kind)
    try:
        root, nobody = bus.connect(), connected(bus, NOBODY)
        assert stats(root)["ActiveConnections"] == 2
        for method, arguments in (
            ("GetStats", ()), ("GetAllMatchRules", ()), ("GetConnectionStats", ("s", nobody.name))
        ):  # fmt: skip
            answer = nobody.ask(method, *arguments, interface=STATS)
            assert str(answer) == "!AccessDenied"
            assert str(answer.args[0]).startswith("Rejected send message, 2 matched rules; ")
    finally:
        bus.stop()


# ------------------------------------------------------------------- what dbus-broker says


def accounting(client: Client, key: str) -> Any:
    return client.ask("GetStats", interface=STATS).args[0].get(key)


def test_each_peer_with_its_credentials(fresh: Bus) -> None:
    a, b = fresh.connect(), fresh.connect()
    a.own("x.y")
    a.match("member='M'")
    b.call("M", to="x.y")
    a.receive("M")
    found = accounting(a, PEERS)
    if fresh.kind == "dbus-daemon":
        assert found is None
        return
    credentials = a.ask("GetConnectionCredentials", "s", a.name).args[0]
    credentials.pop("ProcessFD", None)
    (name, known, numbers), (other, _, others) = found
    assert (name, known, other) == (a.name, credentials, b.name)
    assert numbers == {
        "NameObjects": 1, "MatchBytes": len("member='M'"), "Matches": 1, "ReplyObjects": 0,
        "IncomingBytes": 0, "IncomingFds": 0, "OutgoingBytes": 0, "OutgoingFds": 0,
        "ActivationRequestBytes": 0, "ActivationRequestFds": 0,
    }  # fmt: skip
    assert others["ReplyObjects"] == 1


def test_each_user_with_what_is_left(fresh: Bus) -> None:
    """`monitord` reads the two numbers as what is left and what there is."""
    a, b = fresh.connect(), fresh.connect()
    a.match("member='M'")
    before = accounting(a, USERS)
    for _ in range(40):
        a.signal("S", "s", "x" * 50_000, to=b.name)
    if fresh.kind == "dbus-daemon":
        assert before is None
        return
    ((uid, slots, _),) = before
    assert uid == os.geteuid()
    assert [kind for kind, _, _ in slots] == ["Bytes", "Fds", "Matches", "Objects"]
    left = {kind: (left, most) for kind, left, most in slots}
    assert left["Bytes"][0] == left["Bytes"][1] > 0
    assert left["Matches"][0] == left["Matches"][1] - 1
    assert left["Objects"][0] < left["Objects"][1]
    ((_, slots, shares),) = accounting(a, USERS)
    waiting = of(a, b.name)["OutgoingBytes"]
    assert waiting > 0
    assert slots[0] == ("Bytes", left["Bytes"][1] - waiting, left["Bytes"][1])
    assert shares[uid]["Bytes"] == waiting


# --------------------------------------------------------------------------------- Verbose


def test_verbose_logs_what_passes_until_it_is_told_not_to(fresh: Bus) -> None:
    a, b = fresh.connect(), fresh.connect()
    enabled = a.ask("EnableVerbose", interface=VERBOSE)
    if fresh.kind == "dbus-daemon":  # which is built without it
        assert str(enabled) == "!UnknownInterface"
        return
    b.own("x.y")
    a.call("Loud", "s", "a secret", to="x.y", interface="t.T", path="/t")
    b.reply(b.receive("Loud"))
    a.signal("Sent")
    a.seen()
    assert a.ask("DisableVerbose", interface=VERBOSE).error is None
    a.call("Silent", to=b.name)
    b.receive("Silent")
    log = fresh.log()
    assert f"{a.name} -> x.y ({b.name}): call " in log
    assert " /t t.T Loud (s), " in log
    assert re.search(rf"{b.name} -> {a.name}: return \d+ to serial \d+ \(\), ", log)
    assert re.search(rf"{a.name} -> all: signal \d+ /t t\.T Sent \(\), ", log)
    assert "secret" not in log
    assert "Silent" not in log


def test_verbose_is_for_the_trusted(bus_kind: str, nobody: Client) -> None:
    answer = nobody.ask("EnableVerbose", interface=VERBOSE)
    wanted = "!AccessDenied" if bus_kind == "ours" else "!UnknownInterface"
    assert (answer.kind, str(answer)) == (ERROR, wanted)
