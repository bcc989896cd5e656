"""Values by their D-Bus type: what a native service is given, and what D-Bus clients get of it."""

import os
from typing import Any

import pytest
from dbus_fast import DBusError, Message, Variant

from bridge.client.marshalling import from_bytes, to_bytes
from bridge.client.values import incoming, outgoing, told
from bus1.client import CallError


@pytest.mark.parametrize(
    ("signature", "dbus", "native"),
    [
        ("u", 7, 7),
        ("s", "é", "é"),
        ("ay", b"ab", [97, 98]),
        ("aay", [b"a", b""], [[97], []]),
        ("(is)", (1, "x"), [1, "x"]),
        ("a(say)", [("x", b"y")], [["x", [121]]]),
        ("a{us}", {1: "x"}, {"1": "x"}),
        ("a{bs}", {True: "x", False: "y"}, {"true": "x", "false": "y"}),
        ("a{ds}", {0.5: "x"}, {"0.5": "x"}),
        ("a{oas}", {"/": ["a"]}, {"/": ["a"]}),
        ("ad", [1.5], [1.5]),
    ],
)
def test_there_and_back(signature: str, dbus: Any, native: Any) -> None:
    assert incoming(signature, dbus) == native
    assert outgoing(signature, native) == dbus
    message = Message("a.b", "/", "a.b", "M", signature=signature, body=[dbus], serial=1)
    message.body = [outgoing(signature, native)]
    assert from_bytes(to_bytes(message)).body == [dbus]


def test_a_variant_is_what_is_in_it() -> None:
    assert incoming("v", Variant("v", Variant("ay", b"a"))) == [97]
    assert incoming("a{sv}", {"a": Variant("(iv)", [1, Variant("s", "x")])}) == {"a": [1, "x"]}


def test_a_variant_is_of_the_type_that_is_known_for_its_key() -> None:
    value = {"size": 3, "parts": [{"size": 4}], "else": 5, "own": Variant("q", 6)}
    assert outgoing("a{sv}", value, {"size": "u", "parts": "aa{sv}"}) == {
        "size": Variant("u", 3),
        "parts": Variant("aa{sv}", [{"size": Variant("u", 4)}]),
        "else": Variant("x", 5),
        "own": Variant("q", 6),
    }


def test_several_results() -> None:
    assert outgoing("sa{us}", ("x", {"1": "y"})) == ("x", {1: "y"})


@pytest.mark.parametrize(
    ("signature", "value"),
    [("(is)", [1]), ("ss", ("a",)), ("ay", [256]), ("ay", "text"), ("a{us}", {"x": "y"}), ("h", 1)],
)
def test_what_is_not_of_this_type(signature: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        outgoing(signature, value)


def test_descriptors_have_one_owner() -> None:
    read, write = os.pipe()
    os.close(write)
    came = incoming("ah", [read])
    assert [fd.fileno() for fd in came] == [read]
    goes = outgoing("(sh)", ["x", came[0]])
    assert goes == ("x", read)
    del came
    os.fstat(read)  # what goes out keeps it open
    del goes
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(read)


def test_whatever_goes_wrong_is_an_error_of_the_interface() -> None:
    for error, name in (
        (CallError("x", "Odd"), "a.b.Error.Odd"),
        (CallError("x", "c.d.Odd"), "c.d.Odd"),
        (ZeroDivisionError("secret"), "org.freedesktop.DBus.Error.Failed"),
    ):
        with pytest.raises(DBusError) as told_of, told("a.b"):
            raise error
        assert told_of.value.type == name
        assert "secret" not in told_of.value.text
