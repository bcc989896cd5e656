"""Transactions: nothing is seen before the commit, all of it after, under one stamp."""

import pytest

from bus1 import (
    NO_HANDLES_LEFT,
    ONCE_DROPPED,
    Bus,
    Closed,
    Duplicate,
    Gone,
    Handle,
    Invalid,
    Limits,
    Message,
    Peer,
    Quota,
    Unknown,
)
from bus1.sending import multicast


@pytest.fixture
def peers() -> list[Peer]:
    bus = Bus()
    return [bus.connect(uid) for uid in range(4)]


def right(sender: Peer, receiver: Peer) -> Handle:
    own = receiver.handle(receiver.create())
    return receiver.transfer(own, sender)


def payloads(peer: Peer) -> list[object]:
    found = []
    while (message := peer.receive()) is not None:
        found.append(message.payload)
    return found


def taken(peer: Peer) -> Message:
    message = peer.receive()
    assert message is not None
    return message


def test_multicast_is_not_seen_while_it_is_staged_nor_what_follows(peers: list[Peer]) -> None:
    a, b, c, d = peers
    to_b, to_c, other = right(a, b), right(a, c), right(d, b)
    transaction = a.transaction()
    transaction.stage(to_b, "all")
    d.send(other, "behind")
    transaction.stage(to_c, "all")
    assert payloads(b) == payloads(c) == []
    transaction.commit()
    assert payloads(b) == ["behind", "all"]
    assert payloads(c) == ["all"]


def test_two_multicasts_come_in_one_order_everywhere(peers: list[Peer]) -> None:
    """The first receiver is staged by one sender first, the second by the other."""
    a, b, c, d = peers
    first, second = a.transaction(), b.transaction()
    first.stage(right(a, c), "first")
    second.stage(right(b, d), "second")
    second.stage(right(b, c), "second")
    first.stage(right(a, d), "first")
    second.commit()
    first.commit()
    assert payloads(c) == payloads(d) == ["second", "first"]


def test_one_stamp_for_all_with_the_senders_number(peers: list[Peer]) -> None:
    a, b, c, _ = peers
    a.multicast([right(a, b), right(a, c)], "payload")
    first, second = taken(b), taken(c)
    assert (first.stamp, first.tie) == (second.stamp, second.tie)
    assert first.tie == a.number


def test_word_passed_outside_the_bus_comes_after(peers: list[Peer]) -> None:
    """What returned before is before, though the second sender never saw the first."""
    a, b, c, d = peers
    to_c, to_d = right(a, c), right(a, d)
    for _ in range(10):
        a.send(to_d, "noise")  # raises the clock of d alone
    a.multicast([to_c, to_d], "cause")
    b.multicast([right(b, c), right(b, d)], "effect")
    assert payloads(c) == ["cause", "effect"]
    assert payloads(d)[10:] == ["cause", "effect"]


def test_two_nodes_of_one_peer_are_two_entries_with_more_on_the_first(peers: list[Peer]) -> None:
    a, b, c, _ = peers
    targets = [right(a, b), right(a, c), right(a, b), right(a, b)]
    a.multicast(targets, "payload")
    found = [taken(b), taken(b), taken(b)]
    assert [message.more for message in found] == [True, True, False]
    assert [message.target for message in found] == [targets[i].node for i in (0, 2, 3)]
    assert not taken(c).more


def test_duplicate_destination_is_refused(peers: list[Peer]) -> None:
    a, b, c, _ = peers
    to_b, to_c = right(a, b), right(a, c)
    again = a.transfer(to_b, a)
    for targets in ([to_b, to_c, to_b], [to_c, to_b, again]):
        for proceed in (False, True):
            with pytest.raises(Duplicate):
                a.multicast(targets, None, proceed=proceed)
    assert payloads(b) == payloads(c) == []
    assert b.queue.account.messages == c.queue.account.messages == 0


