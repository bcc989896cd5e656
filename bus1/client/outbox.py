"""Records that wait to be written, and how many go into one packet. It knows no requests."""

from collections import deque
from collections.abc import Sequence

from bus1.client.payload import Fd
from bus1.native.words import FDS_MOST, PACKET_MOST

OUT_MOST = 4 * PACKET_MOST  # bytes that wait: beyond them, senders wait, too
PARTS_MOST = 512  # records in one packet: below the kernel's 1024 pieces

# A record, with the descriptors that go with it.
Record = tuple[bytes, Sequence[Fd]]
Packet = tuple[list[bytes], list[Fd]]


class Outbox:
    """First in, first out."""

    __slots__ = ("packet", "records", "size", "taken")

    def __init__(self) -> None:
        self.records: deque[Record] = deque()
        self.size = 0  # bytes of all that is not yet written
        self.packet: Packet | None = None
        self.taken = 0  # those of `size` that are in the packet

    def put(self, record: Record) -> None:
        self.records.append(record)
        self.size += len(record[0])

    def crowded(self) -> bool:
        """Whether so much waits to be written that senders should wait, too."""
        return self.size > OUT_MOST

    def fill(self) -> Packet | None:
        """The next packet: the same one until it is `sent`. None: there is nothing to write."""
        if self.packet is None and self.records:
            self.packet = self.pack()
        return self.packet

    def sent(self) -> None:
        """The packet that `fill` gave is written; its descriptors are closed here."""
        self.packet = None
        self.size -= self.taken
        self.taken = 0

    def clear(self) -> None:
        self.records.clear()
        self.packet = None
        self.size = self.taken = 0

    def pack(self) -> Packet:
        """As many records as one packet takes, each but the last padded to a multiple of 8."""
        parts: list[bytes] = []
        fds: list[Fd] = []
        size = 0
        while self.records and len(parts) < PARTS_MOST:
            data, along = self.records[0]
            padding = -size % 8
            if size + padding + len(data) > PACKET_MOST or len(fds) + len(along) > FDS_MOST:
                break
            if padding:
                parts[-1] += bytes(padding)
            parts.append(data)
            fds += along
            size += padding + len(data)
            self.taken += len(data)
            self.records.popleft()
        return parts, fds
