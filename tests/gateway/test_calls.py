"""Method calls between native peers and D-Bus clients, and every way in which they end."""

from __future__ import annotations

import os
import resource
from typing import Any

import pytest

from bridge.gateway.face import Face, following
from bridge.routing.errors import Refused
from bridge.wire.frame import Framer
from bus1 import Unknown
from policy.limits import Limits
from tests.activation.bench import service
from tests.gateway.house import NATIVE1, Arrived, Guest, House, Native
from tests.policies import rule, rules
from tests.raw import (
    CALL,
    DESTINATION,
    DRIVER,
    ERROR,
    NO_REPLY,
    REPLY_SERIAL,
    RETURN,
    SENDER,
    SIGNAL,
    Message,
    build,
    call_fields,
)
from tests.routing.world import UID, quota

NAME = "com.example.Name"
OTHER = "com.example.Other"
I = "com.example.I"  # noqa: E741
BIG = "x" * 100_000


def to(name: str) -> dict[str, Any]:
    return {"to": name, "path": "/p", "interface": I}


def only(guest: Guest) -> Message:
    (message,) = guest.take()
    return message


def last(native: Native) -> Arrived:
    (arrived,) = native.take()
    return arrived


def face_of(native: Native) -> Face:
    return native.house.gateway.faces[native.peer.number]


def pipe_works(read: int, write: int) -> bool:
    os.write(write, b"!")
    return os.read(read, 1) == b"!"


# ------------------------------------------------------------------- native to D-Bus


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_native_peer_calls_a_dbus_client(a: Guest, n: Native, order: str) -> None:
    cookie = n.call("M", "s", "hello", order=order, **to(a.name))
    call = only(a)
    assert (str(call), call.path, call.destination, call.order) == ("M(hello)", "/p", a.name, order)
    assert call.sender == ":1.1"
    a.reply(call, "i", 5)
    answer = n.answer(cookie)
    assert (str(answer), answer.message.once) == ("=(5)", True)
    assert answer.dbus is not None
    assert answer.dbus.sender == a.name
    assert n.take() == []


def test_several_calls_are_told_apart_by_their_cookies(a: Guest, b: Guest, n: Native) -> None:
    b.own(NAME)
    b.take()
    first, second, third = (
        n.call(m, **to(x)) for m, x in (("A", a.name), ("B", NAME), ("C", NAME))
    )
    for call in reversed(b.take()):
        b.reply(call, "s", call.member)
    a.refuse(only(a), "com.example.No", "why")
    assert [str(n.answer(each)) for each in (third, first, second)] == ["=(C)", "!No", "=(B)"]


def test_only_answers_are_taken_for_answers(a: Guest, n: Native) -> None:
    """By whichever name they come; and nothing else is one that has a serial to reply to."""
    name = n.attach()
    n.own(NAME)
    n.take()
    cookie = n.call("M", **to(a.name))
    serial = only(a).serial
    for kind in (CALL, SIGNAL):
        fields = call_fields(name, "/p", I, "S")
        a.write(build(kind, 9, [*fields, (REPLY_SERIAL, serial)], flags=NO_REPLY))
    assert [each.message.target for each in n.take()] == [n.node, n.node]
    a.write(build(RETURN, 9, [(REPLY_SERIAL, serial), (DESTINATION, NAME)]))
    assert str(n.answer(cookie)) == "=()"


def test_descriptors_go_both_ways(a: Guest, n: Native) -> None:
    read, write = os.pipe()
    cookie = n.call("M", "h", 0, fds=[write], **to(a.name))
    os.close(write)
    call = only(a)
    a.reply(call, "hh", 0, 1, fds=[read, call.fds[0]])
    os.close(read)
    answer = n.answer(cookie)
    assert pipe_works(*answer.numbers)
    a.kept.clear()


def test_a_descriptor_that_is_missing_is_an_error(n: Native) -> None:
    read, write = os.pipe()
    fields = [(1, "/p"), (3, "M"), (DESTINATION, DRIVER), (9, 2)]
    n.send(build(1, 1, fields, "h", [0]), [n.once()], [read])
    os.close(read)
    answer = n.answer(n.cookie)
    assert str(answer) == "!InconsistentMessage"
    with pytest.raises(BrokenPipeError):
        os.write(write, b"!")  # it was closed
    os.close(write)


