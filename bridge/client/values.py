"""Values by their D-Bus type: what came for a native service, and what goes out. Knows no services.

Native services speak JSON's types and descriptors. What D-Bus has beyond them is in between here:
bytes are lists of numbers, structs are lists, keys of dicts are texts, variants are what is in
them. The other way round a variant needs a type: see `outgoing`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from dbus_fast import SignatureType, Variant
from dbus_fast.signature import get_signature_tree

from bridge.client.both import error_of
from bridge.client.translation import Leaving, variant
from bus1.client import Fd

Variants = Mapping[str, str]

# How a key of a dict is written in JSON, and read again; all others are numbers.
WRITTEN: Final[dict[str, Callable[[Any], str]]] = {"b": lambda key: "true" if key else "false"}
READ: Final[dict[str, Callable[[str], Any]]] = {
    "b": lambda key: key == "true", "d": float, "s": str, "o": str, "g": str
}  # fmt: skip


def incoming(signature: str, value: Any) -> Any:
    """One value of dbus-fast's, as a native service takes it. Its descriptors are the taker's."""
    return plain(get_signature_tree(signature).types[0], value)


def outgoing(signature: str, value: Any, variants: Variants | None = None) -> Any:
    """What a native service gives, as dbus-fast wants it: one value, or a tuple of several.

    `variants`: of which type a variant is that stands in a dict, by its key. Others are of the
    type that is next to Python's: b, x, d, s, av, a{sv}. Raises TypeError, ValueError,
    OverflowError for what is not of this type.
    """
    types, known = get_signature_tree(signature).types, variants or {}
    if len(types) == 1:
        return typed(types[0], value, known)
    return tuple(typed(*each, known) for each in zip(types, value, strict=True))


@contextmanager
def told(interface: str) -> Iterator[None]:
    """Around what a service does: whatever goes wrong is an error of this D-Bus interface."""
    try:
        yield
    except Exception as error:
        raise error_of(error, interface) from error


def plain(kind: SignatureType, value: Any) -> Any:
    token, inner = kind.token, kind.children
    if token == "v":
        return plain(value.type, value.value)
    if token == "h":
        return Fd(value)
    if token == "(":
        return [plain(*each) for each in zip(inner, value, strict=True)]
    if token != "a":
        return value
    if inner[0].token == "{":
        key, of = inner[0].children
        write = WRITTEN.get(key.token, str)
        return {write(each): plain(of, one) for each, one in value.items()}
    return [plain(inner[0], each) for each in value]


def typed(kind: SignatureType, value: Any, variants: Variants, key: str = "") -> Any:
    """`key`: of the dict that it stands in."""
    token, inner = kind.token, kind.children
    if token == "v":
        return wrapped(value, variants, key)
    if token == "h":
        return Leaving(value)
    if token == "(":
        return tuple(typed(*each, variants) for each in zip(inner, value, strict=True))
    if token == "a":
        return several(inner[0], value, variants)
    return float(value) if token == "d" else value


def several(kind: SignatureType, value: Any, variants: Variants) -> Any:
    """An array."""
    if kind.token == "y":
        return bytes(value)
    if kind.token != "{":
        return [typed(kind, each, variants) for each in value]
    key, of = kind.children
    read = READ.get(key.token, int)
    return {read(each): typed(of, one, variants, str(each)) for each, one in value.items()}


def wrapped(value: Any, variants: Variants, key: str) -> Variant:
    """A variant, of the type that is known for its key."""
    if isinstance(value, Variant):
        return value
    if key not in variants:
        return variant(value)
    return Variant(variants[key], outgoing(variants[key], value, variants))
