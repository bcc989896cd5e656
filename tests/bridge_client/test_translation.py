"""Types and values from Python to D-Bus and back, without a bus."""

import os
from typing import Annotated, Any

import pytest
from dbus_fast import Variant
from dbus_fast.annotations import DBusObjectPath, DBusUInt32

from bridge.client.translation import from_dbus, results_of, signature_of, to_dbus
from bus1.client import Fd, Handle

NESTED = dict[str, list[tuple[int, float]]]


@pytest.mark.parametrize(
    ("hint", "signature"),
    [
        (str, "s"),
        (bool, "b"),
        (int, "x"),
        (float, "d"),
        (None, ""),
        (Any, "v"),
        (Fd, "h"),
        (list[str], "as"),
        (NESTED, "a{sa(xd)}"),
        (dict[str, Any], "a{sv}"),
        (DBusUInt32, "u"),
        (list[DBusObjectPath], "ao"),
        (Annotated[int, "whatever"], "x"),
        (tuple[str, int], "(sx)"),
    ],
)
def test_types(hint: Any, signature: str) -> None:
    assert signature_of(hint) == signature


def test_a_tuple_is_several_results() -> None:
    assert results_of(tuple[str, list[int]]) == "sax"
    assert results_of(tuple[str]) == "(s)"
    assert results_of(None) == ""


@pytest.mark.parametrize("hint", [Handle, bytes, object, list, set[str], str | None])
def test_what_d_bus_has_not(hint: Any) -> None:
    with pytest.raises(TypeError):
        signature_of(hint)


@pytest.mark.parametrize(
    ("hint", "value", "there"),
    [
        (str, "é", "é"),
        (NESTED, {"a": [(1, 0.5)]}, {"a": [(1, 0.5)]}),
        (
            dict[str, Any],
            {"a": [1, {"b": True}]},
            {"a": Variant("av", [Variant("x", 1), Variant("a{sv}", {"b": Variant("b", True)})])},
        ),
        (Any, 0.5, Variant("d", 0.5)),
        (DBusUInt32, 7, 7),
    ],
)
def test_values(hint: Any, value: Any, there: Any) -> None:
    assert to_dbus(hint, value) == there
    assert from_dbus(hint, there) == value


def test_what_a_type_says_is_what_a_method_gets() -> None:
    """Descriptors and tuples in containers, too."""
    read, write = os.pipe()
    hint = dict[str, list[tuple[str, Fd]]]
    found = from_dbus(hint, {"a": [["r", read], ["w", write]]})
    ((one, first), (other, second)) = found["a"]
    assert (one, first.fileno(), other, second.fileno()) == ("r", read, "w", write)
    assert isinstance(found["a"][0], tuple)
    del found, first, second
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(read)


def test_what_has_no_variant() -> None:
    with pytest.raises(TypeError, match="nothing"):
        to_dbus(Any, {1, 2})
