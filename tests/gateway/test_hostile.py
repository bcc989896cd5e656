"""Native peers that break the rules, and all limits: the bus stays as it was, and others do not
notice. Nothing of those who leave is left (House.end)."""

from __future__ import annotations

import gc
import os
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus1 import Invalid, Unknown
from bus1.fds.descriptors import Descriptors
from bus1.native.memfd import seal
from bus1.native.parcel import inline, mapped
from policy.limits import Limits
from tests import frames, policies
from tests.gateway.house import NATIVE1, Guest, House, Native
from tests.policies import rules
from tests.raw import (
    CALL,
    DRIVER,
    REPLY_SERIAL,
    SENDER,
    SIGNAL,
    UNIX_FDS,
    build,
    call_fields,
    parse,
)
from tests.routing.world import quota

NAME = "com.example.Name"
GETID = call_fields(DRIVER, "/org/freedesktop/DBus", DRIVER, "GetId")


def refused(native: Native, data: bytes) -> str:
    """What is said of a message that is none."""
    native.send(data, [native.once()])
    return native.answer(native.cookie).said()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", [name for name in frames.BAD if name != "serial 0"])
def test_what_ends_a_connection_is_an_error_here(house: House, name: str, order: str) -> None:
    n = house.native()
    data = frames.BAD[name](DRIVER, order)
    assert refused(n, data).startswith("!InconsistentMessage That is no D-Bus message: ")
    assert n.asked("GetId").startswith("=(")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", sorted(frames.GOOD))
def test_what_a_connection_may_send_arrives(house: House, name: str, order: str) -> None:
    a, n = house.connect(), house.native()
    data = frames.GOOD[name](a.name, order)
    n.send(data)
    (message,) = a.take()
    assert (message.body, message.order, message.sender) == (parse(data).body, order, ":1.1")


@pytest.mark.parametrize("data", [b"", b"l", b"l\1\0\1" + bytes(12), bytes(16), bytes(100)])
def test_scraps(n: Native, data: bytes) -> None:
    assert refused(n, data).startswith("!InconsistentMessage")


def test_a_length_that_is_not_that_of_the_message(n: Native) -> None:
    whole = build(CALL, 1, GETID)
    for data in (whole + b"\0", whole[:-1], whole * 2):
        assert refused(n, data).startswith("!InconsistentMessage That is no D-Bus message: its len")


def test_garbage_without_a_handle_is_nobodys(n: Native) -> None:
    n.send(b"garbage")
    assert n.take() == []


def test_the_first_message_may_be_garbage(house: House, n: Native) -> None:
    assert refused(n, b"garbage").startswith("!InconsistentMessage")
    assert house.hub.active == 1  # it has a name all the same


def test_nobody_poses_as_another(a: Guest, n: Native, house: House) -> None:
    n.send(build(SIGNAL, 7, [*call_fields(a.name, "/t", "t.T", "S"), (SENDER, DRIVER)]))
    (message,) = a.take()
    face = house.gateway.faces[n.peer.number]
    assert (message.sender, message.serial) == (face.client.unique, face.serial)


def test_a_message_that_is_too_large() -> None:
    house = House(limits=Limits(max_message_size=70_000))
    n = house.native()
    for size in (69_990, 200_000):
        data = build(SIGNAL, 1, [*call_fields(NAME, "/t", "t.T", "S")], "ay", [bytes(size)])
        assert "max_message_size" in refused(n, data)
    memfd = os.memfd_create("empty")  # it is not even read
    n.peer.send(n.bridge, mapped(70_001, 0, 0), 70_001, Descriptors([memfd]), 1, [n.once()])
    house.gateway.settle()
    assert str(n.answer(n.cookie)) == "!InconsistentMessage"
    house.end()


def test_a_memfd_that_is_too_short(n: Native) -> None:
    """A session has looked at it; but nothing depends on that."""
    memfd = os.memfd_create("short")
    os.write(memfd, b"l")
    n.peer.send(n.bridge, mapped(500, 0, 0), 500, Descriptors([memfd]), 1, [n.once()])
    n.house.gateway.settle()
    assert str(n.answer(n.cookie)) == "!LimitsExceeded"


