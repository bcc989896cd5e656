"""What a native message brings: bytes, or a sealed memfd. It knows no queues and no sockets."""

from bus1.fds.descriptors import Descriptors
from bus1.native.memfd import seal
from bus1.native.words import INLINE_MOST


class Parcel:
    """A payload on its way, shared by all receivers and never changed after it is made.

    `data` is the payload; or it is None, and the payload is the first `size` bytes of the memfd
    that is the first of the message's descriptors. `uid` and `pid` are those of the sending process
    when its peer was made.
    """

    data: bytes | None
    size: int
    memfd: bool
    uid: int
    pid: int


def inline(data: bytes, uid: int, pid: int) -> Parcel:
    """A payload that is written beside its message."""
    parcel = Parcel.__new__(Parcel)
    parcel.data = data
    parcel.size = len(data)
    parcel.memfd = False
    parcel.uid = uid
    parcel.pid = pid
    return parcel


def mapped(size: int, uid: int, pid: int) -> Parcel:
    """A payload in a memfd, which the message has as its first descriptor."""
    parcel = Parcel.__new__(Parcel)
    parcel.data = None
    parcel.size = size
    parcel.memfd = True
    parcel.uid = uid
    parcel.pid = pid
    return parcel


def of_bytes(data: bytes, uid: int, pid: int) -> tuple[Parcel, Descriptors | None]:
    """A payload as it travels: inline, or in a new memfd if it is too large. Raises OSError."""
    if len(data) <= INLINE_MOST:
        return inline(data, uid, pid), None
    return mapped(len(data), uid, pid), Descriptors([seal(data)])
