"""A native peer for tests, from PROTOCOL.md alone: blocking, and it asks for whatever a test says.

It knows neither the bus's own code nor the client library, so that it can judge both.
"""

from __future__ import annotations

import array
import fcntl
import mmap
import os
import select
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

PACKET_MOST = 131072
FDS_MOST = 253
INLINE_MOST = 65536

CREATE, HANDLE, TRANSFER, RELEASE, DESTROY, SEND = 1, 2, 3, 4, 5, 6
SEED, SET_SEED, QUERY, RESET, PEER, DISCONNECT = 7, 8, 9, 10, 11, 12
WELCOME, RESULT, DATA, NODE_GONE, NO_HANDLES_LEFT, ONCE_DROPPED = 64, 65, 66, 67, 68, 69

QUIET = 0x8000
WITH_HANDLE = CONTINUE = FLUSH = MORE = 1
MEMFD = FLUSH_SEED = 2
ONCE = 4
A_HANDLE, A_NODE, A_ONCE = 0, 1, 2

HEADER = struct.Struct("=IHHII")
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


class Refused(Exception):
    """A RESULT with an error."""

    def __init__(self, errno: int, text: str) -> None:
        super().__init__(errno, text)
        self.errno = errno


class Ended(Exception):
    """The bus has closed the connection."""


class Fd(NamedTuple):
    """A descriptor; see elsewhere.py for what makes it more than a number."""

    number: int


class Result(NamedTuple):
    cookie: int
    error: int
    values: list[int]
    stamp: int
    payload: bytes
    fds: list[Fd]
    behind: int  # how many messages came before it


class Usage(NamedTuple):
    """The values of QUERY, in their order."""

    most_bytes: int
    most_messages: int
    most_handles: int
    most_fds: int
    bytes: int
    messages: int
    handles: int
    fds: int
    nodes: int
    waiting: int


@dataclass
class Arrival:
    """DATA or a notice. `id` is the receiver's node or, of NODE_GONE, its handle."""

    kind: int
    flags: int
    stamp: int
    sender: int
    id: int
    cookie: int
    uid: int = -1
    pid: int = -1
    handles: list[int] = field(default_factory=list)
    once: list[bool] = field(default_factory=list)
    payload: bytes = b""
    fds: list[Fd] = field(default_factory=list)
    inode: int = 0  # of the memfd
    seals: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """In the one order of the bus."""
        return self.stamp, self.sender


def handle(id: int) -> tuple[int, int, int]:
    """A transfer: a handle that one holds."""
    return A_HANDLE, id, 0


def node(id: int) -> tuple[int, int, int]:
    """A transfer: a new handle to one's own node."""
    return A_NODE, id, 0


def once(id: int, cookie: int) -> tuple[int, int, int]:
    """A transfer: a one-shot handle to one's own node."""
    return A_ONCE, id, cookie


def numbers(values: Iterable[int]) -> bytes:
    found = list(values)
    return struct.pack(f"={len(found)}Q", *found)


def parcel(
    to: Sequence[int],
    payload: bytes = b"",
    carry: Sequence[tuple[int, int, int]] = (),
    size: int | None = None,
) -> bytes:
    """The body of SEND, SET_SEED and PEER. With a size the payload is elsewhere, in a memfd."""
    head = struct.pack("=IIQ", len(to), len(carry), len(payload) if size is None else size)
    transfers = b"".join(struct.pack("=IIQQ", what, 0, id, cookie) for what, id, cookie in carry)
    return head + numbers(to) + transfers + payload


def memfd(payload: bytes, seals: int = SEALS) -> int:
    fd = os.memfd_create("payload", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, payload)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def record(kind: int, cookie: int, body: bytes = b"", flags: int = 0, fds: int = 0) -> bytes:
    return HEADER.pack(16 + len(body), kind, flags, cookie, fds) + body