@pytest.mark.parametrize("way", ["abort", "close", "flush"])
def test_abort_leaves_nothing(peers: list[Peer], way: str) -> None:
    a, b, c, _ = peers
    transaction = a.transaction()
    transaction.stage(right(a, b), None, 10, None, 1, [a.handle(a.create())])
    transaction.stage(right(a, c), None, 10)
    if way == "abort":
        transaction.abort()
    elif way == "close":
        a.close()
    else:
        a.reset(flush=True)
    assert not transaction.open
    transaction.abort()
    for peer in (b, c):
        account = peer.queue.account
        assert (account.bytes, account.messages, account.fds) == (0, 0, 0)
        assert peer.queue.held() == 0
    with pytest.raises(Closed):
        transaction.commit()
    with pytest.raises(Closed):
        transaction.stage(right(b, c), None)
    assert not transaction.open


def test_aborting_unblocks_and_wakes(peers: list[Peer]) -> None:
    a, b, c, _ = peers
    transaction = a.transaction()
    transaction.stage(right(a, b), None)
    c.send(right(c, b), "behind")
    assert not b.queue.woken
    transaction.abort()
    assert b.queue.woken
    assert payloads(b) == ["behind"]


def test_destination_gone_before_the_commit_fails_the_whole(peers: list[Peer]) -> None:
    a, b, c, _ = peers
    to_b, to_c = right(a, b), right(a, c)
    transaction = a.transaction()
    transaction.stage(to_b, "payload")
    transaction.stage(to_c, "payload")
    c.close()
    with pytest.raises(Gone):
        transaction.commit()
    assert payloads(b) == []
    assert not transaction.open


def test_destination_gone_before_the_commit_is_left_out_if_told_to_proceed(
    peers: list[Peer],
) -> None:
    a, b, c, d = peers
    node = d.create()
    to_b, to_c, to_d = right(a, b), right(a, c), d.transfer(d.handle(node), a)
    transaction = a.transaction()
    for to in (to_b, to_c, to_d):
        transaction.stage(to, "payload", 1, None, 0, [to_b])
    c.close()
    d.destroy([node])
    reports = transaction.commit(True)
    assert [(handle, type(error)) for handle, error in reports] == [(to_c, Gone), (to_d, Gone)]
    assert payloads(b) == ["payload"]
    assert d.queue.account.messages == 0


def test_rights_are_checked_when_staging(peers: list[Peer]) -> None:
    """Released between staging and commit: still delivered, and the owner hears of it after."""
    a, b, _, _ = peers
    node = b.create()
    own = b.handle(node)
    handle = b.transfer(own, a)
    b.release([own])
    transaction = a.transaction()
    transaction.stage(handle, "payload")
    a.release([handle])
    assert payloads(b) == []
    transaction.commit()
    assert taken(b).payload == "payload"
    assert taken(b).kind == NO_HANDLES_LEFT


def test_refused_stage_leaves_the_others(peers: list[Peer]) -> None:
    a, b, c, _ = peers
    to_b = right(a, b)
    transaction = a.transaction()
    transaction.stage(to_b, "payload")
    with pytest.raises(Unknown):
        transaction.stage(right(b, c), "payload")
    with pytest.raises(Duplicate):
        transaction.stage(to_b, "again")
    transaction.commit()
    assert payloads(b) == ["payload"]


def test_one_shot_destination_is_spent_by_the_commit_only(peers: list[Peer]) -> None:
    a, b, _, _ = peers
    once = b.once(b.create(), a, 1)
    transaction = a.transaction()
    transaction.stage(once, "first")
    transaction.abort()
    assert a.handles[once.id] is once
    transaction = a.transaction()
    transaction.stage(once, "second")
    transaction.commit()
    assert once.id not in a.handles
    assert payloads(b) == ["second"]


