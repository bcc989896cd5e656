"""Services that the bus starts for a message: order, errors, time, policy, environment.

What owns the name is mostly a client of the test itself, and the service only sleeps.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.behaviour.files import Files
from tests.buses import ROOT, Bus
from tests.raw import DRIVER, ERROR, NO_AUTO_START, NO_REPLY, Client, Message

NAME = "com.example.Sleeps"
ACTIVATOR = "org.freedesktop.systemd1.Activator"
SYSTEMD = "org.freedesktop.systemd1"
SERVICE = """
import os, sys
sys.path.insert(0, {root!r})
from tests.raw import Client
if sys.argv[1] == "fork" and os.fork():
    os._exit(0)
client = Client(os.environ["DBUS_STARTER_ADDRESS"])
client.own(sys.argv[2])
client.reply(client.receive("M"), "s", "served")
client.rest()
"""


class Place:
    """A directory with configuration and service files, for the bus of one test."""

    def __init__(self, directory: Path, kind: str) -> None:
        self.files = Files(directory)
        self.directory = directory
        self.kind = kind
        self.bus: Bus | None = None
        (directory / "services").mkdir()
        self.service(NAME, "/bin/sleep 10")

    def script(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def service(self, name: str, command: object, more: str = "") -> None:
        text = f"[D-BUS Service]\nName={name}\nExec={command}\n{more}"
        (self.directory / "services" / f"{name}.service").write_text(text)

    def start(self, more: str = "", rules: str = "", *options: str, type_: str = "session") -> Bus:
        services = f"<servicedir>{self.directory}/services</servicedir>"
        self.files.configure(services + more, rules, type_)
        self.bus = self.files.start(self.kind, *options)
        return self.bus


@pytest.fixture
def place(bus_kind: str, tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path, bus_kind)
    yield place
    if place.bus is not None:
        place.bus.stop()


def timeout(milliseconds: int) -> str:
    return f'<limit name="service_start_timeout">{milliseconds}</limit>'


def ask(client: Client, name: str = NAME, member: str = "M", **options: int) -> int:
    return client.call(member, to=name, path="/p", interface="a.b", **options)


def begin(client: Client, name: str = NAME) -> int:
    return client.call("StartServiceByName", "su", name, 0)


def said(message: Message) -> tuple[str, str]:
    """An error in short."""
    assert message.kind == ERROR, message
    return str(message.error).removeprefix("org.freedesktop.DBus.Error."), str(message.args[0])


# ------------------------------------------------------------------------------ order


def test_order(place: Place) -> None:
    """A.12 #3: a new owner learns of its name, gets what has waited, then the reply."""
    bus = place.start()
    a, b, owner = bus.connect(), bus.connect(), bus.connect()
    for client in (a, owner):
        client.match("type=signal,member=NameOwnerChanged")
    ask(a, member="First")
    started = begin(a)
    a.settle()
    b.signal("Second", to=NAME)
    b.settle()
    ask(a, member="Third", flags=NO_REPLY)
    a.settle()
    owner.call("RequestName", "su", NAME, 0)
    changed = f"NameOwnerChanged({NAME},,{owner.name})"
    got = owner.seen()
    assert got == [changed, f"NameAcquired({NAME})", "First()", "Second()", "Third()", "=(1)"]
    (first, answer) = (m for m in a.take() if owner.name in str(m) or m.reply_to == started)
    assert (str(first), str(answer)) == (changed, "=(1)")
    assert a.ask("StartServiceByName", "su", NAME, 0).args == [2]


def test_what_waits_of_somebody_gone_is_not_delivered(place: Place) -> None:
    bus = place.start()
    a, b, owner = bus.connect(), bus.connect(), bus.connect()
    ask(a, member="Gone")
    a.settle()
    ask(b, member="There")
    b.settle()
    a.close()
    b.until_gone(a.name)
    owner.own(NAME)
    assert [m.member for m in owner.take() if m.member != "NameAcquired"] == ["There"]


