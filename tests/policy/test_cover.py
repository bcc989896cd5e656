"""A rule that is said to cover another matches all that the other matches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policy.clause import Clause, Question
from policy.rule import MOST_FDS, NUMBERS, Argument, Rule
from policy.study.cover import covers, meet
from policy.verdict import covers as covers_name
from tests.policies import rule

NAMES = ["a.b", "a.b.c", "a.bc"]
texts = st.sampled_from([None, "x", "y"])
arguments = st.sampled_from(
    [(), (Argument(0, "x"),), (Argument(0, "xy", prefix=True),), (Argument(0, "x", prefix=True),)]
)


@st.composite
def message_rules(draw: st.DrawFn) -> Rule:
    name = draw(st.none() | st.sampled_from(NAMES))
    return Rule(
        allow=draw(st.booleans()),
        about=draw(st.sampled_from(["send", "receive"])),
        name=name,
        prefix=name is not None and draw(st.booleans()),
        type=draw(st.sampled_from([kind for kind in NUMBERS if kind] + [None] * 4)),
        path=draw(texts),
        interface=draw(texts),
        member=draw(texts),
        error=draw(texts),
        broadcast=draw(st.none() | st.booleans()),
        requested_reply=draw(st.none() | st.booleans()),
        eavesdrop=draw(st.booleans()),
        min_fds=draw(st.integers(0, 1)),
        max_fds=draw(st.sampled_from([1, MOST_FDS])),
        arguments=draw(arguments),
    )


@st.composite
def questions(draw: st.DrawFn, like: Rule) -> Question:
    """Messages as the specification has them, which this rule may well match."""
    question = Question()
    question.kind = NUMBERS[like.type] or draw(st.integers(1, 4))
    question.path = draw(st.sampled_from([like.path, None, "other"]))
    question.interface = draw(st.sampled_from([like.interface, None, "other"]))
    question.member = draw(st.sampled_from([like.member, None, "other"]))
    question.error = draw(st.sampled_from([like.error, None, "other"]))
    question.reply = question.kind in (2, 3)
    if question.reply:
        question.interface = None
    if question.kind == 4:
        question.interface = question.interface or like.interface or "other"
        question.broadcast = bool(like.broadcast) or draw(st.booleans())
    question.requested = question.reply and draw(st.booleans())
    question.eavesdropping = draw(st.booleans())
    question.fds = draw(st.integers(0, 2))
    question.texts = [("s", draw(st.sampled_from(["x", "xyz"])))]
    return question


@settings(max_examples=500, deadline=None)
@given(st.data(), message_rules())
def test_what_is_covered_is_matched(data: Any, earlier: Rule) -> None:
    """The later rule is the earlier one with a few words dropped or changed: else it would
    hardly ever cover it."""
    other = data.draw(message_rules())
    taken = data.draw(st.sets(st.sampled_from(["path", "interface", "member", "type", "error"])))
    later = replace(earlier, **dict.fromkeys(taken))
    alike = data.draw(st.sets(st.sampled_from(["allow", "eavesdrop", "requested_reply"])))
    later = replace(later, **{name: getattr(other, name) for name in alike})
    assume(covers(later, earlier))
    question = data.draw(questions(earlier))
    if Clause(earlier).matches(question):
        assert Clause(later).matches(question)
        assert meet(earlier, later)


@given(message_rules(), message_rules(), st.sampled_from([*NAMES, "a", "a.b.c.d"]))
def test_names_are_covered(later: Rule, earlier: Rule, name: str) -> None:
    if covers(later, earlier) and covers_name(earlier, name):
        assert covers_name(later, name)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (rule(False, "own"), rule(True, "own", name="a.b")),
        (rule(True, "own", name="a", prefix=True), rule(True, "own", name="a.b", prefix=True)),
        (rule(True, "connect", user="*"), rule(False, "connect", group="wheel")),
        (rule(False, "send", name="a.b"), rule(True, "send", name="a.b", interface="i", path="/")),
        (rule(False, "send", type="method_call"), rule(True, "send", type="method_call", name="a")),
        (rule(False, "send", interface="i"), rule(True, "send", interface="i")),
    ],
)
def test_it_finds_the_plain_cases(later: Rule, earlier: Rule) -> None:
    assert covers(later, earlier)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (rule(True, "own", name="a"), rule(True, "own", name="a", prefix=True)),
        (rule(True, "send", interface="i"), rule(False, "send", interface="i")),  # without one
        (
            rule(True, "send", interface="i", type="method_call"),
            rule(False, "send", interface="i", type="method_call"),
        ),
        (rule(True, "send"), rule(False, "send")),  # replies that nobody asked for
        (rule(False, "send", max_fds=0), rule(True, "send", name="a")),
        (rule(False, "receive", eavesdrop=True), rule(True, "receive")),
        (rule(True, "connect", user="root"), rule(False, "connect", user="*")),
    ],
)
def test_it_is_not_fooled(later: Rule, earlier: Rule) -> None:
    assert not covers(later, earlier)
