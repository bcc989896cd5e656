"""Grants against a model that is a set of them: whatever happens, in whatever order it is heard."""

from __future__ import annotations

import random

import pytest

from tests import policies, raw
from tests.driver.test_capability import CAPABILITY, PATH, adopt
from tests.policies import rule
from tests.raw import DRIVER
from tests.routing.world import Party, World

EXTENTS = (("", ""), ("x.Y", ""), ("x.Y", "M"), ("x.Z", ""))
CALLS = (("x.Y", "M"), ("x.Y", "N"), ("x.Z", "M"), (None, "M"))
DENY = (rule(False, "send", type="method_call"), rule(True, "send", name=DRIVER))
MAY = rule(True, "delegate")


class Model:
    """What there should be: by id, who granted what to whom."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.world = World(configuration=policies.rules(*DENY, MAY))
        self.parties = [self.world.connect() for _ in range(4)]
        self.grants: dict[int, tuple[Party, Party, tuple[str, str]]] = {}
        self.may = True

    def two(self) -> tuple[Party, Party]:
        one, other = self.dice.sample(self.parties, 2)
        return one, other

    def grant(self) -> None:
        granter, grantee = self.two()
        extent = self.dice.choice(EXTENTS)
        answer = granter.ask("Grant", "soss", grantee.name, PATH, *extent, interface=CAPABILITY)
        assert (answer.error is None) == self.may
        if self.may:
            self.grants[answer.args[0]] = granter, grantee, extent

    def end(self) -> None:
        """Somebody destroys or releases one, which may be another's or gone."""
        party = self.dice.choice(self.parties)
        number = self.dice.randrange(max(self.grants, default=0) + 2)
        member = self.dice.choice(("Destroy", "Release"))
        answer = party.ask(member, "t", number, interface=CAPABILITY)
        found = self.grants.get(number)
        mine = found is not None and party is found[member == "Release"]
        assert (answer.error is None) == mine
        if mine:
            del self.grants[number]

    def leave(self) -> None:
        """One goes, or only looks on from now on, and another one comes."""
        gone = self.parties.pop(self.dice.randrange(len(self.parties)))
        if self.dice.random() < 0.3:
            gone.ask("BecomeMonitor", "asu", ["type='error'"], 0, interface=f"{DRIVER}.Monitoring")
        else:
            gone.close()
        self.grants = {number: each for number, each in self.grants.items() if gone not in each[:2]}
        self.parties.append(self.world.connect())

    def hear(self) -> None:
        self.dice.choice(self.parties).take()

    def reload(self) -> None:
        self.may = not self.may
        adopt(self.world, policies.rules(*DENY, *([MAY] if self.may else [])))

    def call(self) -> None:
        """A call passes if there is a grant for it."""
        callee, caller = self.two()
        interface, member = self.dice.choice(CALLS)
        right = self.may and any(
            (callee, caller) == (granter, grantee)
            and said[0] in ("", interface)
            and said[1] in ("", member)
            for granter, grantee, said in self.grants.values()
        )
        serial = caller.call(member, to=callee.name, path=PATH, interface=interface)
        came = [each for each in callee.take() if each.kind == raw.CALL]
        assert bool(came) == right
        for each in came:
            callee.reply(each)
        assert (caller.answer(serial).error is None) == right

    def check(self) -> None:
        for party in self.parties:
            for place, member in enumerate(("ListGrants", "ListRights")):
                (said,) = party.ask(member, interface=CAPABILITY).args
                assert sorted(said) == sorted(
                    (number, each[1 - place].name, PATH, *each[2])
                    for number, each in self.grants.items()
                    if each[place] is party
                )
        assert self.world.hub.grants.count == len(self.grants)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens(seed: int) -> None:
    model = Model(random.Random(seed))
    steps = [model.grant] * 4 + [model.call] * 4 + [model.end] * 3
    steps += [model.leave, model.hear, model.reload]
    for _ in range(150):
        model.dice.choice(steps)()
        model.check()
    model.world.end()
    grants = model.world.hub.grants
    assert (grants.made, grants.held, grants.rights, grants.count) == ({}, {}, {}, 0)