def test_large_messages_are_memfds_natively(a: Guest, n: Native) -> None:
    cookie = n.call("M", "s", BIG, **to(a.name))
    call = only(a)
    assert call.args == [BIG]
    read, write = os.pipe()
    a.reply(call, "sh", BIG, 0, fds=[write])
    os.close(write)
    answer = n.answer(cookie)
    parcel: Any = answer.message.payload
    assert parcel.memfd
    assert answer.dbus is not None
    assert answer.dbus.args == [BIG, 0]
    assert pipe_works(read, answer.numbers[0])
    os.close(read)
    a.kept.clear()


def test_no_reply_is_expected(a: Guest, n: Native) -> None:
    n.call("M", flags=NO_REPLY, **to(a.name))
    call = only(a)
    assert call.flags & NO_REPLY
    assert n.take() == []


def test_without_a_handle_to_answer_on_the_answer_is_nobodys(a: Guest, n: Native) -> None:
    n.send(build(1, 1, [(1, "/p"), (2, I), (3, "M"), (DESTINATION, a.name)]))
    a.reply(only(a))
    assert n.take() == []


@pytest.mark.parametrize("name", [":1.99", NAME])
def test_nobody_has_the_name(n: Native, name: str) -> None:
    answer = n.asked("M", **to(name))
    assert answer.startswith("!ServiceUnknown")
    assert name in answer


def test_the_callee_dies(a: Guest, n: Native) -> None:
    cookie = n.call("M", **to(a.name))
    a.close()
    assert str(n.answer(cookie)) == "!NoReply"


def test_the_callee_dies_before_it_reads(a: Guest, n: Native) -> None:
    first, second = n.call("M", **to(a.name)), n.call("N", **to(a.name))
    a.take()
    a.close()
    assert [str(n.answer(each)) for each in (first, second)] == ["!NoReply"] * 2


def test_the_caller_drops_its_node(house: House, a: Guest, n: Native) -> None:
    before = house.gateway.peer.query()
    n.call("M", **to(a.name))
    n.peer.destroy([n.answers])
    house.pump()
    assert house.gateway.peer.query().handles == before.handles
    a.reply(only(a))
    assert (n.take(), a.take()) == ([], [])


def test_the_caller_leaves(a: Guest, n: Native) -> None:
    n.call("M", **to(a.name))
    n.close()
    call = only(a)
    a.reply(call)
    assert a.seen() == ["!ServiceUnknown"]


def test_an_end_that_comes_late_is_no_news(house: House, a: Guest, b: Guest, n: Native) -> None:
    """It is told once of each call that nobody answers."""
    first, second = n.call("M", **to(a.name)), n.call("M", **to(b.name))
    caller = face_of(n).client
    house.notices.expire(caller.number, a.client, only(a).serial)
    house.pump()
    assert str(n.answer(first)) == "!NoReply"
    b.close()
    assert str(n.answer(second)) == "!NoReply"
    a.close()
    assert (n.take(), caller.awaited, caller.late) == ([], 0, {})


def test_a_caller_may_await_only_so_many_answers(n: Native, a: Guest) -> None:
    for _ in range(128):
        n.call("M", **to(a.name))
    assert n.asked("M", **to(a.name)).startswith("!LimitsExceeded")
    for call in a.take():
        a.reply(call)
    assert n.seen() == ["=()"] * 128
    n.call("M", **to(a.name))
    assert len(a.take()) == 1


def test_no_two_calls_that_wait_have_one_serial() -> None:
    """A serial is one of 32 bits, and never 0."""
    assert following(0, {}) == 1
    assert following(0xFFFFFFFE, {}) == 0xFFFFFFFF
    assert following(0xFFFFFFFF, {}) == 1
    assert following(0xFFFFFFFE, dict.fromkeys([0xFFFFFFFF, 1, 2, 4])) == 3


def test_a_call_waits_even_if_nobody_wants_the_answer(a: Guest, n: Native) -> None:
    n.send(build(CALL, 1, call_fields(a.name, "/p", "t.T", "M")))
    call = only(a)
    assert list(face_of(n).calls) == [call.serial]
    a.reply(call)
    assert (face_of(n).calls, n.take()) == ({}, [])


