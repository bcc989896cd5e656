"""One recvmsg and one sendmsg: no byte and no descriptor is lost, doubled, or left open."""

from __future__ import annotations

import array
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from bridge.transport.socket import BATCH, Truncated, receive, send
from bridge.wire.build import build
from bridge.wire.frame import Frame, Framer

MOST_FDS = 253  # SCM_MAX_FD


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    before = os.listdir("/proc/self/fd")
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs
    assert os.listdir("/proc/self/fd") == before


@pytest.fixture
def ours(pair: tuple[socket.socket, socket.socket]) -> socket.socket:
    return pair[0]


@pytest.fixture
def theirs(pair: tuple[socket.socket, socket.socket]) -> socket.socket:
    return pair[1]


@pytest.fixture
def framer() -> Iterator[Framer]:
    framer = Framer(1 << 20, 1000)
    framer.stamp("org.freedesktop.DBus")
    yield framer
    framer.close()


def frame(number: int, size: int = 0, fds: int = 0) -> Frame:
    return build(
        4,
        serial=1 + number,
        path="/t",
        interface="t.T",
        member="S",
        signature="us",
        body=(number, "x" * size),
        fds=[os.dup(0) for _ in range(fds)],
    )


def sending(sock: socket.socket, data: bytes, fds: int = 0) -> None:
    rights = array.array("i", [0] * fds)
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if fds else [])


def received(sock: socket.socket) -> tuple[bytes, int]:
    """What one recvmsg gives: bytes, and how many descriptors."""
    data, control, _, _ = sock.recvmsg(1 << 20, socket.CMSG_SPACE(4 * MOST_FDS))
    fds = array.array("i")
    for _, _, rights in control:
        fds.frombytes(rights)
    for fd in fds:
        os.close(fd)
    return data, len(fds)


# -------------------------------------------------------------------------- receiving


def test_what_came_is_counted(ours: socket.socket, theirs: socket.socket, framer: Framer) -> None:
    assert receive(ours.fileno(), framer, True) == -1
    data = frame(7).raw()
    theirs.send(data)
    assert receive(ours.fileno(), framer, True) == len(data)
    taken = framer.take()
    assert taken is not None
    assert (taken.raw(), framer.take()) == (data, None)
    theirs.close()
    assert receive(ours.fileno(), framer, True) == 0


@pytest.mark.parametrize("takes", [True, False])
def test_a_connection_that_was_reset(
    ours: socket.socket, theirs: socket.socket, framer: Framer, takes: bool
) -> None:
    ours.send(b"unread")
    theirs.close()
    with pytest.raises(ConnectionResetError):
        receive(ours.fileno(), framer, takes)


@pytest.mark.parametrize("count", [1, 16, MOST_FDS])
def test_descriptors_come_with_their_message(
    ours: socket.socket, theirs: socket.socket, framer: Framer, count: int
) -> None:
    data = frame(7, fds=count).raw()
    sending(theirs, data, count)
    assert receive(ours.fileno(), framer, True) == len(data)
    assert len(framer.fds) == count
    assert not any(os.get_inheritable(fd) for fd in framer.fds)
    taken = framer.take()
    assert taken is not None
    assert taken.fd_count == count
    assert framer.fds == []


def test_descriptors_that_were_not_agreed_on_never_come(
    ours: socket.socket, theirs: socket.socket, framer: Framer
) -> None:
    before = os.listdir("/proc/self/fd")
    sending(theirs, frame(7).raw(), 5)
    assert receive(ours.fileno(), framer, False) > 0
    assert (framer.fds, os.listdir("/proc/self/fd")) == ([], before)


def test_descriptors_of_one_part_only(
    ours: socket.socket, theirs: socket.socket, framer: Framer
) -> None:
    """Those of the first part stay; those of later ones are repetitions, but not those that
    come with bytes beyond the message."""
    data = frame(7, fds=2).raw()
    for part in (data[:1], data[1:50], data[50:]):
        sending(theirs, part, 2)
        receive(ours.fileno(), framer, True)
        assert len(framer.fds) == 2
    sending(theirs, data[:50], 2)
    receive(ours.fileno(), framer, True)
    assert framer.take() is not None
    sending(theirs, data[50:])
    sending(theirs, data, 2)
    receive(ours.fileno(), framer, True)
    for _ in range(2):
        taken = framer.take()
        assert taken is not None
        assert taken.fd_count == 2
    assert (framer.take(), framer.fds) == (None, [])


