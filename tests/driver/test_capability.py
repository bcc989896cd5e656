"""org.bus1.Capability1: who may call whom by a grant, what ends one, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bridge.routing.grant import Grant
from bridge.routing.grants import WORK
from policy.configuration import Configuration
from policy.limits import Limits
from tests import policies, raw
from tests.policies import rule
from tests.raw import DRIVER
from tests.routing.world import UID, Party, World

CAPABILITY = "org.bus1.Capability1"
NAME = "org.example.Foo"
PATH = "/org/example/Foo"
CALLS = rule(False, "send", 2, name=NAME, type="method_call")
MAY = rule(True, "delegate", 3, name=NAME)
BUT_ADMIN = rule(False, "delegate", 4, name=NAME, interface=f"{NAME}.Admin")
INVALID = "org.freedesktop.DBus.Error.InvalidArgs"
DENIED = "org.freedesktop.DBus.Error.AccessDenied"


def begin(*rules: Any, **options: Any) -> World:
    return World(configuration=policies.rules(CALLS, *rules, **options))


@pytest.fixture
def world() -> Iterator[World]:
    world = begin(MAY)
    yield world
    world.end()
    grants = world.hub.grants
    books = (grants.made, grants.held, grants.rights, grants.shares, grants.names)
    assert books == ({}, {}, {}, {}, {})
    assert grants.count == 0


@pytest.fixture
def foo(world: World) -> Party:
    return owner(world)


@pytest.fixture
def a(world: World) -> Party:
    return world.connect()


def owner(world: World, **options: Any) -> Party:
    party = world.connect(**options)
    party.own(NAME)
    party.take()
    return party


def grant(foo: Party, to: Party, *, path: str = PATH, interface: str = "", member: str = "") -> int:
    answer = foo.ask("Grant", "soss", to.name, path, interface, member, interface=CAPABILITY)
    assert answer.signature == "t", answer
    return int(answer.args[0])


def refused(foo: Party, *arguments: str) -> tuple[str | None, str]:
    answer = foo.ask("Grant", "soss", *arguments, interface=CAPABILITY)
    return answer.error, str(answer.args[0])


def listed(party: Party, member: str) -> list[tuple[Any, ...]]:
    return list(party.ask(member, interface=CAPABILITY).args[0])


def passes(a: Party, foo: Party, member: str = "M", to: str = NAME, **options: Any) -> bool:
    """Does a call get through?"""
    options.setdefault("path", PATH)
    serial = a.call(member, to=to, **options)
    came = [each for each in foo.take() if each.kind == raw.CALL]
    if came:
        foo.reply(came[0])
        assert a.answer(serial).error is None
    else:
        assert a.answer(serial).error == DENIED
    return bool(came)


def heard(party: Party, member: str) -> list[list[Any]]:
    return [each.args for each in party.take() if each.member == member]


def adopt(world: World, configuration: Configuration) -> None:
    world.hub.adopt(configuration, policies.policy(configuration))


# ------------------------------------------------------------------------ what passes


def test_what_was_denied_passes_by_a_grant_until_it_is_destroyed(
    world: World, foo: Party, a: Party
) -> None:
    assert not passes(a, foo)
    number = grant(foo, a)
    assert heard(a, "RightAcquired") == [[number, foo.name, PATH, "", ""]]
    work = world.hub.work
    assert passes(a, foo)
    assert world.hub.work - work >= WORK  # to ask the rules takes time, which is the caller's
    assert passes(a, foo, to=foo.name)
    foo.ask("Destroy", "t", number, interface=CAPABILITY)
    assert heard(a, "RightLost") == [[number]]
    assert not passes(a, foo)
    assert listed(foo, "ListGrants") == listed(a, "ListRights") == []


def test_it_is_for_the_one_to_whom_it_was_granted(world: World, foo: Party, a: Party) -> None:
    other = world.connect()
    grant(foo, a)
    assert passes(a, foo)
    assert not passes(other, foo)
    assert listed(other, "ListRights") == []


@pytest.mark.parametrize(
    ("interface", "member", "good", "bad"),
    [
        ("", "", [("x.Y", "M"), (None, "M")], []),
        ("x.Y", "", [("x.Y", "M"), ("x.Y", "N")], [("x.Z", "M"), (None, "M")]),
        ("x.Y", "M", [("x.Y", "M")], [("x.Y", "N"), ("x.Z", "M"), (None, "M")]),
    ],
)
def test_it_is_for_one_object_and_what_of_it_is_named(
    foo: Party,
    a: Party,
    interface: str,
    member: str,
    good: list[tuple[str | None, str]],
    bad: list[tuple[str | None, str]],
) -> None:
    grant(foo, a, interface=interface, member=member)
    for said, wanted in good:
        assert passes(a, foo, wanted, interface=said)
        assert not passes(a, foo, wanted, interface=said, path=PATH + "/other")
    for said, wanted in bad:
        assert not passes(a, foo, wanted, interface=said)


def test_only_calls_pass(world: World, foo: Party, a: Party) -> None:
    """And nothing that says it answers something, whatever its type."""
    adopt(world, policies.rules(rule(False, "send", 2, name=NAME), MAY))
    grant(foo, a)
    assert passes(a, foo)
    a.signal("S", path=PATH, interface="x.Y", to=NAME)
    answers = (raw.REPLY_SERIAL, 1)
    a.send(raw.RETURN, [(raw.DESTINATION, NAME), answers])
    a.send(raw.CALL, [*raw.call_fields(NAME, PATH, "x.Y", "M"), answers])
    assert [str(each) for each in a.take() if each.kind == raw.ERROR] == ["!AccessDenied"] * 3
    assert foo.take() == []


def test_it_gives_nobody_the_way_back(foo: Party, a: Party, world: World) -> None:
    grant(foo, a)
    adopt(world, policies.rules(CALLS, MAY, rule(False, "send", type="method_call")))
    serial = foo.call("M", to=a.name, path=PATH)
    assert foo.answer(serial).error == DENIED


def test_what_the_receiver_may_not_receive_passes_too(world: World, foo: Party, a: Party) -> None:
    adopt(world, policies.rules(rule(False, "receive", type="method_call"), MAY))
    assert not passes(a, foo)
    grant(foo, a)
    assert passes(a, foo)


def test_what_the_kernel_denies_stays_denied(world: World, foo: Party, a: Party) -> None:
    class No:
        def refuses_sending(self, *_: object) -> str | None:
            return "no"

    grant(foo, a)
    world.hub.gate.mediator = No()  # type: ignore[assignment]
    answer = a.answer(a.call("M", to=NAME, path=PATH))
    world.hub.gate.mediator = None
    assert (answer.error, answer.args) == (DENIED, ["no"])


# ------------------------------------------------------------------ who may grant what


def test_without_a_rule_nobody_may(world: World, a: Party) -> None:
    adopt(world, policies.rules(CALLS))
    foo = owner(world)
    error, text = refused(foo, a.name, PATH, "x.Y", "")
    assert error == DENIED
    assert 'path="/org/example/Foo" interface="x.Y" member="(unset)"' in text
    assert text.endswith(f'no rule {{ allow = "delegate", name = "{NAME}" }} allows it')
    assert foo.client.denied == 1
    world.hub.gate.set_permissive(True, foo.client)
    grant(foo, a)


def test_the_owner_of_a_name_may_and_no_other(world: World, foo: Party, a: Party) -> None:
    """Who waits for the name is not its owner yet."""
    waits = world.connect()
    assert waits.own(NAME) == 2
    for party in (a, waits):
        error, text = refused(party, foo.name, PATH, "", "")
        assert error == DENIED
        assert text.endswith("name = ... } allows it, and it owns no name")


def test_what_is_kept_back_is_kept_back_within_more(foo: Party, a: Party) -> None:
    adopt(foo.world, policies.rules(CALLS, rule(True, "delegate", name=NAME), BUT_ADMIN))
    for extent in (("", ""), (f"{NAME}.Admin", ""), (f"{NAME}.Admin", "Halt")):
        error, text = refused(foo, a.name, PATH, *extent)
        assert error == DENIED
        assert text.endswith(
            f'<deny delegate="{NAME}" delegate_interface="{NAME}.Admin"/> denies that, or a part '
            "of it"
        )
    grant(foo, a, interface="x.Y")


@pytest.mark.parametrize("later", [(), (rule(False, "delegate"),)])
def test_a_grant_counts_as_long_as_the_rule_does(later: tuple[Any, ...]) -> None:
    world = begin(MAY)
    foo, a = owner(world), world.connect()
    number = grant(foo, a)
    adopt(world, policies.rules(CALLS, *later))
    assert not passes(a, foo)
    assert [each[0] for each in listed(a, "ListRights")] == [number]
    adopt(world, policies.rules(CALLS, MAY))
    assert passes(a, foo)
    world.end()


def test_it_goes_with_the_name_that_allowed_it(world: World, foo: Party, a: Party) -> None:
    calls = rule(False, "send", type="method_call"), rule(True, "send", name=DRIVER)
    adopt(world, policies.rules(*calls, MAY))
    grant(foo, a)
    assert passes(a, foo, to=foo.name)
    foo.ask("ReleaseName", "s", NAME)
    assert not passes(a, foo, to=foo.name)
    foo.own(NAME)
    assert passes(a, foo, to=foo.name)


def test_a_permissive_rule_lets_grant_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    world = begin(rule(False, "delegate", 7, permissive=True))
    foo, a = owner(world), world.connect()
    grant(foo, a)
    assert passes(a, foo)
    (line,) = caplog.messages
    assert line.startswith('Would refuse: Connection ":1.0" is not allowed to grant the right to')
    assert line.endswith("; rule test:7 (default)")
    world.end()


# ----------------------------------------------------------------------------- its ends


def test_who_was_granted_it_may_give_it_up(foo: Party, a: Party) -> None:
    number = grant(foo, a)
    a.ask("Release", "t", number, interface=CAPABILITY)
    assert listed(a, "ListRights") == []
    assert listed(foo, "ListGrants") == []
    assert heard(foo, "GrantReleased") == [[number]]
    assert not passes(a, foo)
    assert foo.asked("Destroy", "t", number, interface=CAPABILITY).startswith("!InvalidArgs")


def test_it_ends_with_the_granter(world: World, foo: Party, a: Party) -> None:
    number = grant(foo, a)
    a.take()
    foo.close()
    assert listed(a, "ListRights") == []
    assert heard(a, "RightLost") == [[number]]
    assert not passes(a, owner(world))


def test_it_ends_with_the_grantee_and_the_granter_forgets_it(foo: Party, a: Party) -> None:
    number = grant(foo, a)
    a.close()
    assert listed(foo, "ListGrants") == []
    assert heard(foo, "GrantReleased") == [[number]]
    assert not any(isinstance(each.tag, Grant) for each in foo.client.peer.nodes.values())


@pytest.mark.parametrize("first", ["granter", "grantee"])
def test_both_may_leave_before_either_has_heard(world: World, first: str) -> None:
    foo, a = owner(world), world.connect()
    grant(foo, a)
    for party in (foo, a) if first == "granter" else (a, foo):
        party.close()


@pytest.mark.parametrize("which", ["granter", "grantee"])
def test_a_monitor_has_and_grants_nothing(world: World, foo: Party, a: Party, which: str) -> None:
    number = grant(foo, a)
    a.take()
    monitor, other = (foo, a) if which == "granter" else (a, foo)
    interface = "org.freedesktop.DBus.Monitoring"
    assert monitor.ask("BecomeMonitor", "asu", [], 0, interface=interface).error is None
    assert heard(other, "RightLost" if which == "granter" else "GrantReleased") == [[number]]
    assert world.hub.grants.count == 0
    assert listed(other, "ListGrants") == listed(other, "ListRights") == []


def test_of_two_for_the_same_each_counts(foo: Party, a: Party) -> None:
    one, two = grant(foo, a), grant(foo, a)
    assert one != two
    foo.ask("Destroy", "t", one, interface=CAPABILITY)
    assert passes(a, foo)
    foo.ask("Destroy", "t", two, interface=CAPABILITY)
    assert not passes(a, foo)


# ------------------------------------------------------------------------- what is told


def test_both_see_what_there_is(foo: Party, a: Party) -> None:
    one = grant(foo, a)
    two = grant(foo, a, interface="x.Y", member="M")
    said = [(one, PATH, "", ""), (two, PATH, "x.Y", "M")]
    assert listed(foo, "ListGrants") == [(each[0], a.name, *each[1:]) for each in said]
    assert listed(a, "ListRights") == [(each[0], foo.name, *each[1:]) for each in said]
    assert listed(foo, "ListRights") == listed(a, "ListGrants") == []


def test_the_grantee_hears_at_the_granters_cost(world: World, a: Party) -> None:
    foo = owner(world, uid=UID + 1)
    a.take()
    before = a.client.peer.query().bytes
    grant(foo, a)
    user, payer = a.client.peer.user, foo.client.peer.user
    assert user.shares[payer].bytes == a.client.peer.query().bytes - before > 0
    foo.close()
    a.take()


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("to", "extent", "error"),
    [
        (NAME, (PATH, "", ""), INVALID),
        (DRIVER, (PATH, "", ""), INVALID),
        ("", (PATH, "", ""), INVALID),
        (":1.999", (PATH, "", ""), "org.freedesktop.DBus.Error.NameHasNoOwner"),
        (":1.00", (PATH, "", ""), "org.freedesktop.DBus.Error.NameHasNoOwner"),
        ("a", (PATH, "no dots", ""), INVALID),
        ("a", (PATH, "x.Y", "no.dots"), INVALID),
        ("a", (PATH, "", "M"), INVALID),
        ("a", (PATH, "x" * 300, ""), INVALID),
        ("foo", (PATH, "", ""), INVALID),
    ],
)
def test_what_makes_no_sense(
    foo: Party, a: Party, to: str, extent: tuple[str, str, str], error: str
) -> None:
    name = {"a": a.name, "foo": foo.name}.get(to, to)
    assert refused(foo, name, *extent)[0] == error
    assert foo.world.hub.grants.count == 0


@pytest.mark.parametrize("number", [0, 2**64 - 1])
@pytest.mark.parametrize("member", ["Destroy", "Release"])
def test_a_number_that_nobody_has(foo: Party, a: Party, member: str, number: int) -> None:
    grant(foo, a)
    assert foo.ask(member, "t", number, interface=CAPABILITY).error == INVALID


def test_others_grants_are_none_of_ones_business(world: World, foo: Party, a: Party) -> None:
    """The granter destroys, the grantee releases, and nobody else learns that there is one."""
    number = grant(foo, a)
    other = world.connect()
    for party, member in (
        (other, "Destroy"), (other, "Release"), (a, "Destroy"), (foo, "Release")
    ):  # fmt: skip
        answer = party.ask(member, "t", number, interface=CAPABILITY)
        assert (answer.error, answer.args) == (INVALID, [f"You have no grant {number}"])
    assert passes(a, foo)


def test_a_granter_has_a_limit() -> None:
    world = begin(MAY, limits=Limits(max_grants_per_connection=2))
    foo, a, b, c = owner(world), *(world.connect() for _ in range(3))
    numbers = [grant(foo, each) for each in (a, b)]
    error, text = refused(foo, c.name, PATH, "", "")
    assert error == "org.freedesktop.DBus.Error.LimitsExceeded"
    assert "max_grants_per_connection=2" in text
    foo.ask("Destroy", "t", numbers[0], interface=CAPABILITY)
    grant(foo, c)
    world.end()


def test_no_user_can_use_up_what_another_may_grant() -> None:
    """However many connections it has."""
    world = begin(rule(True, "delegate"), limits=Limits(max_grants_per_connection=2))
    victim, *many = (world.connect() for _ in range(4))
    for each in many[:2]:
        grant(each, victim)
    error, _ = refused(many[2], victim.name, PATH, "", "")
    assert error == "org.freedesktop.DBus.Error.LimitsExceeded"
    other = world.connect(uid=UID + 1)
    grant(other, victim)
    many[0].close()
    victim.take()
    grant(many[2], victim)
    other.close()
    world.end()


def test_who_does_not_read_is_not_filled_up_with_what_has_ended() -> None:
    """Its handle is there until it hears that the node is gone."""
    world = begin(MAY, limits=Limits(max_grants_per_connection=2))
    foo, a = owner(world), world.connect()
    for _ in range(2):
        foo.ask("Destroy", "t", grant(foo, a), interface=CAPABILITY)
    assert refused(foo, a.name, PATH, "", "")[0] == "org.freedesktop.DBus.Error.LimitsExceeded"
    assert len(heard(a, "RightLost")) == 2
    grant(foo, a)
    world.end()


def test_what_was_released_cannot_be_destroyed_too(foo: Party, a: Party) -> None:
    number = grant(foo, a)
    a.ask("Release", "t", number, interface=CAPABILITY)  # of which the granter has not read
    serial = foo.call("Destroy", "t", number, interface=CAPABILITY)
    assert foo.answer(serial).error == INVALID


def test_who_does_not_hear_of_what_was_released_grants_no_more() -> None:
    """The node is there so long."""
    world = begin(MAY, limits=Limits(max_grants_per_connection=2))
    foo, a = owner(world), world.connect()
    for number in [grant(foo, a) for _ in range(2)]:
        a.ask("Release", "t", number, interface=CAPABILITY)
    before = foo.client.peer.query().nodes
    assert refused(foo, a.name, PATH, "", "")[0] == "org.freedesktop.DBus.Error.LimitsExceeded"
    assert foo.client.peer.query().nodes == before - 2
    grant(foo, a)
    world.end()


def test_handles_are_charged_by_the_core() -> None:
    """Where the core has no room nothing changes."""
    world = begin(MAY)
    foo, a = owner(world), world.connect()
    for party, room in ((foo, 0), (foo, 1), (a, 0)):
        peer = party.client.peer
        limits, held = peer.query().limits, peer.query().handles
        peer.reset(type(limits)(limits.bytes, limits.messages, held + room, limits.fds))
        before = [each.client.peer.query().handles for each in (foo, a)]
        assert refused(foo, a.name, PATH, "", "")[0] is not None
        assert [each.client.peer.query().handles for each in (foo, a)] == before
        peer.reset(limits)
    grant(foo, a)
    world.end()
