"""Dispatch: exactly one answer to a method call, by the tables, the path and the signature."""

from __future__ import annotations

import pytest

from bridge.driver.introspect import types
from bridge.driver.tables import INTERFACES
from tests import raw
from tests.buses import Bus
from tests.driver.desk import Caller, Desk, text
from tests.raw import DRIVER, Client

PEER = DRIVER + ".Peer"
PROPERTIES = DRIVER + ".Properties"
INTROSPECTABLE = DRIVER + ".Introspectable"
UNREGISTERED = "Client tried to send a message other than Hello without being registered"


@pytest.mark.parametrize(
    ("member", "interface", "path", "answer"),
    [
        ("Nope", DRIVER, "/org/freedesktop/DBus", "UnknownMethod"),
        ("Nope", None, "/org/freedesktop/DBus", "UnknownMethod"),
        ("Nope", PEER, "/org/freedesktop/DBus", "UnknownMethod"),
        ("Nope", INTROSPECTABLE, "/x", "UnknownMethod"),
        ("Nope", "a.b", "/org/freedesktop/DBus", "UnknownInterface"),
        ("Nope", "a.b", "/", "UnknownInterface"),
        ("GetAll", PROPERTIES, "/", "UnknownInterface"),
        ("GetAll", PROPERTIES, "/org/freedesktop/DBus/x", "UnknownInterface"),
        ("GetAll", None, "/", "UnknownMethod"),
        ("Nope", PROPERTIES, "/org/freedesktop/DBus", "UnknownMethod"),
        ("GetId", PEER, "/org/freedesktop/DBus", "UnknownMethod"),
    ],
)
def test_unknown(a: Client, member: str, interface: str | None, path: str, answer: str) -> None:
    message = a.ask(member, interface=interface, path=path)
    assert text(message) == f"!{answer} org.freedesktop.DBus does not understand message {member}"


@pytest.mark.parametrize("path", ["/org/freedesktop/DBus", "/", "/org", "/x/y"])
@pytest.mark.parametrize(
    ("member", "interface"),
    [
        ("GetId", DRIVER),
        ("GetId", None),
        ("Ping", PEER),
        ("Ping", None),
        ("Introspect", INTROSPECTABLE),
        ("Introspect", None),
    ],
)
def test_old_interfaces_answer_at_any_path(
    a: Client, member: str, interface: str | None, path: str
) -> None:
    assert a.ask(member, interface=interface, path=path).kind == raw.RETURN


@pytest.mark.parametrize("interface", [PROPERTIES, None])
def test_properties_are_at_the_canonical_path(a: Client, interface: str | None) -> None:
    assert a.ask("GetAll", "s", PEER, interface=interface).args == [{}]


@pytest.mark.parametrize(
    ("member", "signature", "arguments", "expected"),
    [
        ("Hello", "s", ["x"], ""),
        ("GetId", "a{sv}", [{}], ""),
        ("RequestName", "s", ["x.y"], "su"),
        ("RequestName", "us", [0, "x.y"], "su"),
        ("RequestName", "suu", ["x.y", 0, 0], "su"),
        ("AddMatch", "", [], "s"),
        ("AddMatch", "o", ["/"], "s"),
    ],
)
def test_wrong_arguments(
    a: Client, member: str, signature: str, arguments: list[object], expected: str
) -> None:
    message = a.ask(member, signature, *arguments)
    wrong = f"Call to {member} has wrong args ({signature}, expected {expected})\n"
    assert text(message) == f"!InvalidArgs {wrong}"


def test_answers_carry_what_they_should(a: Client) -> None:
    for member in ("GetId", "Nope"):
        serial = a.call(member)
        answer = a.answer(serial)
        assert answer.flags == raw.NO_REPLY
        assert (answer.sender, answer.destination) == (DRIVER, a.name)
        assert answer.reply_to == serial
        assert answer.serial


@pytest.mark.parametrize("order", ["<", ">"])
def test_arguments_of_both_byte_orders(a: Client, name: str, order: str) -> None:
    assert a.ask("RequestName", "su", name, 4, order=order).args == [1]


@pytest.mark.parametrize(
    ("member", "arguments", "answered"),
    [
        ("GetId", [], True),
        ("NameHasOwner", ["s", "x.y"], True),
        ("Nope", [], True),
        ("GetId", ["s", "x"], True),
        ("RemoveMatch", ["s", "member='Never'"], True),
        ("AddMatch", ["s", "member='Once'"], False),
    ],
)
def test_no_reply_expected_silences_only_empty_replies(
    a: Client, member: str, arguments: list[object], answered: bool
) -> None:
    a.call(member, *arguments, flags=raw.NO_REPLY)  # type: ignore[arg-type]
    assert len(a.take()) == answered


