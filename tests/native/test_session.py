"""bus1.native.session: every request, every error, every notice, and what is written when.

Beside what each test says, `Program.ask` makes sure that a request that fails has changed nothing.
"""

import errno
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus1 import Limits, Peer
from bus1.native import words
from bus1.native.memfd import SEALS, seal
from bus1.native.packet import Broken, Packet
from bus1.native.parcel import inline, of_bytes
from bus1.native.session import Session
from tests.native.desk import Data, House, Notice, Program, Result, ids, letter, read, record

KEEP = struct.pack(words.LIMITS_FORMAT, -1, -1, -1, -1)


@pytest.fixture
def house() -> Iterator[House]:
    """When all have left, nothing is charged to anybody."""
    house = House()
    yield house
    for peer in {*house.peers.values(), *(program.peer for program in house.programs)}:
        if not peer.queue.closed:
            peer.close()
    assert not house.bus.users


@pytest.fixture
def a(house: House) -> Program:
    return house.program()


@pytest.fixture
def b(house: House) -> Program:
    return house.program(7)


@pytest.fixture(autouse=True)
def no_descriptor_stays_open() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.fixture
def file() -> Iterator[int]:
    fd = os.open("/dev/null", os.O_RDONLY)
    yield fd
    os.close(fd)


def fails(result: Result, error: int) -> None:
    assert errno.errorcode[result.error] == errno.errorcode[error]
    assert (result.values, result.stamp) == ([], 0)
    assert result.payload.decode()


def road(sender: Program, receiver: Program) -> tuple[int, int]:
    """A node of the receiver's, and the sender's handle to it."""
    node, handle = receiver.create()
    there = receiver.give(handle, sender)
    receiver.do(words.RELEASE, ids(handle))
    return node, there


# ------------------------------------------------------------------------ nodes and handles


def test_create(a: Program) -> None:
    assert a.do(words.CREATE).values == [1]
    assert a.do(words.CREATE, flags=words.WITH_HANDLE).values == [2, 3]
    assert list(a.peer.nodes) == [1, 2]
    assert a.peer.handles[3].node is a.peer.nodes[2]


def test_create_beyond_the_quota(a: Program) -> None:
    limits = struct.pack(words.LIMITS_FORMAT, -1, -1, 2, -1)
    a.do(words.RESET, limits)
    a.do(words.CREATE)
    fails(a.ask(words.CREATE, flags=words.WITH_HANDLE), errno.EDQUOT)
    a.do(words.CREATE)
    fails(a.ask(words.CREATE), errno.EDQUOT)


def test_handle(a: Program, b: Program) -> None:
    node, there = road(a, b)
    (handle,) = b.do(words.HANDLE, ids(node)).values
    assert b.peer.handles[handle].node is b.peer.nodes[node]
    fails(b.ask(words.HANDLE, ids(99)), errno.ENXIO)
    fails(b.ask(words.HANDLE, ids(handle)), errno.ENXIO)
    fails(a.ask(words.HANDLE, ids(there)), errno.EREMOTE)


def test_transfer_within_and_to_another(house: House, a: Program, b: Program, file: int) -> None:
    house.peers[os.fstat(file).st_ino] = b.peer
    _, handle = a.create()
    (again,) = a.do(words.TRANSFER, ids(handle)).values
    (there,) = a.do(words.TRANSFER, ids(handle), fds=[file]).values
    assert a.peer.handles[again].node is b.peer.handles[there].node
    assert handle in a.peer.handles


def test_transfer_moves_what_is_one_shot(house: House, a: Program, b: Program, file: int) -> None:
    house.peers[os.fstat(file).st_ino] = b.peer
    node, _ = a.create()
    once = a.peer.once(a.peer.nodes[node], a.peer, 5).id
    (there,) = a.do(words.TRANSFER, ids(once), fds=[file]).values
    assert once not in a.peer.handles
    assert b.peer.handles[there].once


def test_transfers_that_are_refused(house: House, a: Program, b: Program, file: int) -> None:
    _, handle = a.create()
    fails(a.ask(words.TRANSFER, ids(99)), errno.ENXIO)
    fails(a.ask(words.TRANSFER, ids(handle), fds=[file]), errno.EOPNOTSUPP)
    fails(a.ask(words.TRANSFER, ids(handle), fds=[file, file]), errno.EINVAL)
    house.peers[os.fstat(file).st_ino] = b.peer
    node, there = road(a, b)
    b.do(words.DESTROY, ids(node))
    fails(a.ask(words.TRANSFER, ids(there)), errno.ESTALE)
    b.peer.close()
    fails(a.ask(words.TRANSFER, ids(handle), fds=[file]), errno.ESHUTDOWN)


def test_release_of_any_mix_is_one_event(a: Program, b: Program) -> None:
    first, there = road(b, a)
    second, handle = a.create()
    third, mine = road(a, b)
    stamp = a.do(words.RELEASE, ids(mine, first, handle)).stamp
    assert list(a.peer.nodes) == [second]
    assert not a.peer.handles
    number = a.peer.number
    assert b.read() == [
        Notice(words.NO_HANDLES_LEFT, stamp, number, third, 0),
        Notice(words.NODE_GONE, stamp, number, there, 0),
    ]
    assert a.read() == [Notice(words.NO_HANDLES_LEFT, stamp, number, second, 0)]


