"""Ends, and who hears of them: once each, in order with messages, and never in vain."""

import pytest

from bus1 import (
    DATA,
    NO_HANDLES_LEFT,
    NODE_GONE,
    ONCE_DROPPED,
    Bus,
    Gone,
    Handle,
    Message,
    Node,
    Peer,
    Quota,
)
from bus1.quota import Limits


@pytest.fixture
def peers() -> list[Peer]:
    bus = Bus()
    return [bus.connect(0), bus.connect(1), bus.connect(2)]


def give(owner: Peer, node: Node, *others: Peer) -> list[Handle]:
    """Handles for others, and none left to the owner."""
    own = owner.handle(node)
    handles = [owner.transfer(own, other) for other in others]
    owner.release([own])
    return handles


def kinds(peer: Peer) -> list[tuple[int, object]]:
    """All that can be received: payloads, or what a notice is about."""
    found: list[tuple[int, object]] = []
    while (message := peer.receive()) is not None:
        found.append((message.kind, message.target if message.kind else message.payload))
    return found


def test_node_gone_comes_to_every_holder_once(peers: list[Peer]) -> None:
    a, b, c = peers
    node = a.create()
    mine = a.handle(node)
    first, second, third = (a.transfer(mine, peer) for peer in (b, b, c))
    a.destroy([node])
    assert kinds(a) == [(NODE_GONE, mine)]
    assert sorted(kinds(b), key=str) == sorted([(NODE_GONE, first), (NODE_GONE, second)], key=str)
    assert kinds(c) == [(NODE_GONE, third)]
    with pytest.raises(Gone):
        a.destroy([node])
    assert kinds(b) == []


def test_node_gone_is_ordered_with_messages(peers: list[Peer]) -> None:
    """What the owner sent before is before the notice, and all holders agree on the rest."""
    a, b, c = peers
    node = a.create()
    to_b, to_c = give(b, b.create(), a)[0], give(c, c.create(), a)[0]
    (handle,) = give(a, node, b)
    a.send(to_b, "before")
    stamp = a.destroy([node])
    assert a.send(to_c, "elsewhere") > stamp
    a.send(to_b, "after")
    assert kinds(b) == [(DATA, "before"), (NODE_GONE, handle), (DATA, "after")]


def test_queued_before_the_destruction_is_still_delivered(peers: list[Peer]) -> None:
    a, b, _ = peers
    node = a.create()
    (handle,) = give(a, node, b)
    b.send(handle, "early")
    a.destroy([node])
    with pytest.raises(Gone):
        b.send(handle, "late")
    message = a.receive()
    assert message is not None
    assert (message.payload, message.target) == ("early", node)


def test_handle_stays_the_holders_after_its_node_is_gone(peers: list[Peer]) -> None:
    a, b, _ = peers
    node = a.create()
    (handle,) = give(a, node, b)
    a.destroy([node])
    assert kinds(b) == [(NODE_GONE, handle)]
    assert b.handles == {handle.id: handle}
    b.release([handle])
    assert b.handles == {}
    assert kinds(a) == []


def test_released_handle_hears_nothing_more(peers: list[Peer]) -> None:
    a, b, c = peers
    node = a.create()
    handle, other = give(a, node, b, c)
    a.destroy([node])
    b.release([handle])
    assert kinds(b) == []
    assert kinds(c) == [(NODE_GONE, other)]


def test_owner_that_released_its_own_handle_hears_nothing(peers: list[Peer]) -> None:
    a = peers[0]
    node, other = a.create(), a.create()
    mine, both = a.handle(node), a.handle(other)
    a.release([mine])
    a.destroy([node])
    a.release([both, other])
    assert kinds(a) == []


def test_last_handle_released_is_told_to_the_owner(peers: list[Peer]) -> None:
    a, b, c = peers
    node = a.create()
    first, second = give(a, node, b, c)
    b.send(first, "last words")
    b.release([first])
    assert kinds(a) == [(DATA, "last words")]
    c.release([second])
    assert kinds(a) == [(NO_HANDLES_LEFT, node)]


