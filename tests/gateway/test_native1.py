"""org.bus1.Native1: what native peers are offered, and Rights and offers of handles."""

from __future__ import annotations

import gc
import grp
import os
import pwd
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bus1 import NO_HANDLES_LEFT, NODE_GONE, Handle
from bus1.fds.descriptors import Descriptors
from bus1.native.parcel import inline
from policy.configuration import Configuration
from policy.limits import Limits
from policy.rule import Argument, Origin, Section
from tests import policies
from tests.activation.bench import service
from tests.gateway.house import NATIVE1, Guest, House, Native
from tests.policies import rule, rules
from tests.raw import CALL, DRIVER, DRIVER_PATH, ERROR, NO_REPLY, RETURN, SIGNAL, build, call_fields
from tests.routing.world import UID, quota

NAME = "com.example.Name"
OTHER = "com.example.Other"
FREE = pwd.getpwnam("daemon").pw_uid  # a user that the policy lets call
OTHERS = pwd.getpwnam("bin").pw_uid


def only_for(uid: int) -> Configuration:
    """Nobody may call NAME but this user."""
    every = (*policies.EVERYTHING, rule(False, "send", name=NAME, line=7))
    general = Section("default", "", every, Origin("test", 1))
    user = Section("user", str(uid), (rule(True, "send", name=NAME),), Origin("test", 9))
    return replace(rules(), policy=(general, user))


@pytest.fixture
def strict() -> Iterator[House]:
    """A house in which only the user FREE may call NAME, which `a` owns."""
    house = House(configuration=only_for(FREE))
    yield house
    house.end()


def call(native: Native, on: Handle, **options: Any) -> str:
    options = {"to": None, "path": "/p", "interface": "t.T", **options}
    return native.asked("M", on=on, **options)


def served(guest: Guest, native: Native, on: Handle, **options: Any) -> str:
    """A call on a Right, which a D-Bus client answers."""
    options = {"to": None, "path": "/p", "interface": "t.T", **options}
    cookie = native.call("M", on=on, **options)
    for each in guest.take():
        if each.kind == CALL:
            guest.reply(each, "s", each.sender)
    return native.answer(cookie).said()


# ------------------------------------------------------------------------------ Attach


def test_only_native_peers_are_offered_it(a: Guest, n: Native) -> None:
    introspect = DRIVER + ".Introspectable"
    document = n.ask("Introspect", interface=introspect).dbus
    assert document is not None
    assert f'<interface name="{NATIVE1}">' in document.args[0]
    assert '<method name="BecomeMonitor">' in document.args[0]
    assert NATIVE1 not in a.ask("Introspect", interface=introspect).args[0]
    assert a.asked("Attach", interface=NATIVE1).startswith("!UnknownInterface")
    assert NATIVE1 in n.asked("Get", "ss", DRIVER, "Interfaces", interface=DRIVER + ".Properties")


def test_the_policy_is_not_asked_about_it() -> None:
    """What dbus-daemon's files say of the bus names interfaces, and cannot know this one."""
    denied = rule(False, "send", name=DRIVER, interface=NATIVE1)
    house = House(configuration=rules(denied))
    assert house.native().attach() == ":1.0"
    house.end()


def test_the_policy_is_asked_about_all_else() -> None:
    """The interface's name opens no other door, and the bus itself no door of its own."""
    denied = rule(False, "send", name=DRIVER, member="GetId"), rule(False, "send", name=NAME)
    house = House(configuration=rules(*denied))
    a, n = house.connect(), house.native()
    a.own(NAME)
    assert n.asked("GetId").startswith("!AccessDenied")
    assert n.asked("M", to=NAME, path="/p", interface=NATIVE1).startswith("!AccessDenied")
    house.end()


def test_it_is_at_one_path(n: Native) -> None:
    assert n.asked("Find", "s", NAME, interface=NATIVE1, path="/p").startswith("!Unknown")