def test_release_that_is_refused(a: Program) -> None:
    node, handle = a.create()
    fails(a.ask(words.RELEASE, ids(node, handle, 99)), errno.ENXIO)
    fails(a.ask(words.RELEASE, ids(handle, handle)), errno.ENOTUNIQ)
    fails(a.ask(words.RELEASE, ids(handle) + b"x"), errno.EINVAL)


def test_destroy(a: Program, b: Program) -> None:
    one, there = road(b, a)
    other, _ = a.create()
    stamp = a.do(words.DESTROY, ids(one, other)).stamp
    assert not a.peer.nodes
    assert b.read() == [Notice(words.NODE_GONE, stamp, a.peer.number, there, 0)]
    assert there in b.peer.handles


def test_destroy_that_is_refused(a: Program, b: Program) -> None:
    node, handle = a.create()
    _, foreign = road(a, b)
    fails(a.ask(words.DESTROY, ids(node, foreign)), errno.EREMOTE)
    fails(a.ask(words.DESTROY, ids(node, handle)), errno.ENXIO)
    fails(a.ask(words.DESTROY, ids(node, node)), errno.ENOTUNIQ)
    a.do(words.DESTROY, ids(node))
    fails(a.ask(words.DESTROY, ids(node)), errno.ENXIO)


# -------------------------------------------------------------------------------- messages


def test_send(a: Program, b: Program) -> None:
    node, to = road(a, b)
    result = a.send([to], b"hello")
    assert result.error == 0
    (message,) = b.messages()
    assert message[:6] == (result.stamp, a.peer.number, node, 0, 0, 1000)
    assert message[6:10] == ([], b"hello", 5, 0)
    assert b.peer.query().bytes == b.peer.query().messages == 0


def test_sender_and_process_are_told(a: Program, b: Program) -> None:
    _, to = road(b, a)
    b.send([to])
    (message,) = a.messages()
    assert (message.sender, message.uid, message.pid) == (b.peer.number, 7, 1007)


def test_multicast_is_one_event_and_more_follows(a: Program, b: Program) -> None:
    first, one = road(a, b)
    second, two = road(a, b)
    mine, own = road(a, a)
    stamp = a.send([one, own, two], b"x").stamp
    assert [(m.stamp, m.node, m.flags) for m in b.messages()] == [
        (stamp, first, words.MORE),
        (stamp, second, 0),
    ]
    assert [(m.stamp, m.node, m.flags) for m in a.messages()] == [(stamp, mine, 0)]


def test_all_receivers_of_a_multicast_share_the_payload(a: Program, b: Program) -> None:
    targets = [road(a, b)[1] for _ in range(3)]
    a.send(targets, b"payload")
    messages = [b.peer.receive() for _ in range(3)]
    assert len({id(message.payload) for message in messages if message}) == 1


def test_destinations_that_are_refused(a: Program, b: Program) -> None:
    _, to = road(a, b)
    gone, stale = road(a, b)
    b.do(words.DESTROY, ids(gone))
    fails(a.send([]), errno.EINVAL)
    fails(a.send([99]), errno.ENXIO)
    fails(a.send([to, 99], flags=words.CONTINUE), errno.ENXIO)
    fails(a.send([stale]), errno.ESTALE)
    fails(a.send([to, stale]), errno.ESTALE)
    fails(a.send([to, to]), errno.ENOTUNIQ)
    (again,) = a.do(words.TRANSFER, ids(to)).values
    fails(a.send([to, again], flags=words.CONTINUE), errno.ENOTUNIQ)
    fails(a.send([to] * 4097), errno.EMSGSIZE)


def test_the_most_destinations(a: Program, b: Program) -> None:
    nodes = [b.peer.create() for _ in range(words.DESTINATIONS_MOST)]
    targets = [b.peer.transfer(b.peer.handle(node), a.peer).id for node in nodes]
    assert a.send(targets).error == 0
    assert b.peer.query().messages == words.DESTINATIONS_MOST


def test_who_cannot_take_it_fails_the_whole_or_is_named(house: House, a: Program) -> None:
    roads = [road(a, house.program(uid)) for uid in (1, 2, 3)]
    gone, full, fine = house.programs[1:]
    gone.do(words.DESTROY, ids(roads[0][0]))
    full.do(words.RESET, struct.pack(words.LIMITS_FORMAT, 4, -1, -1, -1))
    targets = [there for _, there in roads]
    fails(a.send(targets[1:], b"12345"), errno.EDQUOT)
    result = a.send(targets, b"12345", flags=words.CONTINUE)
    assert result.values == [0, errno.ESTALE, 1, errno.EDQUOT]
    assert not full.messages()
    assert [m.stamp for m in fine.messages()] == [result.stamp]
    alone = a.send(targets[:1], b"12345", flags=words.CONTINUE)
    assert (alone.error, alone.values) == (0, [0, errno.ESTALE])


