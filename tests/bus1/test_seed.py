"""The seed: read as often as one likes, there after a flush."""

import pytest

from bus1 import NO_HANDLES_LEFT, NODE_GONE, Bus, Handle, Invalid, Limits, Peer, Quota, Unknown


@pytest.fixture
def peer() -> Peer:
    return Bus().connect(0)


def handles(peer: Peer) -> list[Handle | None]:
    message = peer.seed()
    assert message is not None
    assert message.handles is not None
    return message.handles


def test_each_reading_gives_new_handles(peer: Peer) -> None:
    assert peer.seed() is None
    original = peer.handle(peer.create())
    peer.set_seed("payload", 7, "fds", 1, [original])
    message = peer.seed()
    assert message is not None
    assert (message.payload, message.size) == ("payload", 7)
    assert (message.fds, message.fd_count) == ("fds", 1)
    (first,), (second,) = handles(peer), handles(peer)
    assert first is not None
    assert second is not None
    assert first.id != second.id
    assert first.node is second.node is original.node
    peer.send(first, "hello")
    assert peer.receive().payload == "hello"  # type: ignore[union-attr]


def test_seed_keeps_what_it_leads_to_through_a_flush(peer: Peer) -> None:
    kept, lost = peer.create("kept"), peer.create("lost")
    peer.set_seed(None, handles=[peer.handle(kept)])
    peer.reset(flush=True)
    assert list(peer.nodes.values()) == [kept]
    assert lost.gone
    assert [handle and handle.node for handle in handles(peer)] == [kept]
    peer.reset(flush=True, flush_seed=True)
    assert peer.nodes == {}
    assert peer.seed() is None


def test_handle_to_a_node_that_is_gone_reads_as_none(peer: Peer) -> None:
    node, other = peer.create(), peer.create()
    peer.set_seed(None, handles=[peer.handle(node), peer.handle(other)])
    peer.destroy([node])
    assert [handle and handle.node for handle in handles(peer)] == [None, other]
    assert peer.receive().kind == NODE_GONE  # type: ignore[union-attr]
    assert peer.receive() is None


def test_replaced_seed_is_paid_back(peer: Peer) -> None:
    account = peer.queue.account
    handle = peer.handle(peer.create())
    peer.set_seed(None, 10, None, 2, [handle])
    assert (account.bytes, account.messages, account.handles, account.fds) == (10, 1, 3, 2)
    peer.set_seed(None, 3)
    assert (account.bytes, account.messages, account.handles, account.fds) == (3, 1, 2, 0)
    peer.reset(flush_seed=True)
    assert (account.bytes, account.messages, account.handles, account.fds) == (0, 0, 2, 0)


def test_seed_counts_as_a_handle(peer: Peer) -> None:
    node = peer.create()
    own = peer.handle(node)
    peer.set_seed(None, handles=[own])
    peer.release([own])
    assert peer.receive() is None
    peer.reset(flush_seed=True)
    message = peer.receive()
    assert message is not None
    assert (message.kind, message.target) == (NO_HANDLES_LEFT, node)


def test_refused_seed_leaves_the_old_one() -> None:
    peer = Bus(Limits(), Limits(bytes=10, handles=4)).connect(0)
    handle = peer.handle(peer.create())
    peer.set_seed("old", 5, handles=[handle])
    once = peer.once(handle.node, peer, 1)
    with pytest.raises(Quota):
        peer.set_seed("new", 6)
    with pytest.raises(Invalid):
        peer.set_seed("new", 0, handles=[once])
    with pytest.raises(Unknown):
        peer.set_seed("new", 0, handles=[None])  # type: ignore[list-item]
    with pytest.raises(Quota):
        peer.seed()
    peer.release([handle])
    message = peer.seed()
    assert message is not None
    assert message.payload == "old"