def test_attached_twice_the_last_counts(a: Guest, n: Native) -> None:
    n.attach()
    other = n.peer.create("other")
    name = n.attach(other)
    (notice,) = n.take()
    assert (notice.message.kind, notice.message.target) == (NO_HANDLES_LEFT, n.node)
    a.signal("S", to=name)
    (come,) = n.take()
    assert come.message.target is other


def test_what_is_no_node_of_ones_own_cannot_be_attached(n: Native, m: Native) -> None:
    foreign = n.give(n.peer.handle(n.node), m)
    before = m.house.gateway.peer.query()
    text = m.asked("Attach", interface=NATIVE1, handles=[foreign])
    assert text == "!InvalidArgs Only a node of one's own can be attached"
    assert m.asked("Attach", interface=NATIVE1).startswith("!InvalidArgs Attach takes a handle")
    once = m.peer.once(m.node, None, 5)
    assert m.asked("Attach", interface=NATIVE1, handles=[once]).startswith("!InvalidArgs")
    assert m.house.gateway.peer.query() == before
    m.peer.release([foreign])
    assert [str(each) for each in m.take()] == ["dropped"]


def test_what_ends_before_the_gateway_sees_it(a: Guest, n: Native, m: Native) -> None:
    """A session has no other operation in between; but nothing depends on that."""
    n.own(NAME)
    offered, _ = offer(n, NAME)
    n.attach()
    late = n.peer.create()
    find = build(CALL, 1, call_fields(DRIVER, DRIVER_PATH, NATIVE1, "Find"), "s", [NAME])
    attach = build(CALL, 1, call_fields(DRIVER, DRIVER_PATH, NATIVE1, "Attach"))
    other = build(CALL, 1, call_fields(n.name, "/p", "t.T", "M"))
    m.attach()
    for peer, data, more in ((m, find, []), (m, other, []), (n, attach, [n.peer.offer(late)])):
        parcel = inline(data, 0, 0)
        peer.peer.send(peer.bridge, parcel, len(data), None, 0, [peer.once(), *more])
    n.peer.destroy([offered, n.node, late])
    n.house.gateway.settle()
    assert m.seen() == ["!ServiceUnknown", "!UnknownMethod"]
    assert n.seen() == ["!InvalidArgs"]


def test_what_it_gave_is_let_go_of_when_it_leaves(n: Native, m: Native, a: Guest) -> None:
    """An offer may be of somebody else's node, and so may be the handle to answer on."""
    n.own(NAME)
    node = m.peer.create()
    handle = m.peer.handle(node)
    theirs = m.give(handle, n)
    m.peer.release([handle])
    n.asked("Offer", "s", NAME, interface=NATIVE1, handles=[theirs])
    data = build(CALL, 1, call_fields(a.name, "/p", "t.T", "M"))
    n.send(data, [m.peer.once(m.answers, n.peer, 7)])
    n.close()
    assert sorted(m.seen()) == ["dropped", "no handles left"]


def test_attached_without_an_answer(a: Guest, n: Native) -> None:
    handle = n.peer.handle(n.node)
    n.call("Attach", interface=NATIVE1, handles=[handle], flags=NO_REPLY)
    name = n.house.gateway.faces[n.peer.number].client.unique
    a.signal("S", to=name)
    assert n.seen() == ["S()"]
    n.peer.release([handle])


@pytest.mark.parametrize("uid", [UID, 1002])
def test_it_cannot_become_a_monitor(house: House, uid: int) -> None:
    n = house.native(uid)
    text = n.asked("BecomeMonitor", "asu", [], 0, interface=DRIVER + ".Monitoring")
    assert text.startswith("!NotSupported A native peer cannot become a monitor")
    assert n.asked("GetId").startswith("=(")


def test_hello_has_been_said(n: Native) -> None:
    assert n.asked("Hello") == "!Failed Already handled an Hello message"


