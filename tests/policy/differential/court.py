"""What a policy says of one message or one name, and what follows for who sees what.

It asks policy/explain.py for every verdict, and sees to it that the fast verdicts agree.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from policy import console, explain
from policy.clause import BROADCAST, Question
from policy.explain import Finding
from policy.policy import Policy
from policy.verdict import ALLOWED, DENIED, PERHAPS, Access, Standing
from tests.policy.differential.letters import Letter
from tests.policy.differential.members import Member
from tests.policy.differential.visitors import Identity
from tests.raw import DRIVER, SIGNAL

DIFFERENCES = tomllib.loads((Path(__file__).parent / "differences.toml").read_text())


@dataclass(frozen=True)
class Ruling:
    """May it pass, and why."""

    allowed: bool
    findings: tuple[Finding, ...] = ()

    @property
    def words(self) -> str:
        """How the refusal begins."""
        for each in self.findings:
            if not each.allowed:
                return f"Rejected {each.about} message, {len(each.rules)} matched rules"
        return ""


@dataclass(frozen=True)
class Decision:
    """One thing that should be seen, or not: `key` (letters.Seen) at the client `at`, in the
    reference and in ours. The sort is a name in differences.toml if the two may differ.
    `words`: how a refusal begins. `ruling`: what this comes from, for those who ask."""

    sort: str
    at: int
    key: tuple[object, ...]
    reference: bool
    ours: bool
    ruling: Ruling = field(compare=False)
    words: str = ""

    def __str__(self) -> str:
        whys = [
            f"{each.about}: {each.rule.origin if each.rule else 'no rule'}, "
            f"{'allow' if each.allowed else 'deny'}, {len(each.rules)} matched rules"
            for each in self.ruling.findings
            if each.judged
        ]
        return f"{self.sort}; {'; '.join(whys)}"


class Court:
    """Judges by one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.driver = policy.standing(None, [DRIVER])

    def access(self, identity: Identity) -> Access:
        at_console = console.is_at_console(identity.user)
        return self.policy.access(identity.user, identity.groups, at_console)

    def connects(self, user: int, groups: tuple[int, ...]) -> bool:
        allowed = self.policy.may_connect(user, groups, 0)
        assert explain.connecting(self.policy, user, groups, 0).allowed == allowed
        return allowed

    def owns(self, member: Member, name: str) -> bool:
        return explain.owning(member.access, name).allowed

    def rule(
        self,
        source: Member | None,
        target: Member | None,
        letter: Letter,
        *,
        requested: bool = False,
        eavesdropping: bool = False,
    ) -> Ruling:
        """What the policy says of this message on its way to this target; None: the bus."""
        question = Question()
        question.kind, question.fds = letter.kind, letter.fds
        question.path, question.interface = letter.path, letter.interface
        question.member, question.error = letter.member, letter.error
        question.broadcast = letter.kind == SIGNAL and letter.destination is None
        question.reply, question.requested = bool(letter.reply_serial), requested
        question.eavesdropping = eavesdropping
        places = self.standing(source), self.standing(target)
        ruling = explain.messages(*places, question)
        allowed = all(finding.allowed for finding in ruling)
        self.check(*places, question, allowed)
        return Ruling(allowed, ruling)

    def standing(self, member: Member | None) -> Standing:
        if member is None:
            return self.driver
        return self.policy.standing(member.access, [member.unique, *member.names])

    def check(self, source: Standing, target: Standing, question: Question, allowed: bool) -> None:
        """All ways to ask the fast verdict say the same."""
        verdict = self.policy.verdict(source, target)
        outcomes = [verdict.judge(question) != DENIED]
        if not question.eavesdropping and (question.requested or not question.reply):
            slot = BROADCAST if question.broadcast else question.kind
            if verdict.settled >> slot & 1:
                outcomes.append(bool(verdict.allowed >> slot & 1))
            case = verdict.case(slot, question.interface)
            outcomes.append(case.judge(question) != DENIED)
            if case.outcome != PERHAPS:
                outcomes.append(case.outcome == ALLOWED)
        assert set(outcomes) == {allowed}, (outcomes, allowed)
