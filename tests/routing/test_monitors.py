"""Monitors that have no room: what they are told of it, when they go on, and who counts it."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from policy.limits import Limits
from tests import policies
from tests.raw import DRIVER
from tests.routing.world import Party, World, quota

ROOM = Limits(max_outgoing_bytes=4000)


def become_monitor(party: Party, *rules: str) -> Party:
    answer = party.ask("BecomeMonitor", "asu", list(rules), 0, interface=DRIVER + ".Monitoring")
    assert str(answer) == "=()"
    party.take()
    return party


def monitor(world: World, *rules: str, fds: bool = True) -> Party:
    return become_monitor(world.connect(fds=fds), *rules)


@pytest.fixture
def world() -> World:
    return World(limits=ROOM)


def fill(a: Party, count: int) -> None:
    """So many messages that others could see; six have room."""
    for _ in range(count):
        a.signal("S", "ay", bytes(500))


def test_one_message_that_is_too_large(world: World) -> None:
    """Nothing waited, so nobody writes, and then tells of the gap; the next message does."""
    a, watching = world.connect(), monitor(world)
    a.signal("Large", "ay", bytes(5000))
    assert watching.seen() == []
    a.signal("Next")
    a.signal("Other")
    assert watching.seen() == ["Lost(1)", "Next()", "Other()"]
    assert world.hub.tally.missed == 1


def test_there_is_one_gap_and_all_in_it_is_counted(world: World) -> None:
    a, watching = world.connect(), monitor(world)
    fill(a, 20)
    a.signal("Small")  # would have room, and comes behind the gap
    shown = len(watching.take())
    assert 1 < shown < 20
    assert world.hub.catch_up(watching.client)
    assert watching.seen() == [f"Lost({21 - shown})"]
    assert world.hub.tally.missed == 21 - shown


def test_what_it_cannot_take_it_does_not_miss(world: World) -> None:
    """Descriptors are not for a monitor that has not negotiated them."""
    a, watching = world.connect(), monitor(world, fds=False)
    a.signal("Large", "ay", bytes(5000))
    fd = os.open("/dev/null", os.O_RDONLY)
    a.signal("S", "ay", bytes(5000), fds=[fd])
    os.close(fd)
    a.signal("Next")
    assert watching.seen() == ["Lost(1)", "Next()"]


def test_a_count_that_cannot_be_told_is_kept(world: World) -> None:
    """All the room of its user is taken, though nothing waits for the monitor itself."""
    a, watching = world.connect(), monitor(world)
    user = watching.client.peer.user
    user.limits = quota(messages=0)
    a.signal("First")
    a.signal("Second")
    assert watching.seen() == []
    assert not world.hub.catch_up(watching.client)
    user.limits = quota()
    a.signal("Third")
    assert watching.seen() == ["Lost(2)", "Third()"]
    assert world.hub.tally.missed == 2


def test_a_reload_is_for_monitors_and_for_who_has_not_said_hello(world: World) -> None:
    watching, silent = monitor(world), world.connect(hello=False)
    limits = replace(ROOM, max_outgoing_bytes=9000, max_match_rules_per_connection=1)
    configuration = policies.rules(limits=limits)
    world.hub.adopt(configuration, policies.policy(configuration))
    silent.hello()
    silent.match("member=A")
    assert silent.asked("AddMatch", "s", "member=B").startswith("!LimitsExceeded")
    for party in (watching, silent):
        assert party.client.peer.query().limits.bytes == 9000
