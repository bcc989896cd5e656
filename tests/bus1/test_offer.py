"""What an embedding that speaks for others needs: handles offered without being held, the cookie of
a one-shot handle that was used, a seed from somebody else, and another one who pays."""

import pytest

from bus1 import (
    DATA,
    NO_HANDLES_LEFT,
    Bus,
    Closed,
    Duplicate,
    Foreign,
    Gone,
    Handle,
    Limits,
    Node,
    Peer,
    Quota,
    Stranger,
    Unknown,
)
from bus1.sending import unicast


@pytest.fixture
def peers() -> list[Peer]:
    bus = Bus()
    return [bus.connect(0), bus.connect(1), bus.connect(1)]


def right(sender: Peer, receiver: Peer) -> Handle:
    return receiver.transfer(receiver.handle(receiver.create()), sender)


def cargo(peer: Peer) -> list[Handle | None]:
    message = peer.receive()
    assert message is not None
    assert message.handles is not None
    return message.handles


def lonely(peer: Peer) -> Node:
    """A node whose last handle is gone; the notice waits."""
    node = peer.create()
    peer.release([peer.handle(node)])
    return node


def test_each_receiver_gets_a_new_handle_to_what_is_offered(peers: list[Peer]) -> None:
    a, b, c = peers
    node = a.create()
    offer = a.offer(node)
    a.multicast([right(a, b), right(a, c)], None, handles=[offer, offer])
    handles = [*cargo(b), *cargo(c)]
    assert len({id(handle) for handle in [*handles, offer]}) == 5
    assert all(handle is not None and handle.node is node for handle in handles)
    a.send(right(a, b), None, handles=[offer])  # any number of times
    assert node.count == 5


def test_an_offer_is_nothing_yet(peers: list[Peer]) -> None:
    a = peers[0]
    node = a.create()
    held = a.query().handles
    offer = a.offer(node)
    assert (node.count, a.query().handles, list(a.handles)) == (0, held, [])
    with pytest.raises(Unknown):
        a.send(offer, None)
    with pytest.raises(Unknown):
        a.transfer(offer, a)


def test_nobody_hears_of_an_offer_that_ends(peers: list[Peer]) -> None:
    a = peers[0]
    node = a.create()
    offer = a.offer(node)
    a.release([offer])
    assert (node.count, a.receive()) == (0, None)
    with pytest.raises(Unknown):
        a.send(right(a, a), None, handles=[offer])


def test_what_was_in_hand_and_is_forgotten_never_was(peers: list[Peer]) -> None:
    a = peers[0]
    node = a.create()
    a.offer(node)
    a.once(node, None, 5)
    assert (node.first, a.receive()) == (None, None)


def test_an_offer_does_not_keep_the_last_handle_s_end_secret(peers: list[Peer]) -> None:
    a = peers[0]
    node = a.create()
    handle, offer = a.handle(node), a.offer(node)
    a.release([handle])
    message = a.receive()
    assert message is not None
    assert (message.kind, message.target) == (NO_HANDLES_LEFT, node)
    assert offer.hand


def test_an_offer_withdraws_the_notice_when_it_is_sent(peers: list[Peer]) -> None:
    a, b, _ = peers
    offer = a.offer(lonely(a))
    assert a.queue.held() == 1
    a.send(right(a, b), None, handles=[offer])
    assert a.receive() is None


def test_an_offer_that_could_not_be_sent_has_changed_nothing(peers: list[Peer]) -> None:
    a, b, c = peers
    node = lonely(a)
    full, to = right(a, b), right(a, c)
    b.reset(Limits(messages=0))
    before = c.query()
    for targets in ([full], [to, full]):
        offer = a.offer(node)
        with pytest.raises(Quota):
            a.multicast(targets, None, handles=[offer])
        with pytest.raises(Quota):
            a.send(full, None, handles=[offer])
        assert node.count == 0
        assert c.query() == before
    message = a.receive()
    assert message is not None
    assert (message.kind, message.target) == (NO_HANDLES_LEFT, node)


def test_what_cannot_be_offered(peers: list[Peer]) -> None:
    a, b, _ = peers
    node = a.create()
    with pytest.raises(Stranger):
        b.offer(node)
    a.destroy([node])
    with pytest.raises(Gone):
        a.offer(node)
    a.close()
    with pytest.raises(Closed):
        a.offer(node)


def test_a_message_says_which_one_shot_handle_it_came_on(peers: list[Peer]) -> None:
    a, b, _ = peers
    node = a.create()
    for send in (b.send, lambda to, payload: b.multicast([to], payload)):
        for cookie in (77, 0):
            send(a.once(node, b, cookie), "once")  # type: ignore[operator]
            message = a.receive()
            assert message is not None
            assert (message.kind, message.once, message.cookie) == (DATA, True, cookie)
    transaction = b.transaction()
    transaction.stage(a.once(node, b, 88), "once")
    transaction.commit()
    b.send(a.transfer(a.handle(node), b), "not")
    found = [a.receive(), a.receive()]
    assert [(m.once, m.cookie) for m in found if m is not None] == [(True, 88), (False, 0)]


def test_a_one_shot_handle_is_no_destination_twice(peers: list[Peer]) -> None:
    a, b, _ = peers
    once = a.once(a.create(), b, 1)
    with pytest.raises(Duplicate):
        b.multicast([once, once], None)
    b.send(once, None)


def test_a_multicast_that_returns_its_stamp(peers: list[Peer]) -> None:
    a, b, c = peers
    targets = [right(a, b), right(a, c)]
    c.destroy(list(c.nodes.values()))
    refused: list[tuple[int, Exception]] = []
    stamp = a.cast(targets, "x", 1, None, 0, None, refused)  # type: ignore[arg-type]
    message = b.receive()
    assert message is not None
    assert message.stamp == stamp
    ((place, error),) = refused
    assert place == 1
    assert isinstance(error, Gone)
    with pytest.raises(Gone):
        a.cast(targets, "x", 1, None, 0, None, None)


def test_a_seed_from_who_sets_the_peer_up(peers: list[Peer]) -> None:
    a, b, c = peers
    node = lonely(a)
    to = right(a, c)
    b.set_seed("start", 5, None, 0, [a.offer(node), to], a)
    assert a.receive() is None
    assert a.query().bytes == 0
    assert b.query().bytes == 5
    seed = b.seed()
    assert seed is not None
    assert [handle.node for handle in seed.handles or ()] == [node, to.node]
    with pytest.raises(Unknown):
        b.set_seed("start", 5, None, 0, [to], b)
    with pytest.raises(Foreign):
        b.set_seed("start", 5, None, 0, [], Bus().connect(0))


def test_another_user_pays(peers: list[Peer]) -> None:
    a, b, _ = peers
    payer = Bus().connect(9).user
    unicast(a.queue, payer, right(a, b), "x", 10, None, 0, None)
    assert b.user.share(payer).bytes == 10
    assert b.user.share(a.user).bytes == 0
    message = b.receive()
    assert message is not None
    assert message.tie == a.number
    assert b.user.share(payer).bytes == 0
