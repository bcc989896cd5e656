"""Who may do what: rules of one kind of client, and what follows for two of them.

    Access     the rules that hold for one client, in their order
     Standing   that, and the names that it has: many clients share one
      Verdict    what one standing may send another: found out once, kept by who asks

A verdict never changes. Who gets another name, or another policy, gets another standing, and
with it other verdicts.
"""

from collections.abc import Iterable
from typing import Final

from policy.clause import ALWAYS, ANY, BROADCAST, NEVER, Clause, Question
from policy.rule import Rule

OTHER: Final = "\0"  # an interface or member that no rule names is like any other
SLOTS: Final = (1, 2, 3, 4, BROADCAST)

# What Verdict.ask and Verdict.judge say. NOTED: it passes, and the log says what should be.
DENIED, ALLOWED, NOTED, PERHAPS = 0, 1, 2, 3


class Access:
    """The rules that hold for one kind of client, in their order; those that cannot matter
    any more are left out. An access without rules denies all but what is the bus's own.

    `clauses` are those made before, by the id of their rule: accesses have most in common.
    """

    def __init__(self, rules: Iterable[Rule], clauses: "dict[int, Clause]") -> None:
        self.send: list[Clause] = []
        self.receive: list[Clause] = []
        self.own: list[Rule] = []
        self.delegate: list[Rule] = []
        for rule in rules:
            if rule.about == "own":
                if rule.name is None:
                    self.own.clear()
                self.own.append(rule)
            elif rule.about == "delegate":
                self.delegate.append(rule)
            elif rule.about != "connect":
                clause = clauses.get(id(rule))
                if clause is None:
                    clause = clauses[id(rule)] = Clause(rule)
                kept = self.send if clause.send else self.receive
                if clause.plain:
                    kept.clear()
                kept.append(clause)

    def owning(self, name: str) -> list[Rule]:
        """The rules for owning this name; the last decides, and without one nobody may."""
        return [rule for rule in self.own if covers(rule, name)]


class Standing:
    """An access, and the marks (Clause.mark) of the names that are held. The bus's own has
    no access: nothing it does is judged."""

    def __init__(self, access: Access | None, held: frozenset[str]) -> None:
        self.access = access
        self.held = held
        self.verdicts: dict[Standing, Verdict] = {}


class Case:
    """What is left to ask of ordinary messages of one slot with one interface.

    `sends` and `receives` are the clauses that such a message may meet, the one that decides
    first; None where nothing is judged. `outcome` is DENIED or ALLOWED if that is sure, else
    PERHAPS: then `judge` knows.
    """

    def __init__(self, verdict: "Verdict", slot: int, interface: str | None) -> None:
        self.slot = slot
        self.interface = interface
        self.sends, first = narrow(verdict.sends, slot, interface, ANY)
        self.receives, second = narrow(verdict.receives, slot, interface, ANY)
        self.outcome = together(first, second)
        clauses = (self.sends or []) + (self.receives or [])
        self.named = {each.member for each in clauses} | {None}
        self.members: dict[str | None, int] = {}

    def with_member(self, member: str | None) -> int:
        """The outcome where the member is known, too."""
        if member not in self.named:
            member = OTHER
        outcome = self.members.get(member)
        if outcome is None:
            first = narrow(self.sends, self.slot, self.interface, member)[1]
            second = narrow(self.receives, self.slot, self.interface, member)[1]
            outcome = self.members[member] = together(first, second)
        return outcome

    def judge(self, question: Question) -> int:
        """DENIED, ALLOWED or NOTED."""
        return both(self.sends, self.receives, question)


class Verdict:
    """What one standing may send another.

    `sends` and `receives` are the clauses of the one and of the other whose names are those of
    the two, the one that decides first; None for the bus itself, which is not judged. Bit
    `slot` of `settled` says that ordinary messages (Clause.certainty) of the slot all fare
    alike, whatever their fields, and of `allowed` that they pass.
    """

    def __init__(self, source: Standing, target: Standing) -> None:
        self.sends = concerning(source.access.send, target) if source.access else None
        self.receives = concerning(target.access.receive, source) if target.access else None
        clauses = (self.sends or []) + (self.receives or [])
        self.interfaces = {each.interface for each in clauses} | {None}
        self.cases: list[dict[str | None, Case]] = [{} for _ in range(BROADCAST + 1)]
        self.settled = 0
        self.allowed = 0
        for slot in SLOTS:
            outcome = Case(self, slot, ANY).outcome
            if outcome != PERHAPS:
                self.settled |= 1 << slot
                self.allowed |= (outcome == ALLOWED) << slot

    def case(self, slot: int, interface: str | None) -> Case:
        """How ordinary messages of this slot and interface fare."""
        cases = self.cases[slot]
        case = cases.get(interface)
        if case is None:
            if interface not in self.interfaces:
                interface = OTHER
            case = cases.get(interface)
            if case is None:
                case = cases[interface] = Case(self, slot, interface)
        return case

    def judge(self, question: Question) -> int:
        """How any message fares: DENIED, ALLOWED or NOTED."""
        return both(self.sends, self.receives, question)


def covers(rule: Rule, name: str) -> bool:
    """Is this a name that the rule is about?"""
    if rule.name is None:
        return True
    return name == rule.name or (rule.prefix and name.startswith(rule.name + "."))


def concerning(clauses: list[Clause], other: Standing) -> list[Clause]:
    """The clauses that are about names of the other, or about any, the last first."""
    return [each for each in reversed(clauses) if each.mark is None or each.mark in other.held]


def narrow(
    clauses: list[Clause] | None, slot: int, interface: str | None, member: str | None
) -> tuple[list[Clause] | None, int]:
    """The clauses that ordinary messages of these fields may meet, up to the first that matches
    them all; and the outcome if it is the same whichever is met."""
    if clauses is None:
        return None, ALLOWED
    found: list[Clause] = []
    allow = False  # if none matches
    for clause in clauses:
        certainty = clause.certainty(slot, interface, member)
        if certainty != NEVER:
            found.append(clause)
        if certainty == ALWAYS:
            allow = clause.allow
            break
    if all(each.allow == allow and each.silent for each in found):
        return found, ALLOWED if allow else DENIED
    return found, PERHAPS


def together(first: int, second: int) -> int:
    """What follows from what the sender's rules say, and the receiver's."""
    if DENIED in (first, second):
        return DENIED
    return ALLOWED if first == second == ALLOWED else PERHAPS


def both(sends: list[Clause] | None, receives: list[Clause] | None, question: Question) -> int:
    """The sender's rules must allow it, and the receiver's."""
    first = decide(sends, question)
    if first == DENIED:
        return DENIED
    second = decide(receives, question)
    return first if second == ALLOWED else second


def decide(clauses: list[Clause] | None, question: Question) -> int:
    """The first that matches, as they stand here, decides; without one it is denied."""
    if clauses is None:
        return ALLOWED
    for clause in clauses:
        if clause.matches(question):
            if clause.silent:
                return ALLOWED if clause.allow else DENIED
            return NOTED
    return DENIED
