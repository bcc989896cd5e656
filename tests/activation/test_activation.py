"""Messages that wait for services: who may, how many, in which order, and what becomes of them."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.routing.errors import Refused
from policy.limits import Limits
from tests import policies
from tests.activation.bench import service
from tests.raw import DRIVER, DRIVER_PATH, NO_AUTO_START, NO_REPLY, Message
from tests.routing.world import Party, World, quota

NAME = "com.example.Service"
OTHER = "com.example.Other"
SYSTEMD = "org.freedesktop.systemd1"
ACTIVATOR = SYSTEMD + ".Activator"
SERVICES = (
    service(NAME),
    service(OTHER, "/run/it"),
    service("com.example.Third", "/run/third"),
    service("com.example.Unit", "/bin/false", unit="some.service"),
    service("com.example.User", "/run/user", user="daemon"),
)
Make = Callable[..., World]


@pytest.fixture
def make() -> Iterator[Make]:
    """Worlds with services that are ended, and have then nothing left."""
    worlds: list[World] = []

    def made(*rules: Any, limits: Limits | None = None, options: Any = (), **more: Any) -> World:
        configuration = policies.rules(*rules, limits=limits, **dict(options))
        worlds.append(World(configuration=configuration, services=SERVICES, **more))
        return worlds[-1]

    yield made
    for world in worlds:
        world.end()


@pytest.fixture
def world(make: Make) -> World:
    return make()


def ask(party: Party, name: str = NAME, member: str = "M", **options: Any) -> int:
    return party.call(member, to=name, path="/p", interface="a.b", **options)


def start(party: Party, name: str = NAME) -> int:
    return party.call("StartServiceByName", "su", name, 0)


def answers(party: Party) -> list[str]:
    return [f"{m.reply_to} {m}" for m in party.take() if m.reply_to]


# ------------------------------------------------------------------------- who waits


def test_all_comes_in_its_order_when_the_name_has_an_owner(world: World) -> None:
    """A.12 #3: everybody hears of it, who asked for the start, the owner; then what waits comes,
    and the answer to the request last."""
    a, b, owner = world.connect(), world.connect(), world.connect()
    owner.match("type=signal,member=NameOwnerChanged")
    a.match("type=signal,member=NameOwnerChanged")
    first, second = ask(a, member="First"), start(a)
    b.signal("Second", to=NAME)
    ask(a, member="Third", flags=NO_REPLY)
    assert world.bench.started[0].words == ("/run/it",)
    assert len(world.bench.started) == 1
    owner.call("RequestName", "su", NAME, 0)
    changed = f"NameOwnerChanged({NAME},,{owner.name})"
    acquired = f"NameAcquired({NAME})"
    assert owner.seen() == [changed, acquired, "First()", "Second()", "Third()", "=(1)"]
    assert a.seen() == [changed, "=(1)"]
    assert (first, second) == (a.serial - 2, a.serial - 1)
    assert world.activation.report() == []


def test_a_call_that_waited_is_answered(world: World) -> None:
    a, owner = world.connect(), world.connect()
    serial = ask(a)
    owner.own(NAME)
    owner.reply(owner.receive("M"), "s", "here")
    assert a.answer(serial).args == ["here"]


def test_what_starts_nothing(world: World) -> None:
    a = world.connect()
    assert a.asked("M", to=NAME, flags=NO_AUTO_START).startswith("!NameHasNoOwner")
    assert a.asked("M", to="com.example.Nothing").startswith("!ServiceUnknown")
    assert a.asked("M", to=":1.99").startswith("!ServiceUnknown")
    assert a.asked("StartServiceByName", "su", "com.example.Nothing", 0).startswith(
        "!ServiceUnknown"
    )
    a.send(2, [(6, NAME), (5, 77)])
    assert a.seen() == ["!AccessDenied"]
    assert world.bench.started == []


def test_who_runs_is_not_started(world: World) -> None:
    a, owner = world.connect(), world.connect()
    owner.own(NAME)
    assert a.asked("StartServiceByName", "su", NAME, 0) == "=(2)"
    assert world.bench.started == []


def test_who_left_has_nothing_delivered_and_the_service_comes_all_the_same(world: World) -> None:
    a, b, owner = world.connect(), world.connect(), world.connect()
    ask(a, member="Gone")
    ask(b, member="There")
    start(a)
    a.close()
    owner.own(NAME)
    assert [m.member for m in owner.take()] == ["NameAcquired", "There"]


def test_who_becomes_a_monitor_has_left(make: Make) -> None:
    world = make()
    a, owner = world.connect(), world.connect()
    ask(a, member="Gone")
    a.ask("BecomeMonitor", "asu", [], 0, interface=DRIVER + ".Monitoring")
    owner.own(NAME)
    assert [m.member for m in owner.take()] == ["NameAcquired"]


def test_descriptors_wait_with_their_message(world: World) -> None:
    a, owner = world.connect(), world.connect()
    read, write = os.pipe()
    a.send(1, [(1, "/p"), (3, "M"), (6, NAME)], "h", [0], fds=[write])
    os.close(write)
    owner.own(NAME)
    message = owner.receive("M")
    os.write(message.fds[0], b"x")
    assert os.read(read, 1) == b"x"
    os.close(read)


def test_descriptors_of_who_left_are_closed(world: World) -> None:
    a = world.connect()
    read, write = os.pipe()
    a.send(1, [(1, "/p"), (3, "M"), (6, NAME)], "h", [0], fds=[write])
    os.close(write)
    a.close()
    assert os.read(read, 1) == b""
    os.close(read)


@pytest.mark.parametrize("end", ["delivered", "failed", "not executed"])
def test_what_waited_is_not_kept(world: World, end: str) -> None:
    """However long the process lives, and though nobody looks for cycles."""
    a, owner = world.connect(), world.connect(fds=False)
    read, write = os.pipe()
    world.bench.wrong = FileNotFoundError(2, "No such file") if end == "not executed" else None
    gc.disable()
    try:
        a.send(1, [(1, "/p"), (3, "M"), (6, NAME)], "h", [0], fds=[write])
        os.close(write)
        world.bench.wrong = None
        if end == "failed":
            world.bench.turn(25)
        owner.own(NAME)
        assert len(a.take()) == 1
        os.set_blocking(read, False)
        assert os.read(read, 1) == b""
    finally:
        gc.enable()
        os.close(read)


# -------------------------------------------------------------------------- the policy


def test_the_policy_is_asked_before_the_start(make: Make) -> None:
    """Of the name as it is, whoever may own it; StartServiceByName is another message."""
    world = make(policies.rule(False, "send", name=NAME))
    a = world.connect()
    assert a.asked("M", to=NAME).startswith("!AccessDenied Rejected send message")
    assert world.bench.started == []
    start(a)
    assert len(world.bench.started) == 1


def test_the_policy_is_asked_again_and_a_denial_goes_to_the_caller(make: Make) -> None:
    """CVE-2014-3477. What the receiver may receive is not known before it is there."""
    world = make(policies.rule(False, "receive", member="Secret"))
    a, owner = world.connect(), world.connect()
    secret = ask(a, member="Secret")
    ask(a, member="Plain")
    assert owner.own(NAME) == 1
    assert [m.member for m in owner.take()] == ["NameAcquired", "Plain"]
    assert answers(a) == [f"{secret} !AccessDenied"]


# -------------------------------------------------------------------------- how much waits


def test_so_many_messages_of_a_user_wait(make: Make) -> None:
    """The reference counts all users' together: there one could keep the others out."""
    world = make(limits=Limits(max_pending_service_starts=3))
    a, b, other = world.connect(), world.connect(), world.connect(uid=7)
    for party in (a, b, b):
        ask(party)
    text = (
        "!LimitsExceeded The maximum number of pending activations has been reached, activation of "
        f"{OTHER} failed (max_pending_service_starts=3)"
    )
    assert a.asked("M", to=OTHER) == text
    assert a.asked("StartServiceByName", "su", OTHER, 0) == text
    ask(other, OTHER)
    assert [each.name for each in world.bench.started] == [NAME, OTHER]
    b.close()
    ask(a)
    world.connect().own(NAME)
    ask(a, OTHER)
    assert len(world.bench.started) == 2


