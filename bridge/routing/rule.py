"""One match rule: what it says, when two are the same, how it reads. Knows no index, no client.

The grammar is dbus-daemon's, quirks included: clients have come to rely on what it lets pass.
"""

import re
import sys
from collections.abc import Callable
from typing import Final, NoReturn

from bridge.routing.errors import LIMITS_EXCEEDED, MATCH_RULE_INVALID, Refused
from bridge.wire.names import is_bus_name, is_interface, is_member, is_namespace, is_object_path

# dbus-protocol.h: DBUS_MAXIMUM_MATCH_RULE_LENGTH, DBUS_MAXIMUM_MATCH_RULE_ARG_NUMBER
MAX_LENGTH: Final = 1024
MAX_ARGUMENT: Final = 63
# dbus-daemon reads this many pairs and silently ignores what follows.
MAX_PAIRS: Final = 16

# How an argument is compared; a place is the argument's number times four plus one of these.
EXACT: Final = 0
PATH: Final = 1
NAMESPACE: Final = 2

KINDS: Final = ("", "method_call", "method_return", "error", "signal")


class Rule:
    """One match rule, immutable; equal and of one hash when it says the same.

    `kind` is 0 for any type; text keys are None when absent. `path` is a path_namespace
    if `namespace` is true. `places` and `values` go together, in the order of the arguments.
    """

    def __init__(
        self,
        kind: int = 0,
        *,
        interface: str | None = None,
        member: str | None = None,
        path: str | None = None,
        namespace: bool = False,
        sender: str | None = None,
        destination: str | None = None,
        eavesdrop: bool = False,
        places: tuple[int, ...] = (),
        values: tuple[str, ...] = (),
    ) -> None:
        self.kind = kind
        self.interface = _shared(interface)
        self.member = _shared(member)
        self.path = path
        self.namespace = namespace
        self.sender = _shared(sender)
        self.destination = _shared(destination)
        self.eavesdrop = eavesdrop
        self.places = places
        self.values = values
        self.digest = (
            mix_interface(self.interface)
            ^ mix_member(self.member)
            ^ mix_path(path)
            ^ mix_sender(self.sender)
            ^ mix_destination(self.destination)
            ^ mix_values(values)
            ^ mix_form(kind, namespace, eavesdrop, places)
        )

    @staticmethod
    def parse(text: str) -> "Rule":
        """The rule that a client wrote. Raises Refused."""
        size = len(text.encode())
        if size > MAX_LENGTH:
            raise Refused(
                LIMITS_EXCEEDED,
                f"Match rule text is {size} bytes, maximum is {MAX_LENGTH}",
            )
        draft = _Draft()
        for key, value in _pairs(text):
            draft.take(key, value)
        return draft.rule()

    def overhearing(self) -> "Rule":
        """The same rule, about messages to others, too."""
        return Rule(
            self.kind,
            interface=self.interface,
            member=self.member,
            path=self.path,
            namespace=self.namespace,
            sender=self.sender,
            destination=self.destination,
            eavesdrop=True,
            places=self.places,
            values=self.values,
        )

    def __hash__(self) -> int:
        return self.digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and self.same(other)

    def same(self, other: "Rule") -> bool:
        """Does the other rule say the same?"""
        return (
            self.digest == other.digest
            and self.member == other.member
            and self.path == other.path
            and self.interface == other.interface
            and self.sender == other.sender
            and self.kind == other.kind
            and self.namespace == other.namespace
            and self.eavesdrop == other.eavesdrop
            and self.destination == other.destination
            and (self.places is other.places or self.places == other.places)
            and (self.values is other.values or self.values == other.values)
        )

    def __str__(self) -> str:
        """The rule in dbus-daemon's own order of keys, as GetAllMatchRules prints it."""
        keys = [
            ("type", KINDS[self.kind] or None),
            ("interface", self.interface),
            ("member", self.member),
            ("path_namespace" if self.namespace else "path", self.path),
            ("sender", self.sender),
            ("destination", self.destination),
            ("eavesdrop", "true" if self.eavesdrop else None),
        ]
        suffixes = ("", "path", "namespace")
        for place, value in zip(self.places, self.values, strict=True):
            keys.append((f"arg{place >> 2}{suffixes[place & 3]}", value))
        return ",".join(
            "{}='{}'".format(key, value.replace("'", "'\\''"))
            for key, value in keys
            if value is not None
        )

    def __repr__(self) -> str:
        return f"Rule({str(self)!r})"