@pytest.fixture
def delivered(place: Place) -> Iterator[tuple[Message, int]]:
    """A message that has waited with the one end of a pipe, and the other end."""
    bus = place.start()
    a, owner = bus.connect(), bus.connect()
    read, write = os.pipe()
    a.send(1, [(1, "/p"), (3, "M"), (6, NAME)], "h", [0], fds=[write])
    os.close(write)
    a.settle()
    owner.own(NAME)
    yield owner.receive("M"), read
    os.close(read)


def test_descriptors_wait_with_their_message(delivered: tuple[Message, int]) -> None:
    message, read = delivered
    os.write(message.fds[0], b"x")
    assert os.read(read, 1) == b"x"


def test_descriptors_that_were_delivered_are_not_kept(delivered: tuple[Message, int]) -> None:
    """The process that was started for them may live as long as the bus."""
    message, read = delivered
    os.close(message.fds.pop())
    assert select.select([read], [], [], 5)[0] == [read]


def test_a_reload_does_not_touch_what_is_being_started(place: Place) -> None:
    bus = place.start()
    a, owner = bus.connect(), bus.connect()
    ask(a)
    a.settle()
    (place.directory / "services" / f"{NAME}.service").unlink()
    assert a.ask("ReloadConfig").error is None
    assert said(a.ask("M", to="com.example.Else", interface="a.b"))[0] == "ServiceUnknown"
    owner.own(NAME)
    assert owner.receive("M").sender == a.name


# ----------------------------------------------------------------------------- services


@pytest.mark.parametrize("way", ["stay", "fork"])
def test_a_service_answers(place: Place, way: str) -> None:
    """One that goes to the background exits with status 0 before it has its name."""
    program = place.directory / "service.py"
    program.write_text(SERVICE.format(root=str(ROOT)))
    place.service("com.example.Real", f"{sys.executable} {program} {way} com.example.Real")
    bus = place.start()
    a = bus.connect()
    assert a.ask("M", to="com.example.Real", interface="a.b").args == ["served"]


