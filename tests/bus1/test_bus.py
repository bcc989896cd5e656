"""The bus: users come and go with their peers, and readers are told once."""

import pytest

from bus1 import Bus, Handle, Invalid, Limits, Peer


def right(sender: Peer, receiver: Peer) -> Handle:
    return receiver.transfer(receiver.handle(receiver.create()), sender)


def test_peers_of_one_uid_share_a_user() -> None:
    bus = Bus()
    a, b, c = bus.connect(7), bus.connect(7), bus.connect(8)
    assert a.user is b.user is not c.user
    assert bus.users == {7: a.user, 8: c.user}
    assert len({a.number, b.number, c.number}) == 3


def test_uid_must_be_one() -> None:
    with pytest.raises(Invalid):
        Bus().connect(-1)


def test_limits_of_users_and_of_peers() -> None:
    user, peer = Limits(bytes=100), Limits(bytes=10)
    there = Bus(user, peer).connect(0)
    assert there.user.limits is user
    assert there.query().limits is peer
    assert Bus(user).connect(0).query().limits is user


def test_user_stays_while_something_is_charged_for_it() -> None:
    """The sender has left; its message waits, and counts as its share until it is received."""
    bus = Bus()
    a, b = bus.connect(0), bus.connect(1)
    a.send(right(a, b), None, 1)
    a.close()
    assert set(bus.users) == {0, 1}
    assert bus.connect(0).user is a.user
    b.receive()  # the message
    assert set(bus.users) == {0, 1}


def test_user_leaves_with_its_last_charge() -> None:
    bus = Bus()
    a, b = bus.connect(0), bus.connect(1)
    a.send(right(a, b), None, 1)
    a.close()
    b.receive()
    assert set(bus.users) == {1}
    assert set(b.user.shares) == {b.user}
    b.close()
    assert bus.users == {}


def test_ready_once_until_taken() -> None:
    bus = Bus()
    a, b, c = (bus.connect(0) for _ in range(3))
    to_b, to_c = right(a, b), right(a, c)
    for _ in range(3):
        a.send(to_b, None)
    a.send(to_c, None)
    assert bus.take_ready() == [b.queue, c.queue]
    assert bus.take_ready() == []
    a.send(to_b, None)
    assert bus.take_ready() == [b.queue]


def test_reader_is_found_at_the_queue() -> None:
    bus = Bus()
    a, b = bus.connect(0), bus.connect(0)
    b.queue.reader = "connection"
    a.send(right(a, b), None)
    assert [queue.reader for queue in bus.take_ready()] == ["connection"]
    assert b.queue.peer is b


def test_closed_queue_may_still_be_taken() -> None:
    bus = Bus()
    a, b = bus.connect(0), bus.connect(0)
    a.send(right(a, b), None)
    b.close()
    queue, other = bus.take_ready()
    assert (queue, other) == (b.queue, a.queue)  # the second has the notice of the end
    assert queue.closed
    assert queue.peer is None
