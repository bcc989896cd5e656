"""The answers as the policy's own reckoning has them, by rules and by verdicts."""

from __future__ import annotations

from collections.abc import Iterable

from policy import explain
from policy.clause import BROADCAST as TO_ALL
from policy.clause import Question
from policy.configuration import Configuration
from policy.people import People
from policy.policy import Policy
from policy.verdict import ALLOWED, PERHAPS, Standing
from tests.packages.questions import BROADCAST, CALL, NEWS, Form, Person

RETURN, CALLS, SIGNALS = 2, 1, 4
REFUSED, DELIVERED, ANSWERED = "refused", "delivered", "answered"


class Reckoned:
    """What follows from a configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self.people = People()
        self.policy = Policy(configuration, self.people)

    def standing(self, person: Person, names: Iterable[str] = ()) -> Standing:
        identity = person.identity()
        access = self.policy.access(identity.user, identity.groups, False)
        return self.policy.standing(access, names)

    def owns(self, person: Person, name: str) -> bool:
        """May this person own the name?"""
        access = self.standing(person).access
        assert access
        return explain.owning(access, name).allowed

    def send(self, person: Person, owner: Person, names: tuple[str, ...], form: Form) -> str:
        """How this message fares between a person and the owner of these names."""
        here, there = self.standing(person, [":1.1"]), self.standing(owner, [":1.2", *names])
        if form.kind == NEWS:
            here, there = there, here
        if not self.passes(here, there, question(form)):
            return REFUSED
        if form.kind == CALL and self.passes(there, here, reply()):
            return ANSWERED
        return DELIVERED

    def passes(self, source: Standing, target: Standing, asked: Question) -> bool:
        """By the rules one by one; the verdict kept for such messages must say the same."""
        passes = all(found.allowed for found in explain.messages(source, target, asked))
        assert self.decided(source, target, asked) == passes
        return passes

    def decided(self, source: Standing, target: Standing, asked: Question) -> bool:
        verdict = self.policy.verdict(source, target)
        slot = TO_ALL if asked.broadcast else asked.kind
        if verdict.settled >> slot & 1:
            return bool(verdict.allowed >> slot & 1)
        case = verdict.case(slot, asked.interface)
        outcome = case.with_member(asked.member) if case.outcome == PERHAPS else case.outcome
        outcome = case.judge(asked) if outcome == PERHAPS else outcome
        assert outcome == verdict.judge(asked)
        return bool(outcome == ALLOWED)


def question(form: Form) -> Question:
    asked = Question()
    asked.kind = CALLS if form.kind == CALL else SIGNALS
    asked.broadcast = form.kind in (BROADCAST, NEWS)
    asked.path, asked.interface, asked.member = form.path, form.interface, form.member
    return asked


def reply() -> Question:
    """The answer to a call that waits for it."""
    asked = Question()
    asked.kind, asked.reply, asked.requested = RETURN, True, True
    return asked
