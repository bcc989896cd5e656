"""What crosses from one world to the other: the bytes of a native message, which are to be a D-Bus
message, and the parcel that native peers get of a D-Bus message. It knows no policy and no names.
"""

import os
from typing import Any, NamedTuple
from weakref import ref

from bridge.wire.frame import Frame
from bridge.wire.protocol import SIGNAL
from bus1.errors import TooLong
from bus1.fds.descriptors import Descriptors
from bus1.message import Message
from bus1.native.parcel import Parcel, of_bytes
from bus1.native.words import FDS_MOST


class Letter(NamedTuple):
    """What a native peer gets of a D-Bus message, with its descriptors: if the message is large,
    the first of these is a memfd with it."""

    parcel: Parcel
    fds: object
    fd_count: int


def contents(message: Message) -> bytes:
    """The payload of a native message. Raises OSError."""
    parcel: Any = message.payload
    if not parcel.memfd:
        data: bytes = parcel.data
        return data
    fds: Any = message.fds
    return read(fds.numbers[0], parcel.size)


def read(memfd: int, size: int) -> bytes:
    """The beginning of a memfd, which nobody can change or make shorter."""
    parts = []
    at = 0
    while at < size:
        part = os.pread(memfd, size - at, at)
        if not part:
            raise OSError("a memfd is shorter than it was")
        parts.append(part)
        at += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def enclosed(message: Message) -> object:
    """The descriptors that came with a native message, without that of its payload: which need
    not be kept, and which may be far larger than what was read of it. Raises OSError."""
    parcel: Any = message.payload
    if not parcel.memfd:
        return message.fds
    fds: Any = message.fds
    numbers: list[int] = []
    copies = Descriptors(numbers)
    for number in fds.numbers[1:]:
        numbers.append(os.dup(number))
    return copies


def letter(frame: Frame, uid: int, pid: int) -> Letter:
    """A D-Bus message of this process as native peers get it: all of them the same, without a copy
    for each. Raises OSError, TooLong."""
    made = known(frame)
    if made is None:
        made = write(frame, uid, pid)
        if frame.kind == SIGNAL and frame.destination() is None:
            frame.parcel = made._replace(fds=ref(made.fds)) if made.parcel.memfd else made
    return made


def known(frame: Frame) -> Letter | None:
    """As others got it. A memfd is kept only as long as one of those has not read it, and is
    charged for it: the frame may wait for a D-Bus client much longer."""
    made: Letter | None = frame.parcel
    if made is None or not made.parcel.memfd:
        return made
    kept: Any = made.fds
    fds = kept()
    return None if fds is None else made._replace(fds=fds)


def write(frame: Frame, uid: int, pid: int) -> Letter:
    """The same anew."""
    parcel, memfd = of_bytes(frame.raw(), uid, pid)
    if frame.fd_count + (memfd is not None) > FDS_MOST:
        raise TooLong("A native peer gets no message of this length with so many descriptors")
    if memfd is None:
        return Letter(parcel, frame.fds, frame.fd_count)
    numbers = memfd.numbers if frame.fds is None else [*memfd.numbers, *frame.fds.numbers]
    return Letter(parcel, Descriptors(numbers, (memfd, frame.fds)), len(numbers))
