"""Which socket is at the other end of a descriptor: asks the kernel (sock_diag(7)). It knows no
peers.
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, final

# Linux, include/uapi: netlink.h, sock_diag.h, unix_diag.h, asm-generic/socket.h.
NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
NLM_F_REQUEST: Final = 1
UDIAG_SHOW_PEER: Final = 4
UNIX_DIAG_PEER: Final = 2
SO_COOKIE: Final = 57

HEADER: Final = struct.Struct("=IHHII")  # size, type, flags, sequence, port
# Family, protocol, padding, states, inode, what is to be shown, cookie.
QUESTION: Final = struct.Struct("=BBHIII8s")
ANSWER: Final = struct.Struct("=BBBBI8s")  # family, type, state, padding, inode, cookie
ATTRIBUTE: Final = struct.Struct("=HH")
INODE: Final = struct.Struct("=I")
LONGEST: Final = 1024


@final
class OtherEnd:
    """Tells inodes: a socket keeps its own as long as anybody has it open.

    A socket of another network namespace, and any where the kernel does not answer, is unknown.
    """

    def __init__(self) -> None:
        self.sequence = 0
        self.kernel: socket.socket | None = None
        with suppress(OSError):
            kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self.kernel = socket.socket(socket.AF_NETLINK, kind, NETLINK_SOCK_DIAG)

    def close(self) -> None:
        if self.kernel is not None:
            self.kernel.close()

    def of(self, fd: int) -> tuple[int, int] | None:
        """The inodes of this socket and of its other end, 0 if the kernel names none. None if it is
        no socket of packets."""
        cookie = identity(fd)
        if cookie is None:
            return None
        inode = os.fstat(fd).st_ino
        try:
            return inode, self.ask(inode, cookie)
        except (OSError, struct.error):
            return inode, 0

    def ask(self, inode: int, cookie: bytes) -> int:
        """The kernel answers before sending returns. Raises OSError, struct.error."""
        if self.kernel is None:
            return 0
        self.sequence = (self.sequence + 1) & 0xFFFFFFFF
        every = 0xFFFFFFFF
        asked = QUESTION.pack(socket.AF_UNIX, 0, 0, every, inode, UDIAG_SHOW_PEER, cookie)
        size = HEADER.size + len(asked)
        head = HEADER.pack(size, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, self.sequence, 0)
        self.kernel.send(head + asked)
        while True:
            answer = self.kernel.recv(LONGEST)
            size, kind, _, sequence, _ = HEADER.unpack_from(answer)
            if sequence == self.sequence:
                break
        if kind != SOCK_DIAG_BY_FAMILY:
            return 0
        said = dict(attributes(answer[HEADER.size + ANSWER.size : size]))
        found: int = INODE.unpack(said.get(UNIX_DIAG_PEER, bytes(INODE.size)))[0]
        return found


def identity(fd: int) -> bytes | None:
    """What the kernel calls this socket, if it is one of packets: it never calls another so."""
    try:
        found = socket.socket(fileno=fd)
    except OSError:
        return None
    try:
        if (found.family, found.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
            return None
        return found.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8)
    except OSError:
        return None
    finally:
        found.detach()


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kinds and contents, each of them aligned at four bytes."""
    while len(data) >= ATTRIBUTE.size:
        size, kind = ATTRIBUTE.unpack_from(data)
        if size < ATTRIBUTE.size:
            return
        yield kind, data[ATTRIBUTE.size : size]
        data = data[(size + 3) & ~3 :]
