"""Where the bus is: an address as people write it, turned into a path or an inherited descriptor.

It opens nothing.
"""

import os
from collections.abc import Mapping
from urllib.parse import unquote

VARIABLE = "BUS1_ADDRESS"  # wins over "session" where no address is given
SYSTEM = "/run/dbus/bus1"


class NoAddress(OSError, ValueError):
    """A text that says no place of a bus. Programs catch an OSError where there is no bus."""


def locate(address: str | None = None) -> str | int:
    """The path of the bus's socket ("\\0name" for an abstract one), or a descriptor's number.

    None: $BUS1_ADDRESS, or else "session". "session": $XDG_RUNTIME_DIR/bus1. "system":
    /run/dbus/bus1. Or `unix:path=…`, `unix:abstract=…`, `unix:fd=…`, with percent escapes.

    A setuid program does not look into the environment: whoever starts it has filled it.

    Raises FileNotFoundError if the environment does not say where, NoAddress for another address.
    """
    if address is None:
        address = environment().get(VARIABLE) or "session"
    if address == "session":
        directory = environment().get("XDG_RUNTIME_DIR")
        if not directory:
            raise FileNotFoundError(f"neither {VARIABLE} nor XDG_RUNTIME_DIR says where the bus is")
        return f"{directory}/bus1"
    return SYSTEM if address == "system" else parse(address)


def environment() -> Mapping[str, str]:
    """The environment; nothing, if it is that of somebody who may do less than this process."""
    privileged = os.geteuid() != os.getuid() or os.getegid() != os.getgid()
    return {} if privileged else os.environ


def parse(address: str) -> str | int:
    """The first of the addresses (divided by semicolons) as path, "\\0name" or descriptor."""
    transport, _, rest = address.partition(";")[0].partition(":")
    values = dict(pair.partition("=")[::2] for pair in rest.split(","))
    if transport == "unix" and values.get("path"):
        return unquote(values["path"])
    if transport == "unix" and values.get("abstract"):
        return "\0" + unquote(values["abstract"])
    if transport == "unix" and values.get("fd", "").isdecimal():
        return int(values["fd"])
    raise NoAddress(f"not an address of a bus, as unix:path=…: {address!r}")
