"""Signals: who hears what, once, in one order (contract E.28 to E.33)."""

from __future__ import annotations

import pytest

from tests.buses import Bus
from tests.raw import DRIVER, SENDER, SIGNAL, Client, call_fields


def test_a_broadcast_reaches_who_asked_once(a: Client, b: Client, c: Client) -> None:
    for rule in (
        "type=signal",
        "member=S",
        "interface=t.T,member=S",
        "member=S",
        f"sender={a.name}",
    ):
        b.match(rule)
    a.signal("S", "s", "x")
    a.take()
    assert b.seen() == ["S(x)"]
    assert c.seen() == []


def test_a_broadcast_has_sender_and_no_destination(a: Client, b: Client) -> None:
    b.match("member=S")
    a.signal("S", "s", "x")
    got = b.receive("S")
    assert (got.sender, got.destination, got.path, got.interface) == (a.name, None, "/t", "t.T")


def test_the_sender_hears_its_own_broadcast_if_it_asked(a: Client) -> None:
    a.signal("S")
    assert a.seen() == []
    a.match("member=S")
    a.signal("S")
    assert a.seen() == ["S()"]


def test_a_unicast_signal_needs_no_rule(a: Client, b: Client) -> None:
    a.signal("S", to=b.name)
    a.take()
    got = b.take()
    assert [str(m) for m in got] == ["S()"]
    assert got[0].destination == b.name


def test_a_unicast_signal_arrives_once_though_a_rule_matches(a: Client, b: Client) -> None:
    b.match("type=signal")
    b.match("member=S")
    a.signal("S", to=b.name)
    a.take()
    assert b.seen() == ["S()"]


def test_others_do_not_hear_a_unicast_signal(a: Client, b: Client, c: Client) -> None:
    c.match("type=signal")
    c.match("eavesdrop=false,type=signal")
    c.take()
    a.signal("S", to=b.name)
    a.take()
    assert c.seen() == []


def test_a_unicast_signal_to_a_well_known_name(a: Client, b: Client, name: str) -> None:
    b.own(name)
    b.take()
    a.signal("S", to=name)
    a.take()
    assert [(str(m), m.destination) for m in b.take()] == [("S()", name)]


def test_nobody_hears_calls_of_others(a: Client, b: Client, c: Client) -> None:
    for rule in (
        "type=method_call",
        "type=method_return",
        "type=error",
        "",
        f"destination={b.name}",
    ):
        c.match(rule)
    c.take()
    serial = a.call("M", to=b.name, interface="t.T")
    b.reply(b.receive("M"))
    a.answer(serial)
    assert c.seen() == []


@pytest.mark.parametrize(
    "rule", ["destination={b}", "destination={b},type=signal", "destination={name}"]
)
def test_a_destination_rule_without_eavesdrop_matches_no_unicast_to_others(
    a: Client, b: Client, c: Client, name: str, rule: str
) -> None:
    b.own(name)
    c.match(rule.format(b=b.name, name=name))
    a.signal("S", to=b.name)
    a.signal("S", to=name)
    a.signal("S")
    a.take()
    assert c.seen() == []


@pytest.mark.parametrize(
    ("rule", "heard"),
    [
        ("eavesdrop=true", ["M()", "S()", "B()"]),
        ("eavesdrop='true',type='method_call'", ["M()"]),
        ("eavesdrop=true,destination={b}", ["M()", "S()"]),
        ("eavesdrop=true,destination={c}", []),
        ("eavesdrop=true,sender={a},type=signal", ["S()", "B()"]),
        ("eavesdrop=false", ["B()"]),
    ],
)
def test_eavesdropping_is_open_to_all_on_the_session_bus(
    a: Client, b: Client, c: Client, rule: str, heard: list[str]
) -> None:
    c.match(rule.format(a=a.name, b=b.name, c=c.name))
    c.take()
    a.call("M", to=b.name, interface="t.T")
    a.signal("S", to=b.name)
    a.signal("B")
    assert [str(m) for m in c.take() if m.sender == a.name and m.destination != DRIVER] == heard
    assert b.seen() == ["M()", "S()"]


def test_an_eavesdropper_does_not_hear_twice_what_is_for_it(a: Client, b: Client) -> None:
    b.match("eavesdrop=true")
    b.take()
    a.signal("S", to=b.name)
    a.take()
    assert [str(m) for m in b.take() if m.sender == a.name and m.destination != DRIVER] == ["S()"]


def test_a_name_rule_follows_the_primary_owner(a: Client, b: Client, c: Client, name: str) -> None:
    c.match(f"sender={name},member=S")
    a.signal("S", "s", "nobody owns it")
    a.take()
    a.own(name)
    b.own(name)
    a.signal("S", "s", "owner")
    b.signal("S", "s", "waiting")
    b.take()
    a.ask("ReleaseName", "s", name)
    a.signal("S", "s", "was owner")
    a.take()
    b.signal("S", "s", "now owner")
    b.take()
    assert c.seen() == ["S(owner)", "S(now owner)"]


