"""Signals and names across both worlds, and their order."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest

from bus1.native.parcel import inline
from tests.gateway.house import Guest, House, Native
from tests.policies import rule, rules
from tests.raw import DRIVER, SIGNAL, build, call_fields
from tests.routing.world import UID, Party, quota

NAME = "com.example.Name"
RULE = "type='signal',interface='t.T'"
OWNERS = "type='signal',member='NameOwnerChanged'"


def match(native: Native, rule: str) -> None:
    assert native.asked("AddMatch", "s", rule) == "=()"


def test_broadcasts_go_both_ways(a: Guest, n: Native) -> None:
    name = n.attach()
    a.match(RULE)
    match(n, RULE)
    n.signal("FromThere", "s", "y")
    (mine,) = a.take()
    a.signal("FromHere", "s", "x")
    assert (str(mine), mine.sender) == ("FromThere(y)", name)
    assert n.seen() == ["FromThere(y)", "FromHere(x)"]


def test_unicast_signals_go_both_ways(a: Guest, n: Native, m: Native) -> None:
    name = n.attach()
    a.signal("S", "s", "x", to=name)
    m.signal("T", to=name)
    n.signal("U", to=a.name)
    assert n.seen() == ["S(x)", "T()"]
    assert a.seen() == ["U()"]


def test_a_rule_is_taken_back(a: Guest, n: Native) -> None:
    n.attach()
    match(n, RULE)
    assert n.asked("RemoveMatch", "s", RULE) == "=()"
    assert n.asked("RemoveMatch", "s", RULE).startswith("!MatchRuleNotFound")
    a.signal("S")
    assert n.take() == []


def test_a_large_broadcast_is_one_memfd_for_all(a: Guest, n: Native, m: Native) -> None:
    for each in (n, m):
        each.attach()
        match(each, RULE)
    a.signal("S", "ay", bytes(200_000))
    parcels: list[Any] = []
    inodes = []
    for each in (n, m):
        (one,) = each.take()
        fds: Any = one.message.fds
        inodes.append(os.fstat(fds.numbers[0]).st_ino)
        parcels.append(one.message.payload)
    assert parcels[0] is parcels[1]
    assert inodes[0] == inodes[1]


def test_they_hear_of_names(house: House, a: Guest, n: Native) -> None:
    a.match(OWNERS)
    name = n.attach()
    n.own(NAME)
    assert [str(each) for each in n.take()] == [f"NameAcquired({NAME})"]
    n.close()
    assert a.seen() == [
        f"NameOwnerChanged({name},,{name})",
        f"NameOwnerChanged({NAME},,{name})",
        f"NameOwnerChanged({NAME},{name},)",
        f"NameOwnerChanged({name},{name},)",
    ]


def test_a_native_peer_hears_of_names(a: Guest, n: Native) -> None:
    n.attach()
    match(n, OWNERS)
    a.own(NAME)
    a.close()
    assert n.seen() == [
        f"NameOwnerChanged({NAME},,{a.name})",
        f"NameOwnerChanged({NAME},{a.name},)",
        f"NameOwnerChanged({a.name},{a.name},)",
    ]


def test_names_are_queued_for(a: Guest, n: Native) -> None:
    a.own(NAME)
    assert n.own(NAME) == "=(2)"
    assert a.asked("ListQueuedOwners", "s", NAME) == f"=(['{a.name}', ':1.1'])"
    a.close()
    assert n.asked("GetNameOwner", "s", NAME) == "=(:1.1)"
    assert n.asked("ReleaseName", "s", NAME) == "=(1)"


def test_the_policy_says_who_owns_a_name() -> None:
    house = House(configuration=rules(rule(False, "own", name=NAME)))
    assert house.native().own(NAME).startswith("!AccessDenied Connection")
    house.end()


def test_its_credentials_are_those_of_the_native_peer(house: House, a: Guest) -> None:
    n = house.native(uid=1234, pid=4321)
    name = n.attach()
    answer = a.ask("GetConnectionCredentials", "s", name)
    assert answer.args[0]["UnixUserID"] == 1234
    assert answer.args[0]["ProcessID"] == 4321
    b = house.connect(uid=55, pid=66)
    b.signal("S", to=name)
    (arrived,) = n.take()
    parcel: Any = arrived.message.payload
    assert (parcel.uid, parcel.pid) == (55, 66)
    assert n.asked("GetId")
    n.call("GetId")
    (answered,) = n.take()
    own: Any = answered.message.payload
    assert (own.uid, own.pid) == (UID, os.getpid())


def test_who_has_left_is_no_process(house: House, n: Native, monkeypatch: Any) -> None:
    name = n.attach()
    b = house.connect(uid=55, pid=66)
    with monkeypatch.context() as patch:
        patch.setattr(house, "pump", lambda: None)
        b.signal("S", to=name)
        b.close()
    house.pump()
    (arrived,) = n.take()
    parcel: Any = arrived.message.payload
    assert (parcel.uid, parcel.pid) == (55, 0)


def test_a_monitor_sees_both_directions(a: Guest, b: Guest, n: Native) -> None:
    name = n.attach()
    b.ask("BecomeMonitor", "asu", [], 0, interface=f"{DRIVER}.Monitoring")
    b.take()
    cookie = n.call("M", to=a.name, path="/p", interface="t.T")
    (call,) = a.take()
    a.reply(call)
    n.answer(cookie)
    serial = a.call("N", to=name, path="/p", interface="t.T")
    (come,) = n.take()
    n.reply(come)
    a.answer(serial)
    seen = [(str(each), each.sender, each.destination) for each in b.take()]
    assert seen == [
        ("M()", name, a.name),
        ("=()", a.name, name),
        ("N()", a.name, name),
        ("=()", name, a.name),
    ]


def test_it_overhears_what_it_may(a: Guest, b: Guest, n: Native) -> None:
    """An answer to another is not taken for its own, whatever its serial."""
    n.attach()
    match(n, "eavesdrop='true',interface='t.T'")
    match(n, "eavesdrop='true',type='method_return'")
    cookie = n.call("M", to=a.name, path="/p", interface="t.T")
    face = n.house.gateway.faces[n.peer.number]
    (pending,) = face.calls
    b.call("N", to=a.name, path="/p", interface="t.T", serial=pending)
    first, second = a.take()
    a.reply(second, "s", "for another")
    a.reply(first)
    assert str(n.answer(cookie)) == "=()"
    assert n.seen() == ["M()", "N()", "=(for another)"]


# ------------------------------------------------------------------------------ order


@pytest.mark.parametrize("kinds", list(itertools.product("dn", repeat=3)))
def test_a_signal_comes_before_what_follows_from_it(house: House, kinds: tuple[str, ...]) -> None:
    """A signals B and C, B then calls C: C has the signal first."""
    first, second, third = (house.native() if each == "n" else house.connect() for each in kinds)
    for each in (first, second, third):
        if isinstance(each, Native):
            each.attach()
    for listener in (second, third):
        if isinstance(listener, Native):
            match(listener, RULE)
        else:
            listener.match(RULE)
            listener.take()
    first.signal("Signal")
    assert str(second.take()[-1]) == "Signal()"
    second.call("Call", to=third.name, path="/p", interface="t.T")
    assert [str(each) for each in third.take()] == ["Signal()", "Call()"]


def test_over_the_bridge_and_then_directly(n: Native, m: Native) -> None:
    """What it sends to a D-Bus name is there before what it sends to the same peer next."""
    m.attach()
    assert m.own(NAME) == "=(1)"
    m.take()
    direct = m.give(m.peer.handle(m.node), n)
    for number in range(3):
        n.signal(f"Bridged{number}", to=NAME)
        n.peer.send(direct, None)
    messages = []
    while (message := m.peer.receive()) is not None:
        messages.append(message)
    payloads = [each.payload is not None for each in messages]
    assert payloads == [True, False] * 3
    stamps = [each.stamp for each in messages]
    assert stamps == sorted(stamps)


def test_what_waits_for_others_is_not_taken_for_theirs(a: Guest, n: Native, m: Native) -> None:
    """In the turn of a native peer D-Bus clients become ready, too, and stay it."""
    m.attach()
    match(m, RULE)
    a.match(RULE)
    a.take()
    core = n.house.core
    fields = [(1, "/t"), (2, "t.T"), (3, "S")]
    queue = a.client.peer.queue
    n.attach()
    core.take_ready()
    n.peer.send(n.bridge, *parts(fields))
    n.house.gateway.settle()
    assert [str(each) for each in m.take()] == ["S()"]
    assert queue in core.take_ready()
    assert a.seen() == ["S()"]


def parts(fields: Any) -> tuple[Any, int]:
    data = build(SIGNAL, 1, fields)
    return inline(data, UID, 0), len(data)


def test_a_broadcast_comes_before_the_end_of_who_leaves_after_it(house: House, a: Guest) -> None:
    """Wherever it was already passed on, and wherever not yet."""
    n, m, leaving = (house.native() for _ in range(3))
    for each in (n, m):
        each.attach()
        match(each, RULE)
        leaving.give(leaving.peer.handle(leaving.node), each)
        each.take()
    Party.write(a, build(SIGNAL, 9, call_fields(None, "/t", "t.T", "S")))
    house.gateway.faces[n.peer.number].flush()
    leaving.close()
    assert n.seen() == m.seen() == ["S()", "gone"]


# --------------------------------------------------------------------------- who pays


def test_the_dbus_sender_pays_at_the_native_receiver() -> None:
    """One user's flood leaves room for another's messages."""
    house = House(user=quota(messages=60), peer=quota(messages=60))
    flood, other = house.connect(uid=1001), house.connect(uid=1002)
    n = house.native(uid=1003)
    name = n.attach()
    for _ in range(100):
        flood.signal("Flood", to=name)
    users = house.core.users
    assert users[1003].shares[users[1001]].messages > 5
    assert users[1003].shares[house.hub.peer.user].messages == 0
    assert house.hub.tally.exceeded[1003, 1001] > 0
    serial = other.call("Call", to=name, path="/p", interface="t.T")
    calls = [each for each in n.take() if str(each) == "Call()"]
    assert len(calls) == 1
    n.reply(calls[0])
    assert str(other.answer(serial)) == "=()"
    house.end()


def test_the_native_sender_pays_at_the_dbus_receiver() -> None:
    house = House(peer=quota(messages=60))
    a, n = house.connect(uid=1001), house.native(uid=1002)
    n.attach()
    n.signal("S", to=a.name)
    users = house.core.users
    assert users[1001].shares[users[1002]].messages == 1
    a.take()
    house.end()
