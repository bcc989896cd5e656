"""Monitors: clients that read what passes on the bus, and do nothing else on it.

Who watches is decided here; what they are shown, and when, is the hub's and the router's.
"""

from collections.abc import Sequence
from typing import Final

from bridge.routing.client import Client
from bridge.routing.match import Index
from bridge.routing.rule import Rule
from bridge.routing.verbose import enable
from bridge.wire.frame import Frame

EVERYTHING: Final = Rule(eavesdrop=True)


class Monitors:
    """The monitors of one bus. `watching` says whether there are any: it is asked for every
    message. `unlimited` are those that see everything. The others' rules are in an index of
    their own, where all of them overhear; `picky` says that somebody has to know whom a message
    is for. `verbose`: the log is a monitor, too.
    """

    def __init__(self) -> None:
        self.watching = False
        self.picky = False
        self.verbose = False
        self.unlimited: list[Client] = []
        self.index = Index()

    def add(self, client: Client, rules: Sequence[Rule]) -> None:
        """One more, whose messages are those that one of its rules wants; without rules, all."""
        wanted = [rule.overhearing() for rule in rules]
        if EVERYTHING in wanted or not wanted:
            self.unlimited = [*self.unlimited, client]
        else:
            for rule in wanted:
                self.index.add(rule, client)
        self.settle()

    def drop(self, client: Client) -> None:
        """It is gone."""
        self.unlimited = [each for each in self.unlimited if each is not client]
        self.index.drop(client)
        self.settle()

    def log(self, on: bool) -> None:
        """Have each message logged, or no more."""
        enable(on)
        self.verbose = on
        self.settle()

    def settle(self) -> None:
        """What somebody wants has changed."""
        self.picky = self.index.count > 0 or self.verbose
        self.watching = self.picky or bool(self.unlimited)

    def all(self) -> list[Client]:
        """Each of them."""
        picky = self.index.clients(list(self.index.overhearing.values()), None)
        return self.unlimited + picky

    def find(self, frame: Frame, sender: Client | None, receiver: Client | None) -> list[Client]:
        """Who is to see this message; the list is not the caller's to change."""
        if self.picky:
            return self.unlimited + self.index.eavesdrop(frame, sender, receiver)
        return self.unlimited
