"""What the kernel says of who connects, and what is made of it where it says nothing."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.transport.identity import (
    SO_PEERGROUPS,
    SO_PEERPIDFD,
    SO_PEERSEC,
    identify,
    ourselves,
)

GROUPS = tuple(sorted({os.getegid(), *os.getgroups()}))


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours


def test_of_a_real_socket(connection: socket.socket) -> None:
    found = identify(connection)
    assert (found.uid, found.pid, found.groups) == (os.geteuid(), os.getpid(), GROUPS)
    if found.pidfd is not None:  # Linux 6.5
        (pidfd,) = found.pidfd.numbers
        with open(f"/proc/self/fdinfo/{pidfd}") as info:
            assert f"Pid:\t{os.getpid()}\n" in info.read()
        assert not os.get_inheritable(pidfd)


def test_of_the_bus_itself() -> None:
    own = ourselves()
    assert (own.uid, own.pid, own.groups, own.pidfd) == (
        os.geteuid(),
        os.getpid(),
        GROUPS,
        None,
    )


class Kernel:
    """A socket whose options are these; OSError for the others."""

    def __init__(self, ucred: tuple[int, int, int] = (42, 1000, 100), **answers: bytes) -> None:
        self.answers = {
            socket.SO_PEERCRED: struct.pack("iII", *ucred),
            SO_PEERGROUPS: answers.get("groups"),
            SO_PEERPIDFD: answers.get("pidfd"),
            SO_PEERSEC: answers.get("label"),
        }

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert level == socket.SOL_SOCKET
        answer = self.answers[option]
        if answer is None or len(answer) > size:
            raise OSError
        return answer


def groups(*numbers: int) -> bytes:
    return struct.pack(f"{len(numbers)}I", *numbers)


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (Kernel(), (1000, 42, None, None, None)),
        (Kernel((0, 0, 0)), (0, None, None, None, None)),  # of another pid namespace
        (Kernel((42, 0xFFFFFFFF, 0)), (None, 42, None, None, None)),
        (Kernel((42, 2**31, 0)), (2**31, 42, None, None, None)),
        (Kernel(groups=groups()), (1000, 42, (100,), None, None)),
        (Kernel(groups=groups(7, 100, 3)), (1000, 42, (3, 7, 100), None, None)),
        (Kernel(groups=groups(*range(5000))), (1000, 42, tuple(range(5000)), None, None)),
        (Kernel(label=b"label"), (1000, 42, None, None, b"label\0")),
        (Kernel(label=b"label\0"), (1000, 42, None, None, b"label\0")),
        (Kernel(label=b"unconfined\n\0"), (1000, 42, None, None, b"unconfined\0")),
        (Kernel(label=b""), (1000, 42, None, None, None)),
    ],
)
def test_what_the_kernel_does_not_tell_is_not_known(kernel: Any, expected: Any) -> None:
    assert tuple(identify(kernel)) == expected


def test_nobody_is_served_without_a_uid() -> None:
    kernel: Any = Kernel()
    kernel.answers[socket.SO_PEERCRED] = None
    with pytest.raises(OSError):  # noqa: PT011 (whatever the kernel says)
        identify(kernel)
