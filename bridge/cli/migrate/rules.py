"""Which rules of a bus are about one service, what each is for, and what becomes of it when the
service hands out rights itself. Asks no bus.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, final

from bridge.cli.migrate.page import PROPERTIES
from bridge.cli.migrate.shape import Shape
from bridge.cli.migrate.traffic import Traffic, Use
from bridge.cli.migrate.watching import Client
from policy.configuration import Configuration
from policy.console import is_at_console
from policy.delegation import Extent
from policy.explain import delegating, messages
from policy.people import People
from policy.policy import Policy
from policy.rule import Rule
from policy.study.inquiry import Inquiry, Person, groups_of, message
from policy.verdict import covers

# What becomes of a rule. "needed": by D-Bus clients that were seen. "name": as long as the name is
# owned. "unseen": nobody was seen who needs it. "door": it closes what only D-Bus has. "grants":
# about rights of D-Bus clients.
Fate = Literal["needed", "name", "unseen", "door", "grants"]
REPLIES: Final = (message("method_return"), message("error"))
MEMBERS: Final = {"read": "Get", "write": "Set", "read all": "GetAll"}


@final
@dataclass(slots=True)
class Judged:
    """One rule, and the unique names of those whose calls it lets through."""

    rule: Rule
    fate: Fate
    clients: list[str] = field(default_factory=list)


@final
class Rules:
    """The rules about one service, in their order."""

    def __init__(self, configuration: Configuration, shape: Shape) -> None:
        self.shape = shape
        self.sources = configuration.sources
        self.policy = Policy(configuration, People())
        every = [rule for section in configuration.policy for rule in section.rules]
        self.judged = [Judged(rule, fate(rule)) for rule in every if is_about(rule, shape)]
        self.service = Person(None)

    def use(self, traffic: Traffic, clients: Sequence[Client], service: Client) -> None:
        """Find out who needs which."""
        self.service = person(service)
        for client in clients:
            who, uses = person(client), traffic.of(client.unique)
            rules = [rule for kind in REPLIES for rule in self.deciding(self.service, who, kind)]
            for use, count in uses.items():
                rules += self.deciding(who, self.service, inquiry(use, count.path))
            for rule in rules:
                self.needed(rule, client.unique)

    def deciding(self, source: Person, target: Person, said: Inquiry) -> Iterable[Rule]:
        """The rules by which it passes: of who sends it, and of who receives it."""
        found = messages(
            source.standing(self.policy), target.standing(self.policy), said.question()
        )
        return [each.rule for each in found if each.rule is not None and each.allowed]

    def needed(self, rule: Rule, client: str) -> None:
        for each in self.judged:
            if each.rule is rule and client not in each.clients:
                each.clients.append(client)
                each.fate = "needed"

    def may_grant(self, use: Use, path: str) -> bool:
        """May the service let a D-Bus client do this, whatever the other rules say?"""
        said = inquiry(use, path)
        extent = Extent(said.path, said.interface, said.member)
        access = self.service.access(self.policy)
        return delegating(access, self.service.names, extent).allowed


def fate(rule: Rule) -> Fate:
    """As far as it is known before anybody was seen."""
    if rule.about == "own":
        return "name"
    if rule.about == "delegate":
        return "grants"
    return "unseen" if rule.allow else "door"


def is_about(rule: Rule, shape: Shape) -> bool:
    """Does it name the service, or, if it names nobody, one of its interfaces?"""
    if rule.about == "connect":
        return False
    if rule.name is not None:
        return covers(rule, shape.name)
    return rule.about in ("send", "receive") and rule.interface in shape.interfaces


def person(client: Client) -> Person:
    """A client as the rules see it."""
    names = (client.unique, *client.names)
    return Person(client.uid, groups_of(client.uid), names, is_at_console(client.uid))


def inquiry(use: Use, path: str) -> Inquiry:
    """A call as the rules see it."""
    if use.act == "call":
        return Inquiry(path=path or None, interface=use.interface or None, member=use.member)
    return Inquiry(path=path or None, interface=PROPERTIES, member=MEMBERS[use.act])
