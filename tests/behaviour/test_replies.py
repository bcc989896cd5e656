"""Replies: who may answer what, and how often (contract E.13 to E.17)."""

from __future__ import annotations

import pytest

from tests.behaviour.differences import expected
from tests.buses import Bus
from tests.raw import (
    DESTINATION,
    ERROR_NAME,
    NO_REPLY,
    REPLY_SERIAL,
    RETURN,
    Client,
)

ASK = {"interface": "t.T"}


def test_a_call_and_its_reply(a: Client, b: Client) -> None:
    serial = a.call("M", "s", "x", to=b.name, **ASK)
    call = b.receive("M")
    assert (call.sender, call.destination, call.serial, call.args) == (
        a.name,
        b.name,
        serial,
        ["x"],
    )
    b.reply(call, "i", 7)
    reply = a.answer(serial)
    assert (reply.kind, reply.sender, reply.destination, reply.args) == (
        RETURN,
        b.name,
        a.name,
        [7],
    )
    assert a.seen() == b.seen() == []


def test_an_error_is_a_reply_too(a: Client, b: Client) -> None:
    serial = a.call("M", to=b.name, **ASK)
    b.refuse(b.receive("M"), "t.Error.Bad", "no")
    reply = a.answer(serial)
    assert (reply.error, reply.sender, reply.args) == ("t.Error.Bad", b.name, ["no"])


def test_replies_in_any_order(a: Client, b: Client) -> None:
    serials = [a.call(f"M{number}", to=b.name, **ASK) for number in range(10)]
    calls = [b.receive(f"M{number}") for number in range(10)]
    for call in reversed(calls):
        b.reply(call, "s", call.member)
    got = [a.next() for _ in range(10)]
    assert [m.reply_to for m in got] == serials[::-1]
    assert [m.args for m in got] == [[f"M{number}"] for number in range(9, -1, -1)]


def test_a_call_to_oneself(a: Client) -> None:
    serial = a.call("M", to=a.name, **ASK)
    a.reply(a.receive("M"), "s", "me")
    assert a.answer(serial).args == ["me"]


def test_a_call_to_a_name_is_answered_by_the_unique_name(a: Client, b: Client, name: str) -> None:
    b.own(name)
    serial = a.call("M", to=name, **ASK)
    b.reply(b.receive("M"))
    assert a.answer(serial).sender == b.name


def test_a_forged_reply(bus: Bus, a: Client, b: Client) -> None:
    b.send(RETURN, [(DESTINATION, a.name), (REPLY_SERIAL, 77)], "s", ["forged"])
    found = {"replier": b.seen(), "target": a.seen()}
    assert found == expected(bus.kind, "a reply that nobody asked for")


def test_a_third_client_cannot_answer(bus: Bus, a: Client, b: Client, c: Client) -> None:
    serial = a.call("M", to=b.name, **ASK)
    call = b.receive("M")
    c.send(RETURN, [(DESTINATION, a.name), (REPLY_SERIAL, serial)], "s", ["forged"])
    found = {"replier": c.seen(), "target": a.seen()}
    assert found == expected(bus.kind, "a reply that nobody asked for")
    b.reply(call, "s", "right")
    assert a.answer(serial).args == ["right"]


def test_a_second_reply(bus: Bus, a: Client, b: Client) -> None:
    a.call("M", to=b.name, **ASK)
    call = b.receive("M")
    b.reply(call, "s", "one")
    assert b.seen() == []
    assert a.seen() == ["=(one)"]
    b.reply(call, "s", "two")
    found = {"replier": b.seen(), "target": a.seen()}
    assert found == expected(bus.kind, "a second reply to one call")


def test_a_reply_to_a_call_that_wanted_none(bus: Bus, a: Client, b: Client) -> None:
    a.call("M", to=b.name, flags=NO_REPLY, **ASK)
    call = b.receive("M")
    assert call.flags & NO_REPLY
    b.reply(call, "s", "unwanted")
    found = {"replier": b.seen(), "target": a.seen()}
    assert found == expected(bus.kind, "a reply to a call that wanted none")


def test_a_serial_that_is_still_waiting_may_not_be_used_again(a: Client, b: Client) -> None:
    a.call("First", to=b.name, serial=5000, **ASK)
    a.call("Second", to=b.name, serial=5000, **ASK)
    refused = a.answer(5000)
    assert str(refused) == "!AccessDenied"
    assert "same reply serial as a currently-outstanding existing method call" in refused.args[0]
    assert b.seen() == ["First()"]


def test_the_same_serial_to_another_callee_is_fine(a: Client, b: Client, c: Client) -> None:
    for callee in (b, c):
        a.call("M", to=callee.name, serial=5000, **ASK)
    for callee in (b, c):
        callee.reply(callee.receive("M"), "s", callee.name)
    assert {m.args[0] for m in a.take()} == {b.name, c.name}


def test_a_serial_may_be_used_again_after_the_reply(a: Client, b: Client) -> None:
    for _ in range(3):
        a.call("M", to=b.name, serial=6000, **ASK)
        b.reply(b.receive("M"))
        assert a.answer(6000).kind == RETURN


def test_the_same_serial_for_a_call_that_wants_no_reply(a: Client, b: Client) -> None:
    for _ in range(2):
        a.call("M", to=b.name, serial=7000, flags=NO_REPLY, **ASK)
    assert a.seen() == []
    assert b.seen() == ["M()", "M()"]


@pytest.mark.parametrize("error", [False, True])
def test_a_reply_to_a_name_that_nobody_has(a: Client, error: bool) -> None:
    more = [(ERROR_NAME, "t.E")] if error else []
    serial = a.send(
        3 if error else 2, [(DESTINATION, "com.example.Nobody"), (REPLY_SERIAL, 1), *more]
    )
    assert [(str(m), m.reply_to) for m in a.take()] == [("!ServiceUnknown", serial)]


def test_a_reply_to_the_driver_is_ignored(a: Client) -> None:
    a.send(RETURN, [(DESTINATION, "org.freedesktop.DBus"), (REPLY_SERIAL, 1)])
    assert a.seen() == []


def test_a_reply_without_destination_goes_nowhere(a: Client, b: Client) -> None:
    b.match("type=method_return")
    a.send(RETURN, [(REPLY_SERIAL, 1)])
    a.send(3, [(REPLY_SERIAL, 1), (ERROR_NAME, "t.E")])
    assert a.is_open()
    assert b.is_open()


def test_thousands_of_calls_may_wait(a: Client, b: Client) -> None:
    """The session bus allows 50,000; this many must work, and be forgotten when answered."""
    for _ in range(2):
        serials = [a.call("M", to=b.name, **ASK) for _ in range(3000)]
        for _ in serials:
            b.reply(b.receive("M"))
        for serial in serials:
            assert a.next().reply_to == serial
