"""Why something is allowed or denied: the rules that match, in order, and the one that decides.

Slow and complete, where verdict.py is fast; both ask the same clauses.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from policy.clause import Clause, Question
from policy.delegation import Extent, concerning
from policy.policy import Policy
from policy.rule import About, Rule
from policy.verdict import Access, Standing


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """What one set of rules says: those that match, in order; the last of them decides.

    `judged` is False where nothing is judged: what the bus itself sends or receives.
    """

    about: About
    rules: tuple[Rule, ...]
    judged: bool = True
    otherwise: bool = False  # if no rule matches

    @property
    def rule(self) -> Rule | None:
        """The rule that decides, if there is one."""
        return self.rules[-1] if self.rules else None

    @property
    def allowed(self) -> bool:
        """What the rules say, permissive or not."""
        if not self.judged:
            return True
        return self.otherwise if self.rule is None else self.rule.allow


def messages(source: Standing, target: Standing, question: Question) -> tuple[Finding, Finding]:
    """What the sender's rules say of a message, and what the receiver's say."""
    return (
        Finding(
            "send",
            matching(source.access.send if source.access else [], target, question),
            judged=source.access is not None,
        ),
        Finding(
            "receive",
            matching(target.access.receive if target.access else [], source, question),
            judged=target.access is not None,
        ),
    )


def owning(access: Access, name: str) -> Finding:
    """What the rules say of owning a name."""
    return Finding("own", tuple(access.owning(name)))


def delegating(access: Access, names: Iterable[str], extent: Extent) -> Finding:
    """What the rules say of a grant by the owner of these names."""
    return Finding("delegate", concerning(access, names, extent))


def connecting(policy: Policy, uid: int | None, groups: Sequence[int], bus_uid: int) -> Finding:
    """What the rules say of connecting to a bus that runs as `bus_uid`."""
    rules = tuple(policy.connecting(uid, groups))
    return Finding("connect", rules, otherwise=uid == bus_uid)


def matching(clauses: list[Clause], other: Standing, question: Question) -> tuple[Rule, ...]:
    """The rules that match, in their order."""
    return tuple(
        clause.rule
        for clause in clauses
        if (clause.mark is None or clause.mark in other.held) and clause.matches(question)
    )
