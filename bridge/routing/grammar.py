"""The text of a match rule: keys and values, and what is wrong with them. It knows no rules.

The grammar is dbus-daemon's, quirks included: clients have come to rely on what it lets pass.
"""

import re
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


def read(text: str) -> "Draft":
    """What a client wrote. Raises Refused."""
    size = len(text.encode())
    if size > MAX_LENGTH:
        raise Refused(
            LIMITS_EXCEEDED,
            f"Match rule text is {size} bytes, maximum is {MAX_LENGTH}",
        )
    draft = Draft()
    for key, value in pairs(text):
        draft.take(key, value)
    return draft


def _refuse(text: str) -> NoReturn:
    raise Refused(MATCH_RULE_INVALID, text)


# Text to pairs


def pairs(text: str) -> list[tuple[str, str]]:
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


class Draft:
    """What a rule's text says, by its keys: each is checked against those before it."""

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
