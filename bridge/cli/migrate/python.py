"""D-Bus names and types as Python has them. Knows no services.

Names come from whoever described itself. They follow D-Bus's grammar, which has no room for
anything but a word; but a word may mean something in Python.
"""

import builtins
import keyword
import re
from collections.abc import Iterable
from typing import Final, final

from bridge.cli.monitor.values import types

CAPITALS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
WORD: Final = re.compile(r"[^A-Za-z0-9_]+")
BUILTINS: Final = tuple(dir(builtins))
# What stands in annotations: a method of such a name would hide it from those below.
HINTS: Final = ("bool", "dict", "float", "int", "list", "str", "tuple")

ON_DBUS: Final = "OnDBus"  # what the D-Bus side of a class is called behind its name

SIMPLE: Final = {
    **dict.fromkeys("ynqiuxt", "int"),
    **dict.fromkeys("sog", "str"),
    "b": "bool",
    "d": "float",
    "h": "Fd",
    "v": "Any",
}
# dbus-fast's names for types that mean the same in both worlds.
ANNOTATIONS: Final = {
    "b": "DBusBool",
    "y": "DBusByte",
    "n": "DBusInt16",
    "q": "DBusUInt16",
    "i": "DBusInt32",
    "u": "DBusUInt32",
    "x": "DBusInt64",
    "t": "DBusUInt64",
    "d": "DBusDouble",
    "s": "DBusStr",
    "o": "DBusObjectPath",
    "g": "DBusSignatureType",
}
SAME: Final = frozenset("bnqiuxtdsogy")  # as single values; arrays of y are bytes on one side


def snake(name: str) -> str:
    """SetAlarm -> set_alarm. Something in any case."""
    words = CAPITALS.sub("_", WORD.sub("_", name)).lower().strip("_")
    return f"n{words}" if words[:1].isdigit() else words or "unnamed"


def capitals(interface: str) -> list[str]:
    """Names for its class, the shortest first: com.example.Clock -> Clock, ExampleClock, ..."""
    words = [WORD.sub("_", each).strip("_") for each in interface.split(".")]
    words = [f"{each[:1].upper()}{each[1:]}" for each in words if each]
    names = ["".join(words[at:]) for at in reversed(range(len(words)))]
    names = [f"N{each}" if each[0].isdigit() else each for each in names] or ["Unnamed"]
    return [f"{each}_" if each.endswith(ON_DBUS) else each for each in names]


@final
class Scope:
    """Names that must differ from each other, and from what is there already."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(keyword.kwlist).union(taken)

    def first(self, wanted: Iterable[str]) -> str:
        """The first of these that is free, or something like the last."""
        name = ""
        for name in wanted:
            if name not in self.taken:
                break
        return self.name(name)

    def name(self, wanted: str) -> str:
        """That, or something like it."""
        found, number = wanted, 1
        while found in self.taken:
            number += 1
            found = f"{wanted}_" if number == 2 else f"{wanted}_{number - 1}"
        self.taken.add(found)
        return found


# --------------------------------------------------------------------------------- types


def hint(kind: str) -> str:
    """What a native service has for one complete type: what JSON has, and descriptors."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if kind[0] == "(":
        return "list[Any]"
    if kind.startswith("a{"):
        return f"dict[str, {hint(types(kind[2:-1])[1])}]"
    return f"list[{hint(kind[1:])}]"


def hint_of_several(signature: str) -> str:
    """The same for what is returned."""
    hints = [hint(each) for each in types(signature)]
    if not hints:
        return "None"
    return hints[0] if len(hints) == 1 else f"tuple[{', '.join(hints)}]"


def is_same(signature: str) -> bool:
    """Are values of these types the same for dbus-fast and for a native service?"""
    return all(is_same_one(each) for each in types(signature))


def is_same_one(kind: str) -> bool:
    if kind.startswith("a{"):
        key, of = types(kind[2:-1])
        return key in "sog" and is_same_one(of)
    if kind[0] == "a":
        return kind != "ay" and is_same_one(kind[1:])
    return kind in SAME


def annotation(signature: str) -> str:
    """What dbus-fast reads the type from, and mypy what it is."""
    if signature in ANNOTATIONS:
        return ANNOTATIONS[signature]
    if not signature:
        return "None"
    known = hint_of_several(signature) if is_same(signature) else "Any"
    return f'Annotated[{known}, DBusSignature("{signature}")]'
