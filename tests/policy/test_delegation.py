"""Rules about delegation: what they mean, in which words they stand, and what is said of them."""

from __future__ import annotations

import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.configuration import ConfigError, Configuration
from policy.delegation import Extent
from policy.explain import delegating
from policy.files import write_toml, write_xml
from policy.files.load import load
from policy.report import rule_text
from policy.rule import Rule
from policy.study.cover import covers
from policy.study.denial import find
from policy.study.diff import changes
from policy.study.inquiry import Person
from policy.study.learn import write
from policy.study.lint import lint
from tests.policies import only, policy, rule

NAMES = ("a.b", "a.b.c", "x.y")
PATHS, INTERFACES, MEMBERS = ("/p", "/q"), ("i.i", "i.j"), ("M", "N")
EXTENTS = [
    Extent(*each) for each in product(PATHS, (None, *INTERFACES), (None, *MEMBERS)) if any(each[1:])
] + [Extent(path) for path in PATHS]
SINGLE = [each for each in EXTENTS if None not in each]

rules = st.builds(
    Rule,
    allow=st.booleans(),
    about=st.just("delegate"),
    name=st.none() | st.sampled_from(NAMES),
    path=st.none() | st.sampled_from(PATHS),
    interface=st.none() | st.sampled_from(INTERFACES),
    member=st.none() | st.sampled_from(MEMBERS),
)


def allowed(rules: list[Rule], names: list[str], extent: Extent) -> bool:
    access = Person(5).access(policy(only(*rules)))
    return delegating(access, names, extent).allowed


def matches(rule: Rule, names: list[str], call: Extent) -> bool:
    """Is a rule about single calls about this one? That needs no thought."""
    said = (rule.path, rule.interface, rule.member)
    return (rule.name is None or rule.name in names) and all(
        mine in (None, its) for mine, its in zip(said, call, strict=True)
    )


def inside(call: Extent, extent: Extent) -> bool:
    return all(whole in (None, part) for part, whole in zip(call, extent, strict=True))


@given(st.lists(rules, max_size=5), st.lists(st.sampled_from(NAMES), max_size=2))
def test_what_is_granted_is_allowed_in_each_part(found: list[Rule], names: list[str]) -> None:
    """The model: the last rule that is about a single call decides."""
    single = {
        call: [each.allow for each in found if matches(each, names, call)][-1:] == [True]
        for call in SINGLE
    }
    for extent in EXTENTS:
        if extent in single:
            assert allowed(found, names, extent) == single[extent]
        elif allowed(found, names, extent):
            assert all(single[call] for call in SINGLE if inside(call, extent))


@given(rules, rules)
def test_a_rule_that_is_covered_never_decides(earlier: Rule, later: Rule) -> None:
    if covers(later, earlier):
        for extent, names in product(EXTENTS, (["a.b"], ["x.y"], [])):
            both, one = (allowed(each, names, extent) for each in ([earlier, later], [later]))
            assert both == one


def test_a_prefix_is_of_whole_words_and_of_names_that_are_owned() -> None:
    may = [rule(True, "delegate", name="a.b", prefix=True)]
    for name, answer in (("a.b", True), ("a.b.c", True), ("a.bc", False), ("a", False)):
        assert allowed(may, [name], Extent("/p")) is answer
    assert allowed(may, ["x.y", "a.b.c"], Extent("/p"))
    assert not allowed(may, [], Extent("/p"))


def test_rules_are_for_those_whose_section_it_is(tmp_path: Path) -> None:
    made = policy(
        read(tmp_path, '[[policy]]\nuser = "1"\nrules = [{ allow = "delegate", name = "a.b" }]')
    )
    for uid, answer in ((1, True), (2, False), (None, False)):
        finding = delegating(Person(uid).access(made), ["a.b"], Extent("/p"))
        assert finding.allowed is answer


# -------------------------------------------------------------------------- the words


def read(tmp_path: Path, text: str) -> Configuration:
    path = tmp_path / "bus.toml"
    path.write_text(f'listen = ["unix:path=/x"]\n{text}')
    return load(str(path))


def section(*rules: str) -> str:
    return f'[[policy]]\nfor = "default"\nrules = [{", ".join(rules)}]'


def first(configuration: Configuration) -> Rule:
    return configuration.policy[0].rules[0]


