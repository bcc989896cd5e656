"""What one bus counts as work."""

from __future__ import annotations

from bridge.routing.rule import Rule
from tests.raw import RETURN
from tests.routing.world import World


def test_looking_through_rules_is_work(world: World) -> None:
    """A directory concerns all below it: one signal, and many rules that are looked at."""
    sender, listener = world.connect(), world.connect()
    for number in range(500):
        world.hub.matches.add(Rule.parse(f"arg0path='/a/{number}',member='N'"), listener.client)
        world.hub.matches.add(Rule.parse(f"arg0path='/a/{number}',arg9='x'"), listener.client)
    before = world.hub.work
    sender.signal("M", "s", "/a/", to=None)
    assert 500 < world.hub.work - before < 5000
    assert RETURN not in [message.kind for message in listener.take()]