def test_an_answer_of_the_bus_that_is_lost(house: House) -> None:
    """Its user has no room; it hears so, and nothing is kept for it."""
    n = house.native(uid=UID + 1)
    n.attach()
    before = house.gateway.peer.query()
    n.peer.user.limits = quota(messages=0)
    for _ in range(3):
        n.call("GetId")
        n.call("M", to="com.example.Nobody", path="/p")
        n.call("Right", "ssss", "a.b", "", "", "", interface=NATIVE1)
    assert n.seen() == ["dropped"] * 9
    assert (house.gateway.peer.query(), face_of(n).gifts) == (before, {})


@pytest.mark.parametrize("who", ["the bus", "nobody"])
def test_an_answer_that_the_policy_keeps_from_it(who: str) -> None:
    deny = rule(False, "receive", name=DRIVER, type="error", requested_reply=True)
    house = House(configuration=rules(deny))
    a, n = house.connect(), house.native()
    n.call("M", **to("com.example.Nobody" if who == "the bus" else a.name))
    a.close()
    assert n.seen() == ["dropped"]
    assert face_of(n).calls == {}
    house.end()


def test_the_receivers_queue_is_full() -> None:
    house = House(peer=quota(messages=4))
    a, n = house.connect(), house.native()
    n.attach()
    for _ in range(8):
        n.signal("S", to=a.name)
    assert n.asked("M", **to(a.name)).startswith("!LimitsExceeded")
    house.end()


def test_a_service_is_started() -> None:
    house = House(services=[service(NAME)])
    n, a = house.native(), house.connect()
    n.signal("First", to=NAME)
    cookie = n.call("Second", **to(NAME))
    assert len(house.bench.started) == 1
    a.own(NAME)
    calls = [each for each in a.take() if each.sender != DRIVER]
    assert [str(each) for each in calls] == ["First()", "Second()"]
    a.reply(calls[1])
    assert str(n.answer(cookie)) == "=()"
    house.end()


def test_a_service_that_cannot_be_started() -> None:
    house = House(services=[service(NAME)])
    house.bench.wrong = Refused("com.example.Broken", "it is broken")
    n = house.native()
    assert n.asked("M", **to(NAME)) == "!Broken it is broken"
    house.end()


def test_the_policy_denies_it() -> None:
    house = House(configuration=rules(rule(False, "send", member="Secret")))
    a, n = house.connect(), house.native()
    answer = n.asked("Secret", **to(a.name))
    assert answer.startswith("!AccessDenied Rejected send message")
    assert ':1.1" (uid=1000 pid=77' in answer
    assert a.take() == []
    house.end()


def test_a_native_peer_calls_another_by_dbus(n: Native, m: Native) -> None:
    name = m.attach()
    cookie = n.call("M", "s", "x", **to(name))
    call = last(m)
    assert (str(call), call.message.target) == ("M(x)", m.node)
    m.reply(call, "s", "y")
    assert str(n.answer(cookie)) == "=(y)"


def test_a_native_peer_calls_itself(n: Native) -> None:
    cookie = n.call("M", **to(n.attach()))
    n.reply(last(n))
    assert str(n.answer(cookie)) == "=()"


# ------------------------------------------------------------------- D-Bus to native


@pytest.mark.parametrize("well_known", [False, True])
def test_a_dbus_client_calls_a_native_peer(a: Guest, n: Native, well_known: bool) -> None:
    name = n.attach()
    if well_known:
        name = NAME
        assert n.own(NAME) == "=(1)"
        n.take()
    serial = a.call("M", "s", "x", **to(name))
    call = last(n)
    assert (str(call), call.message.target) == ("M(x)", n.node)
    assert call.dbus is not None
    assert (call.dbus.sender, call.dbus.destination) == (a.name, name)
    parcel: Any = call.message.payload
    assert parcel.uid == UID
    n.reply(call, "s", "y")
    answer = a.answer(serial)
    assert (str(answer), answer.sender, answer.destination) == ("=(y)", n.name, a.name)
    assert a.take() == n.take() == []


