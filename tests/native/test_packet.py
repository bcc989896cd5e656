"""bus1.native.packet: whatever a process sends is a sequence of records, or Broken; descriptors end
where they belong; what the kernel does not take is kept."""

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus1.fds.descriptors import Descriptors
from bus1.native import packet as module
from bus1.native import words
from bus1.native.packet import Broken, Malformed, Packet
from bus1.native.socket import receive, send
from tests.native.desk import ids, record

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        here.setblocking(False)
        there.setblocking(False)
        yield here, there


@pytest.fixture(autouse=True)
def no_descriptor_stays_open() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= before


def pipe() -> int:
    """One end; the other is closed."""
    fd, other = os.pipe()
    os.close(other)
    return fd


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def records(packet: Packet) -> list[tuple[int, int, int, bytes]]:
    packet.check()
    found = []
    while packet.step():
        body = packet.payload(packet.left())
        found.append((packet.kind, packet.flags, packet.cookie, body))
    return found


def got(pair: Pair) -> Packet:
    packet = receive(pair[1].fileno())
    assert packet is not None
    return packet


def test_the_limits_are_the_protocol_s() -> None:
    assert (module.PACKET_MOST, module.FDS_MOST) == (words.PACKET_MOST, words.FDS_MOST)


def test_records_come_as_they_were_written(pair: Pair) -> None:
    packet = Packet()
    packet.begin(words.RESULT, 2, 0xFFFFFFFF, 21)
    packet.put32(7)
    packet.put64((1 << 64) - 1)
    packet.put32(0)
    packet.put(b"12345")
    packet.notice(words.NODE_GONE, 2, 3, 4, 5)
    assert send(pair[0].fileno(), packet)
    assert packet.size == 0
    came = got(pair)
    came.check()
    assert came.step()
    assert (came.kind, came.flags, came.cookie, came.fds) == (words.RESULT, 2, 0xFFFFFFFF, 0)
    assert (came.u32(), came.u64(), came.u32()) == (7, (1 << 64) - 1, 0)
    assert (came.left(), came.payload(5)) == (5, b"12345")
    assert came.step()
    assert [came.u64() for _ in range(4)] == [2, 3, 4, 5]
    assert not came.step()
    assert not came.step()


def test_nothing_there_and_the_end_are_told_apart(pair: Pair) -> None:
    assert receive(pair[1].fileno()) is None
    pair[0].close()
    assert got(pair).size == 0


def test_signed_numbers() -> None:
    packet = Packet(record(1, body=ids((1 << 64) - 1)))
    packet.step()
    assert packet.i64() == -1


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        bytes(15),
        record(1, size=15),
        record(1, size=0),
        record(1, size=17),
        record(1, size=0xFFFFFFFF),
        record(1, body=b"12345678")[:20],
        record(1) + b"1234567",
        record(1, fds=1),
        record(1, fds=0xFFFFFFFF) + record(1, fds=1),
        bytes(words.PACKET_MOST + 8),
        record(1, body=bytes(words.PACKET_MOST)),
    ],
)
def test_what_is_no_sequence_of_records_is_broken(data: bytes) -> None:
    packet = Packet(data)
    with pytest.raises(Broken):
        packet.check()


def test_the_last_record_needs_no_padding() -> None:
    data = record(1, body=b"123")
    assert records(Packet(data[:19])) == records(Packet(data)) == [(1, 0, 0, b"123")]


def test_a_packet_that_is_too_large_for_the_buffer_is_broken(pair: Pair) -> None:
    pair[0].send(record(1, body=bytes(words.PACKET_MOST)))
    with pytest.raises(Broken):
        got(pair).check()


def test_the_largest_packet(pair: Pair) -> None:
    data = record(1, body=bytes(words.PACKET_MOST - 16))
    pair[0].send(data)
    assert records(got(pair)) == [(1, 0, 0, data[16:])]


def test_descriptors_belong_to_records_in_order(pair: Pair) -> None:
    sent = [pipe() for _ in range(6)]
    inodes = [os.fstat(fd).st_ino for fd in sent]
    data = record(1, fds=2) + record(2) + record(3, fds=1) + record(4, fds=3)
    socket.send_fds(pair[0], [data], sent)
    for fd in sent:
        os.close(fd)
    came = got(pair)
    came.check()
    claimed = []
    while came.step():
        fds = came.descriptors()
        claimed.append([os.fstat(fd).st_ino for fd in fds.numbers] if fds else [])
    assert claimed == [inodes[:2], [], inodes[2:3], inodes[3:]]