# ------------------------------------------------------------------------------- Right


def test_a_right_is_passed_on_to_who_may_not_call(strict: House) -> None:
    a = strict.connect()
    a.own(NAME)
    n, m = strict.native(FREE), strict.native(1002)
    assert m.asked("M", to=NAME, path="/p", interface="t.T").startswith("!AccessDenied")
    right = n.right(NAME)
    theirs = n.give(right, m)
    assert served(a, n, right) == "=(:1.2)"
    assert served(a, m, theirs) == "=(:1.1)"  # it speaks in its own name
    assert served(a, m, theirs, to=NAME) == "=(:1.1)"
    assert m.asked("M", to=NAME, path="/p", interface="t.T").startswith("!AccessDenied")
    n.close()
    assert served(a, m, theirs) == "=(:1.1)"


def test_who_may_not_call_gets_no_right(strict: House) -> None:
    a, m = strict.connect(), strict.native(1002)
    assert str(m.right(NAME)) == "!AccessDenied"  # whoever may own it
    a.own(NAME)
    error = m.right(NAME)
    assert str(error) == "!AccessDenied"
    assert error.args[0].endswith(f'may not send calls to "{NAME}": rule test:7 (default)')
    assert strict.gateway.rights.counts == {}
    client = strict.gateway.faces[m.peer.number].client
    assert client.denied == 2
    strict.hub.gate.set_permissive(True, client)
    assert isinstance(m.right(NAME), Handle)


@pytest.mark.parametrize(
    "part",
    [
        {"path": "/x"},
        {"member": "M"},
        {"min_fds": 1},
        {"arguments": (Argument(0, "secret"),)},
        {"permissive": True},
    ],
)
def test_what_is_denied_in_part_is_no_reason(part: dict[str, Any]) -> None:
    """Each use is judged again."""
    house = House(configuration=rules(rule(False, "send", name=NAME, **part)))
    assert isinstance(house.native().right(NAME), Handle)
    house.end()


def test_a_right_that_a_group_has() -> None:
    every = (*policies.EVERYTHING, rule(False, "send", name=NAME))
    general = Section("default", "", every, Origin("test", 1))
    group = Section("group", "daemon", (rule(True, "send", name=NAME),), Origin("test", 9))
    house = House(configuration=replace(rules(), policy=(general, group)))
    a, n, m = house.connect(), house.native(1001), house.native(1002)
    a.own(NAME)
    member = n.credentials._replace(groups=(grp.getgrnam("daemon").gr_gid,))
    house.gateway.natives[n.peer.number] = n.peer, member
    assert served(a, m, n.give(n.right(NAME), m)) == "=(:1.2)"
    house.end()


@pytest.mark.parametrize(
    "wrong", [("nodot",), (DRIVER,), ("",), (NAME, "x"), (NAME, "", "x"), (NAME, "", "", "a.b")]
)
def test_what_makes_no_sense_is_no_right(n: Native, wrong: tuple[str, ...]) -> None:
    assert str(n.right(*wrong)) == "!InvalidArgs"


def test_a_right_has_its_limits(a: Guest, b: Guest, n: Native) -> None:
    a.own(NAME)
    b.own(OTHER)
    right = n.right(NAME, "/p", "t.T", "M")
    assert served(a, n, right) == "=(:1.2)"
    denied = "!AccessDenied The Right is for the "
    for options in ({"to": OTHER}, {"path": "/q"}, {"interface": "t.U"}, {"interface": None}):
        what = next(iter(options)).replace("to", "destination")
        assert call(n, right, **options).startswith(denied + what)
    assert n.asked("N", on=right, to=None, path="/p", interface="t.T") == denied + "member M, not N"
    assert [each for each in a.take() + b.take() if each.kind == CALL] == []


