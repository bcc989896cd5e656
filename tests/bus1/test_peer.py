"""Peers: every operation by itself, and that a refusal changes nothing."""

import gc
import sys
from collections.abc import Callable

import pytest

from bus1 import (
    NO_HANDLES_LEFT,
    NODE_GONE,
    Bus,
    BusError,
    Closed,
    Duplicate,
    Foreign,
    Gone,
    Handle,
    Invalid,
    Limits,
    Message,
    Node,
    Peer,
    Quota,
    Stranger,
    TooLong,
    Unknown,
    Usage,
)


@pytest.fixture
def bus() -> Bus:
    return Bus()


def right(sender: Peer, receiver: Peer) -> Handle:
    return receiver.transfer(receiver.handle(receiver.create()), sender)


def payloads(peer: Peer) -> list[object]:
    found = []
    while (message := peer.receive()) is not None:
        found.append(message.payload)
    return found


def test_message_arrives_as_it_was_sent(bus: Bus) -> None:
    a, b = bus.connect(0), bus.connect(1)
    to, payload, fds = right(a, b), bytearray(b"payload"), object()
    stamp = a.send(to, payload, 7, fds, 2)
    message = b.receive()
    assert message is not None
    assert message.payload is payload
    assert message.fds is fds
    assert (message.target, message.stamp, message.tie) == (to.node, stamp, a.number)
    assert (message.size, message.fd_count, message.handles) == (7, 2, None)
    assert b.receive() is None


def test_first_in_first_out(bus: Bus) -> None:
    a, b = bus.connect(0), bus.connect(0)
    to = right(a, b)
    stamps = [a.send(to, number) for number in range(100)]
    assert stamps == sorted(set(stamps))
    assert payloads(b) == list(range(100))


def test_answer_is_after_the_question_everywhere(bus: Bus) -> None:
    a, b, c = (bus.connect(0) for _ in range(3))
    a.multicast([right(a, b), right(a, c)], "question")
    assert payloads(b) == ["question"]
    b.send(right(b, c), "answer")
    assert payloads(c) == ["question", "answer"]


def test_message_to_oneself(bus: Bus) -> None:
    a = bus.connect(0)
    a.send(a.handle(a.create()), "note")
    assert payloads(a) == ["note"]


def test_charge_is_there_until_the_message_is_received(bus: Bus) -> None:
    a, b = bus.connect(0), bus.connect(1)
    a.send(right(a, b), None, 10, None, 2, [a.handle(a.create())])
    share = b.user.share(a.user)
    assert (share.bytes, share.messages, share.handles, share.fds) == (10, 1, 1, 2)
    handles = b.queue.account.handles
    b.receive()
    assert (share.bytes, share.messages, share.handles, share.fds) == (0, 0, 0, 0)
    assert (b.queue.account.bytes, b.queue.account.handles) == (0, handles)


def test_share_returns_after_receiving() -> None:
    bus = Bus(Limits(bytes=100))
    a, b = bus.connect(0), bus.connect(1)
    to = right(a, b)
    a.send(to, 1, 25)
    with pytest.raises(Quota):
        a.send(to, 2, 20)
    assert payloads(b) == [1]
    a.send(to, 3, 33)


def test_too_long_a_message_stays_at_the_head(bus: Bus) -> None:
    a, b = bus.connect(0), bus.connect(0)
    to = right(a, b)
    a.send(to, "long", 10)
    a.send(to, "short", 1)
    with pytest.raises(TooLong):
        b.receive(9)
    assert b.queue.account.bytes == 11
    assert b.receive(10).payload == "long"  # type: ignore[union-attr]
    assert b.receive(1).payload == "short"  # type: ignore[union-attr]
    assert b.receive(0) is None


def test_transfer_gives_a_new_handle(bus: Bus) -> None:
    a, b = bus.connect(0), bus.connect(1)
    mine = a.handle(a.create())
    first, second = a.transfer(mine, b), a.transfer(mine, b)
    assert first is not second
    assert set(b.handles.values()) == {first, second}
    onward = b.transfer(first, b)
    assert onward.node is mine.node
    assert (first.once, first.cookie) == (False, 0)