# How it ends, within so many milliseconds, and what is said then.
ENDINGS = {
    "exits": ("exit 3", 25_000, "Spawn.ChildExited", "Process com.example.E exited with status 3"),
    "killed": (
        "kill -9 $$",
        25_000,
        "Spawn.ChildSignaled",
        "Process com.example.E received signal 9",
    ),
    "exits with 0": (
        "exit 0",
        600,
        "TimedOut",
        "Failed to activate service 'com.example.E': timed out (service_start_timeout=600ms)",
    ),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_a_service_that_ends_too_soon(place: Place, case: str) -> None:
    """All hear of it, whatever they sent; and the next call tries again."""
    script, most, error, text = ENDINGS[case]
    runs = place.directory / "runs"
    place.service("com.example.E", place.script("ends", f"echo >>{runs}; sleep .3; {script}"))
    bus = place.start(timeout(most))
    a, b = bus.connect(), bus.connect()
    serials = [
        ask(a, "com.example.E"),
        begin(a, "com.example.E"),
        a.signal("S", to="com.example.E"),
        ask(a, "com.example.E", flags=NO_REPLY),
    ]
    other = ask(b, "com.example.E")
    for serial in serials:
        assert said(a.answer(serial)) == (error, text)
    assert said(b.answer(other)) == (error, text)
    assert runs.read_text() == "\n"
    assert said(a.ask("M", to="com.example.E", interface="a.b")) == (error, text)
    assert runs.read_text() == "\n\n"


def test_who_is_started_by_the_same_words_fails_with_it(place: Place) -> None:
    """Though each had a process of its own, and this one only sleeps."""
    once = place.script("once", 'mkdir "$0.d" && exec sleep 10; sleep .3; exit 3')
    for name in ("com.example.One", "com.example.Two"):
        place.service(name, once)
    bus = place.start()
    a = bus.connect()
    first = ask(a, "com.example.One")
    a.until(Path(f"{once}.d").exists)
    second = ask(a, "com.example.Two")
    text = "Process com.example.Two exited with status 3"
    for serial in (first, second):
        assert said(a.answer(serial)) == ("Spawn.ChildExited", text)


COMMANDS = {
    "/nonexistent": (
        "Spawn.ExecFailed",
        "Failed to execute program com.example.C: No such file or directory",
    ),
    "/": ("Spawn.ExecFailed", "Failed to execute program com.example.C: Permission denied"),
    '""': (
        "Spawn.ExecFailed",
        "Failed to execute program com.example.C: No such file or directory",
    ),
    "/bin/true 'a": ("InvalidArgs", "Unclosed quotes in command line"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_cannot_be_executed(place: Place, command: str) -> None:
    place.service("com.example.C", command)
    a = place.start().connect()
    assert said(a.ask("M", to="com.example.C", interface="a.b")) == COMMANDS[command]
    assert said(a.answer(begin(a, "com.example.C"))) == COMMANDS[command]


def test_a_service_that_is_too_slow_is_killed(place: Place) -> None:
    note = place.directory / "pid"
    place.service("com.example.S", place.script("slow", f"echo $$ >{note}; exec sleep 60"))
    a = place.start(timeout(700)).connect()
    error, text = said(a.ask("M", to="com.example.S", interface="a.b"))
    assert error == "TimedOut"
    assert "(service_start_timeout=700ms)" in text
    pid = int(note.read_text())
    a.until(lambda: not os.path.exists(f"/proc/{pid}"))


# ------------------------------------------------------------------------ who may, how many


def test_so_many_messages_may_wait(place: Place) -> None:
    """Whatever is asked for then: the limit is looked at before anything else."""
    bus = place.start('<limit name="max_pending_service_starts">3</limit>')
    a, b, owner = bus.connect(), bus.connect(), bus.connect()
    ask(a)
    begin(a)
    b.signal("S", to=NAME)
    b.settle()
    a.settle()
    text = (
        "The maximum number of pending activations has been reached, activation of {} failed "
        "(max_pending_service_starts=3)"
    )
    for name in (NAME, "com.example.Nothing"):
        for answer in (a.ask("M", to=name, interface="a.b"), a.answer(begin(a, name))):
            assert said(answer) == ("LimitsExceeded", text.format(name))
    owner.own(NAME)
    assert a.answer(begin(a)).args == [2]


def test_policy_before_the_start(place: Place) -> None:
    """The name is taken as it is, or by its beginning; nothing is started."""
    started = place.directory / "started"
    for name in ("com.example.Denied", "com.example.Pre.fix"):
        place.service(name, place.script("denied", f"touch {started}"))
    rules = (
        '<deny send_destination="com.example.Denied"/>'
        '<deny send_destination_prefix="com.example.Pre"/>'
    )
    a = place.start("", rules).connect()
    for name in ("com.example.Denied", "com.example.Pre.fix"):
        error, text = said(a.ask("M", to=name, interface="a.b"))
        assert error == "AccessDenied"
        assert text.startswith("Rejected send message, 2 matched rules; ")
        assert text.endswith(f'destination="{name}" (bus)')
    assert not started.exists()


def test_policy_when_it_is_delivered(place: Place) -> None:
    """CVE-2014-3477: the caller hears of it, the owner neither gets nor hears anything."""
    bus = place.start("", '<deny receive_interface="a.b" receive_member="Secret"/>')
    a, owner = bus.connect(), bus.connect()
    secret = ask(a, member="Secret")
    ask(a, member="Plain")
    a.settle()
    assert owner.own(NAME) == 1
    error, text = said(a.answer(secret))
    assert error == "AccessDenied"
    assert text.startswith("Rejected receive message")
    assert [m.member for m in owner.take() if m.member != "NameAcquired"] == ["Plain"]


def test_what_starts_nothing(place: Place) -> None:
    a = place.start(timeout(500)).connect()
    error = said(a.answer(ask(a, flags=NO_AUTO_START)))
    assert error == ("NameHasNoOwner", f'Name "{NAME}" does not exist')
    text = "The name com.example.Nothing was not provided by any .service files"
    assert said(a.answer(ask(a, "com.example.Nothing"))) == ("ServiceUnknown", text)
    assert said(a.answer(begin(a, "com.example.Nothing"))) == ("ServiceUnknown", text)


def test_a_reply_starts_nothing(place: Place) -> None:
    """With dbus-daemon it does, where the policy lets it pass as it does on a session bus."""
    a = place.start(timeout(500)).connect()
    serial = a.send(2, [(6, NAME), (5, 77)])
    expected = "AccessDenied" if place.kind == "ours" else "TimedOut"
    assert said(a.answer(serial))[0] == expected


# ------------------------------------------------------------------------ the environment


def test_environment(place: Place) -> None:
    found = place.directory / "environment"
    place.service("com.example.Env", place.script("env", f"cat /proc/$$/environ >{found}; exit 3"))
    bus = place.start()
    a = bus.connect()
    new = {"BUS1_NEW": "new", "BUS1=odd": "", "DBUS_STARTER_ADDRESS": "no"}
    assert a.ask("UpdateActivationEnvironment", "a{ss}", new).error is None
    assert said(a.answer(begin(a, "com.example.Env")))[0] == "Spawn.ChildExited"
    lines = set(found.read_text().split("\0")) - {""}
    before = Path(f"/proc/{bus.pid}/environ").read_text().split("\0")
    assert lines == (set(before) - {""}) | {
        "BUS1_NEW=new",
        "BUS1=odd=",
        f"DBUS_STARTER_ADDRESS={bus.address}",
        "DBUS_STARTER_BUS_TYPE=session",
        f"DBUS_SESSION_BUS_ADDRESS={bus.address}",
    }


def test_the_environment_is_set_at_home(place: Place) -> None:
    """CVE-2014-8148. Where there is a launch helper it is not set at all."""
    a = place.start("<servicehelper>/bin/false</servicehelper>").connect()
    text = (
        "Method 'UpdateActivationEnvironment' is only available at the canonical object path "
        "'/org/freedesktop/DBus'"
    )
    away = a.ask("UpdateActivationEnvironment", "a{ss}", {}, path="/")
    assert said(away) == ("AccessDenied", text)
    answer = a.ask("UpdateActivationEnvironment", "a{ss}", {"A": "1"})
    text = "Cannot change activation environment on a system bus."
    assert said(answer) == ("AccessDenied", text)


# ---------------------------------------------------------------------- the launch helper

HELPER = {
    1: ("Spawn.ChildExited", "Launch helper exited with unknown return code 1"),
    2: ("NoMemory", "Launcher could not run (out of memory)"),
    3: ("Spawn.ConfigInvalid", "Invalid configuration (missing or empty <user>?)"),
    4: ("Spawn.FailedToSetup", "Failed to setup environment correctly"),
    5: ("Spawn.ServiceNotValid", "Bus name is not valid or missing"),
    6: ("Spawn.ServiceNotFound", "Bus name not found in system service directory"),
    7: ("Spawn.PermissionsInvalid", "The permission of the setuid helper is not correct"),
    8: (
        "Spawn.PermissionsInvalid",
        "The service file is incorrect or does not have all required attributes",
    ),
    9: ("Spawn.ExecFailed", "Cannot launch daemon, file not found or permissions invalid"),
    10: ("InvalidArgs", "Invalid arguments to command line"),
    11: ("Spawn.ChildSignaled", "Launched child was signaled, it probably crashed"),
    77: ("Spawn.ChildExited", "Launch helper exited with unknown return code 77"),
}


def test_launch_helper(place: Place) -> None:
    """It gets the name as its argument; its exit status says what is wrong."""
    status, name = place.directory / "status", place.directory / "name"
    helper = place.script("helper", f'echo "$@" >{name}; exit $(cat {status})')
    place.service("com.example.U", "/bin/true", "User=root\n")
    a = place.start(f"<servicehelper>{helper}</servicehelper>", type_="system").connect()
    for number, expected in HELPER.items():
        status.write_text(str(number))
        assert said(a.ask("M", to="com.example.U", interface="a.b")) == expected
        assert name.read_text() == "com.example.U\n"
    text = "Cannot do system-bus activation with no user\n"
    assert said(a.answer(begin(a))) == ("Spawn.FileInvalid", text)


# ------------------------------------------------------------------------------- systemd


@pytest.fixture
def by_systemd(place: Place) -> Bus:
    place.service("com.example.Unit", "/bin/false", "SystemdService=some.service\n")
    return place.start("", "", "--systemd-activation")


def fail(manager: Client, *arguments: str) -> None:
    options = {"to": DRIVER, "path": "/org/freedesktop/systemd1", "interface": ACTIVATOR}
    manager.signal("ActivationFailure", "sss", *arguments, **options)
    manager.settle()


def test_systemd_is_asked(by_systemd: Bus) -> None:
    """Messages to it wait, too, though no file says how to start it."""
    a, manager, unit = (by_systemd.connect() for _ in range(3))
    call = ask(a, "com.example.Unit")
    a.settle()
    manager.own(SYSTEMD)
    request = manager.receive("ActivationRequest")
    assert (request.kind, request.sender, request.path) == (4, DRIVER, "/org/freedesktop/DBus")
    assert (request.destination, request.interface) == (SYSTEMD, ACTIVATOR)
    assert request.args == ["some.service"]
    unit.own("com.example.Unit")
    unit.reply(unit.receive("M"), "s", "here")
    assert a.answer(call).args == ["here"]


def test_systemd_fails(by_systemd: Bus) -> None:
    a, manager = by_systemd.connect(), by_systemd.connect()
    manager.own(SYSTEMD)
    serial = begin(a, "com.example.Unit")
    manager.receive("ActivationRequest")
    fail(manager, "other.service", "com.example.Nope", "not this")
    fail(manager, "some.service", "com.example.Nope", "Computer says no")
    assert said(a.answer(serial)) == ("com.example.Nope", "Computer says no")


def test_forged_failures(by_systemd: Bus) -> None:
    """CVE-2015-0245: not even root may say it, who is not systemd."""
    a, manager, b = (by_systemd.connect() for _ in range(3))
    manager.own(SYSTEMD)
    serial = ask(a, "com.example.Unit")
    request = manager.receive("ActivationRequest")
    fail(b, *request.args, "com.example.Forged", "forged")
    assert [m for m in a.take() if m.reply_to == serial] == []
    assert f"Ignoring forged ActivationFailure message from connection {b.name}" in by_systemd.log()


def test_features(by_systemd: Bus) -> None:
    a = by_systemd.connect()
    answer = a.ask("Get", "ss", DRIVER, "Features", interface=DRIVER + ".Properties")
    assert answer.args == [["ActivatableServicesChanged", "HeaderFiltering", "SystemdActivation"]]


# ----------------------------------------------------------------------------------- log


def test_what_the_log_says(place: Place) -> None:
    place.service("com.example.E", place.script("ends", "sleep .2; exit 3"))
    bus = place.start()
    a, owner = bus.connect(), bus.connect()
    said(a.ask("M", to="com.example.E", interface="a.b"))
    ask(a)
    a.settle()
    owner.own(NAME)
    wanted: list[Callable[[str], bool]] = [
        lambda line: f"Activating service name='com.example.E' requested by '{a.name}' (" in line,
        lambda line: line.endswith(
            "Activated service 'com.example.E' failed: Process com.example.E exited with status 3"
        ),
        lambda line: f"Activating service name='{NAME}' requested by '{a.name}' (uid=" in line,
        lambda line: line.endswith(f"Successfully activated service '{NAME}'"),
    ]
    lines = [line for line in bus.log().splitlines() if "ctivat" in line]
    assert [wants(line) for wants, line in zip(wanted, lines, strict=True)] == [True] * 4
