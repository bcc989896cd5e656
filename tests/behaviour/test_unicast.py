"""Messages to one receiver: errors, no destination, odd types (contract E.16, E.18, E.45, H)."""

from __future__ import annotations

import pytest

from tests.raw import (
    CALL,
    DESTINATION,
    DRIVER,
    ERROR,
    ERROR_NAME,
    NO_AUTO_START,
    NO_REPLY,
    REPLY_SERIAL,
    RETURN,
    SIGNAL,
    Client,
    build,
    call_fields,
)

ERRORS = "org.freedesktop.DBus.Error."
NOBODY = ["com.example.Nobody", ":1.999999", ":1.x", ":never.was"]


@pytest.mark.parametrize("to", NOBODY)
@pytest.mark.parametrize("flags", [0, NO_REPLY, 4, 0x80])
def test_a_call_to_nobody(a: Client, to: str, flags: int) -> None:
    """The error comes although the caller wants no reply."""
    answer = a.answer(a.call("M", to=to, interface="t.T", flags=flags))
    assert answer.error == ERRORS + "ServiceUnknown"
    assert answer.args == [f"The name {to} was not provided by any .service files"]
    assert (answer.sender, answer.destination) == (DRIVER, a.name)


@pytest.mark.parametrize("to", NOBODY)
@pytest.mark.parametrize("flags", [NO_AUTO_START, NO_AUTO_START | NO_REPLY])
def test_a_call_to_nobody_that_may_start_nobody(a: Client, to: str, flags: int) -> None:
    answer = a.answer(a.call("M", to=to, interface="t.T", flags=flags))
    assert answer.error == ERRORS + "NameHasNoOwner"
    assert answer.args == [f'Name "{to}" does not exist']


@pytest.mark.parametrize("message", [RETURN, ERROR, SIGNAL])
def test_anything_to_nobody_is_answered_with_an_error(a: Client, message: int) -> None:
    fields = {
        RETURN: [(DESTINATION, NOBODY[0]), (REPLY_SERIAL, 9)],
        ERROR: [(DESTINATION, NOBODY[0]), (REPLY_SERIAL, 9), (ERROR_NAME, "t.E")],
        SIGNAL: call_fields(NOBODY[0], "/t", "t.T", "S"),
    }
    serial = a.send(message, fields[message])
    assert a.answer(serial).error == ERRORS + "ServiceUnknown"


@pytest.mark.parametrize("message", [5, 6, 255])
@pytest.mark.parametrize("whom", ["other", "driver", "nobody"])
def test_an_unknown_message_type_is_refused_and_the_connection_lives(
    a: Client, b: Client, message: int, whom: str
) -> None:
    to = {"other": b.name, "driver": DRIVER, "nobody": None}[whom]
    a.write(build(message, 4242, call_fields(to, "/t", "t.T", "M")))
    got = a.take()
    if to is None:
        assert got == []
    else:
        assert [(m.error, m.reply_to, m.args) for m in got] == [
            (
                ERRORS + "AccessDenied",
                4242,
                ["Message bus will not accept messages of unknown type\n"],
            )
        ]
    assert b.seen() == []


def test_an_unknown_message_type_needs_no_fields(a: Client) -> None:
    a.write(build(77, 4242))
    assert a.seen() == []


# (interface, member, arguments) -> error, '' for none
NO_DESTINATION = [
    ("org.freedesktop.DBus.Peer", "Ping", ""),
    ("org.freedesktop.DBus.Peer", "GetMachineId", ""),
    ("org.freedesktop.DBus.Peer", "Nope", "UnknownMethod"),
    (None, "Ping", "UnknownMethod"),
    (None, "GetId", "UnknownMethod"),
    (DRIVER, "GetId", "UnknownMethod"),
    (DRIVER, "Hello", "UnknownMethod"),
    ("org.freedesktop.DBus.Properties", "GetAll", "UnknownMethod"),
    ("t.T", "M", "UnknownMethod"),
]


@pytest.mark.parametrize(("interface", "member", "error"), NO_DESTINATION)
def test_a_call_without_destination(
    a: Client, interface: str | None, member: str, error: str
) -> None:
    answer = a.ask(member, to=None, interface=interface)
    assert (answer.error or "") == (ERRORS + error if error else "")
    assert answer.sender is None
    assert answer.destination is None
    assert answer.flags & NO_REPLY


def test_a_call_without_destination_reaches_nobody(a: Client, b: Client) -> None:
    b.match("type=method_call")
    b.match("eavesdrop=true")
    a.call("M", to=None, interface="t.T")
    assert [m.error for m in a.take()] == [ERRORS + "UnknownMethod"]
    assert [m for m in b.take() if m.member == "M"] == []


def test_messages_arrive_in_the_order_they_were_sent(a: Client, b: Client, name: str) -> None:
    b.own(name)
    b.match(f"sender={a.name}")
    b.take()
    for number in range(50):
        a.call(f"Call{number}", to=name, interface="t.T", flags=NO_REPLY)
        a.signal(f"Unicast{number}", to=b.name)
        a.signal(f"Broadcast{number}")
    a.take()
    wanted = [f"{kind}{n}()" for n in range(50) for kind in ("Call", "Unicast", "Broadcast")]
    assert b.seen() == wanted


def test_one_write_of_many_messages_is_one_order(a: Client, b: Client) -> None:
    data = b"".join(
        build(SIGNAL, 1000 + n, call_fields(b.name, "/t", "t.T", "S"), "u", [n])
        for n in range(1000)
    )
    a.write(data)
    a.take()
    assert [m.args[0] for m in b.take()] == list(range(1000))


def test_a_call_needs_no_interface(a: Client, b: Client) -> None:
    serial = a.call("M", to=b.name, interface=None)
    call = b.receive("M")
    assert call.interface is None
    b.reply(call)
    assert a.answer(serial).kind == RETURN


@pytest.mark.parametrize("flags", [0, 1, 2, 4, 8, 0x80, 0xFF])
def test_flags_pass_unchanged(a: Client, b: Client, flags: int) -> None:
    a.send(CALL, call_fields(b.name, "/t", "t.T", "M"), flags=flags)
    assert b.receive("M").flags == flags