def test_a_driver_rule_matches_the_driver_only(a: Client, b: Client, name: str) -> None:
    b.match(f"sender={DRIVER},member=NameOwnerChanged,arg0={name}")
    fields = call_fields(None, "/org/freedesktop/DBus", DRIVER, "NameOwnerChanged")
    a.send(SIGNAL, [*fields, (SENDER, DRIVER)], "sss", [name, "", a.name])
    a.own(name)
    got = b.take()
    assert [m.sender for m in got] == [DRIVER]


def test_rules_for_names_that_do_not_exist_yet(bus: Bus, a: Client) -> None:
    number = int(a.name.removeprefix(":1."))
    a.match(f"sender=:1.{number + 1},member=S")
    new = bus.connect()
    assert new.name == f":1.{number + 1}"
    new.signal("S")
    new.take()
    assert a.seen() == ["S()"]


def test_rules_count_and_go_one_by_one(a: Client, b: Client) -> None:
    for _ in range(3):
        b.match("member=S,type=signal")
    for left in (2, 1, 0):
        assert b.ask("RemoveMatch", "s", "type='signal',member='S'").error is None
        a.signal("S")
        a.take()
        assert b.seen() == (["S()"] if left else [])
    assert str(b.ask("RemoveMatch", "s", "member=S,type=signal")) == "!MatchRuleNotFound"


# equal rules may be written differently
EQUAL = [
    ("type=signal,member=S", "member='S',type='signal'"),
    ("member=S", " member ='S'"),
    ("member=S", "member=S,eavesdrop=false"),
    ("arg0=x", "arg00=x"),
    ("arg0=x,arg1=y", "arg1='y',arg0='x'"),
    ("arg0path=/a/", "arg0path='/a/'"),
    ("path=/t", "path='/t',"),
]


@pytest.mark.parametrize(("added", "removed"), EQUAL)
def test_remove_match_compares_meaning(a: Client, added: str, removed: str) -> None:
    a.match(added)
    assert a.ask("RemoveMatch", "s", removed).error is None


# different rules do not remove each other
UNEQUAL = [
    ("member=S", "type=signal,member=S"),
    ("arg0=/a", "arg0path=/a"),
    ("arg0=x", "arg1=x"),
    ("path=/a", "path_namespace=/a"),
    ("arg0=a.b", "arg0namespace=a.b"),
    ("member=S", "member=S,eavesdrop=true"),
    ("sender=a.b", "destination=a.b"),
    ("", "type=signal"),
]


@pytest.mark.parametrize(("added", "removed"), UNEQUAL)
def test_remove_match_wants_an_equal_rule(a: Client, added: str, removed: str) -> None:
    a.match(added)
    assert str(a.ask("RemoveMatch", "s", removed)) == "!MatchRuleNotFound"
    assert a.ask("RemoveMatch", "s", added).error is None


def test_remove_match_of_somebody_elses_rule(a: Client, b: Client) -> None:
    a.match("member=S")
    assert str(b.ask("RemoveMatch", "s", "member=S")) == "!MatchRuleNotFound"


def test_an_added_rule_holds_for_the_next_message(a: Client) -> None:
    a.call("AddMatch", "s", "member=S")
    a.signal("S")
    a.call("RemoveMatch", "s", "member=S")
    a.signal("S")
    assert a.seen() == ["=()", "S()", "=()"]


def test_every_receiver_sees_signals_of_all_senders_in_one_order(bus: Bus) -> None:
    senders = [bus.connect() for _ in range(4)]
    receivers = [bus.connect() for _ in range(4)]
    for receiver in receivers:
        receiver.match("member=S")
    for number in range(50):
        for sender in senders:
            sender.signal("S", "ss", sender.name, str(number))
    for sender in senders:
        sender.take()
    seen = [receiver.seen() for receiver in receivers]
    assert len(seen[0]) == 200
    assert all(each == seen[0] for each in seen)


def test_a_signal_before_a_call_is_seen_before_it(a: Client, b: Client, c: Client) -> None:
    """A tells B and C; B, having heard, calls C: C has the signal first."""
    for each in (b, c):
        each.match("member=News")
    for number in range(100):
        a.signal("News", "u", number)
        b.receive("News")
        b.call("Heard", "u", number, to=c.name, interface="t.T", flags=1)
        assert [str(c.next()) for _ in range(2)] == [f"News({number})", f"Heard({number})"]


def test_the_own_name_signals_need_no_rule(bus: Bus, a: Client, name: str) -> None:
    a.own(name)
    a.ask("ReleaseName", "s", name)
    assert a.seen() == [f"NameAcquired({name})", f"NameLost({name})"]


def test_with_a_rule_they_still_come_once(a: Client, name: str) -> None:
    a.match("type=signal")
    a.take()
    a.own(name)
    assert a.seen() == [f"NameOwnerChanged({name},,{a.name})", f"NameAcquired({name})"]