def test_what_waits_is_charged_to_who_sent_it(make: Make) -> None:
    world = make(peer=quota(bytes=5000))
    a, b = world.connect(), world.connect()
    body = bytes(1000)
    sent = [send(a, body)]
    while not (said := answers(a)):
        sent.append(send(a, body))
    assert said == [f"{sent[-1]} !LimitsExceeded"]
    assert 2 <= len(sent) <= 6
    held = a.client.peer.query()
    assert held.messages == len(sent) - 1
    assert held.bytes > 1000 * (len(sent) - 1)
    send(b, body)
    owner = world.connect()
    owner.own(NAME)
    assert a.client.peer.query().bytes == 0


def send(party: Party, body: bytes) -> int:
    return party.send(1, [(1, "/p"), (3, "M"), (6, NAME)], "ay", [body])


# ------------------------------------------------------------------------ it does not come


def test_its_time_is_over(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    world = make(limits=Limits(service_start_timeout=4000))
    a, b = world.connect(), world.connect()
    ask(a)
    started = start(b)
    a.signal("S", to=NAME)
    world.bench.turn(1.9)
    ask(a)
    assert "is slow" not in caplog.text
    world.bench.turn(0.2)
    assert f"Service '{NAME}' is slow: waiting for process 100" in caplog.text
    world.bench.turn(1.8)
    assert a.seen() == []
    world.bench.turn(0.2)
    late = f"Failed to activate service '{NAME}': timed out (service_start_timeout=4000ms)"
    assert [str(m) for m in a.take()] == ["!TimedOut"] * 3
    (message,) = b.take()
    assert (message.reply_to, message.args) == (started, [late])
    assert world.bench.started[0].killed


def test_the_next_call_tries_again(make: Make) -> None:
    world = make(limits=Limits(service_start_timeout=1000))
    a = world.connect()
    for count in (1, 2):
        serial = ask(a)
        world.bench.turn(1)
        assert answers(a) == [f"{serial} !TimedOut"]
        assert len(world.bench.started) == count
    ask(a)
    world.bench.started[0].ended(-9)  # that of the first, late: the third is on its way
    assert a.seen() == []


def test_a_process_that_ends(world: World) -> None:
    """All that would be started by the same words fail with it."""
    a = world.connect()
    calls = [ask(a, NAME), ask(a, OTHER), ask(a, "com.example.Third")]
    world.bench.started[0].ended(0)
    assert a.seen() == []
    world.bench.started[1].ended(3)
    said = [(m.reply_to, m.error.rpartition(".")[2], *m.args) for m in a.take()]
    text = f"Process {OTHER} exited with status 3"
    assert said == [(calls[0], "ChildExited", text), (calls[1], "ChildExited", text)]
    world.bench.started[2].ended(-11)
    (message,) = a.take()
    assert message.error.endswith("Spawn.ChildSignaled")
    assert message.args == ["Process com.example.Third received signal 11"]


def test_a_process_that_ends_when_its_name_is_there(world: World) -> None:
    a, owner = world.connect(), world.connect()
    ask(a)
    owner.own(NAME)
    world.bench.started[0].ended(3)
    assert a.seen() == []


def test_a_program_that_cannot_be_started(world: World) -> None:
    a = world.connect()
    world.bench.wrong = FileNotFoundError(2, "No such file or directory")
    text = f"!ExecFailed Failed to execute program {NAME}: No such file or directory"
    assert a.asked("M", to=NAME) == text
    world.bench.wrong = Refused("org.freedesktop.DBus.Error.Spawn.ForkFailed", "no")
    assert a.asked("StartServiceByName", "su", NAME, 0) == "!ForkFailed no"
    assert world.activation.report() == []


def test_by_a_launch_helper(make: Make) -> None:
    """It is told the name, and its exit status says what went wrong."""
    world = make(options={"service_helper": "/lib/helper"})
    a = world.connect()
    said = a.asked("M", to=NAME)
    assert said == "!FileInvalid Cannot do system-bus activation with no user\n"
    serial = ask(a, "com.example.User")
    assert world.bench.started[0].words == ("/lib/helper", "com.example.User")
    world.bench.started[0].ended(6)
    (message,) = a.take()
    assert (message.reply_to, message.error) == (
        serial,
        "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
    )
    assert message.args == ["Bus name not found in system service directory"]


# ----------------------------------------------------------------------------- by systemd


@pytest.fixture
def systemd(make: Make) -> World:
    return make(by_systemd=True)


def fail(party: Party, unit: str = "some.service", *, error: str = "com.example.Nope") -> None:
    party.signal(
        "ActivationFailure",
        "sss",
        unit,
        error,
        "no",
        to=DRIVER,
        path=DRIVER_PATH,
        interface=ACTIVATOR,
    )


def test_systemd_is_asked_when_it_is_there(systemd: World) -> None:
    a, manager = systemd.connect(), systemd.connect()
    ask(a, "com.example.Unit")
    ask(a, SYSTEMD)
    assert systemd.bench.started == []
    manager.own(SYSTEMD)
    request, call = (m for m in manager.take() if m.member != "NameAcquired")
    assert (request.kind, request.sender, request.destination) == (4, DRIVER, SYSTEMD)
    assert str(request) == "ActivationRequest(some.service)"
    assert (request.interface, request.path) == (ACTIVATOR, DRIVER_PATH)
    assert call.member == "M"
    unit = systemd.connect()
    unit.own("com.example.Unit")
    assert [m.member for m in unit.take()] == ["NameAcquired", "M"]


def test_systemd_says_that_it_failed(systemd: World) -> None:
    a, manager = systemd.connect(), systemd.connect()
    manager.own(SYSTEMD)
    serial = ask(a, "com.example.Unit")
    fail(manager, "other.service")
    assert a.seen() == []
    fail(manager)
    (message,) = a.take()
    assert (message.reply_to, message.error, message.args) == (serial, "com.example.Nope", ["no"])
    ask(a, "com.example.Unit")
    fail(manager, error="no name")
    assert answers(a)[0].endswith("!Failed")


def test_others_cannot_say_it(systemd: World, caplog: pytest.LogCaptureFixture) -> None:
    """CVE-2015-0245: neither somebody who is not systemd, nor a systemd that is nobody's."""
    a, b, stranger = systemd.connect(), systemd.connect(), systemd.connect(uid=7)
    ask(a, "com.example.Unit")
    fail(b)
    stranger.own(SYSTEMD)
    fail(stranger)
    assert a.seen() == []
    said = "Ignoring forged ActivationFailure message from connection"
    assert caplog.text.count(said) == 2
    for _ in range(100):
        fail(b)
    assert caplog.text.count(said) == 2 + 6  # nobody fills the log so


def test_a_failure_that_says_nothing(systemd: World) -> None:
    a, manager = systemd.connect(), systemd.connect()
    manager.own(SYSTEMD)
    ask(a, "com.example.Unit")
    manager.signal("ActivationFailure", "s", "some.service", to=DRIVER, interface=ACTIVATOR)
    assert a.seen() == []


def test_systemd_that_may_not_be_asked(make: Make) -> None:
    world = make(policies.rule(False, "receive", member="ActivationRequest"), by_systemd=True)
    a, manager = world.connect(), world.connect()
    manager.own(SYSTEMD)
    assert a.asked("M", to="com.example.Unit").startswith("!AccessDenied")
    assert world.activation.report() == []


def test_services_without_a_unit_are_executed(systemd: World) -> None:
    ask(systemd.connect(), NAME)
    assert systemd.bench.started[0].name == NAME


def test_what_systemd_starts_does_not_fail_with_others(systemd: World) -> None:
    """Though it has the same Exec=: who has SystemdService= mostly has /bin/false there."""
    systemd.shelf.held["com.example.False"] = service("com.example.False", "/bin/false")
    a = systemd.connect()
    ask(a, "com.example.Unit")
    serial = ask(a, "com.example.False")
    systemd.bench.started[0].ended(1)
    assert answers(a) == [f"{serial} !ChildExited"]


def test_what_the_bus_tells_systemd_does_not_pile_up(make: Make) -> None:
    world = make(limits=Limits(max_pending_service_starts=2), by_systemd=True)
    a = world.connect()
    said = [a.asked("UpdateActivationEnvironment", "a{ss}", {"A": "1"}) for _ in range(3)]
    assert said[:2] == ["=()", "=()"]
    assert said[2].startswith("!LimitsExceeded")


def test_who_waits_for_systemd_does_not_keep_others_from_starting(make: Make) -> None:
    world = make(limits=Limits(max_pending_service_starts=2), by_systemd=True)
    a, b = world.connect(uid=7), world.connect(uid=8)
    ask(a, SYSTEMD)
    ask(a, SYSTEMD)
    assert a.asked("M", to=SYSTEMD).startswith("!LimitsExceeded")
    ask(b, "com.example.Unit")
    assert b.seen() == []
    manager = world.connect()
    manager.own(SYSTEMD)
    assert manager.receive("ActivationRequest").args == ["some.service"]


def test_monitors_see_what_systemd_is_asked_once(systemd: World) -> None:
    a, watching, manager = systemd.connect(), systemd.connect(), systemd.connect()
    watching.ask("BecomeMonitor", "asu", ["type=signal"], 0, interface=DRIVER + ".Monitoring")
    watching.take()
    a.signal("Why", to="com.example.Unit")
    manager.own(SYSTEMD)
    seen = [m.member for m in watching.take()]
    assert seen[:2] == ["ActivationRequest", "Why"]
    assert seen.count("ActivationRequest") == 1


# ------------------------------------------------------------------------- the environment


def variables(world: World) -> dict[str, str]:
    return dict(world.bench.started[-1].environment)


def test_what_services_find_in_their_environment(make: Make) -> None:
    world = make(options={"type": "session"})
    a = world.connect()
    a.ask("UpdateActivationEnvironment", "a{ss}", {"NEW": "2", "DBUS_STARTER_ADDRESS": "no"})
    ask(a)
    address = "unix:path=/bus"
    assert variables(world) == {
        "OWN": "1",
        "NEW": "2",
        "DBUS_STARTER_ADDRESS": address,
        "DBUS_STARTER_BUS_TYPE": "session",
        "DBUS_SESSION_BUS_ADDRESS": address,
    }


def test_systemd_gets_the_environment_too(systemd: World) -> None:
    a, manager = systemd.connect(), systemd.connect()
    assert a.asked("UpdateActivationEnvironment", "a{ss}", {"A": "1", "B": "2"}) == "=()"
    manager.own(SYSTEMD)
    message: Message = manager.receive("SetEnvironment")
    assert (message.args, message.path) == ([["A=1", "B=2"]], "/org/freedesktop/systemd1")
    assert message.destination == SYSTEMD
    a.ask("UpdateActivationEnvironment", "a{ss}", {"A": "3"})
    message = manager.receive("SetEnvironment")
    assert (message.args, message.destination) == ([["A=3"]], manager.name)


def test_who_may_not_set_the_environment(make: Make) -> None:
    """CVE-2014-8148."""
    world = make(options={"service_helper": "/lib/helper"})
    a, stranger = world.connect(), world.connect(uid=7)
    said = a.asked("UpdateActivationEnvironment", "a{ss}", {"A": "1"})
    assert said == "!AccessDenied Cannot change activation environment on a system bus."
    said = stranger.asked("UpdateActivationEnvironment", "a{ss}", {"A": "1"})
    assert said.startswith(
        "!AccessDenied rejected attempt to call UpdateActivationEnvironment by connection"
    )
    ask(a, "com.example.User")
    assert "A" not in variables(world)


# --------------------------------------------------------------------------- what is told


def test_what_is_being_started(world: World) -> None:
    a, b = world.connect(pid=11), world.connect(pid=12)
    ask(a)
    ask(a)
    start(b)
    world.bench.turn(1.5)
    (told,) = world.activation.report()
    assert told == {
        "name": NAME,
        "file": f"/s/{NAME}.service",
        "way": "exec",
        "unit": None,
        "pid": 100,
        "state": "waiting for process 100 to own the name",
        "seconds": 1.5,
        "waiting": [
            {"client": a.name, "pid": 11, "messages": 2},
            {"client": b.name, "pid": 12, "messages": 1},
        ],
    }
    world.bench.started[0].ended(0)
    (told,) = world.activation.report()
    assert "exited with status 0" in str(told["state"])


def test_other_services_do_not_change_what_waits(world: World) -> None:
    a, owner = world.connect(), world.connect()
    ask(a)
    world.shelf.held.clear()
    assert a.asked("M", to=OTHER).startswith("!ServiceUnknown")
    owner.own(NAME)
    assert [m.member for m in owner.take()] == ["NameAcquired", "M"]
