"""`bus1 status`: what it says of ours, what of another bus, and why it cannot say anything."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import status_screen
from tests.behaviour.files import Files
from tests.buses import Bus, need_root, start
from tests.cli.conftest import Bus1
from tests.native.peer import Peer
from tests.native.processes.test_mixed import attach

MONITORING = "org.freedesktop.DBus.Monitoring"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def begin(files: Files) -> Iterator[Callable[..., Bus]]:
    """A bus of ours with more rules, and more in its file."""
    running: list[Bus] = []

    def begin(more: str = "", rules: str = "", native: bool = False) -> Bus:
        files.configure(more, rules)
        options = [f"--native=unix:path={files.directory}/native"] if native else []
        running.append(files.start("ours", *options))
        return running[-1]

    yield begin
    for bus in running:
        bus.stop()


@pytest.fixture
def join(files: Files) -> Iterator[Callable[[], Peer]]:
    """A native peer of the bus that has begun."""
    with ExitStack() as joined:
        yield lambda: joined.enter_context(closing(Peer(f"{files.directory}/native")))


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Bus]:
    """A bus that is not ours."""
    bus = start("dbus-daemon", tmp_path / "other")
    yield bus
    bus.stop()


def record(bus1: Bus1, bus: Bus) -> dict[str, Any]:
    status, out, err = bus1("status", "--address", bus.address, "--json")
    assert (status, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def text(bus1: Bus1, bus: Bus) -> list[str]:
    status, out, err = bus1("status", "--address", bus.address)
    assert (status, err) == (0, "")
    return out.splitlines()


def cells(lines: list[str], start: str) -> list[str]:
    """The line that begins so, cell by cell."""
    (line,) = [line for line in lines if line.split()[:1] == [start]]
    return line.split()


# ------------------------------------------------------------------------------- our own


def test_the_bus_itself(bus1: Bus1, begin: Callable[..., Bus], files: Files) -> None:
    bus = begin()
    found = record(bus1, bus)
    assert (found["pid"], found["uid"], found["type"]) == (bus.pid, os.geteuid(), "session")
    assert found["addresses"] == [bus.address]
    assert abs(time.time() - found["started"]) < 60
    assert 0 < found["uptime"] < 60
    assert found["configuration"]["files"] == [str(files.root)]
    assert found["connections"] == {"active": 1, "native": 0, "incomplete": 0, "monitors": 0}
    lines = text(bus1, bus)
    assert lines[0].startswith(f"bus1-daemon {found['version']}, session bus, pid {bus.pid}, uid ")
    assert lines[1:3] == [f"id {found['id']}", bus.address]
    assert lines[4].startswith(f"Configuration: {files.root}, read at 20")


def test_clients_with_what_they_hold(bus1: Bus1, begin: Callable[..., Bus]) -> None:
    bus = begin()
    a, b = bus.connect(), bus.connect()
    a.own("x.y")
    b.own("x.y")
    a.match("member='M'")
    b.call("M", to="x.y")
    for _ in range(40):
        b.signal("S", "s", "x" * 50_000, to="x.y")
    b.settle()
    first, second, own = sorted(record(bus1, bus)["clients"], key=lambda each: each["unique"])
    assert (first["unique"], first["names"], first["waits_for"]) == (a.name, ["x.y"], [])
    assert (second["names"], second["waits_for"]) == ([], ["x.y"])
    assert (first["pid"], first["uid"]) == (os.getpid(), os.geteuid())
    assert first["bytes"] > 500_000
    assert first["most_bytes"] >= first["bytes"]
    assert (first["rules"], first["owes"], second["awaits"]) == (1, 1, 1)
    assert own["names"] == []
    lines = text(bus1, bus)
    row = cells(lines, a.name)
    assert row[1:3] == [str(os.geteuid()), str(os.getpid())]
    assert (row[-1], cells(lines, b.name)[-1]) == ("x.y", "(x.y)")


def test_native_peers_with_what_they_hold(
    bus1: Bus1, begin: Callable[..., Bus], join: Callable[[], Peer]
) -> None:
    bus = begin(native=True)
    a, b = join(), join()
    unique = attach(a)
    own = a.create()
    right = a.transfer(a.handle(own), b.socket())
    for _ in range(20):
        b.send(right, b"x" * 50_000)
    found = record(bus1, bus)
    assert (found["connections"]["native"], found["more_natives"]) == (2, 0)
    first, second = found["natives"]  # more waits for the first
    assert [each["number"] for each in (first, second)] == [a.number, b.number]
    assert [each["unique"] for each in (first, second)] == [unique, None]
    assert [(each["uid"], each["pid"]) for each in (first, second)] == [
        (os.geteuid(), os.getpid())
    ] * 2
    assert first["most_bytes"] >= first["bytes"] > 500_000
    assert first["messages"] > 10
    assert (second["bytes"], second["messages"]) == (0, 0)
    # The bridge and its own node's; b holds its seed only when it asks for it.
    assert (first["handles"], first["nodes"], second["handles"], second["nodes"]) == (2, 3, 1, 0)
    lines = text(bus1, bus)
    lines = lines[lines.index("Native peers") :]
    row = cells(lines, str(a.number))
    assert row[1:4] == [unique, str(os.geteuid()), str(os.getpid())]
    assert row[-4:] == [str(first[key]) for key in ("bytes", "messages", "handles", "nodes")]
    assert cells(lines, str(b.number))[1] == "-"


def test_denials_and_refusals(bus1: Bus1, begin: Callable[..., Bus], files: Files) -> None:
    bus = begin(rules='<deny own="x.no"/>')
    a = bus.connect()
    for _ in range(3):
        a.ask("RequestName", "su", "x.no", 0)
    a.ask("M", to="x.gone")
    found = record(bus1, bus)
    (denied,) = found["denied"]
    assert (denied["about"], denied["file"], denied["count"]) == ("own", str(files.root), 3)
    refused = found["messages"]["refused"]
    prefix = "org.freedesktop.DBus.Error."
    assert refused == {f"{prefix}AccessDenied": 3, f"{prefix}ServiceUnknown": 1}
    lines = text(bus1, bus)
    assert cells(lines, f"{prefix}AccessDenied")[1] == "3"
    assert cells(lines, "own")[1:] == [f"{files.root}:{denied['line']}", "(default)", "3"]


def test_monitors(bus1: Bus1, begin: Callable[..., Bus]) -> None:
    bus = begin()
    bus.connect().ask("BecomeMonitor", "asu", [], 0, interface=MONITORING)
    found = record(bus1, bus)
    assert found["connections"]["monitors"] == 1
    (monitor,) = found["monitors"]
    assert (monitor["pid"], monitor["missed"]) == (os.getpid(), 0)
    assert "Monitors" in text(bus1, bus)


def test_limits_of_which_little_is_left(bus1: Bus1, begin: Callable[..., Bus]) -> None:
    bus = begin('<limit name="max_match_rules_per_connection">5</limit>')
    a, b = bus.connect(), bus.connect()
    for _ in range(4):
        a.match("member='M'")
    b.match("member='M'")
    assert record(bus1, bus)["near"] == [
        {"limit": "max_match_rules_per_connection", "whose": a.name, "used": 4, "most": 5}
    ]
    assert cells(text(bus1, bus), "max_match_rules_per_connection")[1:] == [a.name, "4", "5"]


def test_limits_of_a_native_peer_of_which_little_is_left(
    bus1: Bus1, begin: Callable[..., Bus], files: Files, join: Callable[[], Peer]
) -> None:
    (files.directory / "few.toml").write_text("limits.max_handles_per_connection = 50\n")
    bus = begin("<include>few.toml</include>", native=True)
    a, _ = join(), join()
    for _ in range(45):
        a.create()  # and the handle in its seed is one more
    whose = f"native peer {a.number}"
    near = [{"limit": "handles", "whose": whose, "used": 46, "most": 50}]
    assert record(bus1, bus)["near"] == near
    assert cells(text(bus1, bus), "handles") == ["handles", *whose.split(), "46", "50"]


def test_rights_that_clients_grant(bus1: Bus1, begin: Callable[..., Bus], files: Files) -> None:
    rules = '[[policy]]\nfor = "default"\nrules = [{ allow = "delegate", name = "*" }]\n'
    (files.directory / "grants.toml").write_text(f"limits.max_grants_per_connection = 2\n{rules}")
    bus = begin("<include>grants.toml</include>")
    a, b = bus.connect(), bus.connect()
    said = "Rights that clients grant each other: "
    assert not any(line.startswith(said) for line in text(bus1, bus))
    for path in ("/x", "/y"):
        a.ask("Grant", "soss", b.name, path, "", "", interface="org.bus1.Capability1")
    found = record(bus1, bus)
    assert found["grants"] == 2
    first, second, _ = sorted(found["clients"], key=lambda each: each["unique"])
    assert [(each["grants"], each["rights"]) for each in (first, second)] == [(2, 0), (0, 2)]
    assert found["near"] == [
        {"limit": "max_grants_per_connection", "whose": a.name, "used": 2, "most": 2}
    ]
    assert f"{said}2" in text(bus1, bus)


def test_a_start_that_hangs(bus1: Bus1, begin: Callable[..., Bus], files: Files) -> None:
    service = "[D-BUS Service]\nName=x.slow\nExec=/bin/sleep 60\n"
    (files.directory / "x.slow.service").write_text(service)
    bus = begin(f"<servicedir>{files.directory}</servicedir>")
    a = bus.connect()
    a.call("M", to="x.slow")
    a.call("M", to="x.slow")
    a.settle()
    (found,) = record(bus1, bus)["activations"]
    assert (found["name"], found["way"]) == ("x.slow", "exec")
    assert 0 <= found["seconds"] < 60
    assert found["waiting"] == [{"client": a.name, "pid": os.getpid(), "messages": 2}]
    row = cells(text(bus1, bus), "x.slow")
    assert row[:2] == ["x.slow", "exec"]
    assert row[3:5] == [a.name, "(2)"]


def test_a_reload_that_failed(bus1: Bus1, begin: Callable[..., Bus], files: Files) -> None:
    bus = begin()
    a = bus.connect()
    assert a.ask("ReloadConfig").error is None
    files.write("<nonsense/>")
    assert a.ask("ReloadConfig").error is not None
    said = record(bus1, bus)["configuration"]
    assert (said["reloads"] >= 1, said["failures"] >= 1) == (True, True)
    assert "nonsense" in said["wrong"]
    assert any(line.startswith("The last reload failed: ") for line in text(bus1, bus))


# ------------------------------------------------------------------------------ another


def test_another_bus_tells_what_it_tells(bus1: Bus1, other: Bus) -> None:
    a = other.connect()
    a.own("x.y")
    a.match("member='M'")
    found = record(bus1, other)
    assert (found["foreign"], found["pid"]) == (True, other.pid)
    (client,) = found["clients"]
    assert (client["unique"], client["names"], client["rules"]) == (a.name, ["x.y"], 1)
    assert found["statistics"]["ActiveConnections"] == 2
    lines = text(bus1, other)
    assert lines[0].startswith(f"A bus that is not bus1-daemon, pid {other.pid}, id ")
    assert cells(lines, a.name)[-1] == "x.y"


def test_another_bus_without_statistics(bus1: Bus1, tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.configure(rules='<deny send_interface="org.freedesktop.DBus.Debug.Stats"/>')
    bus = files.start("dbus-daemon")
    a = bus.connect()
    found = record(bus1, bus)
    assert found["statistics"] == {}
    assert [(each["unique"], each["rules"]) for each in found["clients"]] == [(a.name, None)]
    assert cells(text(bus1, bus), a.name)[-4:] == ["-"] * 4
    bus.stop()


# -------------------------------------------------------------------------- what is wrong


def one_line(said: tuple[object, str, str]) -> str:
    """The only thing that was said, with exit status 2."""
    status, out, err = said
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("bus1 status: ")
    return err


@pytest.mark.parametrize(
    ("words", "about"),
    [
        ("--address unix:path=/no", "unix:path=/no is not there: No such file or directory"),
        ("--address nonsense", "nonsense is no address to connect to: "),
        ("--system --session", "only one of --system, --session and --address"),
    ],
)
def test_there_is_no_such_bus(bus1: Bus1, words: str, about: str) -> None:
    assert about in one_line(bus1("status", *words.split()))


def test_which_bus_is_meant(bus1: Bus1, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/no/system")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/no/session")
    assert "the system bus is not there" in one_line(bus1("status", "--system"))
    assert "the session bus is not there" in one_line(bus1("status"))


def test_a_policy_that_lets_nobody_ask(bus1: Bus1, begin: Callable[..., Bus]) -> None:
    bus = begin(rules='<deny send_interface="org.bus1.Status1"/>')
    said = one_line(bus1("status", "--address", bus.address))
    assert "policy does not let you ask it; it needs, for your user: <allow send_dest" in said


def test_a_stranger_is_told_so(bus1: Bus1, begin: Callable[..., Bus], files: Files) -> None:
    need_root()
    for path in (files.directory, *files.directory.parents):
        if path.stat().st_uid == os.geteuid() and not path.stat().st_mode & 1:
            path.chmod(0o755)
    bus = begin()
    bus1("status", "--address", "nonsense")  # a stranger may not read what is imported late
    os.seteuid(65534)
    try:
        said = one_line(bus1("status", "--address", bus.address))
    finally:
        os.seteuid(0)
    assert said == (
        "bus1 status: this bus tells its state only to root and to the user it runs as\n"
    )


def test_nothing_that_is_told_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    client = {
        "unique": ":1.1", "names": ["a.b\x1b[2J"], "uid": 0, "pid": None, "rules": 0, "bytes": 0,
        "messages": 0,
    }  # fmt: skip
    status_screen.show(
        {"foreign": True, "pid": 1, "id": "\x1b]0;x\x07", "connections": {"active": 1},
         "statistics": {}, "clients": [client]}
    )  # fmt: skip
    out = capsys.readouterr().out
    assert "a.b?[2J" in out
    assert not [each for each in out if not each.isprintable() and each != "\n"]


def test_those_that_are_not_shown_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    peer = {"unique": None, "uid": 0, "pid": None, "bytes": 0, "messages": 0, "handles": 0,
            "nodes": 0}  # fmt: skip
    natives = [{**peer, "number": number} for number in (10, 9)]
    status_screen.show(
        {"foreign": True, "pid": 1, "id": "", "connections": {"active": 1}, "statistics": {},
         "natives": natives, "more_natives": 7}
    )  # fmt: skip
    *_, first, second, last = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in (first, second)] == ["9", "10"]
    assert last == "... and 7 more, for whom less waits"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.9, "0 s"), (61, "1 min 1 s"), (3600, "1 h"), (90_061, "1 d 1 h"), (86_400 * 400, "400 d")],
)
def test_durations(seconds: float, said: str) -> None:
    assert status_screen.duration(seconds) == said