def test_handles_go_along(a: Program, b: Program) -> None:
    """One that is held is copied; of one's own node the receiver gets one."""
    _, to = road(a, b)
    node, held = a.create()
    a.send([to], carried=[(words.CARRY_HANDLE, held, 0), (words.CARRY_NODE, node, 0)])
    (message,) = b.messages()
    (copy, zero), (new, flags) = message.handles
    assert zero == flags == 0
    assert held in a.peer.handles
    for handle in (copy, new):
        b.send([handle], b"back")
    assert [m.node for m in a.messages()] == [node, node]
    assert a.peer.nodes[node].count == 3


def test_one_shot_handles_go_along_once(a: Program, b: Program) -> None:
    _, to = road(a, b)
    node = a.do(words.CREATE).values[0]
    a.send([to], carried=[(words.CARRY_ONCE, node, 77)])
    (message,) = b.messages()
    ((once, flag),) = message.handles
    assert flag == words.ONE_SHOT
    stamp = b.send([once], b"answer").stamp
    fails(b.send([once], b"again"), errno.ENXIO)
    (answer,) = a.messages()
    assert (answer.stamp, answer.node, answer.cookie) == (stamp, node, 77)
    assert answer.flags == words.ONCE


def test_one_shot_handle_that_was_given_moves_on(a: Program, b: Program, house: House) -> None:
    _, to = road(a, b)
    node = a.do(words.CREATE).values[0]
    a.send([to], carried=[(words.CARRY_ONCE, node, 0)])
    ((once, _),) = b.messages()[0].handles
    c = house.program()
    _, on = road(b, c)
    b.send([on], carried=[(words.CARRY_HANDLE, once, 0)])
    assert once not in b.peer.handles
    c.send([c.messages()[0].handles[0][0]])
    (answer,) = a.messages()
    assert (answer.flags, answer.cookie, answer.sender) == (words.ONCE, 0, c.peer.number)


def test_a_node_for_many(a: Program, b: Program, house: House) -> None:
    c = house.program()
    targets = [road(a, b)[1], road(a, c)[1]]
    node = a.do(words.CREATE).values[0]
    a.send(targets, carried=[(words.CARRY_NODE, node, 0)])
    for program in (b, c):
        ((handle, _),) = program.messages()[0].handles
        program.send([handle])
    assert len(a.messages()) == 2


def test_what_cannot_go_along(a: Program, b: Program) -> None:
    _, to = road(a, b)
    _, other = road(a, b)
    node, _ = a.create()
    once = a.peer.once(a.peer.nodes[node], a.peer, 5).id
    new = (words.CARRY_NODE, node, 0)
    fails(a.send([to], carried=[new, (words.CARRY_HANDLE, 99, 0)]), errno.ENXIO)
    fails(a.send([to], carried=[new, (words.CARRY_HANDLE, node, 0)]), errno.ENXIO)
    fails(a.send([to], carried=[new, (words.CARRY_NODE, 99, 0)]), errno.ENXIO)
    fails(a.send([to], carried=[new, (words.CARRY_ONCE, to, 0)]), errno.EREMOTE)
    fails(a.send([to], carried=[new, (3, node, 0)]), errno.EINVAL)
    fails(a.send([to], carried=[(words.CARRY_HANDLE, once, 0)] * 2), errno.ENOTUNIQ)
    fails(a.send([once], carried=[(words.CARRY_HANDLE, once, 0)]), errno.ENOTUNIQ)
    fails(a.send([to, other], carried=[(words.CARRY_HANDLE, once, 0)]), errno.ENOTUNIQ)
    fails(a.send([to, other], carried=[(words.CARRY_ONCE, node, 0)]), errno.ENOTUNIQ)
    fails(a.send([to], carried=[new] * 1025), errno.EMSGSIZE)
    fails(a.send([to] * 1025, carried=[new] * 16), errno.EMSGSIZE)
    fails(a.send([to] * 1024, carried=[new] * 16), errno.ENOTUNIQ)
    assert a.send([to], carried=[new] * 1024).error == 0
    whole, transfer = letter([to], carried=[new]), struct.pack(words.TRANSFER_FORMAT, 1, 0, node, 0)
    assert whole.endswith(transfer)
    wrong = struct.pack(words.TRANSFER_FORMAT, 1, 1, node, 0)
    fails(a.ask(words.SEND, whole.replace(transfer, wrong)), errno.EINVAL)


def test_what_was_offered_in_a_send_that_failed_never_was(a: Program, b: Program) -> None:
    """Neither does the node count it, nor is its one-shot handle reported as dropped."""
    gone, stale = road(a, b)
    b.do(words.DESTROY, ids(gone))
    node, handle = a.create()
    a.do(words.RELEASE, ids(handle))
    carried = [(words.CARRY_NODE, node, 0), (words.CARRY_ONCE, node, 9)]
    assert a.send([stale], b"", carried, words.CONTINUE).values == [0, errno.ESTALE]
    fails(a.send([stale], b"", carried), errno.ESTALE)
    (left,) = [each for each in a.read() if each.kind != words.NODE_GONE]
    assert (left.kind, left.about) == (words.NO_HANDLES_LEFT, node)


