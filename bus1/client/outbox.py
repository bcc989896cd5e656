"""Records that wait to be written, and how many go into one packet. It knows no requests."""

from collections import deque
from collections.abc import Sequence

from bus1.client.payload import Fd
from bus1.native.words import FDS_MOST, PACKET_MOST

OUT_MOST = 4 * PACKET_MOST  # bytes that wait: beyond them, senders wait, too
PARTS_MOST = 512  # pieces of one packet: below the kernel's 1024


class Packet:
    """Records, each but the last padded to a multiple of 8, with their descriptors."""

    __slots__ = ("fds", "parts", "size")

    def __init__(self, record: bytes, fds: Sequence[Fd]) -> None:
        self.parts = [record]
        self.fds = [*fds]
        self.size = len(record)  # in bytes

    def add(self, record: bytes, fds: Sequence[Fd]) -> int:
        """Put a record behind the others; how many bytes that takes. 0: there is no room."""
        padding = -self.size % 8
        grown = padding + len(record)
        if (
            self.size + grown > PACKET_MOST
            or len(self.fds) + len(fds) > FDS_MOST
            or len(self.parts) + 2 > PARTS_MOST
        ):
            return 0
        if padding:
            self.parts.append(bytes(padding))
        self.parts.append(record)
        self.fds += fds
        self.size += grown
        return grown


class Outbox:
    """First in, first out. The first of `packets` is the next to be written."""

    __slots__ = ("packets", "size")

    def __init__(self) -> None:
        self.packets: deque[Packet] = deque()
        self.size = 0  # bytes of them all

    def put(self, record: bytes, fds: Sequence[Fd] = ()) -> None:
        """Behind all others. It fits into a packet: who makes it has seen to that."""
        grown = self.packets[-1].add(record, fds) if self.packets else 0
        if not grown:
            self.packets.append(Packet(record, fds))
            grown = len(record)
        self.size += grown

    def crowded(self) -> bool:
        """Whether so much waits to be written that senders should wait, too."""
        return self.size > OUT_MOST

    def sent(self) -> None:
        """The first packet is written; its descriptors are closed here."""
        self.size -= self.packets.popleft().size

    def clear(self) -> None:
        self.packets.clear()
        self.size = 0
