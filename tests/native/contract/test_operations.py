"""Contract B.2, through the socket: each operation, and each of its errors."""

from __future__ import annotations

import os
import struct
from errno import (
    EDQUOT,
    EINVAL,
    ENOTUNIQ,
    ENXIO,
    EOPNOTSUPP,
    EREMOTE,
    ESTALE,
)

import pytest

from tests.native.elsewhere import Elsewhere, refuses, right
from tests.native.peer import (
    CREATE,
    DESTROY,
    DISCONNECT,
    FLUSH,
    FLUSH_SEED,
    HANDLE,
    NODE_GONE,
    PACKET_MOST,
    QUERY,
    RELEASE,
    RESET,
    SEED,
    TRANSFER,
    Ended,
    Fd,
    Peer,
    node,
    numbers,
    once,
    record,
)

# ---- the peer as a whole


def test_disconnect(a: Elsewhere, b: Elsewhere) -> None:
    """It is answered, then comes the end; nothing after it is done. (2016's second one got
    ESHUTDOWN: here there is nobody left to ask.)"""
    _, to_b = right(b, a)
    assert b.run(asks_after_the_end) == 1
    gone = a.take()
    assert (gone.kind, gone.id) == (NODE_GONE, to_b)
    with refuses(ESTALE):
        a.send(to_b)


def asks_after_the_end(peer: Peer) -> int:
    """How many of these are answered."""
    peer.write(record(DISCONNECT, 71) + record(CREATE, 72))
    assert peer.ended()
    return len(peer.results)


def test_query(a: Elsewhere, b: Elsewhere) -> None:
    before = a.query()
    a.handle(a.create())
    after = a.query()
    assert (after.handles - before.handles, after.nodes) == (2, 1)
    assert after[:4] == before[:4]
    assert min(after[:4]) > 0
    for body, flags in ((b"\0" * 8, 0), (b"", 1)):
        with refuses(EINVAL):
            a.ask(QUERY, body, flags)


def test_reset_limits(a: Elsewhere, b: Elsewhere) -> None:
    """They can be lowered, and raised again to what they were, but not beyond; −1 keeps one."""
    most = b.query()
    _, to_b = right(b, a)
    b.reset(0, (100, -1, -1, -1))
    assert b.query()[:4] == (100, *most[1:4])
    with refuses(EDQUOT):
        a.send(to_b, b"x" * 101)
    b.reset(0, most[:4])
    a.send(to_b, b"x" * 101)
    for wrong in (most.most_bytes + 1, -2):
        with refuses(EINVAL):
            b.reset(0, (wrong, -1, -1, -1))
    with refuses(EINVAL):
        b.ask(RESET, bytes(31))


def test_reset_flush(a: Elsewhere, b: Elsewhere) -> None:
    """All handles, and all nodes that the seed does not hold."""
    kept, to_kept = right(b, a)
    _, to_lost = right(b, a)
    _, to_a = right(a, b)
    b.set_seed(b"", [node(kept)])
    b.reset(FLUSH)
    assert b.query().nodes == 1
    gone = a.drain()
    assert [each.id for each in gone if each.kind == NODE_GONE] == [to_lost]
    with refuses(ENXIO):
        b.send(to_a)
    a.send(to_kept, b"still there")
    assert b.take().id == kept


def test_reset_flush_seed(a: Elsewhere) -> None:
    a.set_seed(b"seed", [node(a.create())])
    a.reset(FLUSH_SEED)
    assert (a.seed().payload, a.seed().values) == (b"", [])


def test_a_seed_is_replaced(a: Elsewhere) -> None:
    """Charged to the peer itself, once."""
    before = a.query().bytes
    for text in (b"first", b"second one"):
        a.set_seed(text)
        assert a.seed().payload == text
        assert a.query().bytes - before <= len(text)


def test_no_one_shot_handle_in_a_seed(a: Elsewhere) -> None:
    mine = a.create()
    with refuses(EINVAL):
        a.set_seed(b"", [once(mine, 1)])


# ---- nodes and handles


def test_transfer(a: Elsewhere, b: Elsewhere, c: Elsewhere) -> None:
    mine, to_b = right(b, a)
    for_c = a.transfer(to_b, c.socket())
    c.send(for_c, b"by right of a")
    assert b.take().id == mine
    with refuses(ENXIO):
        a.transfer(to_b + 50)


def test_transfer_to_what_is_no_peer(a: Elsewhere, b: Elsewhere) -> None:
    """No socket, a socket of somebody else, and the socket of a peer that has ended."""
    _, to_b = right(b, a)
    reader, writer = os.pipe()
    with refuses(EOPNOTSUPP):
        a.transfer(to_b, Fd(reader))
    os.close(reader)
    os.close(writer)
    with refuses(EOPNOTSUPP):
        a.transfer(to_b, Fd(b.pipe.fileno()))
    ended = b.socket()
    b.disconnect()
    with refuses(EOPNOTSUPP):
        a.transfer(a.handle(a.create()), ended)
    os.close(ended.number)


