"""Charges: the two layers, and that a sender's fair share cannot be taken away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus1.errors import Invalid
from bus1.quota import Account, Limits, User

KINDS = ("bytes", "messages", "handles", "fds")


def users(count: int, limit: int) -> list[User]:
    limits = Limits(limit, limit, limit, limit)
    there: dict[int, User] = {}
    for uid in range(count):
        there[uid] = User(uid, limits, there)
        there[uid].join()
    return list(there.values())


def account(user: User) -> Account:
    return Account(user, user.limits)


def most(target: Account, actor: User) -> int:
    """How many bytes a sender can get there, by as many charges as it takes."""
    taken, step = 0, target.user.limits.bytes
    while step:
        if target.take(target.share(actor), step, 0, 0, 0):
            taken += step
        else:
            step //= 2
    return taken


def test_limits_say_what_they_are() -> None:
    limits = Limits(1, 2, 3, 4)
    assert [getattr(limits, kind) for kind in KINDS] == [1, 2, 3, 4]
    assert repr(limits) == "Limits(bytes=1, messages=2, handles=3, fds=4)"
    assert [getattr(Limits(), kind) for kind in KINDS] == [1 << 24, 16384, 65536, 4096]


@pytest.mark.parametrize("wrong", [-1, (1 << 40) + 1])
@pytest.mark.parametrize("kind", KINDS)
def test_limits_must_be_sensible(kind: str, wrong: int) -> None:
    with pytest.raises(Invalid):
        Limits(**{kind: wrong})
    Limits(**{kind: 1 << 40})


def test_the_most_that_was_held_is_remembered() -> None:
    receiver, sender = users(2, 100)
    target = account(receiver)
    share = target.share(sender)
    for charge in ([9, 1, 0, 2], [2, 1, 0, 0], [200, 1, 0, 9]):
        target.take(share, *charge)
    assert (target.most_bytes, target.most_fds) == (11, 2)
    target.give(share, 11, 2, 0, 2)
    target.take(share, 3, 1, 0, 1)
    assert (target.most_bytes, target.most_fds) == (11, 2)


@pytest.mark.parametrize("place", range(4))
def test_all_or_nothing(place: int) -> None:
    receiver, sender = users(2, 100)
    target = account(receiver)
    share = target.share(sender)
    charge = [1, 1, 1, 1]
    charge[place] = 101
    assert not target.take(share, *charge)
    for holder in (target, receiver, share):
        assert [getattr(holder, kind) for kind in KINDS] == [0, 0, 0, 0]
    assert receiver.actors == sender.debts == 0
    assert target.take(share, 1, 2, 3, 4)
    for holder in (target, receiver, share):
        assert [getattr(holder, kind) for kind in KINDS] == [1, 2, 3, 4]
    assert receiver.actors == sender.debts == 1
    target.give(share, 1, 2, 3, 4)
    for holder in (target, receiver, share):
        assert [getattr(holder, kind) for kind in KINDS] == [0, 0, 0, 0]
    assert receiver.actors == sender.debts == 0


def test_nothing_is_always_free() -> None:
    receiver, sender = users(2, 0)
    target = account(receiver)
    assert target.take(target.share(sender), 0, 0, 0, 0)
    assert not target.take(target.share(sender), 0, 0, 0, 1)
    assert not target.take(target.share(sender), -1, 0, 0, 0)


def test_first_sender_gets_half_and_the_next_a_third_of_the_rest() -> None:
    receiver, first, second = users(3, 1200)
    targets = [account(receiver) for _ in range(8)]
    assert sum(most(target, first) for target in targets) == 600
    assert sum(most(target, second) for target in targets) == 200


def test_own_messages_up_to_the_limit() -> None:
    (user,) = users(1, 1000)
    targets = [account(user) for _ in range(30)]
    assert sum(most(target, user) for target in targets) == 999  # no peer is half of the last one


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(-400, 1000)),
        max_size=60,
    )
)
def test_attackers_never_push_an_honest_sender_below_its_share(
    steps: list[tuple[int, int]],
) -> None:
    """Four users take and give as they like; the honest one still gets its guaranteed part."""
    limit = 10000
    receiver, *senders = users(6, limit)
    honest = senders.pop()
    targets = [account(receiver) for _ in range(12)]
    held = {sender: [0] * len(targets) for sender in senders}
    for number, amount in steps:
        sender = senders[number - 1]
        place = amount % len(targets)
        if amount > 0 and targets[place].take(targets[place].share(sender), amount, 0, 0, 0):
            held[sender][place] += amount
        elif amount < 0 and held[sender][place]:
            targets[place].give(targets[place].share(sender), held[sender][place], 0, 0, 0)
            held[sender][place] = 0
    attackers = sum(any(there) for there in held.values())
    got = sum(most(target, honest) for target in (account(receiver) for _ in range(40)))
    assert got >= limit // ((attackers + 1) * (attackers + 2)) - 1


def test_share_comes_back_when_it_is_given_back() -> None:
    receiver, sender, other = users(3, 1200)
    targets = [account(receiver) for _ in range(8)]
    assert targets[0].take(targets[0].share(sender), 400, 0, 0, 0)
    assert targets[1].take(targets[1].share(sender), 200, 0, 0, 0)
    assert not targets[2].take(targets[2].share(sender), 1, 0, 0, 0)
    targets[0].give(targets[0].share(sender), 400, 0, 0, 0)
    assert targets[2].take(targets[2].share(sender), 400, 0, 0, 0)
    assert not targets[3].take(targets[3].share(other), 201, 0, 0, 0)
    assert targets[3].take(targets[3].share(other), 200, 0, 0, 0)


def test_stuck_peer_does_not_starve_its_sisters() -> None:
    """Own messages may fill the user, but one peer only half of what the others leave."""
    (user,) = users(1, 1000)
    stuck, sister = account(user), account(user)
    assert most(stuck, user) == 500
    assert most(sister, user) == 250
    assert not stuck.take(stuck.share(user), 1, 0, 0, 0)


def test_peer_has_a_hard_limit() -> None:
    receiver, sender = users(2, 1000)
    target = Account(receiver, Limits(10, 10, 10, 10))
    assert most(target, receiver) == 10
    assert most(Account(receiver, Limits(10, 10, 10, 10)), sender) == 5


def test_lowered_limit_refuses_and_then_recovers() -> None:
    receiver, sender = users(2, 1000)
    target = account(receiver)
    share = target.share(sender)
    assert target.take(share, 400, 0, 0, 0)
    receiver.limits = Limits(100, 100, 100, 100)
    assert not target.take(share, 1, 0, 0, 0)
    target.give(share, 400, 0, 0, 0)
    assert not target.take(share, 60, 0, 0, 0)
    assert target.take(share, 50, 0, 0, 0)


def test_huge_charge_does_not_overflow() -> None:
    receiver, sender = users(2, 1 << 40)
    target = account(receiver)
    assert not target.take(target.share(sender), (1 << 63) - 1, 0, 0, 0)
    assert target.take(target.share(sender), 1 << 39, 0, 0, 0)
    assert not target.take(target.share(sender), (1 << 63) - 1, 0, 0, 0)


def test_adopted_handles_become_the_receivers_own() -> None:
    receiver, sender = users(2, 100)
    target = account(receiver)
    share = target.share(sender)
    assert target.take(share, 0, 1, 3, 0)
    target.adopt(share, 3)
    assert (share.handles, target.own.handles, target.handles, receiver.handles) == (0, 3, 3, 3)
    assert receiver.actors == 2
    target.give(share, 0, 1, 0, 0)
    assert receiver.actors == 1
    target.give(target.own, 0, 0, 3, 0)
    assert receiver.actors == 0


def test_user_leaves_when_nothing_is_charged() -> None:
    receiver, sender = users(2, 100)
    there = {0: receiver, 1: sender}
    receiver, sender = User(0, receiver.limits, there), User(1, receiver.limits, there)
    there[0], there[1] = receiver, sender
    receiver.join()
    sender.join()
    target = account(receiver)
    share = target.share(sender)
    assert target.take(share, 1, 1, 0, 0)
    sender.leave()
    assert 1 in there
    target.give(share, 1, 1, 0, 0)
    assert 1 not in there
    assert list(receiver.shares) == [receiver]
    receiver.leave()
    assert not there
