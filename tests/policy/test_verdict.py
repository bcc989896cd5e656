"""Verdicts: what is found out once is what the rules say of every message.

The model is a page of dbus-daemon(1): go through the rules in order, the last that matches decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy import explain
from policy import policy as module
from policy.clause import BROADCAST, Clause, Question
from policy.configuration import Configuration
from policy.people import People
from policy.policy import MOST_VERDICTS, Policy
from policy.rule import MOST_FDS, NUMBERS, Argument, Rule, Section
from policy.verdict import ALLOWED, DENIED, NOTED, PERHAPS, Access, Standing, Verdict
from tests import policies
from tests.policies import rule

NAMES = ["a.b", "a.b.c", "a.bc", "x.y", ":1.5"]
INTERFACES = ["i.i", "i.j"]

texts = st.none() | st.sampled_from(["x", "y"])
message_rules = st.builds(
    Rule,
    allow=st.booleans(),
    about=st.sampled_from(["send", "receive"]),
    name=st.none() | st.sampled_from(NAMES),
    prefix=st.booleans(),
    type=st.none() | st.sampled_from(["method_call", "method_return", "error", "signal"]),
    path=texts,
    interface=st.none() | st.sampled_from(INTERFACES),
    member=texts,
    error=texts,
    broadcast=st.none() | st.booleans(),
    requested_reply=st.none() | st.booleans(),
    eavesdrop=st.booleans(),
    min_fds=st.integers(0, 2),
    max_fds=st.sampled_from([0, 1, MOST_FDS]),
    arguments=st.sampled_from([(), (Argument(0, "x"),), (Argument(1, "x", prefix=True),)]),
    log=st.booleans(),
    permissive=st.booleans(),
).map(lambda rule: rule if rule.name else replace(rule, prefix=False))


@st.composite
def questions(draw: Any) -> Question:
    question = Question()
    question.kind = draw(st.integers(1, 4))
    question.path, question.member, question.error = draw(st.tuples(texts, texts, texts))
    question.interface = draw(st.none() | st.sampled_from([*INTERFACES, "i.unnamed"]))
    question.broadcast = question.kind == 4 and draw(st.booleans())
    question.reply = draw(st.booleans())
    question.requested = question.reply and draw(st.booleans())
    question.eavesdropping = draw(st.booleans())
    question.fds = draw(st.integers(0, 3))
    question.texts = draw(
        st.none() | st.lists(st.none() | st.sampled_from([("s", "x"), ("o", "xy")]), max_size=3)
    )
    return question


def ordinary(question: Question) -> bool:
    """Neither overheard, nor an answer that nobody waits for."""
    if question.eavesdropping:
        return False
    return question.requested if question.kind in (2, 3) else not question.reply


@settings(deadline=None, max_examples=600)
@given(
    st.lists(message_rules, max_size=6),
    st.lists(message_rules, max_size=6),
    st.sets(st.sampled_from(NAMES)),
    st.sets(st.sampled_from(NAMES)),
    st.lists(questions(), min_size=1, max_size=5),
)
def test_a_verdict_says_what_the_rules_say(
    mine: list[Rule], theirs: list[Rule], my: set[str], their: set[str], asked: list[Question]
) -> None:
    policy = policies.policy(policies.only(*mine, *theirs))
    source = policy.standing(Access(mine, {}), my)
    target = policy.standing(Access(theirs, {}), their)
    verdict = policy.verdict(source, target)
    for question in asked:
        expected = worst(
            model([each for each in mine if each.about == "send"], their, question),
            model([each for each in theirs if each.about == "receive"], my, question),
        )
        assert verdict.judge(question) == expected
        findings = explain.messages(source, target, question)
        assert all(each.allowed for each in findings) is (
            expected == ALLOWED or (expected == NOTED and not denied(findings))
        )
        if ordinary(question):
            slot = BROADCAST if question.broadcast else question.kind
            case = verdict.case(slot, question.interface)
            outcomes = [case.outcome, case.with_member(question.member), case.judge(question)]
            assert set(outcomes) - {PERHAPS} == {expected}
            if verdict.settled >> slot & 1:
                assert (verdict.allowed >> slot & 1) == (expected == ALLOWED)
                assert expected != NOTED


def denied(findings: tuple[explain.Finding, ...]) -> bool:
    return any(not each.allowed for each in findings)


def worst(send: int, receive: int) -> int:
    if DENIED in (send, receive):
        return DENIED
    return NOTED if NOTED in (send, receive) else ALLOWED


def model(rules: list[Rule], names: set[str], question: Question) -> int:
    """As dbus-daemon(1) and bus/policy.c have it, rule by rule."""
    outcome = DENIED
    for each in kept(rules):
        if meets(each, names, question):
            outcome = ALLOWED if each.allow else DENIED
            if (each.log and each.about == "send") if each.allow else each.permissive:
                outcome = NOTED
    return outcome


def kept(rules: list[Rule]) -> list[Rule]:
    """Without what the reference forgets: all before a rule with no type, name or text."""
    last = 0
    for at, each in enumerate(rules):
        named = (each.type, each.name, each.path, each.interface, each.member, each.error)
        if not any(named) and not each.arguments:
            last = at
    return rules[last:]


def meets(rule: Rule, names: set[str], question: Question) -> bool:
    send = rule.about == "send"
    if rule.type is not None and NUMBERS[rule.type] != question.kind:
        return False
    if not send:
        if question.eavesdropping and rule.allow and not rule.eavesdrop:
            return False
        if not question.eavesdropping and not rule.allow and rule.eavesdrop:
            return False
    if question.reply:
        wanted = rule.allow if rule.requested_reply is None else rule.requested_reply
        if not question.requested and rule.allow and wanted and not rule.eavesdrop:
            return False
        if question.requested and not rule.allow and not wanted:
            return False
    if rule.broadcast is not None and rule.broadcast != question.broadcast:
        return False
    if rule.name is not None and not any(is_named(rule, name) for name in names):
        return False
    if rule.interface is not None:
        if question.interface is None:
            if rule.allow:
                return False
        elif question.interface != rule.interface:
            return False
    for field in ("path", "member", "error"):
        wanted_text, found = getattr(rule, field), getattr(question, field)
        if None not in (wanted_text, found) and wanted_text != found:
            return False
    if not rule.min_fds <= question.fds <= rule.max_fds:
        return False
    return all(says(argument, question) for argument in rule.arguments)


def is_named(rule: Rule, name: str) -> bool:
    if name == rule.name:
        return True
    return rule.prefix and name.startswith(f"{rule.name}.")


def says(argument: Argument, question: Question) -> bool:
    texts = question.texts or []
    if argument.number >= len(texts) or texts[argument.number] is None:
        return False
    text = texts[argument.number][1]
    return text.startswith(argument.value) if argument.prefix else text == argument.value


# ------------------------------------------------------------------- whom rules are for


def configuration(*sections: Section) -> Configuration:
    return Configuration(policy=sections)


def lines(access: Access) -> list[int]:
    return [clause.rule.origin.line for clause in access.send]


def to(line: int) -> Rule:
    return rule(True, "send", line, name=f"n.n{line}")


def test_contexts_come_in_the_references_order() -> None:
    """dbus-daemon(1), "policy": default, group, user, at_console, mandatory; whatever the
    order of the file."""
    policy = policies.policy(
        configuration(
            Section("mandatory", "", (to(6),)),
            Section("at_console", "true", (to(5),)),
            Section("at_console", "false", (to(4),)),
            Section("user", "0", (to(3),)),
            Section("group", "7", (to(2),)),
            Section("default", "", (to(1),)),
            Section("user", "root", (to(33),)),
            Section("group", "6", (to(22),)),
        )
    )
    assert lines(policy.access(0, (7,), False)) == [1, 2, 3, 33, 4, 6]
    assert lines(policy.access(0, (6, 7), True)) == [1, 22, 2, 3, 33, 5, 6]
    assert lines(policy.access(5, (8,), True)) == [1, 5, 6]
    assert lines(policy.access(None, (), True)) == [1, 6]


def test_the_same_people_share_their_access() -> None:
    policy = policies.policy(configuration(Section("user", "0", (to(1),))))
    assert policy.access(5, (1,), False) is policy.access(6, (2, 3), False)
    assert policy.access(0, (), False) is not policy.access(5, (), False)


def test_standings_are_shared_unless_names_matter() -> None:
    policy = policies.policy(policies.rules(to(1), rule(True, "send", name="p.q", prefix=True)))
    access = policy.access(0, (), False)
    plain = policy.standing(access, [":1.7", "x.y"])
    assert policy.standing(access, [":1.8"]) is plain
    assert policy.standing(access, ["n.n1"]) is not plain
    assert policy.standing(access, ["p.q.r"]) is policy.standing(access, ["p.q", ":1.9"])
    assert policy.standing(access, ["p.qr"]) is plain


def test_verdicts_are_found_once_and_kept_in_bounds() -> None:
    policy = policies.policy(policies.rules())
    standing = policy.standing(policy.access(0, (), False), [])
    assert policy.verdict(standing, standing) is policy.verdict(standing, standing)
    policy.verdicts = MOST_VERDICTS
    other = Standing(standing.access, frozenset("x"))
    policy.verdict(standing, other)
    assert policy.verdicts == 1
    assert list(standing.verdicts) == [other]


def test_those_in_use_are_emptied_every_time() -> None:
    """Also standings that were forgotten before: some live as long as the bus."""
    policy = policies.policy(policies.rules())
    own = policy.standing(None, ["o.o"])
    for count in range(3):
        policy.verdict(own, Standing(None, frozenset(str(count))))
        assert own.verdicts
        policy.forget()
        assert not own.verdicts


def test_names_that_come_and_go_leave_no_more_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_VERDICTS", 8)
    marks = [f"n.n{number}" for number in range(6)]
    policy = policies.policy(policies.rules(*(rule(True, "send", name=each) for each in marks)))
    access = policy.access(0, (), False)
    for bits in range(64):
        names = [each for number, each in enumerate(marks) if bits >> number & 1]
        policy.standing(access, names)
        assert len(policy.standings) <= 8


def test_a_plain_verdict_asks_nothing_of_a_message() -> None:
    policy = policies.policy(policies.rules(rule(False, "send", name="x.y", member="M")))
    access = policy.access(0, (), False)
    free = policy.standing(access, [])
    assert Verdict(free, free).settled == Verdict(free, free).allowed == 0b111110
    named = Verdict(free, policy.standing(access, ["x.y"]))
    assert named.settled == 0b1100  # a deny of any reply leaves those that are wanted


@pytest.mark.parametrize(("uid", "allowed"), [(0, True), (5, False), (6, True), (None, False)])
def test_who_may_connect(uid: int | None, allowed: bool) -> None:
    """Rules for connecting count only for everybody and last; the bus's own user may."""
    rules = (rule(False, "connect", user="*"), rule(True, "connect", user="root"))
    last = Section("mandatory", "", (rule(True, "connect", group="9"),))
    section = Section("user", "5", (rule(True, "connect", user="*"),))
    policy = policies.policy(configuration(Section("default", "", rules), section, last))
    assert policy.may_connect(uid, (9,) if uid == 6 else (), bus_uid=0) is allowed
    nobody = policies.policy(configuration())
    assert [nobody.may_connect(each, (), 5) for each in (5, 0, None)] == [True, False, False]


