"""The socket of a peer: one packet in, one packet out. It knows no records and no waiting."""

import socket
from array import array
from errno import ENAMETOOLONG, ENOBUFS, ENOMEM, EPROTOTYPE, ETOOMANYREFS
from socket import (
    AF_UNIX,
    CMSG_SPACE,
    MSG_CMSG_CLOEXEC,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    SCM_RIGHTS,
    SO_SNDTIMEO,
    SOCK_SEQPACKET,
    SOL_SOCKET,
)
from struct import pack

from bus1.client.outbox import Packet
from bus1.client.payload import Fd
from bus1.native.words import FDS_MOST, PACKET_MOST

# The kernel has no room: for memory, or for more descriptors of this user on their way.
FOR_NOW = {ENOBUFS, ENOMEM, ETOOMANYREFS}
FDS_ROOM = CMSG_SPACE(4 * FDS_MOST)
IN = MSG_DONTWAIT | MSG_CMSG_CLOEXEC
OUT = MSG_DONTWAIT | MSG_NOSIGNAL


def fresh() -> socket.socket:
    return socket.socket(AF_UNIX, SOCK_SEQPACKET)


def limit(sock: socket.socket, seconds: float) -> None:
    """`dial` waits no longer while too many wait to be accepted: then it is a BlockingIOError."""
    micros = max(1, int(seconds * 1e6))
    sock.setsockopt(SOL_SOCKET, SO_SNDTIMEO, pack("@ll", *divmod(micros, 1_000_000)))


def dial(sock: socket.socket, path: str) -> None:
    """Connect. An OSError says where to, and whether D-Bus is spoken there."""
    try:
        sock.connect(path)
    except OSError as error:
        text = error.strerror or str(error)  # a path that is too long has no errno
        if error.errno == EPROTOTYPE:
            text = "this is not the socket for native programs, but one for D-Bus"
        raise OSError(error.errno or ENAMETOOLONG, text, path.replace("\0", "@", 1)) from None


def inherited(number: int) -> socket.socket:
    """The socket that this descriptor is. ValueError or OSError if it is none of a bus; then
    it stays open."""
    try:
        found = socket.socket(fileno=number)
    except OSError as error:
        text = f"descriptor {number} is no socket of a bus: {error.strerror}"
        raise OSError(error.errno, text) from None
    if found.family == AF_UNIX and found.type == SOCK_SEQPACKET:
        found.set_inheritable(False)
        return found
    found.detach()
    raise ValueError(f"descriptor {number} is no socket of a bus")


def write(sock: socket.socket, packet: Packet) -> None:
    """Whole or, with BlockingIOError, not at all. Another OSError: the end."""
    try:
        if packet.fds:
            rights = array("i", [each.fileno() for each in packet.fds])
            sock.sendmsg(packet.parts, [(SOL_SOCKET, SCM_RIGHTS, rights)], OUT)
        elif len(packet.parts) == 1:
            sock.send(packet.parts[0], OUT)
        else:
            sock.sendmsg(packet.parts, (), OUT)
    except OSError as error:
        if error.errno in FOR_NOW:
            raise BlockingIOError(error.errno, error.strerror) from None
        raise


class Reader:
    """Room for the largest packet: what the last `read` put into `packet`."""

    __slots__ = ("packet", "room", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.packet = memoryview(bytearray(PACKET_MOST))
        self.room = [self.packet]

    def read(self) -> tuple[int, list[Fd]]:
        """The packet's size, 0 at the end, and its descriptors. Raises as recvmsg does."""
        size, ancillary, _, _ = self.sock.recvmsg_into(self.room, FDS_ROOM, IN)
        return size, received(ancillary) if ancillary else []


def received(ancillary: list[tuple[int, int, bytes]]) -> list[Fd]:
    fds: list[Fd] = []
    for level, kind, data in ancillary:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            numbers = array("i", data[: len(data) - len(data) % 4])
            fds += [Fd(number) for number in numbers]
    return fds
