"""Who connects: asks the kernel once, when a connection is accepted. No name service."""

import os
import socket
import struct
from typing import Final

from bridge.routing.credentials import Credentials
from bus1.fds.descriptors import Descriptors

# Linux, include/uapi/asm-generic/socket.h; the socket module of Python 3.11 lacks these.
SO_PEERSEC: Final = 31
SO_PEERGROUPS: Final = 59
SO_PEERPIDFD: Final = 77

UCRED: Final = struct.Struct("iII")  # pid, uid, gid
UNKNOWN: Final = 0xFFFFFFFF  # (uid_t) -1
MOST_GROUPS: Final = 65536  # NGROUPS_MAX


def identify(connection: socket.socket) -> Credentials:
    """Credentials of the process that connected. Only what the kernel tells is in them.

    Raises OSError if even SO_PEERCRED fails: nobody is served without it.
    """
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
    pid, uid, gid = UCRED.unpack(raw)
    return Credentials(
        uid=None if uid == UNKNOWN else uid,
        pid=pid or None,
        groups=_groups(connection, gid),
        pidfd=_pidfd(connection),
        label=_label(connection),
    )


def ourselves() -> Credentials:
    """Credentials of the bus itself."""
    return Credentials(
        uid=os.geteuid(),
        pid=os.getpid(),
        groups=tuple(sorted({os.getegid(), *os.getgroups()})),
        label=_own_label(),
    )


def _groups(connection: socket.socket, primary: int) -> tuple[int, ...] | None:
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * 256)
    except OSError:
        try:  # more than 256: rare enough to ask twice
            raw = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * MOST_GROUPS)
        except OSError:
            return None
    return tuple(sorted({primary, *struct.unpack(f"{len(raw) // 4}I", raw)}))


def _pidfd(connection: socket.socket) -> Descriptors | None:
    # Fails where the kernel is older than 6.5 and where the process is gone already
    # (ESRCH, EINVAL, ENODATA); neither is a reason to refuse the client.
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4)
    except OSError:
        return None
    return Descriptors([int(struct.unpack("i", raw)[0])])


def _label(connection: socket.socket) -> bytes | None:
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, SO_PEERSEC, 4096)
    except OSError:
        return None
    return _closed(raw)


def _own_label() -> bytes | None:
    try:
        with open("/proc/self/attr/current", "rb") as file:
            return _closed(file.read())
    except OSError:
        return None


def _closed(label: bytes) -> bytes | None:
    """The label with exactly one closing NUL; None if there is none."""
    text = label.rstrip(b"\0\n")
    return text + b"\0" if text else None