def test_a_handle_whose_node_is_gone_arrives_as_none(a: Program, b: Program, house: House) -> None:
    c = house.program()
    _, to = road(a, b)
    gone, stale = road(a, c)
    c.do(words.DESTROY, ids(gone))
    a.send([to], carried=[(words.CARRY_HANDLE, stale, 0)])
    assert b.messages()[0].handles == [(0, 0)]


def test_notices_of_nodes_and_handles(a: Program, b: Program) -> None:
    node, to = road(a, b)
    assert b.do(words.RELEASE).error == 0
    stamp = a.do(words.RELEASE, ids(to)).stamp
    assert b.read() == [Notice(words.NO_HANDLES_LEFT, stamp, a.peer.number, node, 0)]
    (own,) = b.do(words.HANDLE, ids(node)).values
    once = b.peer.once(b.peer.nodes[node], a.peer, 88).id
    stamp = a.do(words.RELEASE, ids(once)).stamp
    assert b.read() == [Notice(words.ONCE_DROPPED, stamp, a.peer.number, node, 88)]
    there = b.give(own, a)
    once = b.peer.once(b.peer.nodes[node], a.peer, 99).id
    b.peer.close()
    gone = {each[3:]: each for each in a.read()}
    assert set(gone) == {(there, 0), (once, 99)}
    assert {each.kind for each in gone.values()} == {words.NODE_GONE}


def test_no_handles_left_is_withdrawn_by_another_one(a: Program, b: Program) -> None:
    node, to = road(a, b)
    _, back = road(b, a)
    a.do(words.RELEASE, ids(to))
    b.send([back], carried=[(words.CARRY_NODE, node, 0)])
    assert b.read() == []
    a.messages()
    a.peer.close()
    kinds = [each.kind for each in b.read()]
    assert sorted(kinds) == [words.NODE_GONE, words.NO_HANDLES_LEFT]


# ------------------------------------------------------------------ descriptors and memfds


def test_descriptors_go_along_in_order(a: Program, b: Program, file: int) -> None:
    _, to = road(a, b)
    other = os.open("/dev/zero", os.O_RDONLY)
    a.send([to], b"x", fds=[file, other, file])
    inodes = [os.fstat(fd).st_ino for fd in (file, other, file)]
    os.close(other)
    assert b.peer.query().fds == 3
    (message,) = b.messages()
    assert [os.fstat(fd).st_ino for fd in message.fds.numbers] == inodes
    assert b.peer.query().fds == 0


def test_descriptors_of_many_messages_in_one_packet(a: Program, b: Program, file: int) -> None:
    _, to = road(a, b)
    for count in (100, 153, 1):
        a.send([to], fds=[file] * count)
    packets = []
    while b.session.fill(packet := Packet()):
        packets.append([len(message.fds) for message in read(packet)])
    assert packets == [[100, 153], [1]]


@pytest.mark.parametrize("size", [1, 4096, 65537, 1 << 20])
def test_memfd(a: Program, b: Program, size: int) -> None:
    roads = [road(a, b)[1] for _ in range(2)]
    content = os.urandom(size)
    fd = seal(content)
    body = letter(roads, size=size)
    a.do(words.SEND, body, words.MEMFD, [fd])
    assert b.peer.query().bytes == 2 * size
    for message in b.messages():
        assert (message.flags & words.MEMFD, message.size, len(message.fds)) == (2, size, 1)
        there = message.fds.numbers[0]
        assert os.fstat(there).st_ino == os.fstat(fd).st_ino
        with mmap.mmap(there, size, prot=mmap.PROT_READ) as pages:
            assert pages[:] == content
    os.close(fd)


def test_memfd_with_other_descriptors(a: Program, b: Program, file: int) -> None:
    _, to = road(a, b)
    fd = seal(b"12345")
    a.do(words.SEND, letter([to], size=3), words.MEMFD, [fd, file])
    assert b.peer.query().bytes == 5  # what it keeps in memory
    (message,) = b.messages()
    assert (message.size, len(message.fds)) == (3, 2)
    os.close(fd)


def memfd(seals: int = SEALS, size: int = 8, mode: int = os.O_RDWR) -> int:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.write(fd, bytes(size))
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    if mode == os.O_RDWR:
        return fd
    again = os.open(f"/proc/self/fd/{fd}", mode)
    os.close(fd)
    return again


@pytest.mark.parametrize(
    "make",
    [
        lambda: memfd(size=7),
        lambda: memfd(0),
        lambda: memfd(fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW),
        lambda: memfd(fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW),
        lambda: memfd(fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK),
        lambda: memfd(0x10 | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW),  # F_SEAL_FUTURE_WRITE
        lambda: memfd(mode=os.O_WRONLY),
        lambda: memfd(mode=os.O_PATH),
        lambda: os.open("/dev/zero", os.O_RDONLY),
        lambda: os.open(__file__, os.O_RDONLY),
    ],
)
def test_a_payload_that_could_change_or_is_not_there_is_refused(
    a: Program, b: Program, make: "type[int]"
) -> None:
    _, to = road(a, b)
    fd = make()
    new = (words.CARRY_NODE, a.do(words.CREATE).values[0], 0)
    fails(a.ask(words.SEND, letter([to], b"", [new], 8), words.MEMFD, [fd]), errno.EINVAL)
    os.close(fd)