@pytest.mark.parametrize("kind", [SIGNAL, RETURN, ERROR])
def test_only_calls_go_on_a_right(a: Guest, n: Native, kind: int) -> None:
    right = n.right(a.name)
    fields = [*call_fields(None, "/p", "t.T", "M"), (5, 1), (4, "e.E")]
    n.send(build(kind, 1, fields), [n.once()], on=right)
    answer = n.answer(n.cookie)
    assert str(answer) == "!AccessDenied"
    assert a.take() == []


def test_a_right_is_limited_by_the_policy_at_each_use() -> None:
    """Some of what it leaves open is denied to its first holder."""
    house = House(configuration=rules(rule(False, "send", name=NAME, member="Secret")))
    a, n = house.connect(), house.native()
    a.own(NAME)
    assert str(n.right(NAME, "", "", "Secret")) == "!AccessDenied"
    right = n.right(NAME, "/p")
    assert served(a, n, right) == "=(:1.1)"
    text = n.asked("Secret", on=right, to=None, path="/p", interface="t.T")
    assert text.startswith("!AccessDenied Rejected send message")
    house.end()


def test_a_right_ends_when_the_policy_grants_it_no_more(strict: House) -> None:
    a, n, m = strict.connect(), strict.native(FREE), strict.native(1002)
    a.own(NAME)
    theirs = n.give(n.right(NAME), m)
    assert served(a, m, theirs) == "=(:1.2)"
    other = only_for(OTHERS)
    strict.hub.adopt(other, policies.policy(other))
    assert call(m, theirs).startswith("!AccessDenied")
    again = only_for(FREE)
    strict.hub.adopt(again, policies.policy(again))
    assert served(a, m, theirs) == "=(:1.2)"


def test_a_right_follows_the_name(strict: House) -> None:
    a, b, n, m = strict.connect(), strict.connect(), strict.native(FREE), strict.native(1002)
    theirs = n.give(n.right(NAME), m)  # nobody has it yet
    assert call(m, theirs).startswith("!ServiceUnknown")
    a.own(NAME)
    again = n.give(n.right(NAME), m)  # somebody has it
    assert served(a, m, theirs) == "=(:1.3)"
    a.close()
    b.own(NAME)
    for right in (theirs, again):
        assert served(b, m, right) == "=(:1.3)"


def test_a_right_to_a_service_that_is_not_there_yet() -> None:
    house = House(configuration=only_for(FREE), services=[service(NAME)])
    n, m, a = house.native(FREE), house.native(1002), house.connect()
    theirs = n.give(n.right(NAME), m)
    cookie = m.call("M", on=theirs, to=None, path="/p", interface="t.T")
    a.own(NAME)
    (come,) = [each for each in a.take() if each.kind == CALL]
    a.reply(come)
    assert str(m.answer(cookie)) == "=()"
    house.end()


def test_a_right_to_a_unique_name_ends_with_it(a: Guest, b: Guest, n: Native) -> None:
    right = n.right(a.name)
    still = n.right(b.name)
    assert served(a, n, right) == "=(:1.2)"
    a.close()
    (notice,) = n.take()
    assert (notice.message.kind, notice.message.target) == (NODE_GONE, right)
    assert served(b, n, still) == "=(:1.2)"
    assert str(n.right(a.name)) == "!NameHasNoOwner"


def test_a_monitor_can_be_called_no_more(a: Guest, n: Native) -> None:
    right = n.right(a.name)
    a.ask("BecomeMonitor", "asu", [], 0, interface=f"{DRIVER}.Monitoring")
    assert n.seen() == ["gone"]
    assert right.node.gone


def test_a_right_keeps_no_descriptor_of_its_first_holder(house: House) -> None:
    read, write = os.pipe()
    n = house.native()
    n.credentials = n.credentials._replace(pidfd=Descriptors([write]))
    house.gateway.natives[n.peer.number] = n.peer, n.credentials
    keeper = house.native()
    n.give(n.right(NAME), keeper)
    n.close()
    del n
    gc.collect()
    assert os.read(read, 1) == b""
    os.close(read)


