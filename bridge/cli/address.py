"""A socket at the address of a bus. It knows only this machine's: Unix sockets."""

import os
import socket
from typing import Final

from bridge.wire.address import Address, AddressError, parse

SECONDS: Final = 10  # that a bus may keep a command waiting


def connected(text: str) -> socket.socket:
    """A socket at the first entry of an address that somebody listens at. Raises OSError,
    AddressError."""
    failure: Exception | None = None
    for address in parse(text):
        try:
            return connect(socket_name(address))
        except (OSError, AddressError) as error:
            failure = failure or error
    assert failure is not None  # an address has entries
    raise failure


def connect(name: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(SECONDS)
        sock.connect(os.fsencode(name))
    except BaseException:
        sock.close()
        raise
    return sock


def socket_name(address: Address) -> str:
    """What to connect to. Raises AddressError."""
    options = address.options
    if address.transport == "unix":
        if "path" in options:
            return options["path"]
        if "abstract" in options:
            return "\0" + options["abstract"]
        if options.get("runtime") == "yes" and os.environ.get("XDG_RUNTIME_DIR"):
            return os.path.join(os.environ["XDG_RUNTIME_DIR"], "bus")
    raise AddressError("only unix:path=, unix:abstract= and unix:runtime=yes")