def test_memfd_that_is_missing_or_beside_the_payload(a: Program, b: Program) -> None:
    _, to = road(a, b)
    fails(a.ask(words.SEND, letter([to], size=8), words.MEMFD), errno.EBADF)
    fd = memfd()
    fails(a.ask(words.SEND, letter([to], bytes(8)), words.MEMFD, [fd]), errno.EINVAL)
    fails(a.ask(words.SEND, letter([to], size=1 << 63), words.MEMFD, [fd]), errno.EMSGSIZE)
    os.close(fd)


def test_the_largest_payload_that_is_no_memfd(a: Program, b: Program) -> None:
    _, to = road(a, b)
    fails(a.send([to], bytes(words.INLINE_MOST + 1)), errno.EMSGSIZE)
    content = os.urandom(words.INLINE_MOST)
    a.send([to], content)
    assert [m.payload for m in b.messages()] == [content]


def test_the_largest_message_fits_in_one_packet(a: Program, b: Program, file: int) -> None:
    _, to = road(a, b)
    new = (words.CARRY_NODE, a.do(words.CREATE).values[0], 0)
    # A request with all of it is larger than a packet: so this is more than can be sent.
    handles = [a.peer.offer(a.peer.nodes[new[1]])] * words.TRANSFERS_MOST
    payload = inline(bytes(words.INLINE_MOST), 0, 0)
    a.peer.send(a.peer.handles[to], payload, payload.size, None, 0, handles)
    (message,) = b.messages()
    assert (len(message.handles), message.size) == (1024, words.INLINE_MOST)


def test_what_no_packet_takes_ends_the_connection(a: Program, b: Program) -> None:
    """Nobody can send it; if somebody could, the receiver would wait for ever."""
    _, to = road(a, b)
    payload = inline(bytes(words.PACKET_MOST), 0, 0)
    a.peer.send(a.peer.handles[to], payload, payload.size)
    with pytest.raises(Broken):
        b.read()


@pytest.mark.parametrize("size", [0, words.INLINE_MOST, words.INLINE_MOST + 1])
def test_parcels_from_elsewhere(a: Program, b: Program, size: int) -> None:
    """What the bridge sends: bytes, in a memfd if there are many."""
    _, to = road(a, b)
    content = os.urandom(size)
    parcel, fds = of_bytes(content, 3, 4)
    a.peer.send(a.peer.handles[to], parcel, size, fds, len(fds or ()))
    del fds
    (message,) = b.messages()
    assert (message.uid, message.pid, message.size) == (3, 4, size)
    assert bool(message.flags & words.MEMFD) == (size > words.INLINE_MOST)
    if message.flags & words.MEMFD:
        assert os.pread(message.fds.numbers[0], size, 0) == content
        assert fcntl.fcntl(message.fds.numbers[0], fcntl.F_GET_SEALS) & SEALS == SEALS
    else:
        assert message.payload == content


# ----------------------------------------------------------------------- seeds and the rest


def test_seed_is_read_any_number_of_times(a: Program, b: Program) -> None:
    assert a.do(words.SEED)[2:6] == ([], 0, b"", 0)
    node, handle = a.create()
    _, held = road(a, b)
    carried = [(words.CARRY_NODE, node, 0), (words.CARRY_HANDLE, held, 0)]
    a.do(words.SET_SEED, letter([], b"seed", carried))
    first, second = a.do(words.SEED), a.do(words.SEED)
    assert first.payload == second.payload == b"seed"
    assert len({*first.values, *second.values, handle, held}) == 6
    assert a.peer.handles[first.values[0]].node is a.peer.nodes[node]
    assert a.peer.handles[first.values[1]].node is a.peer.handles[held].node


def test_seed_with_a_memfd_and_what_is_gone(a: Program, b: Program, file: int) -> None:
    node, held = road(a, b)
    fd = seal(bytes(100000))
    body = letter([], carried=[(words.CARRY_HANDLE, held, 0)], size=100000)
    a.do(words.SET_SEED, body, words.MEMFD, [fd, file])
    b.do(words.DESTROY, ids(node))
    for _ in range(2):
        seed = a.do(words.SEED)
        assert (seed.values, seed.size, seed.flags) == ([0], 100000, words.MEMFD)
        assert [os.fstat(each).st_ino for each in seed.fds.numbers] == [
            os.fstat(each).st_ino for each in (fd, file)
        ]
    os.close(fd)