def test_a_right_that_nobody_has_is_gone(house: House, a: Guest, n: Native) -> None:
    before = house.gateway.peer.query()
    rights = [n.right(a.name), n.right(NAME), n.right(NAME)]
    assert house.gateway.rights.counts == {1000: 3}
    n.peer.release(rights)
    house.pump()
    assert house.gateway.rights.counts == {}
    assert house.gateway.peer.query() == before


def test_a_right_for_which_there_is_no_room() -> None:
    house = House(limits=Limits(max_grants_per_connection=1))
    n, m = house.native(), house.native()
    rights = [n.right(NAME) for _ in range(8)]
    assert str(m.right(NAME)) == "!LimitsExceeded"
    n.peer.release(rights[:1])
    house.pump()
    assert isinstance(m.right(NAME), Handle)
    house.end()


def test_a_right_whose_answer_has_no_room(house: House, n: Native) -> None:
    n.attach()
    n.peer.reset(quota(messages=0))
    n.call("Right", "ssss", NAME, "", "", "", interface=NATIVE1)
    n.call("Right", "ssss", NAME, "", "", "", interface=NATIVE1, flags=NO_REPLY)
    assert house.gateway.rights.counts == {}
    assert house.hub.tally.dropped == 1
    assert n.seen() == ["dropped"]
    face = house.gateway.faces[n.peer.number]
    assert face.calls == face.gifts == {}


def test_a_right_that_nobody_waits_for(house: House, n: Native, m: Native) -> None:
    """The handle to answer on died on its way."""
    node = n.peer.create()
    once = n.peer.once(node, n.peer, 1)
    n.peer.destroy([node])
    fields = call_fields(DRIVER, DRIVER_PATH, NATIVE1, "Right")
    n.send(build(CALL, 1, fields, "ssss", [NAME, "", "", ""]), [once])
    assert house.gateway.rights.counts == {}
    n.peer.release([each for each in n.peer.handles.values() if each is not n.bridge])


def test_what_the_gateway_itself_has_no_room_for(house: House, n: Native, m: Native) -> None:
    m.own(NAME)
    offer(m, NAME)
    n.attach()
    held = house.gateway.peer.query().handles
    house.gateway.peer.reset(quota(handles=held + 2))
    assert str(n.right(NAME)) == "!LimitsExceeded"
    assert house.gateway.rights.counts == {}
    house.gateway.peer.reset(quota(handles=held + 1))
    assert find(n, NAME) == "!LimitsExceeded"
    assert house.gateway.peer.query().handles == held


# ------------------------------------------------------------------- Offer and Find


def offer(native: Native, name: str) -> tuple[Any, str]:
    node = native.peer.create(name)
    handle = native.peer.handle(node)
    text = native.asked("Offer", "s", name, interface=NATIVE1, handles=[handle])
    native.peer.release([handle])
    return node, text


def find(native: Native, name: str) -> Any:
    answer = native.ask("Find", "s", name, interface=NATIVE1)
    (handle,) = answer.handles or [None]
    return handle.node if handle is not None else str(answer)


def test_what_is_offered_is_found(n: Native, m: Native) -> None:
    assert find(m, NAME) == "!NameHasNoOwner"
    n.own(NAME)
    assert find(m, NAME) == "!ServiceUnknown"
    node, text = offer(n, NAME)
    assert text == "=()"
    assert find(m, NAME) is node
    assert find(m, NAME) is node
    before = n.house.gateway.peer.query()
    again, _ = offer(n, NAME)
    assert find(m, NAME) is again
    m.call("Find", "s", NAME, interface=NATIVE1, flags=NO_REPLY)
    assert n.house.gateway.peer.query() == before
    assert n.house.gateway.faces[m.peer.number].gifts == {}


