"""A reply is a right that came with the call: used once, by the callee, or reported lost."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.errors import ACCESS_DENIED, LIMITS_EXCEEDED, Refused
from bridge.routing.names import Names
from bridge.routing.replies import Replies
from bus1 import Bus
from policy.limits import Limits
from tests.raw import DESTINATION, DRIVER, ERROR, ERROR_NAME, NO_REPLY, REPLY_SERIAL, RETURN
from tests.routing.world import Party, World

LIMIT = 3


@pytest.fixture
def world() -> Iterator[World]:
    world = World(Limits(max_replies_per_connection=LIMIT))
    yield world
    world.end()


def handles(party: Party) -> tuple[int, int]:
    """The calls it waits for, and the reply handles that it holds."""
    peer = party.client.peer
    return party.client.awaited, sum(handle.once for handle in peer.handles.values())


# ------------------------------------------------------------------- the table itself


@pytest.fixture
def two() -> tuple[Client, Client]:
    bus, names = Bus(), Names()
    driver = bus.connect(0)
    clients = [
        Client(bus.connect(0), driver, Credentials(0, None), True, Limits()) for _ in range(2)
    ]
    for client in clients:
        names.join(client)
    return clients[0], clients[1]


def test_what_is_owed_is_found_and_settled_once(two: tuple[Client, Client]) -> None:
    caller, callee = two
    replies = Replies()
    once = replies.expect(caller, callee, 7)
    assert replies.find(caller, callee, 7) is None
    assert (once.once, once.cookie, once.node, caller.awaited) == (True, 7, caller.node, 0)
    replies.owe(caller, callee, 7, once)
    assert replies.find(caller, callee, 7) is once
    assert replies.find(callee, caller, 7) is None
    assert replies.find(caller, callee, 8) is None
    assert caller.awaited == 1
    assert [replies.settle(caller, callee, 7) for _ in range(2)] == [True, False]
    assert (replies.find(caller, callee, 7), caller.awaited, callee.owed) == (None, 0, {})


def test_serials_and_callers_are_not_confused(two: tuple[Client, Client]) -> None:
    """All 32 bits of a serial count, and it counts by caller."""
    caller, callee = two
    replies = Replies()
    owed = {}
    for who in (caller, callee):  # the second calls itself
        for serial in (1, 2**31, 2**32 - 1):
            owed[who, serial] = replies.expect(who, callee, serial)
            replies.owe(who, callee, serial, owed[who, serial])
    for (who, serial), once in owed.items():
        assert replies.find(who, callee, serial) is once
        assert once.node is who.node


@pytest.mark.parametrize(
    ("limit", "serial", "error"), [(1, 8, LIMITS_EXCEEDED), (2, 7, ACCESS_DENIED)]
)
def test_a_call_too_many_is_refused(
    two: tuple[Client, Client], limit: int, serial: int, error: str
) -> None:
    caller, callee = two
    caller.allot(Limits(max_replies_per_connection=limit))
    replies = Replies()
    replies.owe(caller, callee, 7, replies.expect(caller, callee, 7))
    with pytest.raises(Refused) as refused:
        replies.expect(caller, callee, serial)
    assert refused.value.name == error
    assert caller.awaited == 1
    replies.settle(caller, callee, 7)
    assert replies.expect(caller, callee, serial).cookie == serial


# --------------------------------------------------------------------- calls, replies


@pytest.mark.parametrize("error", [False, True])
def test_a_reply_uses_up_its_handle(a: Party, b: Party, error: bool) -> None:
    serial = a.call("M", to=b.name)
    assert (handles(a), handles(b)) == ((1, 0), (0, 0))
    (call,) = b.take()
    assert handles(b) == (0, 1)
    if error:
        b.refuse(call, "e.E", "no")
    else:
        b.reply(call, "s", "yes")
    (answer,) = a.take()
    assert (str(answer), answer.reply_to, answer.sender) == (
        "!E" if error else "=(yes)",
        serial,
        b.name,
    )
    assert (handles(a), handles(b)) == ((0, 0), (0, 0))
    assert a.client.routes.keys() == {b.client.number}  # type: ignore[union-attr]
    assert not b.client.routes  # to answer it needs no other right


def test_a_client_may_answer_itself(a: Party) -> None:
    a.call("M", to=a.name)
    (call,) = a.take()
    a.reply(call, "s", "me")
    assert a.seen() == ["=(me)"]
    assert handles(a) == (0, 0)


@pytest.mark.parametrize("kind", [RETURN, ERROR])
@pytest.mark.parametrize(
    ("who", "serial"),
    [
        ("c", 77),  # of somebody else's call
        ("b", 78),  # of a call that never was
        ("b", 77 + 2**31),
    ],
)
def test_who_was_not_asked_cannot_answer(
    a: Party, b: Party, c: Party, caplog: pytest.LogCaptureFixture, who: str, serial: int, kind: int
) -> None:
    caplog.set_level(logging.INFO, "bus1.router")
    a.call("M", to=b.name, serial=77)
    b.take()
    liar = {"b": b, "c": c}[who]
    fields = [(DESTINATION, a.name), (REPLY_SERIAL, serial), (ERROR_NAME, "e.E")]
    liar.send(kind, fields, "s", ["lie"])
    assert liar.seen() == ["!AccessDenied"]
    assert a.seen() == []
    assert handles(a) == (1, 0)
    (record,) = caplog.records
    assert record.getMessage().startswith("Rejected send message")
    assert f'sender="{liar.name}"' in record.getMessage()


def test_nobody_answers_twice(a: Party, b: Party) -> None:
    a.call("M", to=b.name)
    (call,) = b.take()
    for _ in range(3):
        b.reply(call)
    assert a.seen() == ["=()"]
    assert b.seen() == ["!AccessDenied"] * 2


def test_nobody_answers_what_it_has_not_read(a: Party, b: Party) -> None:
    """The right is in the call, and the call still in the callee's queue."""
    a.call("M", to=b.name, serial=77)
    guess = [(DESTINATION, a.name), (REPLY_SERIAL, 77)]
    b.send(RETURN, guess, "s", ["guess"])
    assert a.seen() == []
    assert b.seen() == ["M()", "!AccessDenied"]
    b.send(RETURN, guess, "s", ["answer"])
    assert a.seen() == ["=(answer)"]


