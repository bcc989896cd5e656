"""A question about a policy, from somebody who is not connected: who, to whom, what.

What nobody says is a value that no rule names, so that the answer is that for messages in
general; the rules that name more are told apart by `more_particular`.
"""

import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, final

from policy.clause import Clause, Question
from policy.configuration import Configuration
from policy.explain import Finding, owning
from policy.people import find_user
from policy.policy import Policy
from policy.rule import NUMBERS, Rule, Type
from policy.verdict import Access, Standing

BUS: Final = "org.freedesktop.DBus"
NOBODY: Final = 2**32 - 2  # a user that no policy names: (uid_t) -2

# Values that no rule names.
PATH: Final = "/org/bus1/Unnamed"
INTERFACE: Final = "org.bus1.Unnamed"
MEMBER: Final = "Unnamed"
ERROR: Final = "org.bus1.Error.Unnamed"
NAME: Final = "org.bus1.Unnamed"
UNNAMED: Final = {"path": PATH, "interface": INTERFACE, "member": MEMBER, "error": ERROR}


@final
@dataclass(frozen=True, slots=True)
class Person:
    """Whoever connects: a user (None: anonymous), its groups, the names that it has."""

    uid: int | None
    groups: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    at_console: bool = False

    def access(self, policy: Policy) -> Access:
        """What holds for it."""
        return policy.access(self.uid, self.groups, self.at_console)

    def standing(self, policy: Policy) -> Standing:
        """What it is to others. The bus itself is judged by nobody."""
        if BUS in self.names:
            return policy.standing(None, self.names)
        return policy.standing(self.access(policy), self.names)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A message, as far as rules see it. `requested` is None for what is no reply."""

    type: Type = "method_call"
    path: str | None = PATH
    interface: str | None = INTERFACE
    member: str | None = MEMBER
    error: str | None = None
    broadcast: bool = False
    requested: bool | None = None
    eavesdropping: bool = False
    fds: int = 0
    texts: tuple[tuple[int, str], ...] = ()

    def question(self) -> Question:
        """The same for clauses."""
        question = Question()
        question.kind = NUMBERS[self.type]
        question.path = self.path
        question.interface = self.interface
        question.member = self.member
        question.error = self.error
        question.broadcast = self.broadcast
        question.reply = self.requested is not None
        question.requested = bool(self.requested)
        question.eavesdropping = self.eavesdropping
        question.fds = self.fds
        question.texts = [None] * (1 + max((number for number, _ in self.texts), default=-1))
        for number, text in self.texts:
            question.texts[number] = ("s", text)
        return question

    def like(self, rule: Rule) -> "Inquiry":
        """A message as the rule names it, where this one says nothing in particular."""
        said = {
            name: value
            for name, unnamed in UNNAMED.items()
            if getattr(self, name) == unnamed and (value := getattr(rule, name)) is not None
        }
        texts = self.texts or tuple((each.number, each.value) for each in rule.arguments)
        return replace(self, fds=self.fds or rule.min_fds, texts=texts, **said)


def message(kind: str, *, requested: bool = True) -> Inquiry:
    """A message of this kind that no rule names. `broadcast` is a signal to everybody."""
    match kind:
        case "broadcast":
            return Inquiry(type="signal", broadcast=True)
        case "method_return":
            return Inquiry(type=kind, path=None, interface=None, member=None, requested=requested)
        case "error":
            nothing = Inquiry(type=kind, path=None, interface=None, member=None)
            return replace(nothing, error=ERROR, requested=requested)
        case "signal":
            return Inquiry(type=kind)
    return Inquiry()


def more_particular(
    clauses: Iterable[Clause], other: Standing, inquiry: Inquiry, finding: Finding
) -> list[Rule]:
    """The rules that would decide otherwise, of messages that agree with the inquiry but say
    more."""
    found: list[Rule] = []
    for clause in clauses:
        rule = clause.rule
        if rule is finding.rule:
            found.clear()  # what stands before the rule that decides decides nothing
        elif (clause.mark is None or clause.mark in other.held) and rule.allow != finding.allowed:
            particular = inquiry.like(rule)
            if particular != inquiry and clause.matches(particular.question()):
                found.append(rule)
    return found


def groups_of(uid: int | None) -> tuple[int, ...]:
    """The groups of a user of this machine."""
    try:
        entry = pwd.getpwuid(-1 if uid is None else uid)
    except (KeyError, OverflowError):
        return ()
    return tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))


def bus_user(configuration: Configuration) -> int:
    """Whom a bus with this configuration runs as, if it is started here."""
    uid = None if configuration.user is None else find_user(configuration.user)
    return os.getuid() if uid is None else uid


@final
@dataclass(frozen=True, slots=True)
class Owners:
    """Who may own a name: somebody whom no rule names, and of those who are named, and root,
    these users and groups."""

    anybody: bool
    users: tuple[int, ...]
    groups: tuple[int, ...]


def owners(policy: Policy, name: str) -> Owners:
    """Who may own a name."""

    def may(person: Person) -> bool:
        return owning(person.access(policy), name).allowed

    return Owners(
        may(Person(NOBODY)),
        tuple(uid for uid in sorted({0, *policy.users}) if may(Person(uid, groups_of(uid)))),
        tuple(gid for gid in sorted(policy.groups) if may(Person(NOBODY, (gid,)))),
    )
