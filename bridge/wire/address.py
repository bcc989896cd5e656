"""D-Bus addresses: text to what to listen on, and back to what clients connect to. No sockets.

D-Bus Specification, "Server Addresses"; errors are worded as dbus-daemon's.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, final

# Bytes that may stand for themselves in a value; every other byte must be escaped.
PLAIN: Final = re.compile(r"[-0-9A-Za-z_/\\*.]")
ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})?")
NAME_LENGTH: Final = 10
ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# libdbus refuses to listen on, and to connect to, longer names than portable ones.
MAX_SOCKET_NAME: Final = 99


class AddressError(ValueError):
    """The address is malformed, or asks for what cannot be."""


class Unreachable(AddressError):
    """Nothing is wrong with the address, but not here, not now: another may be tried."""


class Address(NamedTuple):
    """One entry of a `;` list, unescaped."""

    transport: str
    options: Mapping[str, str]


class Kind(StrEnum):
    """What kind of place to listen at."""

    PATH = "path"
    ABSTRACT = "abstract"
    SYSTEMD = "systemd"


@final
@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A place to listen at: a socket's file, its abstract name, or what systemd handed over."""

    kind: Kind
    value: str = ""

    def connectable(self, guid: str) -> str:
        """What clients connect to."""
        return f"unix:{self.kind}={escape(self.value)},guid={guid}"


def parse(text: str) -> list[Address]:
    """The entries of a `;` list. One bad entry makes all of it bad."""
    entries = text.split(";")
    if not entries[-1]:
        del entries[-1]
    if not entries:
        raise AddressError("Address is empty")
    return [_entry(entry) for entry in entries]


def listen_address(address: Address, environment: Mapping[str, str]) -> ListenAddress:
    """Where an address asks us to listen.

    Raises Unreachable if the next entry of the list may be tried, else AddressError.
    """
    if address.transport == "systemd":
        return ListenAddress(Kind.SYSTEMD)
    if address.transport in ("tcp", "nonce-tcp"):
        raise Unreachable(
            f"Address type '{address.transport}' is not supported:"
            " the kernel does not say who connects"
        )
    if address.transport != "unix":
        raise Unreachable(f"Unknown address type '{address.transport}'")
    places = [name for name in PLACES if name in address.options]
    if not places:
        raise AddressError(
            "Server address of type unix was missing argument path or tmpdir or abstract or"
            " runtime or dir"
        )
    if len(places) > 1:
        raise AddressError(
            'Could not parse server address: cannot specify two of "path", "tmpdir", "abstract",'
            ' "runtime" and "dir" at the same time'
        )
    (name,) = places
    return _checked(PLACES[name](address.options[name], environment))


def escape(value: str) -> str:
    """A value as it stands in an address."""
    return "".join(
        chr(byte) if PLAIN.match(chr(byte)) else f"%{byte:02x}" for byte in os.fsencode(value)
    )


def unescape(text: str) -> str:
    """A value from an address: a file name, so any bytes but NUL."""
    for character in ESCAPE.sub("", text):
        if not PLAIN.match(character):
            raise AddressError(
                f"In D-Bus address, character '{character}' should have been escaped"
            )
    raw = bytearray()
    at = 0
    for found in ESCAPE.finditer(text):
        if found[1] is None:
            raise AddressError(
                "In D-Bus address, percent character was not followed by two hex digits"
            )
        raw += text[at : found.start()].encode("ascii") + bytes.fromhex(found[1])
        at = found.end()
    raw += text[at:].encode("ascii")
    if 0 in raw:
        raise AddressError("In D-Bus address, a value contains a zero byte")
    return os.fsdecode(bytes(raw))


# ------------------------------------------------------------------------- entries


def _entry(text: str) -> Address:
    transport, colon, rest = text.partition(":")
    if not colon:
        raise AddressError("Address does not contain a colon")
    pairs = rest.split(",")
    if not pairs[-1]:
        del pairs[-1]
    options: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if not name or not value:
            raise AddressError("'=' character not found or has no value following it")
        options.setdefault(name, unescape(value))  # the first counts, as in dbus-daemon
    return Address(transport, options)


# -------------------------------------------------------------------------- places


def _path(value: str, environment: Mapping[str, str]) -> ListenAddress:
    return ListenAddress(Kind.PATH, value)


def _abstract(value: str, environment: Mapping[str, str]) -> ListenAddress:
    return ListenAddress(Kind.ABSTRACT, value)


def _directory(value: str, environment: Mapping[str, str]) -> ListenAddress:
    # tmpdir= as well: an abstract socket could be reached from containers that share only
    # the network namespace, so dbus-daemon has not made any for it since 1.14.4.
    name = bytes(ALPHABET[byte % len(ALPHABET)] for byte in os.urandom(NAME_LENGTH))
    return ListenAddress(Kind.PATH, os.path.join(value, "dbus-" + name.decode("ascii")))


def _runtime(value: str, environment: Mapping[str, str]) -> ListenAddress:
    if value != "yes":
        raise AddressError(
            'Could not parse server address: if given, the only value allowed for "runtime" is'
            ' "yes"'
        )
    directory = environment.get("XDG_RUNTIME_DIR")
    if not directory:
        raise Unreachable('"XDG_RUNTIME_DIR" is not set')
    return ListenAddress(Kind.PATH, os.path.join(directory, "bus"))


PLACES: Final = {
    "path": _path,
    "tmpdir": _directory,
    "abstract": _abstract,
    "runtime": _runtime,
    "dir": _directory,
}


def _checked(address: ListenAddress) -> ListenAddress:
    # The byte before an abstract name counts, too.
    length = len(os.fsencode(address.value)) + (address.kind is Kind.ABSTRACT)
    if length > MAX_SOCKET_NAME:
        what = "Abstract socket name" if address.kind is Kind.ABSTRACT else "Socket name"
        raise Unreachable(f"{what} too long")
    return address