def test_descriptors_of_broken_bytes_are_closed_with_them(
    ours: socket.socket, theirs: socket.socket, framer: Framer
) -> None:
    before = os.listdir("/proc/self/fd")
    sending(theirs, b"\0", 2)
    receive(ours.fileno(), framer, True)
    sending(theirs, b"\0" * 20, 2)
    receive(ours.fileno(), framer, True)
    framer.close()
    assert os.listdir("/proc/self/fd") == before


def test_no_room_for_descriptors_ends_it_and_leaves_none_open(
    ours: socket.socket, theirs: socket.socket, framer: Framer
) -> None:
    """One recvmsg has room for all that the kernel lets through; what is short are numbers.
    The kernel says MSG_CTRUNC then (CVE-2020-12049)."""
    sending(theirs, frame(7, fds=10).raw(), 10)
    before = os.listdir("/proc/self/fd")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [number for number in range(1000) if str(number) not in before]
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[5], hard))
    try:
        with pytest.raises(Truncated):
            receive(ours.fileno(), framer, True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert framer.fds == []
    assert os.listdir("/proc/self/fd") == before


# ---------------------------------------------------------------------------- sending


@pytest.mark.parametrize("sizes", [[0], [0, 600, 0], [0] * BATCH, [511, 512, 513] * 20, [3000] * 9])
@pytest.mark.parametrize("offset", [0, 1, 50])
def test_frames_leave_in_order_from_the_offset_on(
    ours: socket.socket, theirs: socket.socket, sizes: list[int], offset: int
) -> None:
    frames = [frame(number, size) for number, size in enumerate(sizes)]
    expected = b"".join(each.raw() for each in frames)[offset:]
    assert send(ours.fileno(), frames, offset) == len(expected)
    assert theirs.recv(1 << 20) == expected


def test_nothing_to_send(ours: socket.socket) -> None:
    assert send(ours.fileno(), [], 0) == 0


def test_one_sendmsg_takes_no_more_than_a_batch(ours: socket.socket, theirs: socket.socket) -> None:
    frames = [frame(number) for number in range(BATCH + 10)]
    count = send(ours.fileno(), frames, 0)
    assert 0 < count <= sum(each.size for each in frames)
    assert theirs.recv(1 << 20) == b"".join(each.raw() for each in frames)[:count]


@pytest.mark.parametrize(
    ("fds", "first", "with_it"),
    [
        ([1, 0, 0], 1, 1),  # it leaves alone
        ([0, 0, 3, 0], 2, 0),  # it begins a write of its own
        ([2, 2], 1, 2),
        ([MOST_FDS], 1, MOST_FDS),
    ],
)
def test_a_frame_with_descriptors_leaves_alone(
    ours: socket.socket, theirs: socket.socket, fds: list[int], first: int, with_it: int
) -> None:
    frames = [frame(number, fds=count) for number, count in enumerate(fds)]
    expected = b"".join(each.raw() for each in frames[:first])
    assert send(ours.fileno(), frames, 0) == len(expected)
    assert received(theirs) == (expected, with_it)


def test_descriptors_leave_with_the_first_byte_only(
    ours: socket.socket, theirs: socket.socket
) -> None:
    frames = [frame(7, fds=2)]
    assert send(ours.fileno(), frames, 10) == frames[0].size - 10
    assert received(theirs) == (frames[0].raw()[10:], 0)


def test_more_descriptors_than_the_kernel_takes(ours: socket.socket) -> None:
    with pytest.raises(ValueError, match="more file descriptors"):
        send(ours.fileno(), [frame(7, fds=MOST_FDS + 1)], 0)


def test_a_full_socket_takes_what_it_can_and_then_nothing(
    ours: socket.socket, theirs: socket.socket
) -> None:
    """Fed back as the offset, the counts give every byte once."""
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    one = frame(7, 100_000)
    count = send(ours.fileno(), [one], 0)
    assert 0 < count < one.size
    sent, data = count, b""
    while sent < one.size:
        count = send(ours.fileno(), [one], sent)
        if count == -1:
            data += theirs.recv(1 << 20)
        else:
            sent += count
    data += theirs.recv(1 << 20)
    while len(data) < one.size:
        data += theirs.recv(1 << 20)
    assert data == one.raw()


def test_nobody_reads_any_more(ours: socket.socket, theirs: socket.socket) -> None:
    """An error, not a signal that ends the bus."""
    theirs.close()
    with pytest.raises(BrokenPipeError):
        send(ours.fileno(), [frame(7)], 0)
