"""Leaving: what takes longer than a turn is done in several, and so long one has not left."""

from __future__ import annotations

import pytest

from bridge.routing.leaving import TURN
from bridge.routing.rule import Rule
from tests.routing.world import Party, World

NAMES = 40
CROWD = 300
LISTENS = "type='signal',member='NameOwnerChanged'"


@pytest.fixture
def world() -> World:
    return World()


def names(world: World, party: Party, count: int) -> list[str]:
    """So many names of its own."""
    found = [f"n.n{number}" for number in range(count)]
    for name in found:
        assert party.ask("RequestName", "su", name, 0).args == [1]
    return found


def crowd(world: World) -> list[Party]:
    """Many who want to hear of all that happens to names."""
    parties = [world.connect() for _ in range(CROWD)]
    for party in parties:
        world.hub.matches.add(Rule.parse(LISTENS), party.client)
        party.take()
    return parties


def lost(party: Party) -> list[str]:
    """The names of which it heard that they have no owner any more."""
    return [message.args[0] for message in party.take() if message.args[2] == ""]


def leave(world: World, party: Party) -> int:
    """It hangs up; what is put off is done. In how many turns?"""
    turns = 1
    world.hub.leave(party.client)
    while world.put_off:
        before = world.hub.work
        world.put_off.pop(0)()
        assert world.hub.work - before < 2 * TURN
        turns += 1
    return turns


def test_who_leaves_with_little_has_left_at_once(world: World) -> None:
    a = world.connect()
    names(world, a, 5)
    assert leave(world, a) == 1
    assert a.client.gone()


def test_who_leaves_with_many_names_takes_several_turns(world: World) -> None:
    leaver = world.connect()
    mine = names(world, leaver, NAMES)
    listeners = crowd(world)
    assert leave(world, leaver) >= NAMES * CROWD // (2 * TURN)
    assert leaver.client.gone()
    for listener in listeners[:3]:
        assert lost(listener) == [*reversed(mine), leaver.name]


def test_who_has_not_quite_left_is_there(world: World) -> None:
    """Its names lead to it as long as nobody has heard otherwise, and then calls end as ever."""
    leaver, caller = world.connect(), world.connect()
    mine = names(world, leaver, NAMES)
    crowd(world)
    world.hub.leave(leaver.client)
    assert world.put_off
    assert caller.ask("GetNameOwner", "s", mine[0]).args == [leaver.name]
    assert caller.asked("GetNameOwner", "s", mine[-1]).startswith("!NameHasNoOwner")
    serial = caller.call("M", to=mine[0])
    while world.put_off:
        world.put_off.pop(0)()
    answer = caller.answer(serial)
    assert str(answer) == "!NoReply"
    assert caller.asked("GetNameOwner", "s", mine[0]).startswith("!NameHasNoOwner")


def test_who_waits_for_the_name_of_one_that_leaves_gets_it(world: World) -> None:
    leaver, heir = world.connect(), world.connect()
    mine = names(world, leaver, NAMES)
    assert heir.ask("RequestName", "su", mine[0], 0).args == [2]
    crowd(world)
    leave(world, leaver)
    assert heir.ask("GetNameOwner", "s", mine[0]).args == [heir.name]


def test_who_leaves_with_many_rules_takes_several_turns(world: World) -> None:
    leaver, other = world.connect(), world.connect()
    for number in range(1000):
        world.hub.matches.add(Rule.parse(f"arg0='{number}'"), leaver.client)
        world.hub.matches.add(Rule.parse(f"sender='{leaver.name}',arg0='{number}'"), other.client)
    assert leave(world, leaver) > 2
    assert world.hub.matches.count == 0
    assert other.client.rules is None


def test_who_leaves_unread_messages_takes_several_turns(world: World) -> None:
    leaver, sender = world.connect(), world.connect()
    for _ in range(3 * TURN):
        sender.signal("S", to=leaver.name)
    assert leave(world, leaver) > 2
    assert leaver.client.peer.queue.account.messages == 0


@pytest.mark.parametrize("read", [True, False])
def test_who_owes_many_replies_is_missed_before_all_of_them(world: World, read: bool) -> None:
    """Each caller hears that its name is gone, then of each of its calls: once, in their order."""
    leaver = world.connect()
    callers = [world.connect() for _ in range(20)]
    for caller in callers:
        caller.match(LISTENS)
        caller.take()
    serials = [[caller.call("M", to=leaver.name) for _ in range(100)] for caller in callers]
    if read:
        leaver.take()
    assert leave(world, leaver) > 2
    for caller, mine in zip(callers, serials, strict=True):
        gone, *answers = caller.take()
        assert gone.args == [leaver.name, leaver.name, ""]
        assert {str(answer) for answer in answers} == {"!NoReply"}
        assert [answer.reply_to for answer in answers] == mine


def test_nothing_reaches_one_whose_names_have_gone(world: World) -> None:
    leaver, sender = world.connect(), world.connect()
    for _ in range(3 * TURN):
        sender.signal("S", to=leaver.name)
    world.hub.leave(leaver.client)
    assert world.put_off
    assert leaver.client.gone()
    assert sender.asked("M", to=leaver.name).startswith("!ServiceUnknown")
    while world.put_off:
        world.put_off.pop(0)()
    assert leaver.client.peer.queue.closed
