"""What two configurations answer differently: to questions, not to the letter.

The questions are drawn from both: whoever and whatever one of them names, and for each of these
something that none names. Two policies that answer all of them alike differ in words only.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final, TypeVar, final

from policy.clause import Clause, Question
from policy.configuration import Configuration
from policy.delegation import Extent
from policy.explain import Finding, connecting, delegating, owning
from policy.people import People, find_group, find_user
from policy.policy import Policy
from policy.rule import ANYBODY, About, Rule, Section
from policy.study.inquiry import BUS, NAME, NOBODY, PATH, Inquiry, Person, bus_user, groups_of
from policy.study.questions import describe, questions
from policy.verdict import Access

K = TypeVar("K")
V = TypeVar("V")

OTHERS: Final = "anybody else"
EVERYBODY: Final = "everybody"
ANY_NAME: Final = "any name"
# What is no setting, or is compared otherwise.
APART: Final = ("policy", "limits", "sources", "directories", "complaints")


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and by which rule; None: by none."""

    allowed: bool
    rule: Rule | None

    @property
    def outcome(self) -> str:
        """In a word. What a permissive rule denies passes, and is logged."""
        if self.rule is not None and self.rule.permissive:
            return "let through"
        return "allowed" if self.allowed else "denied"


# Something that changes for one person: about what, which name, what message, and how.
Fact = tuple[About, str, str, Decision, Decision]


@final
@dataclass(frozen=True, slots=True)
class Change:
    """Messages (or nothing, for own and connect) that fare differently, for whom, and the names
    that it is about."""

    about: About
    names: tuple[str, ...]
    people: tuple[str, ...]
    messages: tuple[str, ...]
    before: Decision
    after: Decision


@final
@dataclass(frozen=True, slots=True)
class Setting:
    """One element or limit that is set differently."""

    name: str
    before: object
    after: object


def settings(before: Configuration, after: Configuration) -> list[Setting]:
    """What differs besides the policy."""
    pairs = [(each.name, before, after) for each in fields(before) if each.name not in APART]
    limits = [(each.name, before.limits, after.limits) for each in fields(before.limits)]
    return [
        Setting(name, getattr(one, name), getattr(other, name))
        for name, one, other in (*pairs, *limits)
        if getattr(one, name) != getattr(other, name)
    ]


def changes(before: Configuration, after: Configuration) -> list[Change]:
    """The questions that are answered differently, those of one kind together."""
    return Comparison(before, after).changes()


@final
class Comparison:
    """Two policies, and the people and names that one of them names."""

    def __init__(self, before: Configuration, after: Configuration) -> None:
        self.policies = Policy(before, People()), Policy(after, People())
        self.bus_uids = bus_user(before), bus_user(after)
        both = (*before.policy, *after.policy)
        rules = [rule for section in both for rule in section.rules]
        self.people = people(both)
        self.names = sorted({name for rule in rules for name in names_of(rule)} | {BUS, NAME})
        self.drawn: dict[tuple[tuple[Rule, ...], ...], list[tuple[str, Decision, Decision]]] = {}

    def changes(self) -> list[Change]:
        """By what changed and how, first the people together, then messages, then names."""
        whom = gather(
            (fact, person) for person, who in self.people.items() for fact in self.of(who)
        )
        what = gather(
            ((about, name, self.together(persons), old, new), text)
            for (about, name, text, old, new), persons in whom.items()
        )
        where = gather(
            ((about, persons, tuple(filter(None, texts)), old, new), name)
            for (about, name, persons, old, new), texts in what.items()
        )
        return [
            Change(about, self.shown(names), persons, messages, old, new)
            for (about, persons, messages, old, new), names in where.items()
        ]

    def together(self, persons: list[str]) -> tuple[str, ...]:
        """People, or in a word all of them."""
        return tuple(persons) if len(persons) < len(self.people) else (EVERYBODY,)

    def shown(self, names: list[str]) -> tuple[str, ...]:
        """Names, or in words what stands for others."""
        if len(names) == len(self.names):
            return (ANY_NAME,)
        return tuple(shown(name) for name in names if name)

    def of(self, person: Person) -> Iterator[Fact]:
        """All that changes for one person."""
        old, new = (person.access(policy) for policy in self.policies)
        yield from self.connecting(person)
        for name in self.names:
            before, after = (decision(owning(access, name)) for access in (old, new))
            if before.outcome != after.outcome:
                yield "own", name, "", before, after
            for text, first, second in self.grants(name, old, new):
                yield "delegate", name, text, first, second
            for about in ("send", "receive"):
                for text, first, second in self.messages(about, name, old, new):
                    yield about, name, text, first, second

    def connecting(self, person: Person) -> Iterator[Fact]:
        findings = [
            connecting(policy, person.uid, person.groups, bus_uid)
            for policy, bus_uid in zip(self.policies, self.bus_uids, strict=True)
        ]
        before, after = map(decision, findings)
        if before.outcome != after.outcome:
            yield "connect", "", "", before, after

    def grants(
        self, name: str, old: Access, new: Access
    ) -> Iterator[tuple[str, Decision, Decision]]:
        """What the owner of a name may grant in one only."""
        for extent in extents([*old.delegate, *new.delegate]):
            before, after = (decision(delegating(access, [name], extent)) for access in (old, new))
            if before.outcome != after.outcome:
                yield granted(extent), before, after

    def messages(
        self, about: About, name: str, old: Access, new: Access
    ) -> list[tuple[str, Decision, Decision]]:
        """The messages to or from a name that fare differently."""
        before, after = (
            concerning(policy, access, about, name)
            for policy, access in zip(self.policies, (old, new), strict=True)
        )
        rules = tuple(each.rule for each in before), tuple(each.rule for each in after)
        if rules[0] == rules[1]:
            return []
        if rules not in self.drawn:
            self.drawn[rules] = differing(before, after)
        return self.drawn[rules]