def test_too_many_descriptors() -> None:
    house = House(limits=Limits(max_message_unix_fds=2))
    a, n = house.connect(), house.native()
    read, write = os.pipe()
    text = n.asked("M", "hhh", 0, 1, 2, fds=[read] * 3, to=a.name, path="/p")
    assert "max_message_unix_fds" in text
    n.call("M", "h", 0, fds=[read] * 2, to=a.name, path="/p")
    assert len(a.take()) == 1
    a.kept.clear()
    os.close(read)
    with pytest.raises(BrokenPipeError):
        os.write(write, b"!")
    os.close(write)
    house.end()


@pytest.mark.parametrize("named", [0, 1])
def test_descriptors_that_the_message_does_not_name(a: Guest, n: Native, named: int) -> None:
    """Nobody would be charged for them, while the message waits."""
    read, write = os.pipe()
    fields = [*call_fields(a.name, "/t", "t.T", "S"), *[(UNIX_FDS, named)] * named]
    n.send(build(SIGNAL, 1, fields), fds=[read] * (named + 1))
    assert a.take() == []
    os.close(read)
    with pytest.raises(BrokenPipeError):
        os.write(write, b"!")
    os.close(write)


def test_a_dbus_client_without_descriptors_gets_none(house: House, n: Native) -> None:
    a = house.connect(fds=False)
    read, write = os.pipe()
    text = n.asked("M", "h", 0, fds=[read], to=a.name, path="/p")
    assert text.startswith("!NotSupported")
    os.close(read)
    os.close(write)


def test_handles_that_nobody_wants_are_released(house: House, a: Guest, n: Native) -> None:
    before = house.gateway.peer.query()
    handles = [n.peer.handle(n.node) for _ in range(20)]
    n.call("GetId", handles=handles)
    n.call("M", to=a.name, path="/p", handles=handles)
    n.call("M", to=a.name, path="/p", handles=handles, flags=1)
    n.send(build(SIGNAL, 1, call_fields(a.name, "/t", "t.T", "S")), handles)
    n.send(b"garbage", [n.once(), *handles])
    n.send(b"garbage", handles)
    for call in a.take():
        if call.kind == CALL:
            a.reply(call)
    assert house.gateway.peer.query() == before
    name = n.attach()
    a.call("M", to=name, path="/p")
    (come,) = [each for each in n.take() if str(each) == "M()"]
    n.send(build(2, 1, [(REPLY_SERIAL, 1)]), handles, on=come.handles[0])
    assert house.gateway.peer.query().handles == before.handles + 1  # what was attached
    n.peer.release(handles)


def test_an_answer_handle_that_is_gone_or_no_one_shot(a: Guest, n: Native) -> None:
    node = n.peer.create()
    handle = n.peer.handle(node)
    n.send(build(CALL, 1, GETID), [handle])
    n.peer.release([handle])
    (answer, notice) = n.take()
    assert answer.message.target is notice.message.target is node
    once = n.peer.once(node, None, 1)
    house = n.house
    n.peer.send(n.bridge, *parcel(build(CALL, 1, GETID)), None, 0, [once])
    n.peer.destroy([node])
    house.gateway.settle()
    assert n.take() == []


def parcel(data: bytes) -> tuple[Any, int]:
    return inline(data, 0, 0), len(data)


def test_who_has_left_sends_nothing(house: House, n: Native, m: Native) -> None:
    """A peer that the gateway does not know gets an error, if it can."""
    stranger = house.core.connect(5)
    node = stranger.create()
    bridge = m.peer.transfer(m.bridge, stranger)
    once = stranger.once(node, None, 1)
    stranger.send(bridge, *parcel(build(CALL, 1, GETID)), None, 0, [once])
    house.gateway.settle()
    message: Any = stranger.receive()
    assert b"AccessDenied" in message.payload.data
    stranger.close()


def test_an_error_for_which_it_has_no_room(n: Native) -> None:
    n.peer.reset(quota(messages=0))
    n.send(b"garbage", [n.once()])
    assert n.seen() == ["dropped"]