def test_unknown_people_are_complained_of_and_left_out() -> None:
    people = People()
    section = Section("user", "no-such-user", (to(1),))
    rules = (rule(True, "connect", 3, user="no-such-user"), rule(True, "connect", group="none"))
    policy = Policy(configuration(section, Section("default", "", rules)), people)
    assert [str(each).partition(": ")[2] for each in people.complaints] == [
        'unknown user "no-such-user"',
        'unknown user "no-such-user"',
        'unknown group "none"',
    ]
    assert not policy.users
    assert not policy.everybody


def test_owning_is_decided_by_the_last_rule() -> None:
    access = Access(
        [
            rule(True, "own", 1, name="z.z"),
            rule(False, "own", 2),
            rule(True, "own", 3, name="a.b", prefix=True),
            rule(False, "own", 4, name="a.b.c"),
        ],
        {},
    )
    found = {
        name: [each.origin.line for each in explain.owning(access, name).rules]
        for name in ("z.z", "a.b", "a.b.d", "a.b.c", "a.bc")
    }
    assert found == {"z.z": [2], "a.b": [2, 3], "a.b.d": [2, 3], "a.b.c": [2, 3, 4], "a.bc": [2]}


def test_clauses_know_their_mark() -> None:
    assert Clause(rule(True, "send", name="a.b", prefix=True)).mark == "a.b."
    assert Clause(rule(True, "send", name="a.b")).mark == "a.b"
    assert Clause(rule(True, "send")).mark is None
