"""Contract B.3, through the socket: the order of events, and who is told of what."""

from __future__ import annotations

from errno import EDQUOT, ENOTUNIQ, ENXIO, ESTALE

from tests.native.elsewhere import Elsewhere, refuses, right
from tests.native.peer import (
    DATA,
    DESTROY,
    FLUSH,
    HANDLE,
    MORE,
    NO_HANDLES_LEFT,
    NODE_GONE,
    RELEASE,
    Arrival,
    Peer,
    handle,
    node,
    numbers,
)

FULL = 40  # messages of 60,000 bytes: more than a socket takes, so that the rest waits in the bus


def speak(peer: Peer, to: list[int], times: int) -> None:
    """Many, without waiting for answers."""
    for number in range(times):
        peer.quiet(to, b"%d:%d" % (peer.number, number))
    peer.query()


def fill(sender: Elsewhere, to: int) -> None:
    """The receiver does not read: its socket is full, and messages wait in the bus."""
    for _ in range(FULL):
        sender.send(to, b"x" * 60_000)


def payloads(heard: list[Arrival]) -> list[bytes]:
    return [each.payload for each in heard if each.kind == DATA]


def kinds(heard: list[Arrival]) -> list[int]:
    return [each.kind for each in heard]


# ---- order


def test_two_multicasts_meet_everybody_in_one_order(
    a: Elsewhere, b: Elsewhere, c: Elsewhere
) -> None:
    """2026 promises less. (processes/test_order.py has much more of it.)"""
    to = {sender: [right(each, sender)[1] for each in (a, b, c)] for sender in (b, c)}
    for sender in (b, c):
        sender.start(speak, to[sender], 300)
    for sender in (b, c):
        sender.finish()
    heard = [payloads(each.drain()) for each in (a, b, c)]
    assert heard[0] == heard[1] == heard[2]
    assert len(heard[0]) == 600


def test_what_follows_from_a_message_comes_behind_it(
    a: Elsewhere, b: Elsewhere, c: Elsewhere
) -> None:
    """A signals B and C; B, having heard, calls C; C has the signal first."""
    to = [right(each, a)[1] for each in (c, b)]
    _, b_to_c = right(c, b)
    for number in range(100):
        a.quiet(to, b"signal %d" % number)
        signal = b.take()
        call = b.send(b_to_c, b"call %d" % number)
        assert signal.place < (call.stamp, b.number)
    heard = payloads(c.drain())
    for number in range(100):
        assert heard.index(b"signal %d" % number) < heard.index(b"call %d" % number)


def test_what_has_returned_is_before_what_starts_then(
    a: Elsewhere, b: Elsewhere, c: Elsewhere
) -> None:
    """Side channels included: only this test knows of both."""
    a_to_c, b_to_c = right(c, a)[1], right(c, b)[1]
    for number in range(100):
        a.send(a_to_c, b"a%d" % number)
        b.send(b_to_c, b"b%d" % number)
    expected = [b"%s%d" % (who, number) for number in range(100) for who in (b"a", b"b")]
    assert payloads(c.drain()) == expected


def test_what_one_sends_to_another_comes_as_it_was_sent(a: Elsewhere, b: Elsewhere) -> None:
    _, to_b = right(b, a)
    a.run(speak, [to_b], 1000)
    assert payloads(b.drain()) == [b"%d:%d" % (a.number, number) for number in range(1000)]


def test_a_multicast_has_one_place_for_all(a: Elsewhere, b: Elsewhere, c: Elsewhere) -> None:
    said = a.send([right(each, a)[1] for each in (b, c)], b"all")
    assert b.take().place == c.take().place == (said.stamp, a.number)


def test_a_multicast_comes_to_all_or_to_none(a: Elsewhere, b: Elsewhere, c: Elsewhere) -> None:
    """The last of them cannot take it."""
    to = [right(each, a)[1] for each in (b, c)]
    c.reset(0, (1, -1, -1, -1))
    with refuses(EDQUOT):
        a.send(to, b"too much for c")
    assert b.drain() == c.drain() == []


def test_a_node_that_is_twice_in_one_multicast(a: Elsewhere, b: Elsewhere) -> None:
    _, to_b = right(b, a)
    with refuses(ENOTUNIQ):
        a.send([to_b, a.transfer(to_b)])


def test_several_nodes_of_one_peer_in_one_multicast(a: Elsewhere, b: Elsewhere) -> None:
    """A message for each, and all but the last say that there is more of it."""
    nodes, to = zip(*[right(b, a) for _ in range(3)], strict=True)
    a.send(list(to), b"x")
    heard = b.drain()
    assert [each.id for each in heard] == list(nodes)
    assert [each.flags & MORE for each in heard] == [MORE, MORE, 0]
    assert len({each.place for each in heard}) == 1


# ---- the end of nodes


def test_what_was_sent_before_a_node_was_destroyed_still_comes(a: Elsewhere, b: Elsewhere) -> None:
    mine, to_b = right(b, a)
    fill(a, to_b)
    b.destroy(mine)
    with refuses(ESTALE):
        a.send(to_b)
    assert len(payloads(b.drain())) == FULL


