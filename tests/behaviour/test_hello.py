"""Becoming a client: Hello, what may come before it, what follows (contract E.1, E.2, E.65)."""

from __future__ import annotations

import pytest

from tests.buses import Bus
from tests.raw import CALL, DRIVER, NO_REPLY, RETURN, SIGNAL, Client, build, call_fields


def test_hello_answers_before_the_name_exists(bus: Bus, a: Client) -> None:
    a.match(f"sender={DRIVER},member=NameOwnerChanged")
    new = bus.connect(hello=False)
    new.call("AddMatch", "s", "type=signal")
    new.call("Hello")
    seen = [new.read() for _ in range(3)]
    name = seen[1].args[0]
    assert [str(m) for m in seen] == ["!AccessDenied", f"=({name})", f"NameAcquired({name})"]
    assert a.seen() == [f"NameOwnerChanged({name},,{name})"]


def test_the_first_names(fresh: Bus) -> None:
    assert [fresh.connect().name for _ in range(3)] == [":1.0", ":1.1", ":1.2"]


def test_unique_names_are_never_used_again(fresh: Bus) -> None:
    watcher = fresh.connect()
    for number in range(1, 6):
        client = fresh.connect()
        assert client.name == f":1.{number}"
        client.close()
        watcher.until_gone(client.name)


def test_hello_reply_is_addressed_to_the_new_name(bus: Bus) -> None:
    new = bus.connect(hello=False)
    reply = new.answer(new.call("Hello"))
    assert (reply.sender, reply.destination, reply.flags) == (DRIVER, reply.args[0], NO_REPLY)


def test_answers_of_the_driver_carry_sender_destination_and_no_reply_flag(a: Client) -> None:
    for reply in (a.ask("GetId"), a.ask("NoSuchMethod")):
        assert (reply.sender, reply.destination, reply.flags) == (DRIVER, a.name, NO_REPLY)
        assert reply.serial != 0


def test_answers_before_hello_are_addressed_to_a_placeholder(bus: Bus) -> None:
    new = bus.connect(hello=False)
    reply = new.ask("GetId")
    assert str(reply) == "!AccessDenied"
    assert reply.destination == ":not.active.yet"
    assert reply.sender == DRIVER


@pytest.mark.parametrize(
    "member", ["GetId", "ListNames", "AddMatch", "RequestName", "Ping", "NoSuchMethod"]
)
def test_another_driver_call_before_hello_is_refused_and_the_connection_lives(
    bus: Bus, member: str
) -> None:
    new = bus.connect(hello=False)
    assert str(new.ask(member)) == "!AccessDenied"
    assert new.ask("Hello").kind == RETURN


@pytest.mark.parametrize("to", ["com.example.Nobody", ":1.0", ":1.99999"])
@pytest.mark.parametrize("message", [CALL, SIGNAL])
def test_a_message_to_somebody_else_before_hello_ends_the_connection(
    bus: Bus, a: Client, message: int, to: str
) -> None:
    new = bus.connect(hello=False)
    new.send(message, call_fields(to, "/", "t.T", "M"))
    assert new.rest() == []


def test_a_broadcast_before_hello_ends_the_connection(bus: Bus, a: Client) -> None:
    a.match("type=signal,interface=t.Early")
    new = bus.connect(hello=False)
    new.signal("S", interface="t.Early")
    assert new.rest() == []
    assert a.seen() == []


def test_hello_with_arguments_is_refused_and_may_be_repeated(bus: Bus) -> None:
    new = bus.connect(hello=False)
    assert str(new.ask("Hello", "s", "me")) == "!InvalidArgs"
    assert new.ask("Hello").kind == RETURN


def test_a_second_hello_fails(a: Client) -> None:
    answer = a.ask("Hello")
    assert answer.error == "org.freedesktop.DBus.Error.Failed"
    assert answer.args == ["Already handled an Hello message"]
    assert a.is_open()


@pytest.mark.parametrize("path", ["/", "/org/freedesktop/DBus", "/any/where"])
@pytest.mark.parametrize("interface", [DRIVER, None])
def test_hello_works_at_any_path_and_without_interface(
    bus: Bus, path: str, interface: str | None
) -> None:
    new = bus.connect(hello=False)
    assert new.ask("Hello", path=path, interface=interface).kind == RETURN


def test_hello_and_more_in_one_write(bus: Bus) -> None:
    new = bus.connect(hello=False)
    calls = [("Hello", ""), ("GetId", ""), ("AddMatch", "s")]
    new.write(
        b"".join(
            build(CALL, n, call_fields(DRIVER, "/", DRIVER, m), s, ["type=signal"] if s else [])
            for n, (m, s) in enumerate(calls, 1)
        )
    )
    assert [new.answer(n).kind for n in (1, 2, 3)] == [RETURN] * 3


def test_serials_of_driver_messages_differ(a: Client, name: str) -> None:
    a.call("RequestName", "su", name, 0)
    a.call("GetId")
    a.call("ReleaseName", "s", name)
    serials = [message.serial for message in a.take()]
    assert len(serials) == len(set(serials)) == 5
    assert 0 not in serials