def test_one_shot_destination_that_is_gone_stays_its_holders(peers: list[Peer]) -> None:
    a, b, _, _ = peers
    once = b.once(b.create(), a, 1)
    transaction = a.transaction()
    transaction.stage(once, None)
    b.destroy([once.node])
    assert [handle for handle, _ in transaction.commit(True)] == [once]
    assert a.receive().target is once  # type: ignore[union-attr]
    a.release([once])
    assert a.handles == {}


@pytest.mark.parametrize("proceed", [False, True])
def test_cargo_of_a_left_out_receiver_stays_with_the_sender(
    peers: list[Peer], proceed: bool
) -> None:
    """The receiver closes, staged message and all; what it would have got counts once, no less."""
    a, b, c, _ = peers
    node, to = a.create(), right(a, b)
    own = a.handle(node)
    other, once = a.transfer(own, c), a.once(node, None, 1)
    a.release([own])
    sender = c.transaction()
    sender.stage(right(c, b), None, handles=[other])
    mine = a.transaction()
    mine.stage(to, None, handles=[once])
    b.close()
    for transaction in (sender, mine):
        if proceed:
            assert len(transaction.commit(True)) == 1
        else:
            transaction.abort()
    assert a.receive().target is to  # type: ignore[union-attr]
    assert a.receive() is None
    assert node.count == 1
    c.release([other])
    assert a.receive().kind == NO_HANDLES_LEFT  # type: ignore[union-attr]
    a.release([once])
    assert a.receive().kind == ONCE_DROPPED  # type: ignore[union-attr]


def test_multicast_over_quota_fails_as_a_whole(peers: list[Peer]) -> None:
    a, b, c, _ = peers
    targets = [right(a, b), right(a, c)]
    c.reset(Limits(bytes=5))
    with pytest.raises(Quota):
        a.multicast(targets, "payload", 6)
    assert payloads(b) == payloads(c) == []
    assert b.queue.account.bytes == 0


def test_multicast_that_proceeds_reports_who_was_left_out(peers: list[Peer]) -> None:
    a, b, c, d = peers
    targets = [right(a, b), right(a, c), right(a, d)]
    c.reset(Limits(bytes=15))
    d.close()
    reports = a.multicast(targets, "payload", 6, proceed=True)
    assert [(handle, type(error)) for handle, error in reports] == [
        (targets[1], Quota),
        (targets[2], Gone),
    ]
    assert payloads(b) == ["payload"]
    assert payloads(c) == []


def test_fast_multicast_leaves_out_who_cannot_take_it(peers: list[Peer]) -> None:
    a, b, c, d = peers
    nodes = [b.create(), c.create(), d.create()]
    c.reset(Limits(bytes=15))
    d.close()
    assert multicast(a.queue, a.user, nodes, "payload", 6, None, 0) == nodes[1:]
    assert multicast(a.queue, a.user, nodes[:2], "payload", 5, None, 0) is None
    first, second = taken(b), taken(b)
    assert first.stamp < second.stamp == taken(c).stamp
    assert a.queue.clock == second.stamp
    assert multicast(a.queue, a.user, [], "payload", 5, None, 0) is None


def test_fast_multicast_checks_before_it_begins(peers: list[Peer]) -> None:
    a, b, _, _ = peers
    node = b.create()
    for size, fds in ((-1, 0), (0, -1)):
        with pytest.raises(Invalid):
            multicast(a.queue, a.user, [node], None, size, None, fds)
    with pytest.raises(Invalid):
        multicast(a.queue, a.user, [node, None], None, 0, None, 0)  # type: ignore[list-item]
    a.close()
    with pytest.raises(Closed):
        multicast(a.queue, a.user, [node], None, 0, None, 0)
    assert b.queue.held() == 0


def test_argument_of_the_wrong_type_stages_nothing(peers: list[Peer]) -> None:
    a, b, _, _ = peers
    with pytest.raises((TypeError, AttributeError)):
        a.multicast([right(a, b), "no handle"], None)  # type: ignore[list-item]
    assert b.queue.held() == 0
    assert a.queue.staging == []