def test_a_handle_to_a_node_that_is_gone_comes_as_none(
    a: Elsewhere, b: Elsewhere, c: Elsewhere
) -> None:
    """Gone before the message's place in the order; after it, it comes, then the notice."""
    (early, late), (to_early, to_late) = zip(*[right(c, a) for _ in range(2)], strict=True)
    _, to_b = right(b, a)
    c.destroy(early)
    a.send(to_b, b"", [handle(to_early), handle(to_late)])
    c.destroy(late)
    message, notice = b.drain()
    assert message.handles[0] == 0
    assert (notice.kind, notice.id) == (NODE_GONE, message.handles[1])
    assert message.handles[1] > 0


def test_every_holder_is_told_once_that_a_node_is_gone(
    a: Elsewhere, b: Elsewhere, c: Elsewhere
) -> None:
    """The owner, too, for a handle of its own. The handles are still theirs to release."""
    mine, of_a = right(b, a)
    held = {a: [of_a, a.transfer(of_a)], c: [a.transfer(of_a, c.socket())], b: [b.handle(mine)]}
    stamp = b.destroy(mine)
    for holder, ids in held.items():
        heard = holder.drain()
        assert sorted(each.id for each in heard) == sorted(ids)
        assert {each.place for each in heard} == {(stamp, b.number)}
        holder.release(*ids)
        with refuses(ENXIO):
            holder.release(ids[0])


def test_who_let_go_in_time_hears_nothing(a: Elsewhere) -> None:
    """Of a node that is gone, before the notice is read."""
    mine = a.create()
    own = a.handle(mine)
    a.together((DESTROY, numbers([mine])), (RELEASE, numbers([own])))
    assert a.drain() == []


# ---- the end of handles


def test_the_owner_is_told_when_no_handles_are_left(
    a: Elsewhere, b: Elsewhere, c: Elsewhere
) -> None:
    mine, of_a = right(b, a)
    of_c = a.transfer(of_a, c.socket())
    a.release(of_a)
    assert b.drain() == []
    stamp = c.release(of_c)
    (heard,) = b.drain()
    assert (heard.kind, heard.id, heard.place) == (NO_HANDLES_LEFT, mine, (stamp, c.number))


def test_a_handle_of_its_own_is_one_that_is_left(a: Elsewhere) -> None:
    mine = a.create()
    first, second = a.handle(mine), a.handle(mine)
    a.release(first)
    assert a.drain() == []
    a.release(second)
    assert kinds(a.drain()) == [NO_HANDLES_LEFT]


def test_that_no_handles_are_left_is_withdrawn(a: Elsewhere) -> None:
    """Where the owner makes another one before it has come."""
    mine = a.create()
    own = a.handle(mine)
    a.together((RELEASE, numbers([own])), (HANDLE, numbers([mine])))
    assert a.drain() == []


def test_that_no_handles_are_left_is_said_again(a: Elsewhere) -> None:
    """But never twice without a handle in between."""
    mine = a.create()
    for _ in range(3):
        a.release(a.handle(mine))
    assert kinds(a.drain()) == [NO_HANDLES_LEFT] * 3


def test_of_a_node_that_is_gone_no_more_is_said(a: Elsewhere) -> None:
    mine = a.create()
    own = a.handle(mine)
    a.together((RELEASE, numbers([own])), (DESTROY, numbers([mine])))
    assert a.drain() == []


def test_a_handle_in_a_message_is_one_that_is_left(a: Elsewhere, b: Elsewhere) -> None:
    """Whether or not the message has been read."""
    mine, (_, to_b) = a.create(), right(b, a)
    fill(a, to_b)
    a.send(to_b, b"", [node(mine)])
    assert a.drain() == []
    b.release(b.drain()[-1].handles[0])
    assert kinds(a.drain()) == [NO_HANDLES_LEFT]


# ---- the end of peers


def test_a_peer_that_is_killed(a: Elsewhere, b: Elsewhere, c: Elsewhere) -> None:
    """Its nodes are gone under one stamp, then its handles; what it sent still comes."""
    of_c = [right(c, a)[1] for _ in range(3)]
    mine, _ = right(a, c)
    _, to_b = right(b, c)
    c.send(to_b, b"my last word")
    c.kill()
    heard = [a.take() for _ in range(4)]
    assert sorted(each.id for each in heard[:3]) == sorted(of_c)
    assert len({each.place for each in heard[:3]}) == 1
    assert (heard[3].kind, heard[3].id) == (NO_HANDLES_LEFT, mine)
    assert kinds(heard[:3]) == [NODE_GONE] * 3
    assert b.take().payload == b"my last word"


def test_handles_in_messages_that_nobody_will_read_are_released(a: Elsewhere, b: Elsewhere) -> None:
    mine, (_, to_b) = a.create(), right(b, a)
    fill(a, to_b)
    a.send(to_b, b"", [node(mine)])
    b.kill()
    assert {a.take().kind, a.take().kind} == {NODE_GONE, NO_HANDLES_LEFT}


def test_a_flush_is_a_point_in_the_order(a: Elsewhere, b: Elsewhere) -> None:
    """All before it is dropped, what the process has in its socket included; all after it comes."""
    mine, to_b = right(b, a)
    fill(a, to_b)
    b.set_seed(b"", [node(mine)])
    assert b.run(flushes) == []
    a.send(to_b, b"after")
    assert payloads(b.drain()) == [b"after"]


def flushes(peer: Peer) -> list[Arrival]:
    """What waits after it. What it has read before the result is dropped, too: it knows that."""
    peer.reset(FLUSH)
    peer.arrived.clear()
    return peer.drain()