class Peer:
    """One end of a connection: a path, or a socket that somebody passed on (`greeted`: who has read
    the WELCOME already)."""

    def __init__(self, where: str | Fd, patience: float = 10, greeted: bool = False) -> None:
        self.patience = patience
        self.cookie = 0
        self.results: list[Result] = []
        self.arrived: list[Arrival] = []
        self.heard = 0  # messages that ever arrived
        if isinstance(where, Fd):
            self.sock = socket.socket(fileno=where.number)
        else:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.sock.connect(where)
        self.uid = self.number = self.version = -1
        self.bus = b""
        while self.version < 0 and not greeted:
            self.read()

    # What comes.

    def read(self, seconds: float | None = None) -> bool:
        """One packet, if it comes in time."""
        wait = self.patience if seconds is None else seconds
        if not select.select([self.sock], [], [], wait)[0]:
            return False
        try:
            room = socket.CMSG_SPACE(FDS_MOST * 4)
            packet, control, flags, _ = self.sock.recvmsg(PACKET_MOST, room)
        except ConnectionResetError:
            packet, control, flags = b"", [], 0
        assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
        if not packet:
            raise Ended
        fds = [Fd(fd) for _, _, found in control for fd in array.array("i", found)]
        self.split(packet, fds)
        return True

    def split(self, packet: bytes, fds: list[Fd]) -> None:
        at = 0
        while at < len(packet):
            size, kind, flags, cookie, count = HEADER.unpack_from(packet, at)
            assert 16 <= size <= len(packet) - at
            assert count <= len(fds)
            self.record(kind, flags, cookie, packet[at + 16 : at + size], fds[:count])
            del fds[:count]
            at += (size + 7) // 8 * 8
        assert not fds

    def record(self, kind: int, flags: int, cookie: int, body: bytes, fds: list[Fd]) -> None:
        self.heard += kind not in (WELCOME, RESULT)
        if kind == WELCOME:
            self.version, self.uid, self.number, self.bus = struct.unpack("=IIQ16s", body)
        elif kind == RESULT:
            error, count, stamp, size = struct.unpack_from("=iIQQ", body)
            values = list(struct.unpack_from(f"={count}Q", body, 24))
            payload, fds, _, _ = content(body[24 + 8 * count :], flags, size, fds)
            self.results.append(Result(cookie, error, values, stamp, payload, fds, self.heard))
        elif kind == DATA:
            self.arrived.append(arrival(flags, body, fds))
        else:
            self.arrived.append(Arrival(kind, flags, *struct.unpack("=QQQQ", body)))

    def take(self, seconds: float | None = None) -> Arrival:
        """The next message or notice."""
        end = time.monotonic() + (self.patience if seconds is None else seconds)
        while not self.arrived:
            if not self.read(max(0, end - time.monotonic())):
                raise TimeoutError("nothing comes")
        return self.arrived.pop(0)

    def drain(self) -> list[Arrival]:
        """All that has been sent to this peer before now."""
        asked = self.ask(QUERY)
        taken = self.heard - len(self.arrived)
        waiting = asked.behind + Usage(*asked.values).waiting - taken
        return [self.take() for _ in range(waiting)]

    def ended(self, seconds: float = 10) -> bool:
        """Whether the end comes; what comes before it is kept."""
        try:
            while self.read(seconds):
                pass
        except Ended:
            return True
        return False

    # What goes.

    def write(self, packet: bytes, fds: Sequence[Fd] = ()) -> None:
        found = array.array("i", [fd.number for fd in fds])
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, found)] if fds else []
        self.sock.sendmsg([packet], control)

    def together(self, *requests: tuple[int, bytes]) -> list[Result]:
        """Several in one packet, so that nobody else's is between them."""
        packet, cookies = b"", []
        for kind, body in requests:
            self.cookie += 1
            cookies.append(self.cookie)
            packet += bytes(-len(packet) % 8) + record(kind, self.cookie, body)
        self.write(packet)
        return [self.result(cookie) for cookie in cookies]

    def post(self, kind: int, body: bytes = b"", flags: int = 0, fds: Sequence[Fd] = ()) -> int:
        """A request of which nobody awaits the result yet; its cookie."""
        self.cookie += 1
        self.write(record(kind, self.cookie, body, flags, len(fds)), fds)
        return self.cookie

    def result(self, cookie: int) -> Result:
        while True:
            for found in self.results:
                if found.cookie == cookie:
                    self.results.remove(found)
                    return found
            if not self.read():
                raise TimeoutError("no result")

    def ask(self, kind: int, body: bytes = b"", flags: int = 0, fds: Sequence[Fd] = ()) -> Result:
        found = self.result(self.post(kind, body, flags, fds))
        if found.error:
            raise Refused(found.error, found.payload.decode())
        return found

    # The operations.

    def create(self) -> int:
        return self.ask(CREATE).values[0]

    def handle(self, node: int) -> int:
        return self.ask(HANDLE, numbers([node])).values[0]

    def transfer(self, handle: int, to: Fd | None = None) -> int:
        """A new handle to the same node: here, or in the table of the peer with this socket."""
        return self.ask(TRANSFER, numbers([handle]), 0, [to] if to else []).values[0]

    def release(self, *ids: int) -> int:
        return self.ask(RELEASE, numbers(ids)).stamp

    def destroy(self, *ids: int) -> int:
        return self.ask(DESTROY, numbers(ids)).stamp

    def send(
        self,
        to: int | Sequence[int],
        payload: bytes = b"",
        carry: Sequence[tuple[int, int, int]] = (),
        fds: Sequence[Fd] = (),
        flags: int = 0,
        size: int | None = None,
    ) -> Result:
        """With a size: the payload is in the memfd that fds begins with."""
        body = parcel([to] if isinstance(to, int) else to, payload, carry, size)
        return self.ask(SEND, body, flags | (MEMFD if size is not None else 0), fds)

    def send_text(self, to: int, text: bytes) -> None:
        """With a descriptor from which the text can be read."""
        reader, writer = os.pipe()
        os.write(writer, text)
        os.close(writer)
        self.send(to, fds=[Fd(reader)])
        os.close(reader)

    def send_memfd(self, to: int | Sequence[int], payload: bytes, size: int | None = None) -> None:
        fd = memfd(payload)
        self.send(to, fds=[Fd(fd)], size=len(payload) if size is None else size)
        os.close(fd)

    def quiet(self, to: int | Sequence[int], payload: bytes = b"") -> int:
        """Sent without an answer; its cookie, if it fails nevertheless."""
        return self.post(SEND, parcel([to] if isinstance(to, int) else to, payload), QUIET)

    def seed(self) -> Result:
        return self.ask(SEED)

    def set_seed(self, payload: bytes = b"", carry: Sequence[tuple[int, int, int]] = ()) -> None:
        self.ask(SET_SEED, parcel([], payload, carry))

    def query(self) -> Usage:
        return Usage(*self.ask(QUERY).values)

    def reset(self, flags: int = 0, limits: tuple[int, int, int, int] = (-1, -1, -1, -1)) -> None:
        self.ask(RESET, struct.pack("=qqqq", *limits), flags)

    def peer(self, payload: bytes = b"", carry: Sequence[tuple[int, int, int]] = ()) -> Fd:
        return self.ask(PEER, parcel([], payload, carry)).fds[0]

    def disconnect(self) -> None:
        self.ask(DISCONNECT)

    def socket(self) -> Fd:
        return Fd(self.sock.fileno())

    def text(self, fd: Fd) -> bytes:
        return os.read(fd.number, 1000)

    def close(self) -> None:
        self.sock.close()
        for one in self.arrived:
            for fd in one.fds:
                os.close(fd.number)


def arrival(flags: int, body: bytes, fds: list[Fd]) -> Arrival:
    head = struct.unpack_from("=QQQQIIIIQ", body)
    stamp, sender, id, cookie, uid, pid, count, zero, size = head
    assert not zero
    found = [struct.unpack_from("=QII", body, 56 + 16 * place) for place in range(count)]
    payload, rest, inode, seals = content(body[56 + 16 * count :], flags, size, fds)
    ids, shots = [each[0] for each in found], [bool(each[1]) for each in found]
    args = (stamp, sender, id, cookie, uid, pid, ids, shots, payload, rest, inode, seals)
    return Arrival(DATA, flags, *args)


def content(
    inline: bytes, flags: int, size: int, fds: list[Fd]
) -> tuple[bytes, list[Fd], int, int]:
    """The payload wherever it is, the other descriptors, and the memfd's inode and seals."""
    if not flags & MEMFD:
        assert len(inline) == size
        return inline, fds, 0, 0
    assert not inline
    fd = fds[0].number
    with mmap.mmap(fd, size, prot=mmap.PROT_READ) as pages:
        payload = bytes(pages)
    inode, seals = os.fstat(fd).st_ino, fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    os.close(fd)
    return payload, fds[1:], inode, seals