def test_seed_that_is_refused(a: Program, b: Program) -> None:
    node, handle = a.create()
    once = (words.CARRY_ONCE, node, 1)
    fails(a.ask(words.SET_SEED, letter([], b"", [once])), errno.EINVAL)
    fails(a.ask(words.SET_SEED, letter([handle])), errno.EINVAL)
    fails(a.ask(words.SET_SEED, letter([], b"", [(0, 99, 0)])), errno.ENXIO)
    fails(a.ask(words.SET_SEED, letter([], size=5)), errno.EINVAL)
    fails(a.ask(words.SET_SEED, letter([], size=5), words.MEMFD), errno.EBADF)
    a.do(words.RESET, struct.pack(words.LIMITS_FORMAT, 3, -1, -1, -1))
    fails(a.ask(words.SET_SEED, letter([], b"four")), errno.EDQUOT)


def test_query(a: Program, b: Program) -> None:
    a.create()
    _, to = road(b, a)
    b.send([to], b"12345")
    limits = Limits()
    most = [limits.bytes, limits.messages, limits.handles, limits.fds]
    assert a.do(words.QUERY).values == [*most, 5, 1, 3, 0, 2, 1]


def test_reset_lowers_and_raises_limits(a: Program) -> None:
    most = a.do(words.QUERY).values[:4]
    a.do(words.RESET, struct.pack(words.LIMITS_FORMAT, 10, -1, 0, 3))
    assert a.do(words.QUERY).values[:4] == [10, most[1], 0, 3]
    a.do(words.RESET, KEEP)
    assert a.do(words.QUERY).values[:4] == [10, most[1], 0, 3]
    a.do(words.RESET, struct.pack(words.LIMITS_FORMAT, *most))
    assert a.do(words.QUERY).values[:4] == most
    for wrong in (-2, most[0] + 1, 1 << 62):
        limits = struct.pack(words.LIMITS_FORMAT, wrong, -1, -1, -1)
        fails(a.ask(words.RESET, limits), errno.EINVAL)


def test_flush(a: Program, b: Program) -> None:
    _, to = road(b, a)
    kept, _ = a.create()
    road(a, b)
    a.do(words.SET_SEED, letter([], b"seed", [(words.CARRY_NODE, kept, 0)]))
    b.send([to], b"lost")
    a.do(words.RESET, KEEP, words.FLUSH)
    assert list(a.peer.nodes) == [kept]
    assert not a.peer.handles
    assert a.messages() == []
    assert {each.kind for each in b.read()} == {words.NODE_GONE, words.NO_HANDLES_LEFT}
    assert a.do(words.SEED).payload == b"seed"
    a.do(words.RESET, KEEP, words.FLUSH_SEED)
    assert a.do(words.SEED).payload == b""


def test_a_new_peer_with_its_seed(house: House, a: Program, b: Program) -> None:
    node, _ = a.create()
    _, to = road(a, b)
    carried = [(words.CARRY_NODE, node, 0), (words.CARRY_HANDLE, to, 0)]
    result = a.do(words.PEER, letter([], b"start", carried))
    peer = house.peer_of(result.fds.numbers[0])
    assert peer is not None
    assert peer.user is a.peer.user
    new = Program(house, 0, peer)
    assert not peer.handles
    seed = new.do(words.SEED)
    assert seed.payload == b"start"
    new.send([seed.values[0]], b"here I am")
    (message,) = a.messages()
    assert (message.node, message.sender) == (node, peer.number)


def test_a_new_peer_is_given_descriptors(house: House, a: Program, file: int) -> None:
    fd = seal(b"seed")
    made = a.do(words.PEER, letter(size=4), words.MEMFD, [fd, file])
    os.close(fd)
    seed = Program(house, 0, house.peer_of(made.fds.numbers[0])).do(words.SEED)
    assert os.pread(seed.fds.numbers[0], 9, 0) == b"seed"
    assert os.fstat(seed.fds.numbers[1]).st_ino == os.fstat(file).st_ino


def test_a_seed_keeps_no_peer_open(house: House, a: Program, b: Program, file: int) -> None:
    """Nobody could hang up on one whose socket it held, its own perhaps."""
    house.peers[os.fstat(file).st_ino] = b.peer
    for kind in (words.SET_SEED, words.PEER):
        fails(a.ask(kind, letter(), fds=[file]), errno.EINVAL)
    _, to = road(a, b)
    assert a.send([to], fds=[file]).error == 0  # but messages may


def test_new_peers_that_are_refused(house: House, a: Program, monkeypatch: object) -> None:
    node, handle = a.create()
    fails(a.ask(words.PEER, letter([], b"", [(words.CARRY_HANDLE, 99, 0)])), errno.ENXIO)
    fails(a.ask(words.PEER, letter([], b"", [(words.CARRY_ONCE, node, 9)])), errno.EINVAL)
    fails(a.ask(words.PEER, letter([handle])), errno.EINVAL)
    for _ in range(words.FDS_MOST):
        a.packet(record(words.PEER, body=letter([])))
    a.packet(record(words.PEER, cookie=9, body=letter([])))
    *made, refused = a.results()
    assert (len(made), refused.cookie) == (253, 9)
    fails(refused, errno.EDQUOT)
    del made
    a.do(words.PEER, letter([]))