def test_transfer_moves_a_one_shot_handle(bus: Bus) -> None:
    a, b, c = (bus.connect(0) for _ in range(3))
    once = a.once(a.create(), b, 7)
    assert b.transfer(once, c) is once
    assert b.handles == {}
    with pytest.raises(Unknown):
        b.send(once, None)
    c.send(once, "used")
    with pytest.raises(Unknown):
        c.send(once, "twice")


def test_transfer_needs_an_open_peer_of_this_bus(bus: Bus) -> None:
    a, b, far = bus.connect(0), bus.connect(0), Bus().connect(0)
    mine = a.handle(a.create())
    b.close()
    with pytest.raises(Closed):
        a.transfer(mine, b)
    with pytest.raises(Closed):
        a.once(mine.node, b, 1)
    with pytest.raises(Foreign):
        a.transfer(mine, far)
    with pytest.raises(Foreign):
        a.once(mine.node, far, 1)
    with pytest.raises(Invalid):
        a.transfer(mine, None)  # type: ignore[arg-type]
    with pytest.raises(Unknown):
        far.transfer(mine, far)


def test_handle_to_a_gone_node_is_not_given_on(bus: Bus) -> None:
    a, b = bus.connect(0), bus.connect(0)
    to = right(a, b)
    b.destroy([to.node])
    with pytest.raises(Gone):
        a.transfer(to, b)
    with pytest.raises(Gone):
        a.send(to, None)


def test_release_is_all_or_nothing(bus: Bus) -> None:
    a, b = bus.connect(0), bus.connect(0)
    node, handle = a.create(), right(a, b)
    gone, once = a.create(), b.once(b.create(), None, 1)
    a.destroy([gone])
    before = (dict(a.nodes), dict(a.handles), a.queue.account.handles)
    for wrong, error in (
        (node, Duplicate),
        (b.create(), Stranger),
        (gone, Gone),
        (b.handle(b.create()), Unknown),
        (once, Unknown),
        (None, Invalid),
        (7, Invalid),
    ):
        with pytest.raises(error):
            a.release([node, handle, wrong])
        assert (a.nodes, a.handles, a.queue.account.handles) == before
    with pytest.raises(Invalid):
        a.destroy([node, handle])  # type: ignore[list-item]
    a.release([node, handle])
    assert (a.nodes, a.handles, a.queue.account.handles) == ({}, {}, 0)


def test_query_counts(bus: Bus) -> None:
    a, b = bus.connect(0), bus.connect(1)
    to = right(a, b)
    a.send(to, None, 5, None, 1)
    b.create()
    limits = b.queue.account.limits
    assert b.query() == Usage(limits, 5, 1, 3, 1, 2, 1)


def test_reset_sets_limits(bus: Bus) -> None:
    a, b = bus.connect(0), bus.connect(1)
    to = right(a, b)
    b.reset(Limits(messages=3))
    a.send(to, 1)
    with pytest.raises(Quota):
        a.send(to, 2)
    b.reset()
    assert b.query().limits.messages == 3
    assert payloads(b) == [1]


def test_flush_is_a_point_in_the_order(bus: Bus) -> None:
    """What is before it is gone, handles of undelivered messages too; a staged message is not
    ordered yet, so it stays, but its node is gone."""
    a, b, c = (bus.connect(uid) for uid in range(3))
    to_b, to_c, node = right(a, b), right(a, c), a.create()
    again = b.transfer(b.handle(to_b.node), c)
    own = a.handle(node)
    a.send(to_b, "early", handles=[own])
    a.release([own])
    held = right(b, c)
    staged = c.transaction()
    staged.stage(again, "staged")
    b.reset(flush=True)
    assert payloads(b) == []
    assert b.nodes == {}
    assert b.handles == {}
    assert b.queue.held() == 1
    assert {a.receive().kind, a.receive().kind} == {NODE_GONE, NO_HANDLES_LEFT}  # type: ignore[union-attr]
    assert held.holder is None
    with pytest.raises(Gone):
        staged.commit()
    assert b.queue.held() == 0
    account = b.queue.account
    assert (account.messages, account.handles) == (0, 0)
    a.send(to_c, "works")
    a.send(right(a, b), "after")
    assert payloads(b) == ["after"]