def test_a_face_for_which_the_bus_has_no_room(house: House, n: Native) -> None:
    house.hub.peer.reset(quota(handles=0))
    assert n.asked("GetId").startswith("!LimitsExceeded there is no room for one more client")


def test_errors_and_large_messages_are_work(house: House, a: Guest, n: Native) -> None:
    """Who makes others work has the shorter turn."""
    name = n.attach()
    before = house.hub.work
    refused(n, b"garbage")
    assert house.hub.work - before > 200
    before = house.hub.work
    a.signal("S", "ay", bytes(1 << 18), to=name)
    assert house.hub.work - before > 1 << 10
    before = house.hub.work
    n.signal("S", "ay", bytes(1 << 18))
    assert house.hub.work - before > 1 << 12


def test_a_memfd_is_not_kept_by_what_waits_for_others(house: House, a: Guest, n: Native) -> None:
    """Who still has to read it as a D-Bus message is not charged for a descriptor."""
    b = house.connect()
    n.attach()
    b.match("type='signal',interface='t.T'")
    n.asked("AddMatch", "s", "type='signal',interface='t.T'")
    a.signal("S", "ay", bytes(200_000))
    (one,) = n.take()
    fds: Any = one.message.fds
    (number,) = fds.numbers
    del one, fds
    gc.collect()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)
    assert b.take()


def test_what_was_in_a_memfd_does_not_keep_it(house: House, a: Guest, n: Native) -> None:
    """It may be far larger than what was read of it."""
    read, write = os.pipe()
    fields = [*call_fields(a.name, "/t", "t.T", "S"), (UNIX_FDS, 1)]
    memfd = seal(build(SIGNAL, 1, fields, "h", [0]))
    size = os.fstat(memfd).st_size
    carried = Descriptors([memfd, read])
    n.peer.send(n.bridge, mapped(size, 0, 0), size, carried, 2, [])
    del carried
    house.gateway.settle()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(memfd)
    house.pump()
    (message,) = a.take()
    assert len(message.fds) == 1
    os.close(write)


def test_what_it_sent_before_it_left_is_still_routed(a: Guest, n: Native) -> None:
    n.peer.send(n.bridge, *parcel(build(SIGNAL, 1, call_fields(a.name, "/t", "t.T", "S"))))
    n.close()
    assert a.seen() == ["S()"]


def test_a_peer_made_by_another_has_no_bridge_but_what_it_is_given(house: House, n: Native) -> None:
    child = house.native(seeded=False, maker=n)
    assert child.bridge is None
    assert house.native(seeded=False, maker=n, gifts=[n.bridge]).asked("GetId").startswith("=(")


def test_nobody_else_lets_it_speak_in_its_makers_name(house: House, n: Native, m: Native) -> None:
    """Not even itself: what it is given later could be from anybody who has its socket."""
    child = house.native(seeded=False, maker=n)
    child.bridge = m.give(m.bridge, child)
    assert child.asked("GetId").startswith("!AccessDenied Who made this peer")
    grandchild = house.native(seeded=False, maker=child, gifts=[child.bridge])
    assert grandchild.asked("GetId").startswith("!AccessDenied Who made this peer")
    child.bridge = grandchild.bridge = None


def test_somebody_elses_handle_is_no_use(n: Native, m: Native) -> None:
    with pytest.raises(Unknown):
        n.peer.send(m.bridge, None)
    with pytest.raises(Invalid):
        n.peer.send(n.bridge, None, -1)


# ----------------------------------------------------------------------------- limits


@pytest.mark.parametrize("limit", ["max_completed_connections", "max_connections_per_user"])
def test_faces_count_as_connections(limit: str) -> None:
    house = House(limits=Limits(**{limit: 2}))
    a, n, m = house.connect(), house.native(), house.native()
    assert n.asked("GetId").startswith("=(")
    assert m.asked("GetId").startswith("!LimitsExceeded The maximum number of active connections")
    m.signal("S", to=a.name)
    assert a.take() == []
    assert house.hub.active == 2
    n.close()
    assert m.asked("GetId").startswith("=(")
    house.end()


