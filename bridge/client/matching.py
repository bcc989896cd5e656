"""A match rule, asked by the client which of its subscriptions a message is for. Knows no bus.

The bus has checked the rule and chosen the message by all rules of this client together: what is
left is to tell them apart.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, final

from dbus_fast import Message

TYPES: Final = {"method_call": 1, "method_return": 2, "error": 3, "signal": 4}
ARGUMENT: Final = re.compile(r"arg(\d+)(path)?")
# One value: pieces in apostrophes, where all is literal, and pieces outside, where \' is one.
VALUE: Final = re.compile(r"\s*([a-z0-9_]+)\s*=((?:'[^']*'|\\'|[^',\\]|\\)*),?")
PIECE: Final = re.compile(r"'([^']*)'|(\\'|[^'])")

Owners = Mapping[str, str]  # well-known name -> unique name
Test = Callable[[Message, Owners], bool]


@final
class MatchRule:
    """What a rule asks of a message."""

    def __init__(self, text: str) -> None:
        """Raises ValueError of a text that is no rule."""
        self.text = text
        self.terms = terms(text)
        self.tests = [test(key, value) for key, value in self.terms.items()]

    @property
    def sender(self) -> str | None:
        """The well-known name that the rule means with its sender: whose owner must be known."""
        name = self.terms.get("sender", ":")
        return None if name.startswith(":") or name == "org.freedesktop.DBus" else name

    def fits(self, message: Message, owners: Owners) -> bool:
        return all(test(message, owners) for test in self.tests)


def terms(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while text[at:].strip():
        term = VALUE.match(text, at)
        if term is None:
            raise ValueError(f"{text!r} is no match rule from {text[at:]!r} on")
        pieces = PIECE.findall(term[2])
        found[term[1]] = "".join(quoted or plain[-1:] for quoted, plain in pieces)
        at = term.end()
    return found


def test(key: str, value: str) -> Test:
    """What one term asks."""
    if key == "type":
        return lambda message, _: message.message_type.value == TYPES.get(value)
    if key == "sender":
        return lambda message, owners: message.sender in {value, owners.get(value, value)}
    if key in {"interface", "member", "path", "destination"}:
        return lambda message, _: getattr(message, key) == value
    if key == "path_namespace":
        return lambda message, _: within(message.path or "", value, "/")
    if key == "eavesdrop":
        return lambda *_: True  # what it asks for is the bus's to give
    if key == "arg0namespace":
        return lambda message, _: within(argument(message, 0, "s"), value, ".")
    if place := ARGUMENT.fullmatch(key):
        number = int(place[1])
        if place[2]:
            return lambda message, _: leads(argument(message, number, "so"), value)
        return lambda message, _: argument(message, number, "s") == value
    raise ValueError(f"a match rule has no {key!r}")


def argument(message: Message, number: int, kinds: str) -> str | None:
    """This argument, if there is one and it is of one of these types."""
    types = message.signature_tree.types
    if number < len(types) and types[number].token in kinds:
        return str(message.body[number])
    return None


def within(name: str | None, space: str, dot: str) -> bool:
    return name is not None and (name == space or name.startswith(space.rstrip(dot) + dot))


def leads(one: str | None, other: str) -> bool:
    """argNpath: the same, or one is a directory above the other."""
    if one is None or one == other:
        return one is not None
    return (one.endswith("/") and other.startswith(one)) or (
        other.endswith("/") and one.startswith(other)
    )
