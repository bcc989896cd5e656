"""Denials are found in logs, with what they say and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.study.denial import Denial, Party, find

LINE = (
    'Rejected send message, 1 matched rules; type="method_call", sender=":1.5" (uid=1000 pid=42 '
    'comm="foo") interface="i.i" member="M" error name="(unset)" requested_reply="0" '
    'destination="org.x" (uid=0 pid=1 comm="bar")'
)
RULE = "; rule /etc/dbus-1/system.d/x.conf:12 (default)"
SENDER, TARGET = Party(":1.5", 1000, 42, "foo"), Party("org.x", 0, 1, "bar")
DENIAL = Denial(
    about="send", permitted=False, sender=SENDER, target=TARGET, interface="i.i", member="M"
)
OWN = (
    'Connection ":1.5" is not allowed to own the service "org.x" due to security policies in the '
    "configuration file"
)
WHO = ' (uid=7 pid=42 comm="foo (bar)")'


@pytest.mark.parametrize(
    "head",
    [
        "",
        "Nov 23 09:00:01 host dbus-daemon[735]: [system] ",
        "GDBus.Error:org.freedesktop.DBus.Error.AccessDenied: ",
        '2026-11-23T09:00:01.123456+00:00 host bus1-daemon[9]: "',
    ],
)
@pytest.mark.parametrize("tail", ["", "\n", RULE + "\n"])
def test_a_message(head: str, tail: str) -> None:
    found = find(head + LINE + tail)
    assert found is not None
    assert found.rule == ("/etc/dbus-1/system.d/x.conf:12 (default)" if "rule" in tail else "")
    assert (found.sender, found.target) == (SENDER, TARGET)
    assert (found.about, found.type, found.permitted) == ("send", "method_call", False)
    assert (found.interface, found.member, found.error) == ("i.i", "M", None)


def test_what_would_have_been() -> None:
    for verb in ("Would reject message", "Would reject send message"):
        found = find(LINE.replace("Rejected send message", verb))
        assert found is not None
        assert found.permitted
        assert found.about == "send"


def test_of_the_receivers_rules() -> None:
    found = find(
        LINE.replace("send", "receive", 1).replace('requested_reply="0"', "requested_reply=1")
    )
    assert found is not None
    assert (found.about, found.requested) == ("receive", True)


def test_labels_and_paths() -> None:
    found = find(
        LINE.replace('"bar"', '"bar" label="kernel"').replace("interface", 'path="/p" interface')
    )
    assert found is not None
    assert (found.target, found.path) == (TARGET, "/p")


def test_what_a_process_calls_itself_tells_nothing_else() -> None:
    evil = (
        '") interface="evil.I" member="Evil" error name="(unset)" requested_reply="0" '
        'destination="evil" ('
    )
    found = find(LINE.replace("foo", f"foo{evil}"))
    assert found is not None
    assert (found.interface, found.member, found.target) == ("i.i", "M", TARGET)


@pytest.mark.parametrize(
    ("line", "permitted", "uid"),
    [
        (OWN, False, None),
        (f"bus1-daemon[9]: [system] {OWN}{WHO}{RULE}", False, 7),
        (f"bus1-daemon[9]: [system] Would refuse: {OWN}{WHO}{RULE}", True, 7),
        (f"{OWN}{WHO}", False, 7),
    ],
)
def test_owning(line: str, permitted: bool, uid: int | None) -> None:
    found = find(line)
    assert found is not None
    assert (found.about, found.name, found.permitted) == ("own", "org.x", permitted)
    assert (found.sender.name, found.sender.uid) == (":1.5", uid)
    assert found.rule == (RULE.removeprefix("; rule ") if RULE in line else "")


@pytest.mark.parametrize("line", [LINE + RULE, OWN + WHO + RULE])
def test_what_the_bus_says_besides(line: str) -> None:
    head = "Nov 23 09:00:01 host bus1-daemon[9]: "
    for before, after, bus, count in (
        ("[system] ", "", "system", 0),
        ("[session uid=0 pid=9] ", " (32 denials so far)\n", "session", 32),
        ("", "\n", "", 0),
    ):
        found = find(head + before + line + after)
        assert found is not None
        assert (found.bus, found.count) == (bus, count)
        assert found.rule == RULE.removeprefix("; rule ")


def test_without_a_rule() -> None:
    for line in (LINE, OWN + WHO):
        found = find(f"{line}; no rule allows it (32 denials so far)")
        assert found is not None
        assert (found.sender.pid, found.rule, found.count) == (42, "", 32)


@pytest.mark.parametrize(
    "line",
    ["", "noise", LINE[:100], LINE.replace("method_call", "nonsense"), LINE.replace("matched", "")],
)
def test_other_lines(line: str) -> None:
    assert find(line) is None


@given(st.text() | st.builds(lambda cut, more: LINE[:cut] + more, st.integers(0, 300), st.text()))
def test_any_line_is_a_denial_or_none(line: str) -> None:
    found = find(line)
    assert found is None or found.about in ("send", "receive", "own")
