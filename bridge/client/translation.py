"""Python's types as D-Bus types, and values from one to the other. It knows no services.

What a native service says with JSON can be said in D-Bus, too: text, numbers, lists, dicts, tuples
and descriptors. Annotated types of dbus_fast.annotations stand for themselves.
"""

from types import NoneType
from typing import Annotated, Any, Final, Self, get_args, get_origin

from dbus_fast import Variant, unpack_variants
from dbus_fast.annotations import DBusSignature

from bus1.client import Fd

SIMPLE: Final[dict[Any, str]] = {
    bool: "b",
    int: "x",
    float: "d",
    str: "s",
    Fd: "h",
    Any: "v",
    None: "",
    NoneType: "",
}


class Leaving(int):
    """A descriptor in a message to be sent: open as long as that has it."""

    fd: Fd

    def __new__(cls, fd: Fd) -> Self:
        number = super().__new__(cls, fd.fileno())
        number.fd = fd
        return number


def signature_of(hint: Any) -> str:
    """The D-Bus type. Raises TypeError if there is none."""
    if hint in SIMPLE:
        return SIMPLE[hint]
    kind, inner = get_origin(hint), get_args(hint)
    if kind is Annotated:
        for note in inner[1:]:
            if isinstance(note, DBusSignature):
                return note.signature
        return signature_of(inner[0])
    if kind is list:
        return "a" + signature_of(*inner)
    if kind is dict:
        return "a{" + "".join(map(signature_of, inner)) + "}"
    if kind is tuple:
        return "(" + "".join(map(signature_of, inner)) + ")"
    raise TypeError(f"D-Bus has no type for {hint}")


def results_of(hint: Any) -> str:
    """What a method returns: a tuple of several things is several results."""
    several = get_origin(hint) is tuple and len(get_args(hint)) > 1
    return signature_of(hint)[1:-1] if several else signature_of(hint)


def to_dbus(hint: Any, value: Any) -> Any:
    """A value of this type as dbus-fast wants it."""
    if hint is Any:
        return variant(value)
    if hint is Fd:
        return Leaving(value)
    kind, inner = get_origin(hint), get_args(hint)
    if kind is list:
        return [to_dbus(inner[0], each) for each in value]
    if kind is dict:
        return {key: to_dbus(inner[1], each) for key, each in value.items()}
    if kind is tuple:
        return tuple(map(to_dbus, inner, value))
    return value


def from_dbus(hint: Any, value: Any) -> Any:
    """A value of dbus-fast as this type."""
    if hint is Fd:
        return Fd(value)
    kind, inner = get_origin(hint), get_args(hint)
    if kind is list:
        return [from_dbus(inner[0], each) for each in value]
    if kind is dict:
        return {key: from_dbus(inner[1], each) for key, each in value.items()}
    if kind is tuple:
        return tuple(map(from_dbus, inner, value))
    return value if kind is Annotated else unpack_variants(value)


def variant(value: Any) -> Variant:
    """What JSON can say, in a variant. Raises TypeError for what it cannot."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return Variant(SIMPLE[kind], value)
    if isinstance(value, dict):
        return Variant("a{sv}", {key: variant(each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return Variant("av", [variant(each) for each in value])
    raise TypeError(f"D-Bus has nothing for {value!r}")