def test_it_answers_with_an_error_and_with_its_own_destination(a: Guest, n: Native) -> None:
    serial = a.call("M", **to(n.attach()))
    n.reply(last(n), "s", "why", kind=ERROR, extra=[(DESTINATION, a.name), (SENDER, ":1.0")])
    answer = a.answer(serial)
    assert (str(answer), answer.args, answer.sender) == ("!Wrong", ["why"], n.name)


def test_calls_are_answered_in_any_order(a: Guest, b: Guest, n: Native) -> None:
    name = n.attach()
    serials = [a.call("M", "i", number, **to(name)) for number in range(3)]
    other = b.call("M", "i", 3, **to(name))
    for call in reversed(n.take()):
        assert call.dbus is not None
        n.reply(call, "i", call.dbus.args[0])
    assert [str(a.answer(each)) for each in serials] == ["=(0)", "=(1)", "=(2)"]
    assert str(b.answer(other)) == "=(3)"


def test_descriptors_and_large_bodies_reach_it(a: Guest, n: Native) -> None:
    read, write = os.pipe()
    serial = a.call("M", "sh", BIG, 0, fds=[write], **to(n.attach()))
    os.close(write)
    call = last(n)
    n.reply(call, "sh", BIG, 0, fds=[call.numbers[0]])
    del call
    a.kept.clear()
    answer = a.answer(serial)
    assert answer.args == [BIG, 0]
    assert pipe_works(read, answer.fds[0])
    os.close(read)
    a.kept.clear()


def test_it_drops_the_handle_to_answer_on(a: Guest, n: Native) -> None:
    serial = a.call("M", **to(n.attach()))
    n.peer.release([last(n).handles[0]])
    n.house.pump()
    assert str(a.answer(serial)) == "!NoReply"
    assert a.client.awaited == 0


@pytest.mark.parametrize("read", [False, True])
def test_it_leaves(a: Guest, n: Native, read: bool) -> None:
    serial = a.call("M", **to(n.attach()))
    if read:
        n.take()
    n.close()
    assert str(a.answer(serial)) == "!NoReply"


def test_it_leaves_and_somebody_else_has_the_handle(a: Guest, n: Native, m: Native) -> None:
    serial = a.call("M", **to(n.attach()))
    call = last(n)
    handle: Any = call.handles[0]
    call.handles[0] = n.give(handle, m)
    n.close()
    assert str(a.answer(serial)) == "!NoReply"
    assert n.house.gateway.debts.table == {}
    m.reply(call)
    assert a.take() == []


def test_somebody_else_answers_for_it(a: Guest, n: Native, m: Native) -> None:
    serial = a.call("M", **to(n.attach()))
    call = last(n)
    handle: Any = call.handles[0]
    call.handles[0] = n.give(handle, m)
    m.reply(call)
    answer = a.answer(serial)
    assert (str(answer), answer.sender) == ("=()", n.name)


def test_it_has_attached_no_node(a: Guest, n: Native) -> None:
    name = n.attach()
    n.peer.destroy([n.node])
    n.house.pump()
    text = a.asked("M", **to(name))
    assert text.startswith("!UnknownMethod")
    assert "has attached no node" in text
    a.signal("S", to=name)
    assert (a.take(), n.take()) == ([], [])


def test_the_caller_leaves_before_the_answer(a: Guest, b: Guest, n: Native) -> None:
    a.call("M", **to(n.attach()))
    a.close()
    n.reply(last(n))
    assert n.take() == []
    assert b.ask("GetId")


def test_no_descriptor_is_left_for_a_large_call(a: Guest, n: Native) -> None:
    name = n.attach()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        text = a.asked("M", "s", BIG, **to(name))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert text.startswith("!LimitsExceeded")
    assert n.take() == []


