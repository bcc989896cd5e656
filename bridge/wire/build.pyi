"""Messages that the bus itself sends."""

from collections.abc import Sequence

from bridge.wire.frame import Frame
from bus1.fds.descriptors import Descriptors

def build(
    kind: int,
    *,
    serial: int,
    flags: int = 1,
    reply_serial: int = 0,
    path: str | None = None,
    interface: str | None = None,
    member: str | None = None,
    error_name: str | None = None,
    destination: str | None = None,
    sender: str | None = "org.freedesktop.DBus",
    signature: str = "",
    body: Sequence[object] = (),
    fds: Sequence[int] | Descriptors = (),
) -> Frame:
    """A little-endian message; flags 1 is NO_REPLY_EXPECTED. A variant is given as (signature,
    value), a file descriptor as its index in `fds`, which belong to the message once it is made;
    Descriptors are shared, and closed when the last who has them goes.
    ValueError, OverflowError, TypeError or AttributeError: the values are not what the signature
    says. The names and texts are checked as a peer's are: ValueError."""