def test_unclaimed_descriptors_are_closed_with_their_record() -> None:
    first, second, third = pipe(), pipe(), pipe()
    packet = Packet(record(1, fds=1) + record(2, fds=2), [first, second, third])
    packet.check()
    packet.step()
    assert packet.descriptor(0) == first
    with pytest.raises(Malformed):
        packet.descriptor(1)
    packet.step()
    assert [is_open(fd) for fd in (first, second, third)] == [False, True, True]
    claimed = packet.descriptors()
    assert packet.descriptors() is None
    del packet
    assert claimed is not None
    assert claimed.numbers == [second, third]
    assert is_open(third)
    del claimed
    assert not is_open(second)
    assert not is_open(third)


def test_descriptors_of_nobody_break_the_packet_and_are_closed() -> None:
    fd = pipe()
    packet = Packet(record(1), [fd])
    with pytest.raises(Broken):
        packet.check()
    del packet
    assert not is_open(fd)


def test_as_many_descriptors_as_the_kernel_takes(pair: Pair) -> None:
    fd = pipe()
    socket.send_fds(pair[0], [record(1, fds=253)], [fd] * 253)
    os.close(fd)
    came = got(pair)
    came.check()
    came.step()
    assert len(came.descriptors() or ()) == 253


def test_reading_beyond_the_record_is_refused() -> None:
    packet = Packet(record(1, body=b"1234567") + record(2, body=ids(1)))
    packet.step()
    for read in (packet.u64, packet.i64, lambda: packet.payload(8), lambda: packet.payload(-1)):
        with pytest.raises(Malformed):
            read()
    assert packet.payload(7) == b"1234567"
    with pytest.raises(Malformed):
        packet.u32()


def test_reading_what_was_not_checked_does_not_leave_the_packet() -> None:
    for data in (record(1, size=100), record(1, fds=3), record(1, size=3)):
        with pytest.raises(Broken):
            Packet(data).step()


@given(st.binary(max_size=200), st.lists(st.integers(0, 24), max_size=12))
def test_any_bytes_are_broken_or_can_be_read(data: bytes, reads: list[int]) -> None:
    packet = Packet(data)
    try:
        packet.check()
    except Broken:
        return
    total = 0
    while packet.step():
        for size in reads:
            try:
                packet.payload(size)
            except Malformed:
                assert size > packet.left()
        total += packet.payload(packet.left()).__len__() + 16
    assert total <= len(data)


@given(
    st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 3)), max_size=6),
    st.sampled_from((0, 0, 0, 1, 6)),
    st.data(),
)
def test_sequences_with_a_wrong_byte(
    parts: list[tuple[bytes, int]], extra: int, draw: st.DataObject
) -> None:
    data = bytearray(b"".join(record(1, body=body, fds=fds) for body, fds in parts))
    if data:
        at = draw.draw(st.integers(0, len(data) - 1))
        data[at] = draw.draw(st.integers(0, 255))
    fd = pipe()
    fds = [os.dup(fd) for _ in range(sum(fds for _, fds in parts) + extra)]
    packet = Packet(bytes(data), fds)
    kept = []
    try:
        packet.check()
        while packet.step():
            kept.append(packet.descriptors())
    except Broken:
        assert not kept
    del packet
    assert sum(len(each) for each in kept if each) == sum(is_open(each) for each in fds)
    kept.clear()
    assert not any(is_open(each) for each in fds)
    os.close(fd)


def test_room_is_exact() -> None:
    packet = Packet()
    assert packet.room(words.PACKET_MOST - 16, words.FDS_MOST)
    assert not packet.room(words.PACKET_MOST - 15, 0)
    assert not packet.room(0, words.FDS_MOST + 1)
    packet.begin(1, 0, 0, 1)
    packet.put(b"1")
    assert packet.room(words.PACKET_MOST - 24 - 16, 0)
    assert not packet.room(words.PACKET_MOST - 24 - 15, 0)
    packet.begin(1, 0, 0, words.PACKET_MOST - 24 - 16)
    packet.put(bytes(words.PACKET_MOST - 24 - 16))
    assert packet.size == words.PACKET_MOST
    assert not packet.room(0, 0)


