"""Contract B.4, through the socket and with users of their own: who may hold how much of whom."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from errno import EDQUOT

import pytest

from tests.buses import Bus
from tests.native.elsewhere import Elsewhere, refuses, right
from tests.native.peer import Fd, Peer, Refused

VICTIM, HONEST, HOSTILE = 2001, 2002, 3001  # users without a name
ALL = 8_000_000  # bytes for all peers of a user: eight times as many as for one
FDS = 512

Come = Callable[[int], Elsewhere]


@pytest.fixture
def come(open_bus: Bus) -> Iterator[Come]:
    """A peer of this user."""
    made: list[Elsewhere] = []

    def connect(uid: int) -> Elsewhere:
        made.append(Elsewhere(f"{open_bus.directory}/native", uid))
        return made[-1]

    yield connect
    for one in made:
        one.kill()


def bytes_into(peer: Peer, to: list[int]) -> int:
    """As many as these take, in messages that become smaller."""
    sent = 0
    for handle in to:
        size = 60_000
        while size:
            try:
                peer.send(handle, b"x" * size)
                sent += size
            except Refused:  # EDQUOT
                size //= 2
    return sent


def fds_into(peer: Peer, to: list[int]) -> int:
    sent = 0
    null = Fd(os.open("/dev/null", os.O_RDONLY))
    for handle in to:
        count = 16
        while count:
            try:
                peer.send(handle, fds=[null] * count)
                sent += count
            except Refused:  # EDQUOT
                count //= 2
    os.close(null.number)
    return sent


def rights(receivers: list[Elsewhere], sender: Elsewhere) -> list[int]:
    return [right(each, sender)[1] for each in receivers]


@pytest.mark.parametrize(("into", "limit"), [(bytes_into, ALL), (fds_into, FDS)])
@pytest.mark.parametrize("hostile", [1, 4])
def test_hostile_users_leave_an_honest_one_its_share(
    come: Come, into: Callable[[Peer, list[int]], int], limit: int, hostile: int
) -> None:
    """(a) Each of n fills all of a victim's peers as far as it can; the honest one can still send
    1/((n+1)(n+2)) of what the victim may hold, to peers that are not full."""
    victims = [come(VICTIM) for _ in range(16)]
    attackers = [come(HOSTILE + number) for number in range(hostile)]
    honest = come(HONEST)
    to = [rights(victims[:12], each) for each in attackers]
    free = rights(victims, honest)
    taken = [each.run(into, where) for each, where in zip(attackers, to, strict=True)]
    again = [each.run(into, where) for each, where in zip(attackers, to, strict=True)]
    assert taken[0] >= limit // 3
    assert sum(again) <= sum(taken) // 10
    assert honest.run(into, free) >= limit // ((hostile + 1) * (hostile + 2))


def test_a_share_comes_back_when_it_is_read(come: Come) -> None:
    """(b)"""
    victim, sender = come(VICTIM), come(HONEST)
    to = rights([victim], sender)
    first = sender.run(bytes_into, to)
    assert sender.run(bytes_into, to) == 0
    victim.drain()
    assert sender.run(bytes_into, to) == pytest.approx(first, rel=0.2)


def test_a_stuck_peer_does_not_starve_its_sister(come: Come) -> None:
    """(c) Of the same user, and for the same sender."""
    stuck, sister, sender = come(VICTIM), come(VICTIM), come(HOSTILE)
    to_stuck, to_sister = rights([stuck], sender), rights([sister], sender)
    full = sender.run(bytes_into, to_stuck)
    assert sender.run(bytes_into, to_sister) == pytest.approx(full, rel=0.2)


def test_a_multicast_over_quota_for_one_fails_whole(come: Come) -> None:
    """(d)"""
    full, empty, sender = come(VICTIM), come(VICTIM), come(HONEST)
    to_full, to_empty = rights([full], sender), rights([empty], sender)
    sender.run(bytes_into, to_full)
    with refuses(EDQUOT):
        sender.send(to_empty + to_full, b"x" * 1000)
    assert empty.drain() == []


def test_what_a_user_sends_itself_is_up_to_the_limit(come: Come) -> None:
    """No shares among oneself: one peer may be full."""
    receiver, sender = come(VICTIM), come(VICTIM)
    assert sender.run(bytes_into, rights([receiver], sender)) >= receiver.query().most_bytes


def test_the_receiver_pays_and_not_the_sender(come: Come) -> None:
    victim, sender = come(VICTIM), come(HOSTILE)
    to = rights([victim], sender)
    before = sender.query()
    sender.run(bytes_into, to)
    assert sender.query() == before


@pytest.mark.parametrize(("into", "limit"), [(bytes_into, ALL // 8), (fds_into, FDS // 8)])
@pytest.mark.parametrize("hostile", [1, 4])
def test_hostile_users_leave_an_honest_one_its_share_of_a_peer(
    come: Come, into: Callable[[Peer, list[int]], int], limit: int, hostile: int
) -> None:
    """(a) Of the very peer that they fill, too."""
    victim = come(VICTIM)
    attackers = [come(HOSTILE + number) for number in range(hostile)]
    honest = come(HONEST)
    to, free = [rights([victim], each) for each in attackers], rights([victim], honest)
    for each, where in zip(attackers, to, strict=True):
        each.run(into, where)
    assert honest.run(into, free) >= limit // ((hostile + 1) * (hostile + 2))