@pytest.mark.parametrize("answer", ["reply", "refuse"])
def test_a_call_without_reply_carries_no_right(a: Party, b: Party, answer: str) -> None:
    a.call("M", to=b.name, flags=NO_REPLY)
    (call,) = b.take()
    assert (handles(a), handles(b), b.client.owed) == ((0, 0), (0, 0), None)
    if answer == "reply":
        b.reply(call)
    else:
        b.refuse(call, "e.E")
    assert (a.seen(), b.seen()) == ([], ["!AccessDenied"])


def test_the_same_serial_twice_is_refused_until_answered(a: Party, b: Party, c: Party) -> None:
    a.call("First", to=b.name, serial=77)
    a.call("Second", to=b.name, serial=77)
    a.call("Third", to=c.name, serial=77)  # another callee's table
    assert a.seen() == ["!AccessDenied"]
    (call,) = b.take()
    assert c.seen() == ["Third()"]
    b.reply(call)
    a.call("Fourth", to=b.name, serial=77)
    assert b.seen() == ["Fourth()"]


def test_as_many_calls_may_wait_as_the_limit_says(a: Party, b: Party, c: Party) -> None:
    for to in (b, c, b, c):
        a.call("M", to=to.name)
    assert a.seen() == ["!LimitsExceeded"]
    assert handles(a) == (LIMIT, 0)
    a.call("M", to=b.name, flags=NO_REPLY)
    c.call("M", to=b.name)  # a limit for each caller, not for the callee
    assert (a.seen(), c.seen()) == ([], ["M()"])
    b.reply(b.take()[0])
    a.call("Again", to=c.name)
    assert c.seen() == ["Again()"]


# ----------------------------------------------------------------------- who leaves


@pytest.mark.parametrize("read", [True, False])
def test_no_reply_comes_after_the_names_are_gone(a: Party, b: Party, read: bool) -> None:
    a.match(f"sender={DRIVER},member=NameOwnerChanged")
    b.own("com.example.N")
    a.take()
    serials = [a.call("M", to=b.name), a.call("M", to="com.example.N")]
    if read:
        b.take()
    b.close()
    messages = a.take()
    assert [str(message) for message in messages] == [
        f"NameOwnerChanged(com.example.N,{b.name},)",
        f"NameOwnerChanged({b.name},{b.name},)",
        "!NoReply",
        "!NoReply",
    ]
    lost = messages[2:]
    assert sorted(message.reply_to for message in lost) == serials
    assert {(m.sender, m.destination) for m in lost} == {(DRIVER, a.name)}
    text = "Message recipient disconnected from message bus without replying"
    assert {m.args[0] for m in lost} == {text}
    assert handles(a) == (0, 0)


def test_what_was_answered_is_not_reported_lost(a: Party, b: Party) -> None:
    a.call("M", to=b.name)
    b.reply(b.take()[0], "s", "yes")
    b.close()
    assert a.seen() == ["=(yes)"]


@pytest.mark.parametrize("read", [True, False])
def test_who_leaves_is_owed_nothing(a: Party, b: Party, read: bool) -> None:
    for _ in range(2):
        a.call("M", to=b.name)
    calls = b.take() if read else []
    a.close()
    calls += b.take()
    assert len(calls) == 2
    assert handles(b) == (0, 0)
    assert not b.client.owed
    b.reply(calls[0])
    assert b.seen() == ["!ServiceUnknown"]


@pytest.mark.parametrize("first", ["a", "b"])
def test_two_who_owe_each_other_leave_nothing(a: Party, b: Party, first: str) -> None:
    a.call("M", to=b.name)
    b.call("M", to=a.name)
    stays, goes = (b, a) if first == "a" else (a, b)
    goes.close()
    assert stays.seen() == ["M()", "!NoReply"]
    assert handles(stays) == (0, 0)
    assert not stays.client.owed


def test_a_call_that_was_refused_is_not_awaited(world: World, a: Party) -> None:
    poor = world.connect(fds=False)
    a.call("M", "h", 0, to=poor.name, fds=[0])
    assert a.seen() == ["!NotSupported"]
    assert (handles(a), poor.client.owed) == ((0, 0), None)
    poor.close()
    assert a.seen() == []