def test_a_record_takes_just_what_it_was_begun_for() -> None:
    packet = Packet()
    packet.begin(1, 0, 0, 8)
    packet.put32(1)
    with pytest.raises(ValueError, match="more than the record takes"):
        packet.put64(1)
    with pytest.raises(ValueError, match="no room"):
        packet.begin(1, 0, 0, 8)  # before the first is complete
    packet.put32(1)
    with pytest.raises(ValueError, match="no room"):
        packet.begin(1, 0, 0, words.PACKET_MOST)


def test_padding_is_zero_whatever_was_there_before() -> None:
    packet = Packet()
    packet.begin(1, 0, 0, 32)
    packet.put(b"\xff" * 32)
    packet.clear()
    packet.begin(1, 0, 0, 1)
    packet.put(b"1")
    packet.begin(1, 0, 0, 0)
    assert packet.raw() == record(1, body=b"1") + record(1)


def test_two_packets_are_written_at_the_same_time() -> None:
    packets = [Packet(), Packet()]
    packets[0].begin(1, 0, 0, 8)
    packets[0].put32(1)
    packets[1].begin(2, 0, 0, 8)
    packets[1].put64(2)
    packets[0].put32(0)
    assert [packet.raw() for packet in packets] == [record(1, body=ids(1)), record(2, body=ids(2))]


def test_a_packet_that_came_is_kept_while_another_comes(pair: Pair) -> None:
    pair[0].send(record(1, body=b"first"))
    pair[0].send(record(2, body=b"second"))
    first, second = got(pair), got(pair)
    assert records(first) == [(1, 0, 0, b"first")]
    assert records(second) == [(2, 0, 0, b"second")]


def test_what_the_kernel_does_not_take_is_kept(pair: Pair) -> None:
    fd = pipe()
    inode = os.fstat(fd).st_ino
    while True:
        packet = Packet()
        packet.begin(1, 0, 0, 60000)
        packet.put(bytes(60000))
        if not send(pair[0].fileno(), packet):
            break
    kept = Packet()
    kept.begin(2, 0, 9, 5)
    kept.put(b"later")
    kept.attach(Descriptors([fd]), [fd])
    assert not send(pair[0].fileno(), kept)
    other = Packet()  # takes the buffer
    other.begin(3, 0, 0, 32)
    other.put(b"\xff" * 32)
    while receive(pair[1].fileno()) is not None:
        pass
    assert kept.fd_count == 1
    assert send(pair[0].fileno(), kept)
    assert not is_open(fd)
    came = got(pair)
    came.check()
    came.step()
    assert (came.kind, came.cookie, came.payload(5)) == (2, 9, b"later")
    assert os.fstat(came.descriptor(0)).st_ino == inode


def test_descriptors_go_with_their_record(pair: Pair) -> None:
    fds = Descriptors([pipe(), pipe()])
    packet = Packet()
    packet.notice(words.NODE_GONE, 1, 1, 1, 1)
    packet.notice(words.NODE_GONE, 1, 1, 1, 1)
    packet.attach(fds, fds.numbers)
    assert not packet.room(0, 252)
    assert packet.room(0, 251)
    with pytest.raises(ValueError, match="more descriptors"):
        packet.attach(fds, [0] * 252)
    inodes = [os.fstat(fd).st_ino for fd in fds.numbers]
    del fds
    assert send(pair[0].fileno(), packet)
    came = got(pair)
    came.check()
    came.step()
    assert came.fds == 0
    came.step()
    assert [os.fstat(came.descriptor(i)).st_ino for i in range(came.fds)] == inodes


def test_sending_to_nobody(pair: Pair) -> None:
    pair[1].close()
    packet = Packet()
    packet.notice(words.NODE_GONE, 1, 1, 1, 1)
    with pytest.raises(BrokenPipeError):
        send(pair[0].fileno(), packet)
    with pytest.raises(OSError, match="Bad file"):
        receive(-1)