def test_close_in_the_order_of_the_contract(bus: Bus) -> None:
    """Nodes, then what is queued, then handles; one event each. What was sent stays on its way."""
    a, b, c = (bus.connect(uid) for uid in range(3))
    to_b, to_c = right(a, b), right(a, c)
    c_node, other = c.create(), c.create()
    c.send(right(c, a), "undelivered", handles=[c.handle(c_node), c.once(c_node, None, 5)])
    c.release([handle for handle in c.handles.values() if handle.node is c_node])
    c.transfer(c.handle(other), a)
    c.release([handle for handle in c.handles.values() if handle.node is other])
    a.send(to_b, "sent")
    mine = [a.create(), a.create()]
    gone = [a.transfer(a.handle(node), c) for node in mine]
    a.close()
    assert payloads(b) == ["sent"]
    found: list[Message] = []
    while (message := c.receive()) is not None:
        found.append(message)
    first, rest = found[:3], found[3:]
    assert {message.kind for message in first} == {NODE_GONE}
    assert {message.stamp for message in first} == {first[0].stamp}
    assert {handle.id for handle in gone} <= {m.target.id for m in first}  # type: ignore[attr-defined]
    targets = [message.target for message in rest]
    assert targets == [c_node, c_node, other]
    assert rest[0].stamp == rest[1].stamp < rest[2].stamp
    assert to_c.node.gone == 0


