"""Reading the configuration again: all of it or nothing, while clients go on (contract A.8, E.40,
E.68)."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.behaviour.files import Files, policy
from tests.buses import Bus
from tests.raw import Client, Closed

NAME = "com.example.Reload"
DENY = f'<deny own="{NAME}"/>'

Start = Callable[[str], Bus]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def begin(files: Files) -> Iterator[Start]:
    """Start a bus by the files; it must live to the end of the test."""
    running: list[Bus] = []

    def start(kind: str) -> Bus:
        running.append(files.start(kind))
        return running[-1]

    yield start
    for bus in running:
        bus.stop()


def may_own(client: Client, name: str = NAME) -> bool:
    """Ask for a name, and give it back."""
    answer = client.ask("RequestName", "su", name, 4)
    if answer.error is not None:
        assert str(answer) == "!AccessDenied"
        return False
    client.ask("ReleaseName", "s", name)
    return True


def reload(client: Client) -> None:
    assert client.ask("ReloadConfig").error is None


# ------------------------------------------------------------------------- all of it


@pytest.mark.parametrize("way", ["SIGHUP", "ReloadConfig", "neither"])
def test_another_policy_holds(bus_kind: str, files: Files, begin: Start, way: str) -> None:
    """Both buses watch the directories that they include."""
    files.configure(f"<includedir>{files.directory}/more</includedir>")
    files.write(policy(DENY), "more/a.conf")
    bus = begin(bus_kind)
    client = bus.connect()
    assert not may_own(client)
    files.write("", "more/a.conf")
    if way == "SIGHUP":
        os.kill(bus.pid, signal.SIGHUP)
    if way == "ReloadConfig":
        reload(client)
        assert may_own(client)
    client.until(lambda: may_own(client))


def test_it_holds_for_the_next_message(bus_kind: str, files: Files, begin: Start) -> None:
    """Those who are there are judged anew, between any two of whom a right was at hand."""
    files.configure()
    bus = begin(bus_kind)
    a, b = bus.connect(), bus.connect()
    for allowed in (True, False, True):
        rule = "" if allowed else '<deny send_interface="t.T"/>'
        files.configure(rules=rule)
        reload(a)
        serial = a.call("M", to=b.name, interface="t.T")
        if allowed:
            b.reply(b.receive("M"))
        assert str(a.answer(serial)) == ("=()" if allowed else "!AccessDenied")


def test_who_has_a_name_or_a_connection_keeps_it(bus_kind: str, files: Files, begin: Start) -> None:
    files.configure()
    bus = begin(bus_kind)
    a, b = bus.connect(), bus.connect()
    a.own(NAME)
    files.configure(rules=DENY + '<deny user="*"/>')
    reload(a)
    assert b.ask("GetNameOwner", "s", NAME).args == [a.name]
    assert not may_own(b)
    assert a.is_open()
    with pytest.raises((OSError, Closed)):
        bus.connect()


def test_other_limits_hold_for_those_who_are_there(
    bus_kind: str, files: Files, begin: Start
) -> None:
    def limit(name: str, value: int) -> str:
        return f'<limit name="{name}">{value}</limit>'

    files.configure(limit("max_match_rules_per_connection", 1))
    bus = begin(bus_kind)
    client = bus.connect()
    assert client.ask("AddMatch", "s", "member=A").error is None
    assert str(client.ask("AddMatch", "s", "member=B")) == "!LimitsExceeded"
    files.configure(limit("max_match_rules_per_connection", 2))
    reload(client)
    assert client.ask("AddMatch", "s", "member=B").error is None
    assert str(client.ask("AddMatch", "s", "member=C")) == "!LimitsExceeded"
    files.configure(limit("max_names_per_connection", 1))
    reload(client)
    assert client.ask("AddMatch", "s", "member=C").error is None
    assert str(client.ask("RequestName", "su", NAME, 0)) == "!LimitsExceeded"


def test_a_user_who_is_there_no_more(bus_kind: str, files: Files, begin: Start) -> None:
    """Rules for nobody are left out; the rest of the file holds."""
    mine = f'user="{os.getuid()}"'
    files.configure(policy(DENY, mine))
    bus = begin(bus_kind)
    client = bus.connect()
    assert not may_own(client)
    files.configure(policy(DENY, 'user="no-such-user"') + policy(f'<deny own="{NAME}2"/>', mine))
    reload(client)
    assert may_own(client)
    assert not may_own(client, NAME + "2")
    if bus_kind == "ours":
        assert f'{files.root}:2: unknown user "no-such-user"' in bus.log()


# --------------------------------------------------------------------------- or nothing


@pytest.mark.parametrize(
    "broken", ["", "<busconfig>", "<busconfig><nonsense/></busconfig>", "<busconfig></busconfig>"]
)
def test_a_broken_file_changes_nothing(
    bus_kind: str, files: Files, begin: Start, broken: str
) -> None:
    files.configure(rules=DENY)
    bus = begin(bus_kind)
    client = bus.connect()
    files.root.write_text(broken)
    for _ in range(2):
        answer = client.ask("ReloadConfig")
        assert str(answer) == "!Failed"
        assert str(files.root) in answer.args[0] or bus_kind == "dbus-daemon"
        assert not may_own(client)
    assert f"Unable to reload configuration: {answer.args[0]}".strip() in bus.log()
    files.configure()
    reload(client)
    assert may_own(client)


def test_a_broken_file_of_a_directory_is_left_out(
    bus_kind: str, files: Files, begin: Start
) -> None:
    files.configure("<includedir>more</includedir>")
    files.write(policy(DENY), "more/a.conf")
    bus = begin(bus_kind)
    client = bus.connect()
    assert not may_own(client)
    files.write("<nonsense/>", "more/a.conf")
    files.write(policy(f'<deny own="{NAME}2"/>'), "more/b.conf")
    reload(client)
    assert may_own(client)
    assert not may_own(client, NAME + "2")
    if bus_kind == "ours":
        assert f"{files.directory}/more/a.conf: skipped: {files.directory}/more/a.conf:2: " in (
            bus.log()
        )


def test_a_file_that_is_gone_changes_nothing(bus_kind: str, files: Files, begin: Start) -> None:
    files.configure(rules=DENY)
    bus = begin(bus_kind)
    client = bus.connect()
    files.root.unlink()
    answer = client.ask("ReloadConfig")
    assert str(answer) == ("!Failed" if bus_kind == "ours" else "!FileNotFound")
    assert answer.args == [f'Failed to open "{files.root}": No such file or directory']
    assert not may_own(client)


def test_what_is_fixed_is_said_to_be(files: Files, begin: Start) -> None:
    files.configure()
    bus = begin("ours")
    client = bus.connect()
    files.configure("<allow_anonymous/><pidfile>/nowhere/pid</pidfile>", type_="system")
    reload(client)
    for text in (
        "type is read only at the start: it stays session",
        "allow_anonymous is read only at the start: it stays off",
        "pidfile is read only at the start: it stays none",
    ):
        assert text in bus.log()


def test_the_log_says_what_changed(files: Files, begin: Start) -> None:
    files.configure('<limit name="auth_timeout">30000</limit>', rules=DENY)
    bus = begin("ours")
    client = bus.connect()
    reload(client)
    files.configure('<limit name="auth_timeout">1000</limit>', rules='<deny own="a.b"/>' * 2)
    reload(client)
    said = [line.partition("] ")[2] for line in bus.log().splitlines()]
    assert said == [
        "Reloaded configuration: nothing changed",
        "Reloaded configuration: 1 file changed; rules: 2 more, 1 fewer;"
        " limit auth_timeout 30000 -> 1000",
    ]


# --------------------------------------------------------------------- many at a time


def test_a_crowd_goes_on_through_it(bus_kind: str, files: Files, begin: Start) -> None:
    """200 clients talk to each other, and everybody who asks for a reload is answered."""
    files.configure()
    bus = begin(bus_kind)
    crowd = [bus.connect() for _ in range(200)]
    for number in range(3):
        files.configure(rules=f'<deny own="a.b{number}"/>')
        asked = [each.call("ReloadConfig") for each in crowd[:20]]
        calls = [
            one.call("M", to=other.name, interface="t.T")
            for one, other in zip(crowd, reversed(crowd), strict=True)
        ]
        for each in crowd:
            each.reply(each.receive("M"))
        for each, serial in zip(crowd, calls, strict=True):
            assert each.answer(serial).error is None
        for each, serial in zip(crowd[:20], asked, strict=True):
            assert each.answer(serial).error is None
        assert not may_own(crowd[number], f"a.b{number}")
    assert all(each.is_open() for each in crowd)


def test_who_asks_sees_what_was_written_before(files: Files, begin: Start) -> None:
    """Requests share a run, but never one that has begun before them."""
    files.configure()
    bus = begin("ours")
    stop = threading.Event()
    other = bus.connect()

    def ask() -> None:
        while not stop.is_set():
            reload(other)

    asking = threading.Thread(target=ask)
    client = bus.connect()
    asking.start()
    try:
        for number in range(30):
            files.configure(rules=DENY if number % 2 else "")
            reload(client)
            assert may_own(client) == (not number % 2)
    finally:
        was_asking = asking.is_alive()
        stop.set()
        asking.join(20)
    assert was_asking
    assert not asking.is_alive()


def test_one_who_asks_and_goes(bus_kind: str, files: Files, begin: Start) -> None:
    files.configure()
    bus = begin(bus_kind)
    for _ in range(5):
        client = bus.connect()
        client.call("ReloadConfig")
        client.close()
    assert bus.connect().is_open()


# ---------------------------------------------------------------------------- watching


def becomes(bus: Bus, allowed: bool) -> None:
    """Without being asked: the bus sees it by itself."""
    client = bus.connect()
    client.until(lambda: may_own(client) == allowed)


def test_a_file_is_rewritten_in_place(files: Files, begin: Start) -> None:
    files.configure()
    bus = begin("ours")
    becomes(bus, True)
    text = files.root.read_text()
    files.root.write_text(text.replace('<allow own="*"/>', f'<allow own="*"/>{DENY}'))
    becomes(bus, False)


def test_a_directory_comes_later(files: Files, begin: Start) -> None:
    files.configure("<includedir>one/two/three</includedir>")
    bus = begin("ours")
    becomes(bus, True)
    files.write(policy(DENY), "one/two/three/a.conf")
    becomes(bus, False)
    (files.directory / "one/two/three").rename(files.directory / "one/two/four")
    becomes(bus, True)


def test_links_lead_elsewhere(files: Files, begin: Start) -> None:
    """Swapped at any place of the way: as package managers and containers do it."""
    files.write("", "v1/conf/a.conf")
    files.write(policy(DENY), "v2/conf/a.conf")
    files.write(policy(DENY), "elsewhere/x")
    directory = files.directory

    def link(name: str, target: str) -> None:
        (directory / "new").symlink_to(target)
        (directory / "new").rename(directory / name)

    link("data", "v1")
    link("more", "data/conf")
    files.configure("<includedir>more</includedir>")
    bus = begin("ours")
    becomes(bus, True)
    link("data", "v2")
    becomes(bus, False)
    link("more", f"{directory}/v1/conf")
    becomes(bus, True)
    (directory / "v1/conf/b.conf").symlink_to("../../elsewhere/x")
    becomes(bus, False)
    files.write("", "elsewhere/x")
    becomes(bus, True)


def test_three_hundred_directories(files: Files, begin: Start) -> None:
    """dbus-daemon 1.14 crashes at more than 128."""
    names = [f"more/{number}.d" for number in range(300)]
    for name in names:
        files.write("", f"{name}/a.conf")
    files.configure("".join(f"<includedir>{name}</includedir>" for name in names))
    bus = begin("ours")
    becomes(bus, True)
    files.write(policy(DENY), "more/299.d/a.conf")
    becomes(bus, False)
    files.write("", "more/299.d/a.conf")
    files.write(policy(DENY), "more/0.d/b.conf")
    becomes(bus, False)
    (files.directory / "more/0.d/b.conf").unlink()
    becomes(bus, True)


def test_what_does_not_count_is_not_read(files: Files, begin: Start) -> None:
    files.configure("<includedir>more</includedir>")
    files.write("", "more/a.conf")
    bus = begin("ours")
    becomes(bus, True)
    files.write(policy(DENY), "more/a.conf.dpkg-new")
    files.write("", "more/b.conf")
    bus.connect().until(lambda: "Reloaded" in bus.log())
    assert "Reloaded configuration: 1 file changed" in bus.log()
    becomes(bus, True)


def test_a_file_that_was_removed_after_the_start_is_not_missed(files: Files, begin: Start) -> None:
    """Harnesses remove theirs as soon as they have the address: that is no error."""
    files.configure("<includedir>more</includedir>")
    files.write("", "more/a.conf")
    bus = begin("ours")
    files.root.unlink()
    becomes(bus, True)
    files.write(policy(DENY), "more/a.conf")
    files.configure("<includedir>more</includedir>")
    becomes(bus, False)
    assert "Unable" not in bus.log()
