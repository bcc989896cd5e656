"""What is remarked about a policy, where, and that what is meant as it stands is left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.configuration import Configuration
from policy.files.load import load
from policy.rule import Origin, Rule, Section
from policy.study.diff import changes
from policy.study.lint import lint
from policy.study.remark import Remark
from tests.policies import only

HEAD = "<busconfig>\n<type>{}</type><listen>unix:path=/x</listen><includedir>more</includedir>\n"


def remarks(tmp_path: Path, text: str, bus: str = "system") -> list[Remark]:
    """About a configuration with this text from line 3 on."""
    path = tmp_path / "bus.conf"
    path.write_text(f"{HEAD.format(bus)}{text}\n</busconfig>", encoding="utf-8")
    return lint(load(str(path)))


def said(found: list[Remark], level: str = "warning") -> list[tuple[str, int]]:
    return [(each.code, each.origin.line) for each in found if each.level == level]


def default(*rules: str) -> str:
    return '<policy context="default">\n' + "\n".join(rules) + "\n</policy>"


GOOD = [
    default('<deny own="*"/>', '<deny send_type="method_call"/>', '<allow send_type="signal"/>'),
    default(
        '<deny send_destination="a.b"/>', '<allow send_destination="a.b" send_interface="i.i"/>'
    ),
    '<policy user="root"><allow own="a.b"/></policy>',
    '<policy user="root"><allow send_interface="a.Agent"/></policy>',
    default('<allow user="*"/>', '<deny user="nobody"/>'),
    '<policy user="0"><allow own_prefix="a"/><deny own="a.b"/></policy>',
    '<policy user="root"><allow own="a.b"/></policy>\n'
    + default('<deny own="a.b"/>'),  # read later, but asked earlier
    '<policy group="root"><allow send_destination="a.b"/></policy>\n'
    '<policy group="daemon"><deny send_destination="a.c"/></policy>',
]


@pytest.mark.parametrize("text", GOOD)
def test_what_is_good_is_not_remarked(tmp_path: Path, text: str) -> None:
    found = remarks(tmp_path, text)
    assert said(found) == said(found, "error") == []


BAD: list[tuple[str, str, int]] = [
    (default('<allow send_interface="i.i"/>'), "no-destination", 4),
    (default('<allow send_type="method_call" send_path="/x"/>'), "no-destination", 4),
    (default('<deny send_interface="i.i"/>'), "no-destination", 4),
    (default('<deny send_error="e.e"/>'), "not-only-errors", 4),
    (default('<allow receive_sender="a.b" receive_error="e.e"/>'), "not-only-errors", 4),
    (default('<allow send_type="error" send_interface="i.i"/>'), "never-matches", 4),
    (default('<deny send_broadcast="true" send_type="method_call"/>'), "never-matches", 4),
    (default('<deny send_destination="a.b" send_type="error" send_path="/x"/>'), "idle-word", 4),
    (default('<allow send_type="signal" send_requested_reply="true"/>'), "idle-word", 4),
    (default('<allow send_type="error" send_requested_reply="false"/>'), "unasked-replies", 4),
    (default('<allow eavesdrop="true"/>'), "eavesdrop", 4),
    (default('<allow own="a.b"/>'), "anybody-owns", 4),
    ('<policy at_console="true"><allow own="a.b"/></policy>', "at-console", 3),
    ('<policy user="no such"><allow own="a.b"/></policy>', "unknown-user", 3),
    ('<policy user="no group"><allow own="a.b"/></policy>', "unknown-user", 3),
    ('<policy group="no such"><allow own="a.b"/></policy>', "unknown-group", 3),
    (default('<allow group="no such"/>'), "unknown-group", 4),
    (default('<allow user="root"/>', '<deny user="*"/>'), "shadowed", 4),
    (default('<deny own="a.b"/>', '<deny own="a.c"/>', '<allow own_prefix="a"/>'), "shadowed", 5),
    ('<policy user="root"><allow own="a.b"/></policy>\n'
     '<policy context="mandatory"><deny own="*"/></policy>', "shadowed", 3),
    (default('<allow send_destination="a.b" send_interface="i.i"/>', '<allow own="a.c"/>',
             '<deny send_destination="a.b"/>'), "shadowed", 4),
    (default('<allow send_destination="a.b"/>', '<deny send_destination="a.b"/>'),
     "replies-only", 4),
    (default('<deny send_type="method_call"/>', '<allow send_broadcast="true"/>'), "forgets", 5),
    ('<policy group="root"><allow send_destination="a.b"/></policy>\n'
     '<policy group="daemon"><deny send_destination="a.b" send_interface="i.i"/></policy>',
     "group-order", 4),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "line"), BAD)
def test_what_is_not_as_it_seems_is(tmp_path: Path, text: str, code: str, line: int) -> None:
    found = remarks(tmp_path, text)
    assert (code, line) in said(found)
    for each in found:
        assert each.origin.file == str(tmp_path / "bus.conf")
        assert each.why


def test_a_broken_file_of_a_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "broken.conf").write_text("<busconfig>\n<nonsense/></busconfig>")
    (found,) = [each for each in remarks(tmp_path, "") if each.level == "error"]
    assert found.code == "skipped-file"
    assert found.origin.file == str(tmp_path / "more" / "broken.conf")
    assert "nonsense" in found.why


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (default('<deny send_destination_prefix="a"/>'), "send_destination_prefix"),
        (default('<deny send_destination="a.b" send_interface="i.i"/>'), "by interface"),
        (default('<allow send_type="error"/>'), "replies"),
        (default('<allow send_requested_reply="true"/>'), "requested_reply"),
        (default('<allow send_destination="a.b" log="true"/>'), 'log="true"'),
        ("<allow_anonymous/>", "allow_anonymous"),
        ('<limit name="max_message_size">99999</limit>', "max_message_size"),
    ],
)
def test_where_dbus_broker_differs_is_noted(tmp_path: Path, text: str, what: str) -> None:
    notes = [each for each in remarks(tmp_path, text) if each.code == "dbus-broker"]
    assert {each.level for each in notes} == {"note"}
    assert any(what in each.why for each in notes)


def test_what_dbus_broker_uses_is_not_noted(tmp_path: Path) -> None:
    assert not remarks(tmp_path, '<limit name="max_outgoing_bytes">99999</limit>')


def test_a_session_bus_may_be_open(tmp_path: Path) -> None:
    rules = default('<allow send_destination="*" eavesdrop="true"/>', '<allow own="*"/>')
    assert said(remarks(tmp_path, rules, "session")) == []
    assert said(remarks(tmp_path, rules, "system")) == [("unasked-replies", 4), ("anybody-owns", 5)]


def test_receive_rules_matter_if_something_is_denied(tmp_path: Path) -> None:
    allow = '<allow receive_sender="a.b"/>'
    idle = ("idle-receive", 4)
    assert idle in said(remarks(tmp_path, default(allow)), "note")
    denied = default(allow, '<deny receive_sender="a.c"/>')
    assert idle not in said(remarks(tmp_path, denied), "note")


# -------------------------------------------------------------------------------- laws


names = st.sampled_from([None, "a.b", "a.c"])
words = st.sampled_from([None, "x"])
send_rules = st.builds(
    Rule,
    allow=st.booleans(),
    about=st.sampled_from(["send", "receive"]),
    name=names,
    type=st.sampled_from([None, "method_call", "signal", "error"]),
    interface=words,
    path=words,
    member=words,
    eavesdrop=st.booleans(),
)
own_rules = st.builds(Rule, allow=st.booleans(), about=st.just("own"), name=names)


@settings(max_examples=100, deadline=None)
@given(st.lists(send_rules | own_rules, max_size=6))
def test_without_a_rule_that_never_decides_all_is_as_before(rules: list[Any]) -> None:
    numbered = tuple(
        replace(rule, origin=Origin("f", line, "default")) for line, rule in enumerate(rules, 1)
    )
    for each in lint(only(*numbered)):
        if each.code in ("shadowed", "repeated"):
            fewer = [rule for rule in numbered if rule.origin != each.origin]
            kept = only(*(rule for rule in numbered if rule.origin.line != each.origin.line))
            assert len(fewer) == len(rules) - 1
            assert changes(only(*numbered), kept) == []


def test_sections_hold_in_the_order_of_contexts_not_of_reading() -> None:
    last = Section("mandatory", "", (Rule(allow=False, about="own"),))
    first = Section("user", "root", (Rule(allow=True, about="own", name="a.b"),))
    for policy in ((first, last), (last, first)):
        found = lint(Configuration(policy=policy))
        assert [each.code for each in found if each.level == "warning"] == ["shadowed"]
