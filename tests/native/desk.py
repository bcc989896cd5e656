"""Sessions without sockets: programs of one bus whose packets go from hand to hand."""

import os
import socket
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

from bus1 import Bus, Limits, Peer, Queue
from bus1.fds.descriptors import Descriptors
from bus1.native import words
from bus1.native.packet import Packet
from bus1.native.session import Session
from bus1.native.socket import send

GUID = bytes(range(16))


def record(
    kind: int, flags: int = 0, cookie: int = 0, body: bytes = b"", fds: int = 0, size: int = -1
) -> bytes:
    """One record, padded."""
    size = 16 + len(body) if size < 0 else size
    head = struct.pack(words.HEADER_FORMAT, size, kind, flags, cookie, fds)
    return head + body + bytes(-len(body) % 8)


def ids(*numbers: int) -> bytes:
    return struct.pack(f"={len(numbers)}Q", *numbers)


def letter(
    to: Iterable[int] = (),
    payload: bytes = b"",
    carried: Iterable[tuple[int, int, int]] = (),
    size: int | None = None,
) -> bytes:
    """The body of SEND: to whom, what, and which handles go along."""
    to, carried = list(to), list(carried)
    size = len(payload) if size is None else size
    head = struct.pack(words.SEND_FORMAT, len(to), len(carried), size)
    transfers = [struct.pack(words.TRANSFER_FORMAT, what, 0, id, c) for what, id, c in carried]
    return head + ids(*to) + b"".join(transfers) + payload


class Result(NamedTuple):
    cookie: int
    error: int
    values: list[int]
    stamp: int
    payload: bytes
    size: int
    flags: int
    fds: Descriptors


class Data(NamedTuple):
    stamp: int
    sender: int
    node: int
    cookie: int
    uid: int
    pid: int
    handles: list[tuple[int, int]]
    payload: bytes
    size: int
    flags: int
    fds: Descriptors


class Notice(NamedTuple):
    kind: int
    stamp: int
    sender: int
    about: int
    cookie: int


class House:
    """A bus, and what sessions ask of it."""

    guid = GUID
    bridge: Queue | None = None

    def __init__(self, limits: Limits | None = None) -> None:
        self.bus = Bus(limits)
        self.peers: dict[int, Peer] = {}  # by inode
        self.settled = 0
        self.equipped: list[Peer] = []
        self.programs: list[Program] = []

    def program(self, uid: int = 0) -> "Program":
        self.programs.append(Program(self, uid))
        return self.programs[-1]

    def state(self) -> list[object]:
        """All that operations could have changed."""
        return [state(program.peer) for program in self.programs]

    def peer_of(self, fd: int) -> Peer | None:
        return self.peers.get(os.fstat(fd).st_ino)

    def spawn(self, session: Session) -> tuple[Peer, int]:
        peer = self.bus.connect(session.uid)
        fd, ours = os.pipe()
        os.close(ours)
        self.peers[os.fstat(fd).st_ino] = peer
        return peer, fd

    def equip(self, session: Session, peer: Peer) -> None:
        self.equipped.append(peer)

    def settle(self) -> int:
        self.settled += 1
        return 0


def state(peer: Peer) -> object:
    account, kept = peer.queue.account, peer.queue.held()
    held = account.bytes, account.messages, account.handles, account.fds
    nodes = {id: node.count for id, node in peer.nodes.items()}
    queue = [peer.queue.peek(place) for place in range(kept)]
    hands = {id: (handle.node, handle.once, handle.busy) for id, handle in peer.handles.items()}
    return held, nodes, hands, queue, account.limits, peer.queue.closed