def test_transfer_of_a_handle_to_a_node_that_is_gone(a: Elsewhere, b: Elsewhere) -> None:
    mine, to_b = right(b, a)
    b.destroy(mine)
    with refuses(ESTALE):
        a.transfer(to_b)


def test_handle(a: Elsewhere) -> None:
    mine = a.create()
    assert a.handle(mine) != a.handle(mine)
    with refuses(ENXIO):
        a.handle(mine + 50)


def test_release_is_one_event(a: Elsewhere, b: Elsewhere) -> None:
    """Any mix of nodes and handles, under one stamp."""
    first, to_first = right(b, a)
    second, to_second = right(b, a)
    mine, to_a = right(a, b)
    stamp = b.release(first, to_a, second)
    heard = a.drain()
    assert {each.id for each in heard} == {to_first, to_second, mine}
    assert {each.place for each in heard} == {(stamp, b.number)}


@pytest.mark.parametrize("operation", ["release", "destroy"])
def test_all_or_nothing_is_released(a: Elsewhere, b: Elsewhere, operation: str) -> None:
    mine, to_b = right(b, a)
    for wrong, error in (([mine, mine], ENOTUNIQ), ([mine, mine + 50], ENXIO)):
        with refuses(error):
            getattr(b, operation)(*wrong)
    a.send(to_b)
    assert b.take().id == mine


def test_destroy(a: Elsewhere, b: Elsewhere) -> None:
    """Its node leaves the owner's table at once, where 2016 said ESTALE the second time."""
    mine, to_b = right(b, a)
    b.destroy(mine)
    assert a.take().id == to_b
    with refuses(ENXIO):
        b.destroy(mine)
    with refuses(EREMOTE):
        a.destroy(right(b, a)[1])


# ---- requests


def test_results_come_in_the_order_of_the_requests(a: Elsewhere) -> None:
    made = a.together((CREATE, b""), (QUERY, b""), (99, b""), (CREATE, b""))
    assert [each.error for each in made] == [0, 0, EOPNOTSUPP, 0]
    assert made[3].values[0] == made[0].values[0] + 1
    assert a.run(cookies) == list(range(500))


def cookies(peer: Peer) -> list[int]:
    """Of many results, in their order."""
    peer.write(b"".join(record(QUERY, cookie) for cookie in range(500)))
    while len(peer.results) < 500:
        peer.read()
    return [each.cookie for each in peer.results]


@pytest.mark.parametrize("kind", [CREATE, HANDLE, TRANSFER, RELEASE, DESTROY, SEED, QUERY])
def test_a_flag_that_is_not_there(a: Elsewhere, kind: int) -> None:
    for flags in (0x20, 0x4000):
        with refuses(EINVAL):
            a.ask(kind, numbers([1]) if kind in (HANDLE, TRANSFER) else b"", flags)


def test_a_request_that_is_not_there(a: Elsewhere) -> None:
    for kind in (0, 13, 63, 64, 66, 0xFFFF):
        with refuses(EOPNOTSUPP):
            a.ask(kind)


BROKEN = {
    "a size below the header": struct.pack("=IHHII", 15, QUERY, 0, 1, 0),
    "a size beyond the packet": struct.pack("=IHHII", 24, QUERY, 0, 1, 0),
    "a size of 2^32-1": struct.pack("=IHHII", 0xFFFFFFFF, QUERY, 0, 1, 0),
    "half a header": record(QUERY, 1) + bytes(8),
    "descriptors that did not come": record(QUERY, 1, fds=1),
    "a packet that is too large": record(QUERY, 1) * (PACKET_MOST // 16 + 1),
}


def breaks(peer: Peer, packet: bytes) -> bool:
    """Whether that is the end, and nothing is answered."""
    peer.write(packet)
    return peer.ended() and not peer.results


@pytest.mark.parametrize("packet", BROKEN.values(), ids=BROKEN.keys())
def test_a_packet_that_is_none_ends_the_connection(
    a: Elsewhere, b: Elsewhere, packet: bytes
) -> None:
    right(a, b)
    assert a.run(breaks, packet)
    assert b.take().kind == NODE_GONE


def test_descriptors_of_no_record_end_the_connection(a: Elsewhere) -> None:
    assert a.run(sends_a_stray_descriptor)


def sends_a_stray_descriptor(peer: Peer) -> bool:
    peer.write(record(QUERY, 1), [Fd(0)])
    return peer.ended()


def test_a_peer_that_has_ended_is_told_so(a: Elsewhere) -> None:
    a.disconnect()
    with pytest.raises((Ended, BrokenPipeError)):
        a.query()
