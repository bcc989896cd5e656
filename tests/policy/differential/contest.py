"""One seed: a policy, and the same traffic on several buses and in the model of them.

All must agree: the buses in all that their clients see, to the letter, and the model in what
arrives and what does not. What differs on purpose is in differences.toml.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from policy.files.load import load
from policy.people import People
from policy.policy import Policy
from tests.policy.differential import visitors
from tests.policy.differential.court import Decision
from tests.policy.differential.generator import Generator, write_bus
from tests.policy.differential.judge import OURS, REFERENCE, Case, Tally, only_in
from tests.policy.differential.letters import Letter
from tests.policy.differential.stage import Stage
from tests.policy.differential.traffic import Traffic
from tests.policy.differential.visitors import Identity
from tests.policy.differential.world import World

BOTH = (REFERENCE, OURS)
ROUNDS = 9


class Disagreement(Exception):
    """What follows would differ, too."""


class Contest:
    """Plays one seed. What goes wrong ends it."""

    def __init__(self, seed: int, directory: Path, kinds: Sequence[str] = BOTH) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.directory = directory
        self.kinds = kinds
        self.tally = Tally()
        self.policies = 0
        self.file = directory / "policy" / "bus.conf"
        self.world = World(self.new_policy())
        self.traffic = Traffic(self.dice, self.world)
        self.stages: list[Stage] = []
        self.round = 0
        self.numbers = 0  # of clients

    def play(self, rounds: int = ROUNDS) -> Tally:
        with ExitStack() as stack:
            for kind in self.kinds:
                stage = Stage(kind, self.directory / kind, self.file)
                self.stages.append(stage)
                stack.enter_context(closing(stage))
            with suppress(Disagreement):
                self.act(rounds)
        return self.tally

    def act(self, rounds: int) -> None:
        for _ in range(self.dice.randint(5, 7)):
            self.arrive()
        for self.round in range(1, rounds + 1):
            if self.chance(0.7 if self.round == 1 else 0.4):
                self.arrange()
            if self.round > 1:
                if self.chance(0.25):
                    self.reload()
                self.come_and_go()
            self.turn(self.traffic.letters())
        if len(self.stages) == 2 and not self.tally.kept["second try"]:
            theirs, ours = (stage.complaints() for stage in self.stages)
            self.stop_if([f"only the log of ours: {text}" for text in only_in(ours, theirs)])

    def chance(self, chance: float) -> bool:
        return self.dice.random() < chance

    # ---------------------------------------------------------------------- policies

    def reload(self) -> None:
        """Another policy, for those who are there, too."""
        policy = self.new_policy()
        for stage in self.stages:
            stage.reload()
        self.world.adopt(policy)

    def new_policy(self) -> Policy:
        """Write one, and read it."""
        self.policies += 1
        where = self.file.parent / str(self.policies)
        write_bus(self.file, Generator(self.dice, where).write())
        return Policy(load(str(self.file)), People())

    def files(self) -> list[str]:
        """All that the policies say."""
        where = self.file.parent
        return [
            f"--- {path.relative_to(where)}\n{path.read_text()}"
            for path in sorted(where.rglob("*.conf"))
        ]

    # --------------------------------------------------------------- coming and going

    def arrive(self) -> None:
        """One more client; some want to know of the others at once."""
        number, identity = self.numbers, self.somebody()
        self.numbers += 1
        theirs, ours = self.world.may_enter(identity)
        if theirs != ours:
            self.knock(identity, theirs, ours)
            return
        self.tally.decisions["connect"] += 1
        entered = {stage.kind: stage.enter(number, identity) for stage in self.stages}
        if set(entered.values()) != {theirs}:
            self.stop_if([f"{identity} comes in: {entered}, in the model {theirs}"])
        if theirs:
            self.settle({}, self.world.enter(number, identity))
            if self.chance(0.4):
                member, interest = self.world.members[number], str(self.traffic.interest())
                self.turn({number: [self.traffic.call_bus(member, "AddMatch", interest)]})

    def knock(self, identity: Identity, theirs: bool, ours: bool) -> None:
        """One who came in on one bus only would have all later names differ."""
        self.tally.kept["groups of those who connect"] += 1
        for stage in self.stages:
            if stage.refuses(identity) == (theirs if stage.kind == REFERENCE else ours):
                self.stop_if([f"{identity} at {stage.kind}: in the model {theirs}, {ours}"])

    def somebody(self) -> Identity:
        """A user, in up to five more groups than its own."""
        users = sorted(visitors.users().values())
        user, group = users[0] if self.chance(0.2) else self.dice.choice(users)
        groups = [*sorted(visitors.groups().values()), visitors.UNKNOWN]
        count = self.dice.choice((0, 1, 2, 3, 4, 5))
        return Identity(user, group, tuple(self.dice.sample(groups, count)))

    def come_and_go(self) -> None:
        if self.world.members and self.chance(0.15):
            number = self.dice.choice(list(self.world.members))
            for stage in self.stages:
                stage.leave(number)
            self.settle({}, self.world.leave(number))
        if self.chance(0.15):
            self.arrive()

    # ---------------------------------------------------------------------- messages

    def arrange(self) -> None:
        """Some take names and say what they want to hear."""
        for member in list(self.world.members.values()):
            if self.chance(0.6):
                self.turn({member.number: self.traffic.orders(member)})

    def turn(self, letters: Mapping[int, Sequence[Letter]]) -> None:
        """All send at once."""
        decisions = [
            decision
            for number, each in letters.items()
            for letter in each
            for decision in self.world.post(number, letter)
        ]
        self.settle(letters, decisions)

    def settle(self, letters: Mapping[int, Sequence[Letter]], decisions: list[Decision]) -> None:
        """See what comes of it, and judge that."""
        outcomes = {stage.kind: stage.play(letters) for stage in self.stages}
        self.tally.count(decisions)
        self.stop_if(Case(self.world.members, letters, decisions, outcomes).judge())

    def stop_if(self, wrong: Sequence[str]) -> None:
        if wrong:
            self.tally.wrong += [f"seed {self.seed}, round {self.round}: {each}" for each in wrong]
            raise Disagreement
