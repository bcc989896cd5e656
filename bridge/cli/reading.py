"""Messages as a client receives them: the bytes as they came, and the same checked and taken apart.

The rooms below read what clients send, to whom the bus adds SENDER; here it is there already.
"""

import struct
from dataclasses import dataclass
from typing import Final, final

from bridge.wire.body import unpack
from bridge.wire.frame import BadMessage, Frame, Framer
from bridge.wire.names import is_bus_name
from bridge.wire.protocol import DRIVER

FIXED_PART: Final = 16
LONGEST: Final = 128 * 1024 * 1024  # "Message Format": so long is the longest message
MOST_FDS: Final = 1 << 16  # more than any bus lets a message have
SENDER: Final = 7
UNIX_FDS: Final = 9
# A message whose only field says that its body is of the type of header fields, a(yv).
FIELDS: Final = {
    "<": bytes.fromhex("6c050101"), ">": bytes.fromhex("42050101")
}  # fmt: skip
FIELDS_SIGNATURE: Final = b"\x08\x01g\x00\x05a(yv)\x00".ljust(16, b"\0")


@final
@dataclass(slots=True)
class Seen:
    """One message, and when it was read: by the clock, and in seconds of no clock."""

    raw: bytes
    frame: Frame
    time: float
    moment: float


def size_of(data: bytes | bytearray, at: int = 0) -> int:
    """The length of the message that begins there, FIXED_PART of which are there. Raises
    BadMessage."""
    order = order_of(data[at])
    body, _, fields = struct.unpack_from(order + "III", data, at + 4)
    size = FIXED_PART + fields + -fields % 8 + body
    if size > LONGEST:
        raise BadMessage("longer than 128 MiB")
    return int(size)


def order_of(byte: int) -> str:
    if byte not in b"lB":
        raise BadMessage("unknown byte order")
    return "<" if byte == ord("l") else ">"


@final
class Reader:
    """Takes messages apart, one after another."""

    def __init__(self) -> None:
        self.framer = Framer(LONGEST, MOST_FDS)
        self.headers = Framer(LONGEST, 0)

    def read(self, raw: bytes, read_at: tuple[float, float]) -> Seen:
        """One whole message, and when it was read. Raises BadMessage."""
        fields = self.fields(raw)
        sender = fields.get(SENDER, DRIVER)
        count = fields.get(UNIX_FDS, 0)
        if not isinstance(sender, str) or not is_bus_name(sender):
            raise BadMessage("SENDER is no name")
        if not isinstance(count, int) or count > MOST_FDS:
            raise BadMessage("UNIX_FDS is too large")
        # The descriptors themselves were not taken: numbers that are none stand for them.
        self.framer.fds[:] = [-1] * count
        self.framer.stamp(sender)
        self.framer.feed(raw)
        frame = self.framer.take()
        assert frame is not None  # it is whole
        return Seen(raw, frame, *read_at)

    def fields(self, raw: bytes) -> dict[int, object]:
        """The header fields by code. They are a value like any other, so they are read as the
        body of a message."""
        order = order_of(raw[0])
        size = struct.unpack_from(order + "I", raw, 12)[0]
        head = struct.pack(order + "III", 8 + size, 1, 11)
        self.headers.feed(
            FIELDS[order] + head + FIELDS_SIGNATURE
            + raw[12:16] + b"\0\0\0\0" + raw[16 : 16 + size]
        )  # fmt: skip
        frame = self.headers.take()
        assert frame is not None
        (fields,) = unpack(frame)
        assert isinstance(fields, list)
        return {code: value for code, (_, value) in fields}