def test_a_new_peer_that_the_house_has_no_room_for(a: Program, house: House) -> None:
    def spawn(session: Session) -> tuple[Peer, int]:
        raise OSError(errno.EMFILE, "no more")

    house.spawn = spawn  # type: ignore[method-assign]
    fails(a.ask(words.PEER, letter([])), errno.EMFILE)


def test_disconnect(a: Program, b: Program) -> None:
    _, to = road(a, b)
    a.packet(
        record(words.DISCONNECT, cookie=5), record(words.SEND, body=letter([to], b"too late"))
    )  # fmt: skip
    assert a.session.ended
    a.peer.close()
    (result,) = a.read()
    assert (result.cookie, result.error) == (5, 0)
    assert not [each for each in b.read() if isinstance(each, Data)]


def test_after_the_end_everything_is_refused(a: Program) -> None:
    a.peer.close()
    for kind, body in (
        (words.CREATE, b""), (words.QUERY, b""), (words.SEED, b""), (words.RELEASE, b""),
        (words.RESET, KEEP), (words.SET_SEED, letter([])),
    ):  # fmt: skip
        fails(a.ask(kind, body), errno.ESHUTDOWN)


# --------------------------------------------------------------- requests, results, packets


@pytest.mark.parametrize("kind", [0, 13, 14, words.WELCOME, words.DATA, 0xFFFF])
def test_unknown_requests(a: Program, kind: int) -> None:
    fails(a.ask(kind, b"whatever"), errno.EOPNOTSUPP)


@pytest.mark.parametrize("kind", range(words.CREATE, words.DISCONNECT + 1))
def test_unknown_flags_wrong_lengths_and_descriptors(a: Program, kind: int, file: int) -> None:
    a.create()
    bodies = {
        words.HANDLE: ids(1), words.TRANSFER: ids(2), words.RELEASE: ids(2), words.DESTROY: ids(1),
        words.SEND: letter([2]), words.SET_SEED: letter(), words.PEER: letter(), words.RESET: KEEP,
    }  # fmt: skip
    body = bodies.get(kind, b"")
    others = [1] if kind in (words.SET_SEED, words.PEER) else []
    for flag in (4, 0x4000, *others):
        fails(a.ask(kind, body, flag), errno.EINVAL)
    fails(a.ask(kind, body + b"x"), errno.EINVAL)
    if body:
        fails(a.ask(kind, body[:-1]), errno.EINVAL)
    if kind not in (words.TRANSFER, words.SEND, words.SET_SEED, words.PEER):
        fails(a.ask(kind, body, fds=[file]), errno.EINVAL)
    a.do(kind, body)


@given(
    kind=st.integers(0, 14),
    flags=st.sampled_from((0, 0, 1, 2, 3, words.QUIET)),
    numbers=st.lists(st.integers(0, 5) | st.integers(0, (1 << 64) - 1), max_size=12),
    rest=st.binary(max_size=9),
    narrow=st.booleans(),
)
@settings(deadline=None)
def test_any_request_is_answered(
    kind: int, flags: int, numbers: list[int], rest: bytes, narrow: bool
) -> None:
    house = House()
    a = house.program()
    a.create()
    a.create()
    body = ids(*numbers)
    if narrow:  # so that the counts of SEND make sense now and then
        body = struct.pack(f"={len(numbers)}I", *(number & 0xFFFFFFFF for number in numbers))
    if flags & words.QUIET:
        a.packet(record(kind, flags, 1, body + rest))
        assert all(result.error for result in a.results())
    else:
        a.ask(kind, body + rest, flags)
    while a.session.fill(packet := Packet()):
        read(packet)


def test_results_come_in_order_and_the_quiet_ones_not(a: Program) -> None:
    a.packet(
        record(words.CREATE, 0, 1),
        record(words.CREATE, words.QUIET, 2),
        record(words.HANDLE, words.QUIET, 3, ids(99)),
        record(words.CREATE, words.QUIET | words.WITH_HANDLE, 4),
        record(words.QUERY, 0, 5),
    )
    assert [(result.cookie, result.error) for result in a.results()] == [
        (1, 0),
        (3, errno.ENXIO),
        (5, 0),
    ]
    assert a.session.owes == 0
    assert len(a.peer.nodes) == 3


def test_results_go_before_messages(a: Program, b: Program) -> None:
    _, to = road(b, a)
    b.send([to], b"first")
    a.packet(record(words.CREATE, cookie=9))
    found = a.read()
    assert [type(each) for each in found] == [Result, Data]


def test_results_that_no_one_packet_takes(a: Program, b: Program) -> None:
    """What has come for it waits for all of them."""
    a.do(words.SET_SEED, letter([], bytes(words.INLINE_MOST)))
    _, to = road(b, a)
    b.send([to])
    a.packet(*[record(words.SEED, cookie=i) for i in range(7)])
    assert a.session.owes > 7 * words.INLINE_MOST
    packets = []
    while a.session.fill(packet := Packet()):
        packets.append([result.cookie for result in read(packet)])
    assert packets == [[0], [1], [2], [3], [4], [5], [6, 0]]
    assert a.session.owes == 0


