"""Two configurations differ if somebody's question is answered differently, and only then."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.configuration import Configuration
from policy.explain import messages
from policy.limits import Limits
from policy.rule import Argument, Rule, Section
from policy.study import diff
from policy.study.diff import ANY_NAME, EVERYBODY, OTHERS, Change, changes
from policy.study.inquiry import Inquiry, Person
from tests.policies import only, policy, rule, rules

A = rule(True, "send", name="a.b", interface="i.i", member="M")


def brief(found: list[Change]) -> list[tuple[object, ...]]:
    return [
        (
            each.about,
            each.names,
            each.people,
            each.messages,
            each.before.outcome,
            each.after.outcome,
        )
        for each in found
    ]


def test_the_same_is_the_same() -> None:
    one = rules(A, rule(False, "own", name="a.b"))
    assert changes(one, one) == []


def test_rules_in_another_order_or_in_more_words_may_be_the_same() -> None:
    other = rule(False, "send", name="x.y")
    assert changes(rules(A, other), rules(other, A)) == []
    assert changes(rules(A), rules(replace(A, interface="i.j"), A)) == []
    assert changes(rules(A), rules(A, replace(A, type="method_call"))) == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            rule(False, "send", name="a.b", interface="i.i", member="M", type="method_call"),
            [("send", ("a.b",), ("method call i.i.M", "call without interface, member M"))],
        ),
        (rule(False, "own", name="a.b"), [("own", ("a.b",), ())]),
        (
            rule(False, "own", name="a.b", prefix=True),
            [("own", ("a.b", "any other name below a.b"), ())],
        ),
        (rule(False, "connect", user="*"), [("connect", (), ())]),
        (
            rule(False, "send", broadcast=True, type="signal"),
            [("send", (ANY_NAME,), ("any other broadcast",))],
        ),
        (
            rule(False, "send", name="a.b", type="method_call", path="/p"),
            [("send", ("a.b",), ("method call at /p", "call without interface at /p"))],
        ),
        (
            rule(False, "send", name="a.b", type="method_call", max_fds=0),
            [
                (
                    "send",
                    ("a.b",),
                    ("any other method call", "any other call without interface"),
                )
            ],
        ),
        (
            rule(False, "send", name="a.b", type="method_call", interface="i", min_fds=1),
            [
                (
                    "send",
                    ("a.b",),
                    (
                        "method call i with 1 file descriptors",
                        "call without interface with 1 file descriptors",
                    ),
                )
            ],
        ),
        (
            rule(
                False,
                "send",
                name="a.b",
                type="signal",
                interface="i",
                arguments=(Argument(0, "x"),),
            ),
            [("send", ("a.b",), ('signal i with arg0 "x"', 'broadcast i with arg0 "x"'))],
        ),
    ],
)
def test_what_one_more_denial_changes(more: Rule, expected: list[tuple[object, ...]]) -> None:
    found = [each[:2] + each[3:] for each in brief(changes(rules(), rules(more)))]
    if more.about == "connect":  # the bus's own user may not, either
        assert found == [("connect", (), (), "allowed", "denied")]
        return
    assert {(*each, "allowed", "denied") for each in expected} == set(found)
    back = [each[:2] + each[3:] for each in brief(changes(rules(more), rules()))]
    assert {(*each, "denied", "allowed") for each in expected} == set(back)


def test_for_whom_it_changes() -> None:
    everybody = Section("default", "", rules().policy[0].rules)
    own = (Rule(allow=False, about="own", name="a.b"),)
    before = Configuration(policy=(everybody,))
    for context, who, people in (
        ("user", "daemon", ("user daemon",)),
        ("group", "daemon", ("group daemon",)),
        ("mandatory", "", (EVERYBODY,)),
        ("at_console", "true", ("anybody at the console",)),
    ):
        section: Any = Section(context, who, own)  # type: ignore[arg-type]
        (found,) = changes(before, replace(before, policy=(everybody, section)))
        assert (found.about, found.names) == ("own", ("a.b",))
        assert set(found.people) == set(people)
        assert OTHERS not in found.people


def test_the_rules_that_decided_are_told() -> None:
    deny = rule(False, "own", line=7, name="a.b")
    (found,) = changes(rules(), rules(deny))
    assert found.before.rule is not None
    assert found.before.rule.name is None
    assert found.after.rule is not None
    assert str(found.after.rule.origin) == "test:7"


def test_a_denial_that_lets_through_is_another_outcome() -> None:
    deny = rule(False, "own", name="a.b")
    (found,) = changes(rules(deny), rules(replace(deny, permissive=True)))
    assert (found.before.outcome, found.after.outcome) == ("denied", "let through")


def test_settings() -> None:
    before, after = rules(), rules(limits=Limits(max_message_size=17), syslog=True)
    found = {each.name: (each.before, each.after) for each in diff.settings(before, after)}
    assert found == {"syslog": (False, True), "max_message_size": (2**25, 17)}
    assert diff.settings(before, replace(before, sources=("elsewhere",))) == []


# ---------------------------------------------------------------------------------- law

NAMES = ("a.b", "x.y", "other.name")
some_rules = st.lists(
    st.builds(
        Rule,
        allow=st.booleans(),
        about=st.sampled_from(["send", "receive"]),
        name=st.sampled_from([None, "a.b", "x.y"]),
        type=st.sampled_from([None, "method_call", "signal"]),
        path=st.sampled_from([None, "/p"]),
        interface=st.sampled_from([None, "i.i", "i.j"]),
    ),
    max_size=5,
)


def fates(configuration: Configuration) -> list[tuple[bool, bool]]:
    """How all messages of a small world fare."""
    made = policy(configuration)
    somebody = Person(12345).standing(made)
    found = []
    kinds: Any = ("method_call", "signal")
    for name, kind, path, interface in product(
        NAMES, kinds, ("/p", "/q"), ("i.i", "i.j", "i.k", None)
    ):
        if kind == "signal" and interface is None:
            continue
        inquiry = Inquiry(type=kind, path=path, interface=interface)
        there = Person(12345, (), (name,)).standing(made)
        sends, _ = messages(somebody, there, inquiry.question())
        _, receives = messages(there, somebody, inquiry.question())
        found.append((sends.allowed, receives.allowed))
    return found


@settings(max_examples=150, deadline=None)
@given(some_rules, some_rules)
def test_what_fares_differently_is_found(one: list[Rule], other: list[Rule]) -> None:
    before, after = only(*one), only(*other)
    if fates(before) != fates(after):
        assert changes(before, after)
    assert changes(before, replace(before)) == []