class Program:
    """One that asks, and reads. It has read its WELCOME."""

    def __init__(self, house: House, uid: int = 0, peer: Peer | None = None) -> None:
        self.house = house
        self.session = Session(peer or house.bus.connect(uid), uid, 1000 + uid, house)
        self.peer = self.session.peer
        self.cookie = 0
        assert self.read()[0] == (1, uid, self.peer.number, GUID)

    def packet(self, *records: bytes, fds: Iterable[int] = ()) -> None:
        packet = Packet(b"".join(records), [os.dup(fd) for fd in fds])
        packet.check()
        while self.session.go_on(packet, words.PACKET_MOST):
            pass

    def ask(self, kind: int, body: bytes = b"", flags: int = 0, fds: Iterable[int] = ()) -> Result:
        """One request and its result. Messages stay where they are. Whatever fails changes nothing
        at any peer."""
        self.cookie += 1
        fds = list(fds)
        before = self.house.state()
        self.packet(record(kind, flags, self.cookie, body, len(fds)), fds=fds)
        (result,) = self.results()
        assert result.cookie == self.cookie
        assert not result.error or self.house.state() == before
        return result

    def do(self, kind: int, body: bytes = b"", flags: int = 0, fds: Iterable[int] = ()) -> Result:
        """The same, and it must succeed."""
        result = self.ask(kind, body, flags, fds)
        assert result.error == 0, result.payload
        return result

    def create(self) -> tuple[int, int]:
        """A node, and a handle to it."""
        node, handle = self.do(words.CREATE, flags=words.WITH_HANDLE).values
        return node, handle

    def give(self, handle: int, to: "Program") -> int:
        """A handle that one has, for another."""
        return self.peer.transfer(self.peer.handles[handle], to.peer).id

    def send(
        self,
        to: Iterable[int],
        payload: bytes = b"",
        carried: Iterable[tuple[int, int, int]] = (),
        flags: int = 0,
        fds: Iterable[int] = (),
    ) -> Result:
        return self.ask(words.SEND, letter(to, payload, carried), flags, fds)

    def results(self) -> list[Result]:
        """Only those: messages stay in the queue."""
        found: list[Any] = []
        while self.session.owes:
            packet = Packet()
            self.session.answer(packet)
            found += read(packet)
        return found

    def read(self) -> list[Any]:
        """All that comes, results first."""
        found: list[Any] = []
        packet = Packet()
        while self.session.fill(packet):
            found += read(packet)
            packet = Packet()
        return found

    def messages(self) -> list[Data]:
        """All that comes, which must be messages."""
        found = self.read()
        assert all(isinstance(each, Data) for each in found)
        return found


def read(packet: Packet) -> list[Any]:
    """What comes out at the other end when a session's packet is written."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        assert send(here.fileno(), packet)
        data, fds, flags, _ = socket.recv_fds(there, words.PACKET_MOST, words.FDS_MOST)
    assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
    found = []
    at = 0
    while at < len(data):
        size, kind, flags, cookie, count = struct.unpack_from(words.HEADER_FORMAT, data, at)
        body = data[at + 16 : at + size]
        mine, fds = Descriptors(fds[:count]), fds[count:]
        found.append(READERS.get(kind, notice)(kind, flags, cookie, body, mine))
        padded = at + (size + 7) // 8 * 8
        assert not any(data[at + size : padded])
        at = padded
    assert not fds
    return found


def welcome(kind: int, flags: int, cookie: int, body: bytes, fds: Descriptors) -> tuple[Any, ...]:
    assert (flags, cookie, len(fds)) == (0, 0, 0)
    return struct.unpack(words.WELCOME_FORMAT, body)


def result(kind: int, flags: int, cookie: int, body: bytes, fds: Descriptors) -> Result:
    error, count, stamp, size = struct.unpack_from(words.RESULT_FORMAT, body)
    values = list(struct.unpack_from(f"={count}Q", body, 24))
    payload = body[24 + 8 * count :]
    assert len(payload) == (0 if flags & words.MEMFD else size)
    return Result(cookie, error, values, stamp, payload, size, flags, fds)


def data(kind: int, flags: int, cookie: int, body: bytes, fds: Descriptors) -> Data:
    *head, count, zero, size = struct.unpack_from(words.DATA_FORMAT, body)
    handles = [struct.unpack_from(words.CARRIED_FORMAT, body, 56 + 16 * i) for i in range(count)]
    payload = body[56 + 16 * count :]
    assert len(payload) == (0 if flags & words.MEMFD else size)
    assert (cookie, zero, *(spare for _, _, spare in handles)) == (0,) * (2 + count)
    return Data(*head, [(id, once) for id, once, _ in handles], payload, size, flags, fds)


def notice(kind: int, flags: int, cookie: int, body: bytes, fds: Descriptors) -> Notice:
    assert kind in (words.NODE_GONE, words.NO_HANDLES_LEFT, words.ONCE_DROPPED)
    assert (flags, cookie, len(fds)) == (0, 0, 0)
    return Notice(kind, *struct.unpack(words.NOTICE_FORMAT, body))


READERS: dict[int, Any] = {words.WELCOME: welcome, words.RESULT: result, words.DATA: data}