def gather(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """The values of each key, both in the order in which they come."""
    found: dict[K, list[V]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


def people(sections: Sequence[Section]) -> dict[str, Person]:
    """All whom these sections and their rules name and this machine knows, and somebody else."""
    users, groups = {"root"}, set()
    console = False
    for section in sections:
        console |= section.context == "at_console"
        users |= {section.who} if section.context == "user" else set()
        groups |= {section.who} if section.context == "group" else set()
        for rule in section.rules:
            users |= {rule.user or ANYBODY} - {ANYBODY}
            groups |= {rule.group or ANYBODY} - {ANYBODY}
    found = {OTHERS: Person(NOBODY)}
    for name in sorted(groups):
        if (gid := find_group(name)) is not None:
            found[f"group {name}"] = Person(NOBODY, (gid,))
    for name in sorted(users):
        if (uid := find_user(name)) is not None:
            found[f"user {name}"] = Person(uid, groups_of(uid))
    if console:
        found["anybody at the console"] = Person(NOBODY, at_console=True)
    return found


def differing(
    before: Sequence[Clause], after: Sequence[Clause]
) -> list[tuple[str, Decision, Decision]]:
    """What is decided differently by these rules and by those, in words."""
    found: dict[tuple[Decision, Decision], list[tuple[str, Inquiry]]] = {}
    for kind, inquiry in questions([*before, *after]):
        question = inquiry.question()
        old, new = (decide(clauses, question) for clauses in (before, after))
        if old.outcome != new.outcome:
            found.setdefault((old, new), []).append((kind, inquiry))
    return [(text, *pair) for pair, asked in found.items() for text in describe(asked)]


def extents(rules: Sequence[Rule]) -> list[Extent]:
    """A grant of a whole object that no rule names, and what each rule names, there and at its own
    path."""
    found = {Extent(PATH): None} if rules else {}
    for rule in rules:
        found[Extent(PATH, rule.interface, rule.member)] = None
        found[Extent(rule.path or PATH)] = None
        found[Extent(rule.path or PATH, rule.interface, rule.member)] = None
    return list(found)


def granted(extent: Extent) -> str:
    """A grant in words."""
    if extent.member is not None:
        what = f"{extent.interface or 'any interface'}, member {extent.member}"
    else:
        what = extent.interface or "a whole object"
    return what if extent.path == PATH else f"{what} at {extent.path}"


def decide(clauses: Sequence[Clause], question: Question) -> Decision:
    """The last that matches."""
    for clause in reversed(clauses):
        if clause.matches(question):
            return Decision(clause.allow, clause.rule)
    return Decision(False, None)


def decision(finding: Finding) -> Decision:
    return Decision(finding.allowed, finding.rule)


def concerning(policy: Policy, access: Access, about: About, name: str) -> list[Clause]:
    """The rules for messages that are about this name."""
    held = policy.standing(None, [name]).held
    clauses = access.send if about == "send" else access.receive
    return [each for each in clauses if each.mark is None or each.mark in held]


def names_of(rule: Rule) -> Iterable[str]:
    """A name that a rule names, and one that begins with it."""
    if rule.name is None:
        return ()
    return (rule.name, f"{rule.name}.Unnamed") if rule.prefix else (rule.name,)


def shown(name: str) -> str:
    """A name, or in words what stands for others."""
    if name == NAME:
        return "any other name"
    return (
        f"any other name below {name.removesuffix('.Unnamed')}"
        if name.endswith(".Unnamed")
        else name
    )
