"""Records of the native protocol: out of a packet that came, into one that goes. It knows bytes and
descriptors, no sockets; what the records mean is the session's business.

A packet that came is checked as a whole (`check`) before anything in it is done; then `step` goes
from record to record, and the reading methods give what the record's body holds, in order.
"""

from typing import final

from bus1.fds.descriptors import Descriptors

PACKET_MOST: int  # bytes in a packet
FDS_MOST: int  # descriptors in a packet

class Broken(Exception):
    """The packet is no sequence of records: the connection ends. The text says how."""

class Malformed(Exception):
    """The record's body is shorter than what it should hold."""

@final
class Packet:
    """One packet, in or out. At rest or many at a time it has memory of its own; the one that was
    received last, and the one that is being written, are in two buffers that all share."""

    def __init__(self, data: bytes = b"", fds: list[int] | None = None) -> None:
        """Empty, to be written; or as if `data` and `fds` (which it owns now) had been received."""
    @property
    def size(self) -> int:
        """In bytes, so far. What was received with a size of 0 is the end of the connection."""
    @property
    def fd_count(self) -> int: ...
    def raw(self) -> bytes:
        """All of it."""
    # What came: the record at hand, after `step` was true.
    @property
    def kind(self) -> int: ...
    @property
    def flags(self) -> int: ...
    @property
    def cookie(self) -> int: ...
    @property
    def fds(self) -> int:
        """How many descriptors are this record's."""
    def check(self) -> None:
        """Raises Broken, unless it is a sequence of records with just their descriptors."""
    def step(self) -> bool:
        """On to the next record, of a packet that was checked; False after the last. Descriptors
        of the record before that nobody claimed are closed."""
    def left(self) -> int:
        """Bytes of the record's body that have not been read."""
    def u32(self) -> int:
        """The next four bytes. Raises Malformed if there are less; so do those below."""
    def u64(self) -> int: ...
    def i64(self) -> int: ...
    def payload(self, size: int) -> bytes: ...
    def descriptors(self) -> Descriptors | None:
        """Claim the record's descriptors; None if it has none."""
    def unclaimed(self) -> int:
        """How many descriptors are still the packet's own."""
    def descriptor(self, place: int) -> int:
        """The number of one of them that is not claimed yet; it stays the packet's."""
    # What goes.
    def room(self, size: int, fds: int) -> bool:
        """Does a record with a body of this size, and with these descriptors, fit?"""
    def begin(self, kind: int, flags: int, cookie: int, size: int) -> None:
        """A record, for which there is room; its body of `size` bytes must be put next."""
    def put32(self, number: int) -> None: ...
    def put64(self, number: int) -> None: ...
    def put(self, payload: bytes) -> None: ...
    def attach(self, fds: object, numbers: list[int]) -> None:
        """Descriptors of the record begun last. `fds` is held until the packet is sent."""
    def data_on(
        self,
        flags: int,
        stamp: int,
        sender: int,
        node: int,
        cookie: int,
        uid: int,
        pid: int,
        handles: int,
        size: int,
    ) -> None:
        """Begin a DATA record for which there is room: next the handles (`handle`), then, unless
        the flags say MEMFD, the payload of `size` bytes."""
    def handle(self, id: int, flags: int) -> None: ...
    def notice(self, kind: int, stamp: int, sender: int, about: int, cookie: int) -> None:
        """One of the three notices, for which there is room."""
    def clear(self) -> None:
        """Empty again, to be written. Its descriptors are let go of."""