# The parts of a rule's hash. The index builds the hash of the rule that a message would
# satisfy from the same parts. Each is shifted differently, so that equal texts under two
# keys (sender and interface of the driver) do not cancel out.


def mix_interface(text: str | None) -> int:
    return 0 if text is None else hash(text) >> 1


def mix_member(text: str | None) -> int:
    return 0 if text is None else hash(text) >> 2


def mix_sender(text: str | None) -> int:
    return 0 if text is None else hash(text) >> 3


def mix_path(text: str | None) -> int:
    return 0 if text is None else hash(text) >> 4


def mix_values(values: tuple[str, ...]) -> int:
    return hash(values) >> 5 if values else 0


def mix_destination(text: str | None) -> int:
    return 0 if text is None else hash(text) >> 6


def mix_form(kind: int, namespace: bool, eavesdrop: bool, places: tuple[int, ...]) -> int:
    """What all rules of one shape share. A text's hash, unlike a number's, nobody can foresee."""
    return hash(f"{kind}{namespace:d}{eavesdrop:d}{places}") >> 7


def _shared(text: str | None) -> str | None:
    """One string for all rules that name the same interface, member or sender."""
    return None if text is None else sys.intern(text)


def _refuse(text: str) -> NoReturn:
    raise Refused(MATCH_RULE_INVALID, text)


# Text to pairs


def _pairs(text: str) -> list[tuple[str, str]]:
    """Keys and values. White space counts only around keys; values end at a comma."""
    pairs: list[tuple[str, str]] = []
    at = 0
    while at < len(text) and len(pairs) < MAX_PAIRS:
        key, at = _key(text, at)
        if not key:  # white space to the end, or `=`, at which dbus-daemon stops reading
            break
        value, at = _value(text, at)
        pairs.append((key, value))
    return pairs


_KEY: Final = re.compile(r"[ \t\n\r]*([^= \t\n\r]*)[ \t\n\r]*")


def _key(text: str, at: int) -> tuple[str, int]:
    found = _KEY.match(text, at)
    assert found is not None  # every part may be empty
    key = found.group(1)
    at = found.end()
    if not key:
        return "", at
    if text[at : at + 1] != "=":
        _refuse("Match rule has a key with no subsequent '=' character")
    return key, at + 1


# A quoted part, an escaped quote, or anything else that does not end the value: a backslash
# stands for itself before anything but a quote, and takes what follows it (a comma!) along.
_PART: Final = re.compile(r"'([^']*)'|\\(')|(\\[^']|\\\Z|[^',\\]+)", re.DOTALL)


def _value(text: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    while at < len(text) and text[at] != ",":
        found = _PART.match(text, at)
        if found is None:
            _refuse("Unbalanced quotation marks in match rule")
        parts.append(found[1] or found[2] or found[3] or "")
        at = found.end()
    return "".join(parts), at + 1


# Pairs to a rule

_TEXT_KEYS: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "type": (lambda text: text in KINDS[1:], "Invalid message type ({}) in match rule\n"),
    "sender": (is_bus_name, "Sender name '{}' is invalid\n"),
    "interface": (is_interface, "Interface name '{}' is invalid\n"),
    "member": (is_member, "Member name '{}' is invalid\n"),
    "path": (is_object_path, "Path '{}' is invalid\n"),
    "path_namespace": (is_object_path, "Path '{}' is invalid\n"),
    "destination": (is_bus_name, "Destination name '{}' is invalid\n"),
}

# strtoul with base 0, which is how dbus-daemon reads the number: `arg0x10` is arg16.
_NUMBER: Final = re.compile(r"[\v\f]*([+-]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))")