def test_who_may_own_a_name_may_offer_before() -> None:
    """Nobody finds it before."""
    house = House(configuration=rules(rule(False, "own", name="a.b")))
    n, m = house.native(), house.native()
    n.own(NAME)
    before = house.gateway.peer.query()
    assert n.asked("Offer", "s", NAME, interface=NATIVE1).startswith("!InvalidArgs")
    for name in ("org.freedesktop.DBus", ":1.77", "none"):
        assert offer(n, name)[1].startswith("!InvalidArgs")
    assert offer(n, "a.b")[1].startswith("!AccessDenied")
    assert house.gateway.peer.query() == before
    offer(m, NAME)
    assert find(m, NAME) == "!ServiceUnknown"
    node, text = offer(n, OTHER)
    assert (text, find(m, OTHER)) == ("=()", "!NameHasNoOwner")
    n.own(OTHER)
    assert find(m, OTHER) is node
    house.end()


def test_there_are_not_more_offers_than_names() -> None:
    house = House(limits=Limits(max_names_per_connection=2))
    n = house.native()
    assert [offer(n, name)[1] for name in ("a.a", "a.b", "a.a")] == ["=()"] * 3
    assert offer(n, "a.c")[1].startswith("!LimitsExceeded")
    house.end()


def test_an_offer_counts_while_the_name_is_owned(a: Guest, n: Native, m: Native) -> None:
    n.own(NAME, 1)
    node, _ = offer(n, NAME)
    a.own(NAME, 2)
    assert find(m, NAME) == "!ServiceUnknown"
    a.ask("ReleaseName", "s", NAME)
    assert find(m, NAME) is node
    n.ask("ReleaseName", "s", NAME)
    assert find(m, NAME) == "!NameHasNoOwner"
    n.own(NAME)
    assert find(m, NAME) is node


@pytest.mark.parametrize("offers", [False, True])
def test_who_looks_for_a_service_starts_it(offers: bool) -> None:
    house = House(services=[service(NAME)])
    n, m = house.native(), house.native()
    assert m.asked("Find", "s", NAME, interface=NATIVE1, flags=2).startswith("!NameHasNoOwner")
    assert house.bench.started == []
    cookie = m.call("Find", "s", NAME, interface=NATIVE1)
    assert len(house.bench.started) == 1
    node = offer(n, NAME)[0] if offers else None
    assert m.take() == []
    n.own(NAME)
    answer = m.answer(cookie)
    (handle,) = answer.handles or [None]
    assert str(answer) == ("=()" if offers else "!ServiceUnknown")
    assert (handle.node if handle else None) is node
    house.end()


def test_a_service_that_nobody_finds() -> None:
    """It does not start, or who asked leaves or may not call it."""
    denied = rule(False, "send", name=OTHER)
    services = [service(NAME), service(OTHER)]
    house = House(configuration=rules(denied), services=services)
    n, m = house.native(), house.native()
    assert find(n, OTHER) == "!AccessDenied"
    assert house.bench.started == []
    cookie = n.call("Find", "s", NAME, interface=NATIVE1)
    m.call("Find", "s", NAME, interface=NATIVE1)
    m.close()
    house.bench.started[0].ended(1)
    house.pump()
    assert str(n.answer(cookie)) == "!ChildExited"
    house.end()


def test_an_offer_ends_with_its_node_and_its_peer(n: Native, m: Native) -> None:
    n.own(NAME)
    node, _ = offer(n, NAME)
    n.peer.destroy([node])
    n.house.pump()
    assert find(m, NAME) == "!ServiceUnknown"
    offer(n, NAME)
    n.close()
    assert find(m, NAME) == "!NameHasNoOwner"


def test_the_policy_says_who_finds(strict: House) -> None:
    n, m, free = strict.native(), strict.native(1002), strict.native(FREE)
    n.own(NAME)
    node, _ = offer(n, NAME)
    assert find(free, NAME) is node
    assert find(m, NAME) == "!AccessDenied"