OPERATIONS: dict[str, Callable[[Peer, Peer, Node, Handle], object]] = {
    "create": lambda a, b, n, h: a.create(),
    "handle": lambda a, b, n, h: a.handle(n),
    "once": lambda a, b, n, h: a.once(n, None, 1),
    "transfer": lambda a, b, n, h: a.transfer(h, b),
    "release": lambda a, b, n, h: a.release([h]),
    "destroy": lambda a, b, n, h: a.destroy([n]),
    "send": lambda a, b, n, h: a.send(h, None),
    "multicast": lambda a, b, n, h: a.multicast([h], None),
    "transaction": lambda a, b, n, h: a.transaction(),
    "receive": lambda a, b, n, h: a.receive(),
    "set_seed": lambda a, b, n, h: a.set_seed(None),
    "seed": lambda a, b, n, h: a.seed(),
    "reset": lambda a, b, n, h: a.reset(flush=True),
    "close": lambda a, b, n, h: a.close(),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_closed_peer_does_nothing_more(bus: Bus, name: str) -> None:
    a, b = bus.connect(0), bus.connect(0)
    node, handle = a.create(), right(a, b)
    a.close()
    with pytest.raises(Closed):
        OPERATIONS[name](a, b, node, handle)


@pytest.mark.parametrize("wrong", [(-1, 0), (0, -1)])
def test_negative_sizes_are_refused(bus: Bus, wrong: tuple[int, int]) -> None:
    a = bus.connect(0)
    handle = a.handle(a.create())
    size, fds = wrong
    for operation in (
        lambda: a.send(handle, None, size, None, fds),
        lambda: a.multicast([handle], None, size, None, fds),
        lambda: a.transaction().stage(handle, None, size, None, fds),
        lambda: a.set_seed(None, size, None, fds),
    ):
        with pytest.raises(Invalid):
            operation()
    assert a.queue.held() == 0


@pytest.mark.parametrize("wrong", ["other's", "released", "none"])
def test_what_is_not_held_cannot_be_used(bus: Bus, wrong: str) -> None:
    a, b = bus.connect(0), bus.connect(0)
    released = right(a, b)
    a.release([released])
    handle = {"other's": right(b, a), "released": released, "none": None}[wrong]
    operations: list[Callable[[], object]] = [
        lambda: a.send(handle, None),  # type: ignore[arg-type]
        lambda: a.multicast([handle], None),  # type: ignore[list-item]
        lambda: a.multicast([handle], None, proceed=True),  # type: ignore[list-item]
        lambda: a.transfer(handle, b),  # type: ignore[arg-type]
        lambda: a.set_seed(None, handles=[handle]),  # type: ignore[list-item]
    ]
    for operation in operations:
        with pytest.raises(Unknown):
            operation()


def test_quota_error_changes_nothing() -> None:
    bus = Bus(Limits(), Limits(bytes=30, handles=12))
    a, b = bus.connect(0), bus.connect(1)
    to, handle = right(a, b), a.handle(a.create())
    once = a.once(handle.node, None, 1)
    a.send(to, "fits", 10)
    with pytest.raises(Quota):
        a.send(to, "does not", 1, None, 0, [handle, once])
    with pytest.raises(Quota):
        a.send(to, "does not", 0, None, 0, [handle] * 5)
    assert payloads(b) == ["fits"]
    a.send(to, "fits again", 1, None, 0, [once])
    assert handle.node.count == 1


def everything(bus: Bus) -> list[Peer]:
    """Peers with some of everything between them, then nothing."""
    peers = [bus.connect(uid % 3) for uid in range(6)]
    nodes = {peer: peer.create(peer) for peer in peers}
    rights = {(a, b): b.transfer(b.handle(nodes[b]), a) for a in peers for b in peers}
    for a in peers:
        a.set_seed("seed", 3, None, 0, [a.handle(nodes[a])])
        a.multicast([rights[a, b] for b in peers], "all", 5, "fds", 1, [rights[a, peers[0]]])
        a.send(rights[a, peers[1]], "one", 2, None, 0, [a.once(nodes[a], None, 1)])
        a.transaction().stage(rights[a, peers[2]], "staged", 1, None, 0, [rights[a, peers[3]]])
    for peer in peers[:2]:
        peer.receive()
    peers[3].destroy([nodes[peers[3]]])
    peers[4].reset(flush=True)
    return peers


def test_charges_sum_to_zero(bus: Bus) -> None:
    peers = everything(bus)
    assert any(peer.queue.account.messages for peer in peers)
    for peer in peers:
        peer.close()
    for peer in peers:
        for holder in (peer.queue.account, peer.user):
            assert (holder.bytes, holder.messages, holder.handles, holder.fds) == (0, 0, 0, 0)
        assert peer.user.actors == peer.user.debts == peer.user.peers == 0
    assert bus.users == {}


def bus_objects() -> set[int]:
    return {id(found) for found in gc.get_objects() if isinstance(found, Peer | Node | Handle)}


def test_no_reference_cycles_after_close(bus: Bus) -> None:
    """Counting references does it all; the collector finds nothing."""
    gc.collect()
    others = bus_objects()
    gc.disable()
    try:
        for peer in everything(bus):
            peer.close()
        bus.take_ready()
        del peer
        assert gc.collect() == 0
        assert bus_objects() <= others
    finally:
        gc.enable()


def test_quiet_peer_is_small(bus: Bus) -> None:
    """Its objects and their containers, without the user, which many peers share."""
    peer = bus.connect(0)
    node = peer.create()
    parts: list[object] = [peer, node, peer.nodes, peer.handles, peer.queue, peer.queue.account]
    parts += [found for part in parts[::] for found in gc.get_referents(part)]
    shared = (bus, bus.ready, peer.user, peer.user.share(peer.user), peer.user.limits, None)
    own = {id(part): part for part in parts if not isinstance(part, type) and part not in shared}
    assert sum(sys.getsizeof(part) for part in own.values()) < 2048


def test_every_refusal_is_a_bus_error() -> None:
    assert all(issubclass(error, BusError) for error in (Closed, Quota, TooLong, Foreign))