def test_a_face_holds_as_many_names_and_rules_as_a_connection() -> None:
    limits = Limits(max_names_per_connection=2, max_match_rules_per_connection=1)
    house = House(limits=limits)
    n = house.native()
    n.attach()
    assert n.own("a.b") == "=(1)"
    assert n.own("a.c").startswith("!LimitsExceeded")
    assert n.asked("AddMatch", "s", "member='a'") == "=()"
    assert n.asked("AddMatch", "s", "member='b'").startswith("!LimitsExceeded")
    house.end()


def test_other_limits_hold_for_the_gateway_too(house: House, n: Native) -> None:
    assert house.gateway.peer.query().limits is house.core.limits
    other = rules(limits=Limits(max_outgoing_messages=500))
    house.hub.adopt(other, policies.policy(other))
    assert n.asked("GetId").startswith("=(")
    assert house.gateway.peer.query().limits is house.core.limits


# -------------------------------------------------------------------------- any bytes

PARTS = [frame(DRIVER, order) for frame in frames.GOOD.values() for order in "<>"]
PARTS = [each for each in PARTS if len(each) < 2000]


CHANGES = st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PARTS), st.integers(0, 1 << 40), CHANGES, st.booleans())
def test_any_bytes_are_a_message_or_an_error(
    data: bytes, cut: int, changes: list[tuple[int, int]], right: bool
) -> None:
    """On the bridge, on a Right, and as an answer."""
    house = House()
    a, n = house.connect(), house.native()
    handle = n.right(NAME) if right else None
    wrong = bytearray(data)
    for at, value in changes:
        wrong[at % len(wrong)] = value
    n.send(bytes(wrong[: cut % (2 * len(wrong))]), [n.once()], on=handle)
    serial = a.call("M", to=n.attach(), path="/p")
    (call,) = [each for each in n.take() if each.dbus is not None and each.dbus.member == "M"]
    answer: Any = call.handles[0]
    n.send(bytes(wrong), on=answer)
    assert str(a.answer(serial)) == "!NoReply"
    assert n.asked("GetId").startswith("=(")
    house.end()


def test_a_bus_full_of_both_ends_empty(house: House) -> None:
    """Everybody does anything, and leaves at any time."""
    chance = random.Random(11)
    for _ in range(6):
        guests = [house.connect() for _ in range(3)]
        natives = [house.native(uid) for uid in (1000, 1001, 1002)]
        names = [each.name for each in guests] + [each.attach() for each in natives]
        for each in natives:
            each.asked("AddMatch", "s", "interface='t.T'")
        for _ in range(300):
            act(house, chance, guests, natives, names)
        everybody = guests + natives
        chance.shuffle(everybody)
        for each in everybody:
            each.close()
    gc.collect()


def act(
    house: House,
    chance: random.Random,
    guests: list[Guest],
    natives: list[Native],
    names: list[str],
) -> None:
    """One thing."""
    name, other = chance.choice(names), {"path": "/p", "interface": "t.T"}
    either = chance.choice([*guests, *natives])
    match chance.randrange(8):
        case 0:
            either.call("M", to=name, **other)
        case 1:
            either.signal("S", to=chance.choice([name, None]))
        case 2:
            for guest_call in [each for each in chance.choice(guests).take() if each.kind == CALL]:
                chance.choice(guests).reply(guest_call)
        case 3:
            native = chance.choice(natives)
            for come in native.take():
                if come.dbus is not None and come.dbus.kind == CALL and come.handles:
                    native.reply(come)
        case 4:
            native = chance.choice(natives)
            for come in native.take():
                native.peer.release([each for each in come.handles if each is not None])
            house.pump()
        case 5:
            native = chance.choice(natives)
            native.call("Right", "ssss", name, "", "", "", interface=NATIVE1)
        case 6:
            native = chance.choice(natives)
            native.peer.release(
                [each for each in native.peer.handles.values() if each is not native.bridge]
            )
            house.pump()
        case 7:
            native = chance.choice(natives)
            native.send(build(2, 1, [(REPLY_SERIAL, 3)]))