@pytest.mark.parametrize(("body", "descriptors"), [(BIG, 253), ("", 254)])
def test_a_message_that_no_packet_takes(body: str, descriptors: int) -> None:
    """What is large takes a descriptor more. Nobody can be sent what would end its connection."""
    house = House(limits=Limits(max_message_unix_fds=300))
    a, n = house.connect(), house.native()
    a.framer = Framer(1 << 20, 300)
    name = n.attach()
    here, there = os.pipe()
    serial = a.call("M", "sh", body, 0, fds=[here] * descriptors, **to(name))
    assert str(a.answer(serial)) == "!LimitsExceeded"
    a.signal("S", "sh", body, 0, fds=[here] * descriptors, to=name)
    assert n.take() == []
    a.call("M", "sh", body, 0, fds=[here] * (descriptors - 1), **to(name))
    assert last(n).message.fd_count == 253
    a.kept.clear()
    for number in (here, there):
        os.close(number)
    house.end()


def test_it_has_no_room() -> None:
    """The answer says so; a signal is dropped, and counted."""
    house = House()
    a, n = house.connect(), house.native()
    name = n.attach()
    n.peer.reset(quota(messages=2))
    a.signal("S", to=name)
    assert a.asked("M", **to(name)).startswith("!LimitsExceeded Rejected: destination has a full")
    a.signal("S", to=name)
    assert house.hub.tally.dropped == 1
    assert house.hub.tally.refused[CALL, "org.freedesktop.DBus.Error.LimitsExceeded"] == 1
    assert n.seen() == ["S()"]
    assert a.client.awaited == 0
    assert a.take() == []
    assert not a.client.late
    assert house.gateway.debts.table == face_of(n).peer.handles == {}
    serial = a.call("M", **to(name))
    n.reply(last(n))
    assert str(a.answer(serial)) == "=()"
    house.end()


def test_its_answer_has_no_room_at_the_caller() -> None:
    house = House(peer=quota(messages=6))
    a, n = house.connect(), house.native()
    a.call("M", **to(n.attach()))
    call = last(n)
    for _ in range(12):
        n.signal("S", to=a.name)
    n.reply(call)
    assert a.seen()[-1] == "!NoReply"
    house.end()


def test_no_answer_in_time(house: House, a: Guest, n: Native) -> None:
    serial = a.call("M", **to(n.attach()))
    call = last(n)
    face = face_of(n)
    house.notices.expire(a.client.number, face.client, serial)
    house.pump()
    assert a.seen() == ["!NoReply"]
    a.call("Again", serial=serial, **to(n.name))
    n.reply(call)
    assert a.take() == []
    n.reply(last(n))
    assert a.seen() == ["=()"]


def test_who_may_answer_one_cannot_answer_another(a: Guest, b: Guest, n: Native, m: Native) -> None:
    """Though that call has the same serial, and it answers in the name of who owes both."""
    name = n.attach()
    first, second = (each.call("M", serial=50, **to(name)) for each in (a, b))
    theirs, _ = n.take()
    handle: Any = theirs.handles[0]
    theirs.handles[0] = n.give(handle, m)
    m.reply(theirs, extra=[(DESTINATION, b.name)])
    assert str(a.answer(first)) == "!NoReply"
    assert (b.take(), b.client.awaited, second) == ([], 1, 50)


def test_the_answer_is_no_answer(a: Guest, n: Native) -> None:
    """Garbage, a call, or an answer to somebody else: then there is none."""
    name = n.attach()
    for data in (
        b"garbage",
        build(1, 1, [(1, "/p"), (3, "M")]),
        build(2, 1, [(5, 1), (DESTINATION, ":1.99")]),
        build(2, 1, []),
    ):
        serial = a.call("M", **to(name))
        handle: Any = last(n).handles[0]
        n.send(data, on=handle)
        assert str(a.answer(serial)) == "!NoReply"
    assert a.take() == []
    assert a.client.awaited == 0
    assert face_of(n).client.owed == {}


def test_a_handle_to_answer_on_serves_once(a: Guest, n: Native) -> None:
    a.call("M", **to(n.attach()))
    call = last(n)
    n.reply(call)
    with pytest.raises(Unknown):
        n.reply(call)
    assert a.seen() == ["=()"]


def test_an_answer_on_the_bridge_counts_as_any_other(a: Guest, n: Native) -> None:
    serial = a.call("M", **to(n.attach()))
    call = last(n)
    n.send(build(2, 1, [(5, serial), (DESTINATION, a.name)]))
    assert str(a.answer(serial)) == "=()"
    n.reply(call)
    assert a.take() == []
