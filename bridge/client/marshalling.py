"""D-Bus messages of dbus-fast as bytes, and back. Knows no peer and no socket.

dbus-fast has both directions, but only for its own sockets: two private things of it are used
here, and nowhere else.
"""

import io
from collections.abc import Sequence

from dbus_fast import Message
from dbus_fast._private.unmarshaller import Unmarshaller


class Malformed(ValueError):
    """These bytes are no D-Bus message."""


def to_bytes(message: Message) -> bytes:
    """Header and body. Raises what dbus-fast raises of a body that is not as its signature says."""
    return bytes(message._marshall(True))


def from_bytes(payload: bytes | memoryview, fds: Sequence[int] = ()) -> Message:
    """The message, with these descriptors as its own. Raises Malformed."""
    try:
        message = Unmarshaller(io.BytesIO(payload)).unmarshall()  # type: ignore[arg-type]
    except Exception as error:  # of a wrong body: whatever its readers stumble over
        raise Malformed(str(error)) from error
    if message is None:
        raise Malformed("this is not all of it")
    message.unix_fds = list(fds)
    return message
