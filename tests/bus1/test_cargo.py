"""Handles in messages: copies for each receiver, one-shot handles moved, none out of nothing."""

import pytest

from bus1 import Bus, Busy, Duplicate, Handle, Peer, Unknown


@pytest.fixture
def peers() -> list[Peer]:
    """Two peers; the first holds a handle to the second."""
    bus = Bus()
    return [bus.connect(0), bus.connect(1)]


def right(sender: Peer, receiver: Peer) -> Handle:
    return receiver.transfer(receiver.handle(receiver.create()), sender)


def received(peer: Peer) -> list[Handle | None]:
    message = peer.receive()
    assert message is not None
    assert message.handles is not None
    return message.handles


def test_copy_is_new_and_the_original_stays(peers: list[Peer]) -> None:
    a, b = peers
    to, handle = right(a, b), a.handle(a.create("tag"))
    a.send(to, "payload", handles=[handle, handle])
    first, second = received(b)
    assert first is not None
    assert second is not None
    assert len({first, second, handle}) == 3
    assert first.node is second.node is handle.node
    assert b.handles[first.id] is first
    assert a.handles[handle.id] is handle
    b.send(first, "reply")
    assert a.receive().payload == "reply"  # type: ignore[union-attr]


def test_each_receiver_of_a_multicast_gets_its_own(peers: list[Peer]) -> None:
    a, b = peers
    targets, handle = [right(a, b), right(a, b)], a.handle(a.create())
    a.multicast(targets, "payload", handles=[handle])
    (first,), (second,) = received(b), received(b)
    assert first is not second


def test_handle_in_a_message_cannot_be_used_before_it_is_received(peers: list[Peer]) -> None:
    a, b = peers
    a.send(right(a, b), None, handles=[a.handle(a.create())])
    message = b.queue.peek(0)
    assert message is not None
    assert message.handles is not None
    with pytest.raises(Unknown):
        b.send(message.handles[0], None)
    b.receive()
    b.send(message.handles[0], None)


def test_nobody_sends_what_it_does_not_hold(peers: list[Peer]) -> None:
    a, b = peers
    to, foreign = right(a, b), b.handle(b.create())
    released = a.handle(a.create())
    a.release([released])
    for wrong in (foreign, released, b.once(b.create(), None, 1), None):
        with pytest.raises(Unknown):
            a.send(to, None, handles=[wrong])  # type: ignore[list-item]
    assert b.queue.held() == 0


def test_one_shot_handle_in_hand_moves(peers: list[Peer]) -> None:
    a, b = peers
    to, once = right(a, b), a.once(a.create(), None, 7)
    a.send(to, None, handles=[once])
    with pytest.raises(Unknown):
        a.send(to, None, handles=[once])
    assert received(b) == [once]
    assert b.handles[once.id] is once


def test_held_one_shot_handle_moves_on(peers: list[Peer]) -> None:
    """A delegate may answer in one's place."""
    a, b = peers
    node = a.create()
    once = a.once(node, b, 7)
    to = right(b, a)
    charged = a.queue.account.handles, b.queue.account.handles
    b.send(to, None, handles=[once])
    assert once not in b.handles.values()
    assert received(a) == [once]
    assert (a.queue.account.handles, b.queue.account.handles) == (charged[0] + 1, charged[1] - 1)
    a.send(once, "reply")
    assert a.receive().target is node  # type: ignore[union-attr]


def test_one_shot_handle_goes_once(peers: list[Peer]) -> None:
    a, b = peers
    to, node = right(a, b), a.create()
    once, reply = a.once(node, None, 1), b.once(b.create(), a, 2)
    with pytest.raises(Duplicate):
        a.send(to, None, handles=[once, once])
    with pytest.raises(Duplicate):
        a.send(reply, None, handles=[reply])
    with pytest.raises(Duplicate):
        a.multicast([to, right(a, b)], None, handles=[once])
    a.send(to, None, handles=[once, reply, a.once(node, None, 3)])


def test_staged_one_shot_handle_is_busy(peers: list[Peer]) -> None:
    a, b = peers
    to, node = right(a, b), a.create()
    hand, held = a.once(node, None, 1), b.once(b.create(), a, 2)
    transaction = a.transaction()
    transaction.stage(to, None, handles=[hand, held])
    for busy in (hand, held):
        with pytest.raises(Busy):
            a.send(to, None, handles=[busy])
        with pytest.raises(Busy):
            a.release([busy])
    with pytest.raises(Busy):
        a.send(held, None)
    with pytest.raises(Busy):
        a.transfer(held, b)
    transaction.abort()
    a.send(to, None, handles=[hand, held])


def test_handle_to_a_node_gone_before_the_order_point_arrives_as_none(peers: list[Peer]) -> None:
    a, b = peers
    to, node, living = right(a, b), a.create(), a.handle(a.create())
    handle, once = a.handle(node), a.once(node, None, 1)
    held = b.queue.account.handles
    transaction = a.transaction()
    transaction.stage(to, None, handles=[handle, living, once])
    a.destroy([node])
    assert b.queue.account.handles == held + 3
    transaction.commit()
    assert b.queue.account.handles == held + 1
    assert [handle and handle.node for handle in received(b)] == [None, living.node, None]
    assert b.receive() is None


def test_one_shot_handle_given_away_takes_its_notice_along(peers: list[Peer]) -> None:
    """Its node is gone, its holder has not heard yet and need not hear any more."""
    a, b = peers
    to, once = right(a, b), b.once(b.create(), a, 1)
    b.destroy([once.node])
    assert a.queue.held() == 1
    a.send(to, None, handles=[once])
    assert a.receive() is None
    assert received(b) == [None]


def test_handle_to_a_node_gone_after_it_arrives_and_the_notice_behind(peers: list[Peer]) -> None:
    a, b = peers
    node = a.create()
    a.send(right(a, b), None, handles=[a.handle(node)])
    a.destroy([node])
    (handle,) = received(b)
    assert handle is not None
    assert b.receive().target is handle  # type: ignore[union-attr]
    assert b.receive() is None