_PLACES: Final[dict[tuple[int, ...], tuple[int, ...]]] = {}


class _Draft:
    """A rule while its pairs are read: each is checked against those before it."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.arguments: dict[int, tuple[int, str]] = {}
        self.eavesdrop = False

    def take(self, key: str, value: str) -> None:
        if key in _TEXT_KEYS:
            self._text(key, value)
        elif key == "eavesdrop":
            self._eavesdrop(value)
        elif key.startswith("arg"):
            self._argument(key, value)
        else:
            _refuse(f'Unknown key "{key}" in match rule')

    def rule(self) -> Rule:
        texts = self.texts
        numbers = sorted(self.arguments)
        places = tuple([number << 2 | self.arguments[number][0] for number in numbers])
        if places and numbers[-1] < 4:  # nearly all rules, and not many tuples
            places = _PLACES.setdefault(places, places)
        return Rule(
            KINDS.index(texts.get("type", "")),
            interface=texts.get("interface"),
            member=texts.get("member"),
            path=texts.get("path_namespace", texts.get("path")),
            namespace="path_namespace" in texts,
            sender=texts.get("sender"),
            destination=texts.get("destination"),
            eavesdrop=self.eavesdrop,
            places=places,
            values=tuple([sys.intern(self.arguments[number][1]) for number in numbers]),
        )

    def _text(self, key: str, value: str) -> None:
        if key in ("path", "path_namespace"):
            if "path" in self.texts or "path_namespace" in self.texts:
                _refuse("path or path_namespace specified twice in match rule\n")
        elif key in self.texts:
            _refuse(f"Key {key} specified twice in match rule\n")
        valid, complaint = _TEXT_KEYS[key]
        if not valid(value):
            _refuse(complaint.format(value))
        self.texts[key] = value

    def _eavesdrop(self, value: str) -> None:
        """The last one wins: monitors append eavesdrop='false' to what a user wrote."""
        if value not in ("true", "false"):
            _refuse(f"eavesdrop='{value}' is invalid, it should be 'true' or 'false'\n")
        self.eavesdrop = value == "true"

    def _argument(self, key: str, value: str) -> None:
        number, mode = _place(key)
        if mode == NAMESPACE and not is_namespace(value):
            _refuse(f"arg0namespace='{value}' is not a valid prefix of a bus name")
        if number > MAX_ARGUMENT:
            _refuse(
                f"Key '{key}' in match rule has arg number {number}"
                f" but the maximum is {MAX_ARGUMENT}.\n"
            )
        if number in self.arguments:
            _refuse(f"Argument {key} matched more than once in match rule\n")
        self.arguments[number] = (mode, value)


def _place(key: str) -> tuple[int, int]:
    """The argument's number and how it is compared, from `arg7path`."""
    hint = "Should be 'arg0' or 'arg7' for example.\n"
    if key == "arg":
        _refuse(f"Key '{key}' in match rule starts with 'arg' but lacks an arg number. {hint}")
    number, end = _number(key)
    if number < 0:
        _refuse(
            f"Key '{key}' in match rule starts with 'arg' but could not parse arg number. {hint}"
        )
    rest = key[end:]
    if not rest:
        return number, EXACT
    if rest == "path":
        return number, PATH
    if key == "arg0namespace":
        return number, NAMESPACE
    _refuse(
        f"Key '{key}' in match rule contains junk after argument number ({number})."
        f" Only 'arg{number}path' (for example) or 'arg0namespace' are valid"
    )


def _number(key: str) -> tuple[int, int]:
    """The unsigned 64-bit number after `arg` and where it ends, or -1."""
    found = _NUMBER.match(key, 3)
    if found is None:
        return -1, 3
    sign, sixteen, eight, ten = found.groups()
    number = int(sixteen, 16) if sixteen else int(eight, 8) if eight else int(ten)
    if number >= 1 << 64:
        return -1, 3
    return ((1 << 64) - number if sign == "-" and number else number), found.end()