@pytest.mark.parametrize(
    ("text", "meant", "shown"),
    [
        (
            '{ allow = "delegate", name = "a.b" }',
            rule(True, "delegate", name="a.b"),
            '<allow delegate="a.b"/>',
        ),
        (
            '{ deny = "delegate", name = "*", interface = "i.i", member = "M" }',
            rule(False, "delegate", interface="i.i", member="M"),
            '<deny delegate="*" delegate_interface="i.i" delegate_member="M"/>',
        ),
        (
            '{ deny = "delegate", name_prefix = "a", path = "/p", permissive = true }',
            rule(False, "delegate", name="a", prefix=True, path="/p", permissive=True),
            '<deny delegate_prefix="a" delegate_path="/p" permissive="true"/>',
        ),
        (
            '{ deny = "delegate", name = "a.b", interface = "*", member = "M" }',
            rule(False, "delegate", name="a.b", member="M"),
            '<deny delegate="a.b" delegate_member="M"/>',
        ),
    ],
)
def test_what_can_be_said(tmp_path: Path, text: str, meant: Rule, shown: str) -> None:
    found = read(tmp_path, section(text))
    assert first(found) == meant
    assert rule_text(first(found)) == shown
    again = tomllib.loads(write_toml.write(found))["policy"][0]["rules"][0]
    assert again == tomllib.loads(f"x = {text}")["x"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{ allow = "delegate" }', "which name?"),
        ('{ allow = "delegate", name = "a.b", member = "M" }', "member needs interface"),
        ('{ allow = "delegate", name = "a.b", name_prefix = "a" }', "do not go together"),
        ('{ allow = "delegate", name = "a.b", type = "signal" }', "unknown key type"),
        ('{ allow = "delegate", name = "a.b", permissive = true }', "permissive is for deny"),
        ('{ allow = "grant", name = "a.b" }', '"connect" or "delegate"'),
    ],
)
def test_what_cannot(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"bus.toml:4: .*{why.replace('?', '.')}"):
        read(tmp_path, section(text))


def test_xml_has_no_word_for_it(tmp_path: Path) -> None:
    found = read(tmp_path, section('{ allow = "delegate", name = "a.b" }'))
    with pytest.raises(write_xml.Unsayable) as caught:
        write_xml.write(found)
    assert str(caught.value) == (
        f"{tmp_path}/bus.toml:4: XML has no word for rights that services grant (delegate)"
    )


# ------------------------------------------------------------------- what is said of it


def remarks(*rules: Rule, bus: str = "system") -> list[tuple[str, int]]:
    found = lint(only(*rules, type=bus))
    return [(each.code, each.origin.line) for each in found if each.level == "warning"]


def test_lint() -> None:
    may = rule(True, "delegate", 3, name="a.b")
    admin: dict[str, Any] = {"name": "a.b", "interface": "a.b.Admin"}
    assert remarks(may, rule(False, "delegate", 4, **admin)) == []
    assert remarks(rule(False, "delegate", 2, **admin), may) == [("shadowed", 2)]
    everybody = rule(True, "delegate", 5)
    assert remarks(everybody) == [("anybody-delegates", 5)]
    assert remarks(everybody, bus="session") == []
    part = rule(True, "delegate", 6, **admin)
    assert remarks(rule(False, "delegate", 5, **admin, member="M"), part) == []


def test_diff() -> None:
    one = only(rule(True, "delegate", name="a.b"))
    other = only(
        rule(True, "delegate", name="a.b"),
        rule(False, "delegate", name="a.b", interface="a.b.Admin"),
    )
    assert changes(one, one) == []
    (change,) = changes(one, other)
    assert (change.about, change.names, change.people) == ("delegate", ("a.b",), ("everybody",))
    assert change.messages == ("a whole object", "a.b.Admin")
    assert (change.before.outcome, change.after.outcome) == ("allowed", "denied")


LINE = (
    'Connection ":1.7" is not allowed to grant the right to path="/p" interface="i.i" '
    'member="(unset)" as the owner of "a.b" due to security policies in the configuration file '
    '(uid=1 pid=9 comm="x y"); no rule allows it'
)


def test_what_is_learnt_of_a_denial_would_have_allowed_it(tmp_path: Path) -> None:
    denial = find(f"bus1-daemon[1]: [system] {LINE}")
    assert denial is not None
    assert (denial.about, denial.name, denial.sender.uid) == ("delegate", "a.b", 1)
    path = tmp_path / "learnt.toml"
    path.write_text('listen = ["unix:path=/x"]\n' + write([denial]))
    access = Person(1).access(policy(load(str(path))))
    assert delegating(access, ["a.b"], Extent("/p", "i.i")).allowed
    assert not delegating(access, ["a.b"], Extent("/p")).allowed
    assert not delegating(access, ["a.b"], Extent("/q", "i.i")).allowed


def test_who_owns_no_name_gets_no_rule() -> None:
    denial = find(LINE.replace('"a.b"', '""'))
    assert denial is not None
    learnt = write([denial])
    assert "# whose? it owned no name" in learnt
    assert tomllib.loads(learnt)["policy"][0]["rules"] == []