def test_hello_is_answered_even_with_no_reply_expected(both: Desk | Bus) -> None:
    client = both.connect(hello=False)
    name = client.answer(client.call("Hello", flags=raw.NO_REPLY)).args[0]
    assert client.seen() == [f"NameAcquired({name})"]


@pytest.mark.parametrize("kind", [raw.RETURN, raw.ERROR, raw.SIGNAL])
def test_only_method_calls_mean_anything(desk: Desk, caller: Caller, kind: int) -> None:
    fields = raw.call_fields(DRIVER, "/", "a.b", "C")
    caller.send(kind, [*fields, (raw.REPLY_SERIAL, 7), (raw.ERROR_NAME, "a.b")])
    assert caller.seen() == []


def test_a_signal_to_the_bus_is_ignored(a: Client) -> None:
    a.signal("Anything", to=DRIVER)
    assert a.seen() == []


# ------------------------------------------------------------------ before Hello


@pytest.mark.parametrize(
    ("member", "interface"),
    [("GetId", DRIVER), ("Nope", DRIVER), ("Ping", PEER), ("Hello", "a.b"), ("Introspect", None)],
)
def test_hello_must_be_the_first(both: Desk | Bus, member: str, interface: str | None) -> None:
    client = both.connect(hello=False)
    assert text(client.ask(member, interface=interface)) == f"!AccessDenied {UNREGISTERED}"
    assert client.ask("Hello").kind == raw.RETURN


def test_a_wrong_hello_can_be_repeated(both: Desk | Bus) -> None:
    client = both.connect(hello=False)
    assert str(client.ask("Hello", "s", "x")) == "!InvalidArgs"
    assert client.ask("Hello", interface=None, path="/").kind == raw.RETURN


def test_a_signal_before_hello_is_ignored(both: Desk | Bus) -> None:
    client = both.connect(hello=False)
    client.signal("Anything", to=DRIVER)
    assert client.ask("Hello").kind == raw.RETURN


# ------------------------------------------------------------ without destination


@pytest.mark.parametrize("hello", [True, False])
def test_peer_needs_no_destination(both: Desk | Bus, hello: bool) -> None:
    client = both.connect(hello=hello)
    for member in ("Ping", "GetMachineId"):
        answer = client.ask(member, to=None, interface=PEER)
        assert answer.kind == raw.RETURN
        assert (answer.sender, answer.destination) == (None, None)


@pytest.mark.parametrize(
    ("member", "interface", "error"),
    [
        ("Foo", PEER, "Unknown method invoked on org.freedesktop.DBus.Peer interface"),
        ("Ping", None, 'Method "Ping" with signature "" on interface "(null)" doesn\'t exist\n'),
        ("Ping", "a.b", 'Method "Ping" with signature "" on interface "a.b" doesn\'t exist\n'),
        (
            "Hello",
            DRIVER,
            f'Method "Hello" with signature "" on interface "{DRIVER}" doesn\'t exist\n',
        ),
    ],
)
def test_nothing_else_answers_without_destination(
    a: Client, member: str, interface: str | None, error: str
) -> None:
    answer = a.ask(member, to=None, interface=interface)
    assert text(answer) == f"!UnknownMethod {error}"
    assert (answer.sender, answer.destination) == (None, None)


# --------------------------------------------------------------------- the tables


def test_no_method_is_listed_twice() -> None:
    listed = [method.name for interface in INTERFACES for method in interface.methods]
    assert len(listed) == len(set(listed))


def test_only_hello_needs_no_hello() -> None:
    free = [m.name for interface in INTERFACES for m in interface.methods if not m.needs_hello]
    assert free == ["Hello"]


def test_every_method_gives_one_answer(desk: Desk, caller: Caller) -> None:
    """Whatever it is asked, one message comes back, and with the signature it promises."""
    values = {"s": "not a name", "u": 7, "v": ("s", "x"), "b": False}
    values |= {"a{sv}": {}, "a{ss}": {}, "as": ["no rule"], "o": "/", "t": 7}
    for interface in INTERFACES:
        for method in interface.methods:
            arguments = [values[part] for part in types(method.takes)]
            serial = caller.call(method.name, method.takes, *arguments, interface=interface.name)
            answers = [message for message in caller.take() if message.reply_to == serial]
            assert len(answers) == 1, method.name
            if answers[0].kind == raw.RETURN:
                assert answers[0].signature == method.gives