def test_no_handles_left_is_withdrawn_when_one_is_made(peers: list[Peer]) -> None:
    a, b, _ = peers
    node = a.create()
    (handle,) = give(a, node, b)
    b.release([handle])
    again = a.handle(node)
    assert kinds(a) == []
    a.release([again])
    assert kinds(a) == [(NO_HANDLES_LEFT, node)]
    a.handle(node)
    assert kinds(a) == []


@pytest.mark.parametrize("once_first", [True, False])
def test_only_no_handles_left_is_withdrawn(peers: list[Peer], once_first: bool) -> None:
    """Both notices are about one node and have one stamp."""
    a = peers[0]
    node = a.create()
    things = [a.once(node, None, 7), a.handle(node)]
    a.release(things if once_first else things[::-1])
    a.handle(node)
    message = a.receive()
    assert message is not None
    assert (message.kind, message.target, message.cookie) == (ONCE_DROPPED, node, 7)
    assert a.receive() is None


def test_once_dropped_stays_when_no_handles_left_was_read(peers: list[Peer]) -> None:
    a = peers[0]
    node = a.create()
    a.release([a.handle(node), a.once(node, None, 7)])
    assert a.receive().kind == NO_HANDLES_LEFT  # type: ignore[union-attr]
    a.handle(node)
    assert kinds(a) == [(ONCE_DROPPED, node)]


def test_at_most_one_no_handles_left_waits(peers: list[Peer]) -> None:
    a = peers[0]
    node = a.create()
    for _ in range(5):
        a.release([a.handle(node)])
    assert a.queue.held() == 1
    assert kinds(a) == [(NO_HANDLES_LEFT, node)]


def test_failed_handle_withdraws_nothing() -> None:
    a = Bus(Limits(), Limits(handles=2)).connect(0)
    node = a.create()
    a.release([a.handle(node)])
    a.create()
    with pytest.raises(Quota):
        a.handle(node)
    assert kinds(a) == [(NO_HANDLES_LEFT, node)]


def test_destroying_drops_no_handles_left(peers: list[Peer]) -> None:
    a, b, _ = peers
    node = a.create()
    (handle,) = give(a, node, b)
    b.release([handle])
    a.destroy([node])
    assert kinds(a) == []


def test_handle_in_a_message_counts(peers: list[Peer]) -> None:
    a, b, c = peers
    node = a.create()
    (handle,) = give(a, node, b)
    (to,) = give(c, c.create(), b)
    kinds(a)
    b.send(to, None, handles=[handle])
    b.release([handle])
    assert kinds(a) == []
    c.reset(flush=True)
    assert kinds(a) == [(NO_HANDLES_LEFT, node)]


def test_release_of_many_is_one_event(peers: list[Peer]) -> None:
    a, b, _ = peers
    nodes = [a.create(), a.create()]
    handles = [give(a, node, b)[0] for node in nodes]
    own = b.create()
    (other,) = give(b, own, a)
    kinds(a)
    stamp = b.release([*handles, own])
    found: list[Message] = []
    while (message := a.receive()) is not None:
        found.append(message)
    assert [message.stamp for message in found] == [stamp] * 3
    assert [message.target for message in found] == [*nodes, other]
    assert {message.tie for message in found} == {b.number}


@pytest.mark.parametrize("how", ["release", "close", "drop", "flush"])
def test_one_shot_handle_that_dies_unused_is_told(peers: list[Peer], how: str) -> None:
    a, b, _ = peers
    node = a.create()
    if how == "drop":
        (to,) = give(b, b.create(), a)
        a.send(to, None, handles=[a.once(node, None, 7)])
    else:
        handle = a.once(node, b, 7)
    if how == "release":
        b.release([handle])
    elif how == "flush":
        b.reset(flush=True)
    else:
        b.close()
    if how == "drop":
        assert a.receive().kind == NODE_GONE  # type: ignore[union-attr]
    message = a.receive()
    assert message is not None
    assert (message.kind, message.target, message.cookie) == (ONCE_DROPPED, node, 7)
    assert a.receive() is None


def test_one_shot_handle_released_in_hand_is_told(peers: list[Peer]) -> None:
    a = peers[0]
    node = a.create()
    a.release([a.once(node, None, 3)])
    assert kinds(a) == [(ONCE_DROPPED, node)]