def test_descriptors_of_results_that_no_one_packet_takes(a: Program, file: int) -> None:
    a.do(words.SET_SEED, letter(), fds=[file] * 200)
    a.packet(*[record(words.SEED)] * 3)
    packets = []
    while a.session.fill(packet := Packet()):
        packets.append([len(result.fds) for result in read(packet)])
    assert packets == [[200]] * 3


def test_what_does_not_fit_stays_for_the_next_packet(a: Program, b: Program) -> None:
    _, to = road(a, b)
    for number in range(5):
        a.send([to], bytes([number]) * 40000)
    packets = []
    while b.session.fill(packet := Packet()):
        assert packet.size <= words.PACKET_MOST
        packets.append([message.payload[0] for message in read(packet)])
    assert packets == [[0, 1, 2], [3, 4]]


@pytest.mark.parametrize("left", range(0, 112, 8))
def test_packets_are_filled_to_the_last_byte(a: Program, b: Program, left: int) -> None:
    """A notice (48 bytes) and a message with a handle (88) go into what is left, if they fit."""
    _, to = road(a, b)
    node = a.do(words.CREATE).values[0]
    for last in (48, 88):
        a.send([to], bytes(words.INLINE_MOST))
        a.send([to], bytes(words.PACKET_MOST - words.INLINE_MOST - 2 * 72 - left))
        if last == 88:
            a.send([to], carried=[(words.CARRY_NODE, node, 0)])
        else:
            a.do(words.RELEASE, ids(road(a, b)[1]))
        packets = []
        while b.session.fill(packet := Packet()):
            packets.append(len(read(packet)))
        assert packets == ([3] if left >= last else [2, 1])


def test_a_broken_packet_does_nothing(a: Program) -> None:
    with pytest.raises(Broken):
        a.packet(record(words.CREATE), b"rest")
    assert not a.peer.nodes


def test_work_is_counted(a: Program, b: Program) -> None:
    targets = [road(a, b)[1] for _ in range(3)]
    a.session.work = 0
    a.send(targets)
    a.do(words.QUERY)
    a.do(words.RELEASE, ids(*targets))
    assert a.session.work == 3 + 1 + 4
    nodes = [a.do(words.CREATE).values[0] for _ in range(3)]
    a.session.work = 0
    a.do(words.DESTROY, ids(*nodes))
    assert a.session.work == 4
    targets = [road(a, b)[1] for _ in range(3)]
    a.session.work = 0
    a.send(targets, carried=[(words.CARRY_HANDLE, targets[0], 0)] * 10)
    assert a.session.work == 3 + 30


def test_what_others_do_for_it_is_its_work(house: House) -> None:
    """Or a packet of messages to the bridge would be as many turns of another's."""
    gateway = house.program()
    house.bridge = gateway.peer.queue
    a = house.program()
    _, to = road(a, gateway)

    def settle() -> int:
        gateway.messages()
        return 100

    house.settle = settle  # type: ignore[method-assign]
    a.packet(*[record(words.SEND, words.QUIET, 0, letter([to]))] * 3)
    assert a.session.work == 3 + 300


def test_what_takes_long_is_more_work(a: Program, b: Program, file: int) -> None:
    a.session.work = 0
    a.ask(words.PEER, letter())
    assert a.session.work > 100
    a.session.work = 0
    a.ask(words.SET_SEED, letter(), 0, [file])
    assert a.session.work > 10


def test_much_work_is_done_in_parts(a: Program) -> None:
    packet = Packet(b"".join(record(words.CREATE, cookie=i) for i in range(5)))
    packet.check()
    done = []
    more = True
    while more:
        more = a.session.go_on(packet, 2)
        done.append([result.cookie for result in a.results()])
    assert done == [[0, 1], [2, 3], [4]]


def test_who_acts_at_once_does_so_between_two_requests(house: House) -> None:
    gateway = house.program()
    house.bridge = gateway.peer.queue
    a = house.program()
    _, to = road(a, gateway)
    seen: list[int] = []

    def settle() -> int:
        gateway.messages()
        seen.append(len(a.peer.nodes))
        return 0

    house.settle = settle  # type: ignore[method-assign]
    send = record(words.SEND, words.QUIET, 0, letter([to]))
    a.packet(send, record(words.CREATE), send, record(words.CREATE), record(words.CREATE))
    assert seen == [0, 1]


def test_a_session_whose_peer_is_closed_meanwhile(house: House) -> None:
    """What acts at once may end the peer that asked."""
    gateway = house.program()
    house.bridge = gateway.peer.queue
    a = house.program()
    _, to = road(a, gateway)

    def settle() -> int:
        gateway.read()
        if not a.peer.queue.closed:
            a.peer.close()
        return 0

    house.settle = settle  # type: ignore[method-assign]
    a.packet(record(words.SEND, body=letter([to])), record(words.CREATE))
    assert [result.error for result in a.read()] == [0, errno.ESHUTDOWN]
