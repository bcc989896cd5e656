"""The policy at work: what passes, what is refused in which words, and what ends a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bridge.routing.entry import Kind
from policy.configuration import Configuration, Quota
from policy.limits import Limits
from policy.people import People
from policy.policy import Policy
from policy.rule import Argument, Origin, Rule
from tests import policies
from tests.policies import rule
from tests.raw import (
    CALL,
    DESTINATION,
    DRIVER,
    INTERFACE,
    MEMBER,
    NO_REPLY,
    PATH,
    REPLY_SERIAL,
    SIGNAL,
)
from tests.routing.world import Party, World

Open = Callable[..., World]


@pytest.fixture
def world_of() -> Iterator[Open]:
    """A world with some rules after those that allow everything."""
    worlds: list[World] = []

    def make(*more: Rule, **options: object) -> World:
        worlds.append(World(configuration=policies.rules(*more, **options)))
        return worlds[-1]

    yield make
    for world in worlds:
        world.end()


def two(world: World, name: str = "") -> tuple[Party, Party]:
    """A caller, and a service that owns the name."""
    a, b = world.connect(), world.connect()
    if name:
        b.own(name)
        b.take()
    return a, b


def deny(line: int = 7, **more: object) -> Rule:
    return rule(False, "send", line, **more)


def denial(party: Party) -> str:
    """The text of the one thing that the party got: an AccessDenied."""
    (answer,) = party.take()
    assert answer.error == "org.freedesktop.DBus.Error.AccessDenied", answer
    return str(answer.args[0])


def test_a_denied_call_is_answered_in_dbus_daemons_words_and_logged_with_its_rule(
    world_of: Open, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = two(world_of(deny(line=42, name="x.y")), "x.y")
    a.call("M", to="x.y")
    text = (
        f'Rejected send message, 2 matched rules; type="method_call", sender="{a.name}" '
        '(uid=1000) interface="org.freedesktop.DBus" member="M" error name="(unset)" '
        'requested_reply="0" destination="x.y" (uid=1000)'
    )
    assert denial(a) == text
    assert b.take() == []
    (record,) = caplog.records
    logged = text.replace(" interface=", ' path="/org/freedesktop/DBus" interface=')
    assert record.getMessage() == f"{logged}; rule test:42 (default)"
    assert record.journal == {  # type: ignore[attr-defined]
        "MESSAGE_ID": Kind.DENIED.value,
        "BUS1_UNIQUE_NAME": a.name,
        "BUS1_UID": 1000,
        "BUS1_POLICY_ABOUT": "send",
        "BUS1_POLICY_FILE": "test",
        "BUS1_POLICY_LINE": 42,
        "BUS1_POLICY_CONTEXT": "default",
    }


def test_a_denied_call_leaves_nothing(world_of: Open) -> None:
    world = world_of(deny(name="x.y"))
    a, _ = two(world, "x.y")
    a.call("M", to="x.y")
    assert (a.client.routes, a.client.awaited) == (None, 0)


def test_the_receivers_rules_count_too(world_of: Open) -> None:
    a, b = two(world_of(rule(False, "receive", type="signal", name="x.y")), "x.y")
    b.send(SIGNAL, [(PATH, "/"), (INTERFACE, "i.i"), (MEMBER, "S"), (DESTINATION, a.name)])
    assert denial(b).startswith("Rejected receive message, 2 matched rules; ")
    assert a.take() == []
    a.call("M", to="x.y")
    assert [str(each) for each in b.take()] == ["M()"]


def test_a_verdict_ends_with_the_name(world_of: Open) -> None:
    """The right is the handle; what may go over it depends on what its end is called now."""
    a, b = two(world_of(deny(name="x.y")))
    a.call("M", to=b.name)
    b.own("x.y")
    b.take()
    a.call("M", to=b.name)
    assert "Rejected send" in denial(a)
    b.ask("ReleaseName", "s", "x.y")
    b.take()
    a.call("M", to=b.name)
    assert len(b.take()) == 1


def test_who_waits_for_a_name_is_meant_by_its_rules(world_of: Open) -> None:
    world = world_of(deny(name="x.y"))
    a, b = two(world, "x.y")
    c = world.connect()
    c.own("x.y")
    c.take()
    a.call("M", to=c.name)
    assert "Rejected send" in denial(a)
    assert b.take() == []


def test_another_policy_holds_for_those_who_are_there(world_of: Open) -> None:
    world = world_of()
    a, b = two(world)
    a.call("M", to=b.name, flags=NO_REPLY)
    assert len(b.take()) == 1
    adopt(world, policies.rules(deny(name=b.name), limits=Limits(max_replies_per_connection=3)))
    a.call("M", to=b.name)
    assert "Rejected send" in denial(a)
    assert a.client.limits.max_replies_per_connection == a.client.most_awaited == 3
    adopt(world, policies.rules())
    a.call("M", to=b.name)
    assert len(b.take()) == 1


def adopt(world: World, configuration: Configuration) -> None:
    world.hub.adopt(configuration, Policy(configuration, People()))


def test_rules_about_fields_are_asked_for_each_message(world_of: Open) -> None:
    a, b = two(world_of(deny(name="x.y", interface="i.i", member="No")), "x.y")
    for member, passes in (("Yes", True), ("No", False), ("Yes", True)):
        a.call(member, to="x.y", interface="i.i", flags=NO_REPLY)
        assert len(b.take()) == passes
        assert bool(a.take()) is not passes


def test_a_deny_by_interface_is_not_evaded_by_leaving_it_out(world_of: Open) -> None:
    """CVE-2008-0595, and what dbus-broker lets pass."""
    a, b = two(world_of(deny(interface="i.i")))
    a.call("M", to=b.name, interface=None)
    assert "Rejected send" in denial(a)


def test_arguments_can_be_named(world_of: Open) -> None:
    exact = deny(arguments=(Argument(0, "x"), Argument(2, "/y", prefix=True)))
    a, b = two(world_of(exact))
    for args, passes in ((("x", 1, "/y/z"), False), (("x", 1, "/z"), True), (("x", 1), True)):
        a.call("M", "sus"[: len(args)], *args, to=b.name, flags=NO_REPLY)
        assert len(b.take()) == passes, args
        a.take()


def test_broadcasts_reach_those_whom_the_rules_let(
    world_of: Open, caplog: pytest.LogCaptureFixture
) -> None:
    world = world_of(rule(False, "receive", interface="i.no"), deny(name="x.y", interface="i.half"))
    a, b, c = (world.connect() for _ in range(3))
    c.own("x.y")
    for party in (b, c):
        party.match("type='signal'")
        party.take()
    got = {}
    for interface in ("i.yes", "i.half", "i.no"):
        a.send(SIGNAL, [(PATH, "/"), (INTERFACE, interface), (MEMBER, "S")])
        got[interface] = [len(party.take()) for party in (b, c)]
    assert got == {"i.yes": [1, 1], "i.half": [1, 0], "i.no": [0, 0]}
    assert a.take() == []
    assert not caplog.records


def test_a_call_with_a_reply_serial_is_no_requested_reply(world_of: Open) -> None:
    """Rules that allow only requested replies do not match it, as in the reference."""
    a, b = two(world_of(rule(True, "send")))
    fields = [(PATH, "/"), (MEMBER, "M"), (DESTINATION, b.name), (REPLY_SERIAL, 99)]
    a.send(CALL, fields)
    assert "0 matched rules" in denial(a)


def test_replies_are_judged(world_of: Open) -> None:
    a, b = two(world_of(rule(False, "send", type="error", error="e.No", requested_reply=True)))
    for name, passes in (("e.Yes", True), ("e.No", False)):
        a.call("M", to=b.name)
        (call,) = b.take()
        b.refuse(call, name, "text")
        assert len(a.take()) == passes
        assert len(b.take()) == (not passes)


def test_messages_of_the_bus_are_judged_by_receive_rules(world_of: Open) -> None:
    world = world_of(rule(False, "receive", name=DRIVER, type="signal", member="NameAcquired"))
    a = world.connect()
    a.own("x.y")
    assert [str(each) for each in a.take()] == []


def test_calls_to_the_bus_are_judged(world_of: Open) -> None:
    a = world_of(deny(name=DRIVER, interface=DRIVER, member="GetId")).connect()
    answer = a.ask("GetId")
    assert answer.error == "org.freedesktop.DBus.Error.AccessDenied"
    assert answer.args[0].endswith(f'destination="{DRIVER}" (bus)')
    assert a.ask("ListNames").error is None


def test_names_are_owned_by_the_rules(world_of: Open, caplog: pytest.LogCaptureFixture) -> None:
    world = world_of(
        rule(False, "own", 3, name="x.y", prefix=True), rule(True, "own", 4, name="x.y.z")
    )
    a = world.connect()
    text = (
        f'Connection "{a.name}" is not allowed to own the service "x.y" due to security '
        "policies in the configuration file"
    )
    refused = f"!AccessDenied {text}"
    assert a.asked("RequestName", "su", "x.y", 0) == refused
    assert a.asked("RequestName", "su", "x.y.a", 0) == refused.replace("x.y", "x.y.a")
    assert [a.own(name) for name in ("x.y.z", "x.yy")] == [1, 1]
    assert caplog.records[0].getMessage() == f"{text} (uid=1000); rule test:3 (default)"


def test_what_a_permissive_rule_denies_passes_and_is_logged(
    world_of: Open, caplog: pytest.LogCaptureFixture
) -> None:
    world = world_of(deny(line=9, name="x.y", permissive=True))
    a, b = two(world, "x.y")
    a.call("M", to="x.y", flags=NO_REPLY)
    assert len(b.take()) == 1
    (record,) = caplog.records
    assert record.getMessage().startswith("Would reject message, 2 matched rules; ")
    assert record.getMessage().endswith("; rule test:9 (default)")


def test_a_permissive_rule_does_not_make_up_for_another(
    world_of: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """The sender's rule would let it pass; the receiver's does not."""
    lenient = deny(line=9, name="x.y", permissive=True)
    world = world_of(lenient, rule(False, "receive", 10, type="method_call"))
    a, b = two(world, "x.y")
    a.call("M", to="x.y")
    assert denial(a).startswith("Rejected receive message, 2 matched rules; ")
    assert b.take() == []
    assert [record.getMessage().rpartition("; ")[2] for record in caplog.records] == [
        "rule test:10 (default)"
    ]


def test_all_that_would_be_denied_is_logged(
    world_of: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """So that rules for all of it can be learnt at once."""
    rules = (deny(line=9, name="x.y"), rule(False, "receive", 10, type="method_call"))
    a, b = two(world_of(*rules, permissive=True), "x.y")
    a.call("M", to="x.y", flags=NO_REPLY)
    assert len(b.take()) == 1
    assert [record.getMessage().rpartition("; ")[2] for record in caplog.records] == [
        "rule test:9 (default)",
        "rule test:10 (default)",
    ]


def test_what_passes_by_permission_is_logged_once_each(
    world_of: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """However much there is of one thing, the others are not lost among it."""
    a, _ = two(world_of(deny(name="x.y"), permissive=True), "x.y")
    for count in range(60):
        for member in ("Often", f"Once{count}"):
            a.call(member, to="x.y", flags=NO_REPLY)
    said = [
        record.getMessage().partition('member="')[2].partition('"')[0] for record in caplog.records
    ]
    assert said == ["Often", *(f"Once{count}" for count in range(60))]


def test_on_a_permissive_bus_all_passes_and_is_logged(
    world_of: Open, caplog: pytest.LogCaptureFixture
) -> None:
    rules = (
        deny(name="x.y"),
        rule(False, "own", name="x.n"),
        rule(False, "receive", type="signal"),
    )
    world = world_of(*rules, permissive=True)
    a, b = two(world, "x.y")
    a.match("type='signal'")
    a.call("M", to="x.y", flags=NO_REPLY)
    assert len(b.take()) == 1
    assert a.own("x.n") == 1
    a.take()
    b.send(SIGNAL, [(PATH, "/"), (INTERFACE, "i.i"), (MEMBER, "S")])
    assert len(a.take()) == 1
    said = [record.getMessage().split(",")[0] for record in caplog.records]
    assert said.count("Would reject message") >= 2
    assert sum(text.startswith("Would refuse: Connection") for text in said) == 1
    world.hub.gate.set_permissive(False, a.client)
    a.call("M", to="x.y")
    assert "Rejected send" in denial(a)


def test_an_allow_that_logs_passes_and_is_logged(
    world_of: Open, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = two(world_of(rule(True, "send", 5, member="M", log=True)))
    a.call("M", to=b.name, flags=NO_REPLY)
    a.call("N", to=b.name, flags=NO_REPLY)
    assert len(b.take()) == 2
    assert [record.getMessage()[:37] for record in caplog.records] == [
        "Would reject message, 2 matched rules"
    ]


def test_of_many_denials_ever_fewer_are_logged(
    world_of: Open, caplog: pytest.LogCaptureFixture
) -> None:
    a, _ = two(world_of(deny(name="x.y")), "x.y")
    for _ in range(65):
        a.call("M", to="x.y")
    assert len(caplog.records) == 16 + 2
    assert caplog.records[-1].getMessage().endswith("(64 denials so far)")
    a.take()


def test_a_denial_counts_as_what_it_costs(world_of: Open) -> None:
    """Or a client that is denied could keep the bus from all others for many turns."""
    world = world_of(deny(name="x.y", member="No"))
    a, _ = two(world, "x.y")
    worked = []
    for member in ("Yes", "No"):
        before = world.hub.work
        a.call(member, to="x.y", flags=NO_REPLY)
        worked.append(world.hub.work - before)
    assert worked[0] < 10
    assert worked[1] >= 200


def test_users_have_rules_and_limits_of_their_own(world_of: Open) -> None:
    configuration = policies.rules(
        quotas=(
            Quota("7", None, (("max_names_per_connection", 2),), Origin("test", 1)),
            Quota(None, "x.y", (("max_replies_per_connection", 5),), Origin("test", 2)),
        )
    )
    world = World(configuration=configuration)
    a, b = world.connect(uid=7), world.connect()
    assert a.own("x.y") == 1
    assert "max_names_per_connection=2" in a.asked("RequestName", "su", "x.z", 0)
    assert [b.own(name) for name in ("x.a", "x.b", "x.c")] == [1, 1, 1]
    assert (a.client.most_awaited, b.client.most_awaited) == (5, 128)
    a.ask("ReleaseName", "s", "x.y")
    assert a.client.most_awaited == 128
    world.end()


def test_a_reply_that_comes_too_late_has_no_handle(world_of: Open) -> None:
    world = world_of()
    a, b = two(world)
    due: list[tuple[int, object, int]] = []
    world.hub.replies.deadlines = Clock(due)
    read, unread = a.call("M", to=b.name), 0
    (call,) = b.take()
    unread = a.call("N", to=b.name)
    assert [serial for _, _, serial in due] == [read, unread]
    for number, callee, serial in list(due):
        world.notices.expire(number, callee, serial)  # type: ignore[arg-type]
    assert [(each.error, each.reply_to) for each in a.take()] == [
        ("org.freedesktop.DBus.Error.NoReply", read),
        ("org.freedesktop.DBus.Error.NoReply", unread),
    ]
    assert (a.client.awaited, due) == (0, [])
    (late,) = b.take()
    for each in (call, late):
        b.reply(each)
        assert "Rejected send" in denial(b)
    b.close()
    assert a.take() == []  # it hears of each only once
    assert a.client.late == {}


def test_calls_that_were_read_too_late_leave_no_handle(world_of: Open) -> None:
    world = world_of()
    a, b = two(world)
    due: list[tuple[int, object, int]] = []
    world.hub.replies.deadlines = Clock(due)
    before = len(b.client.peer.handles)
    for _ in range(5):
        a.call("M", to=b.name)
    for number, callee, serial in list(due):
        world.notices.expire(number, callee, serial)  # type: ignore[arg-type]
    calls = b.take()
    assert len(b.client.peer.handles) == before + 5
    b.reply(calls[0])
    assert "Rejected send" in denial(b)
    a.take()
    assert len(b.client.peer.handles) == before
    assert a.client.late == {}


class Clock:
    def __init__(self, due: list[tuple[int, object, int]]) -> None:
        self.due = due

    def add(self, thing: tuple[int, object, int]) -> None:
        self.due.append(thing)

    def discard(self, thing: tuple[int, object, int]) -> None:
        if thing in self.due:
            self.due.remove(thing)


def test_errors_that_name_no_error_are_met_by_a_rule_about_errors(world_of: Open) -> None:
    """<deny send_error="X"/> alone denies every message that is no error (contract, H)."""
    a, b = two(world_of(deny(error="e.E")))
    a.call("M", to=b.name)
    assert "Rejected send" in denial(a)
    assert b.take() == []