def test_one_shot_handle_that_is_used_dies_in_silence(peers: list[Peer]) -> None:
    a, b, _ = peers
    node = a.create()
    handle = a.once(node, b, 7)
    b.send(handle, "answer")
    assert b.handles == {}
    assert kinds(a) == [(DATA, "answer")]


def test_one_shot_handle_hears_of_its_node(peers: list[Peer]) -> None:
    a, b, _ = peers
    node = a.create()
    handle = a.once(node, b, 7)
    a.destroy([node])
    message = b.receive()
    assert message is not None
    assert (message.kind, message.target, message.cookie) == (NODE_GONE, handle, 7)
    b.release([handle])
    assert kinds(a) == []


def test_transferred_one_shot_handle_hears_at_its_new_place(peers: list[Peer]) -> None:
    a, b, c = peers
    node = a.create()
    handle = b.transfer(a.once(node, b, 7), c)
    a.destroy([node])
    assert kinds(b) == []
    assert kinds(c) == [(NODE_GONE, handle)]


@pytest.mark.parametrize("read", [0, 1, 70, 200])
def test_many_that_end_as_one_event_are_heard_one_by_one(peers: list[Peer], read: int) -> None:
    """Between what was sent before and after; whatever the holder lets go meanwhile is no news."""
    a, b, _ = peers
    nodes = [a.create() for _ in range(2)]
    door = b.create()
    (to,) = give(b, door, a)
    handles = [handle for node in nodes for handle in give(a, node, *[b] * 100)]
    a.send(to, "before")
    a.destroy(nodes)
    a.send(to, "after")
    assert b.queue.held() == b.query().queued == 202
    message = b.receive()
    assert message is not None
    assert message.payload == "before"
    heard = [b.receive() for _ in range(read)]
    stamps = {message.stamp for message in heard if message}
    told = [message.target for message in heard if message]
    gone = [handle for handle in handles if handle not in told][::3]
    b.release([*gone, *told])
    assert b.queue.held() == 201 - read - len(gone)
    *rest, last = kinds(b)
    assert last == (DATA, "after")
    assert all(kind == NODE_GONE for kind, _ in rest)
    assert {*told, *(target for _, target in rest)} == {*handles} - {*gone}
    assert len(told) + len(rest) == 200 - len(gone)
    assert stamps <= {nodes[0].gone} == {nodes[1].gone}


def test_many_notices_wait_for_what_is_staged_before_them(peers: list[Peer]) -> None:
    a, b, c = peers
    (to,) = give(b, b.create(), c)
    node = a.create()
    handles = give(a, node, *[b] * 3)
    staged = c.transaction()
    staged.stage(to, "staged")
    a.destroy([node])
    assert b.receive() is None
    staged.abort()
    assert {target for _, target in kinds(b)} == {*handles}


@pytest.mark.parametrize("end", ["close", "flush"])
def test_many_notices_end_with_their_reader(peers: list[Peer], end: str) -> None:
    a, b, _ = peers
    node = a.create()
    give(a, node, *[b] * 3)
    a.destroy([node])
    if end == "close":
        b.close()
    else:
        b.reset(flush=True)
        assert kinds(b) == []
    assert b.queue.held() == 0
    assert b.queue.account.handles == 0


def test_what_is_behind_many_notices_is_seen_when_they_are_read(peers: list[Peer]) -> None:
    a, b, _ = peers
    (to,) = give(b, b.create(), a)
    node = a.create()
    give(a, node, b, b)
    a.send(to, "before")
    a.destroy([node])
    a.send(to, "after")
    assert b.queue.peek(1) is None
    assert [b.receive() is not None for _ in range(2)] == [True, True]
    behind = b.queue.peek(1)
    assert behind is not None
    assert behind.payload == "after"


def test_many_notices_that_nobody_needs_any_more_leave_nothing(peers: list[Peer]) -> None:
    """Behind a message, so that none of them is at the head; what comes after is next."""
    a, b, _ = peers
    (to,) = give(b, b.create(), a)
    node = a.create()
    handles = give(a, node, *[b] * 3)
    a.send(to, "before")
    a.destroy([node])
    a.send(to, "after")
    b.release(list(handles))
    assert b.queue.held() == 2
    assert kinds(b) == [(DATA, "before"), (DATA, "after")]
