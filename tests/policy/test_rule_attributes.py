"""Attributes of <allow> and <deny>: what rules they make, and that dbus-daemon takes the same."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policy.files.load import load
from policy.files.rule_attributes import ALONE, LOG, MODIFIERS, NAMES, RECEIVE, SEND, rule
from policy.rule import MOST_FDS, Origin, Rule
from tests.configs import busconfig, skipped_by_daemon, written

HERE = Origin("test", 1)


def made(**said: str) -> Rule:
    return rule(True, said, HERE)


# ---------------------------------------------------------------- what they mean

MEANINGS: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({"send_destination": "a.b"}, {"about": "send", "name": "a.b"}),
    ({"send_destination": "*"}, {"about": "send"}),
    ({"send_destination": ""}, {"about": "send", "name": ""}),
    ({"send_destination_prefix": "a"}, {"about": "send", "name": "a", "prefix": True}),
    ({"send_destination_prefix": "*"}, {"about": "send", "name": "*", "prefix": True}),
    ({"send_type": "method_return"}, {"about": "send", "type": "method_return"}),
    ({"send_type": "*"}, {"about": "send"}),
    ({"send_path": "/a"}, {"about": "send", "path": "/a"}),
    ({"send_path": "*", "send_member": "*"}, {"about": "send"}),
    ({"send_interface": "a", "send_member": "b"}, {"interface": "a", "member": "b"}),
    ({"send_error": "a"}, {"about": "send", "error": "a"}),
    ({"send_broadcast": "true"}, {"about": "send", "broadcast": True}),
    ({"send_broadcast": "false", "send_destination": "a"}, {"broadcast": False, "name": "a"}),
    ({"send_broadcast": "true", "send_destination": "*"}, {"about": "send", "broadcast": True}),
    ({"send_requested_reply": "false"}, {"about": "send", "requested_reply": False}),
    ({"send_requested_reply": "true"}, {"about": "send", "requested_reply": True}),
    ({"send_interface": "*", "eavesdrop": "true"}, {"about": "send", "eavesdrop": True}),
    ({"send_interface": "*", "min_fds": "1", "max_fds": "0x10"}, {"min_fds": 1, "max_fds": 16}),
    ({"send_interface": "*", "log": "true"}, {"about": "send", "log": True}),
    ({"send_interface": "*", "log": "yes"}, {"about": "send", "log": False}),
    ({"receive_interface": "*", "log": "true"}, {"about": "receive", "log": False}),
    ({"receive_sender": "a"}, {"about": "receive", "name": "a"}),
    ({"receive_sender": "*"}, {"about": "receive"}),
    ({"receive_type": "signal"}, {"about": "receive", "type": "signal"}),
    ({"receive_path": "/a", "receive_member": "b"}, {"path": "/a", "member": "b"}),
    ({"receive_interface": "a"}, {"about": "receive", "interface": "a"}),
    ({"receive_error": "a"}, {"about": "receive", "error": "a"}),
    ({"receive_requested_reply": "false"}, {"about": "receive", "requested_reply": False}),
    ({"eavesdrop": "true"}, {"about": "receive", "eavesdrop": True}),
    ({"eavesdrop": "false"}, {"about": "receive", "eavesdrop": False}),
    ({"own": "a"}, {"about": "own", "name": "a"}),
    ({"own": "*"}, {"about": "own"}),
    ({"own_prefix": "a"}, {"about": "own", "name": "a", "prefix": True}),
    ({"own_prefix": "*"}, {"about": "own", "name": "*", "prefix": True}),
    ({"user": "*"}, {"about": "connect", "user": "*"}),
    ({"group": "0"}, {"about": "connect", "group": "0"}),
]


@pytest.mark.parametrize(("said", "meant"), MEANINGS)
def test_meaning(said: dict[str, str], meant: dict[str, Any]) -> None:
    about = "receive" if any(name.startswith("receive") for name in said) else "send"
    for allow in (True, False):
        expected = Rule(**{"about": about, "allow": allow} | meant)
        assert rule(allow, said, HERE) == replace(expected, log=expected.log and allow)
        assert rule(allow, said, HERE).origin == HERE


def test_without_them_any_number_of_descriptors_will_do() -> None:
    assert (made(send_path="/").min_fds, made(send_path="/").max_fds) == (0, MOST_FDS)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, "what it is about"),
        ({"log": "true"}, "what it is about"),
        ({"min_fds": "1"}, "what it is about"),
        ({"send_path": "/", "receive_path": "/"}, "send and receive"),
        ({"own": "a", "own_prefix": "a"}, '"own" does not'),
        ({"user": "a", "send_path": "/"}, '"user" does not'),
        ({"group": "a", "max_fds": "1"}, '"group" does not'),
        ({"send_member": "a"}, "interface or a path"),
        ({"receive_error": "a", "receive_interface": "b"}, "an error does not"),
        ({"send_destination": "*", "send_destination_prefix": "b"}, "do not go together"),
        ({"send_broadcast": "true", "send_destination": "a"}, "no destination"),
        ({"send_type": "call"}, 'no message type "call"'),
        ({"send_requested_reply": "*"}, "neither true nor false"),
        ({"eavesdrop": "yes"}, "neither true nor false"),
        ({"eavesdrop": "true", "min_fds": "-1"}, "min_fds is"),
    ],
)
def test_refused(said: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        rule(False, said, HERE)


# ---------------------------------------------------------------- with dbus-daemon

COMBINATIONS = 3000
COMMON = ("true", "false", "*", "signal", "a.b", "1", "/a")
RARE = ("", "method_call", "error", "method_return", "True", "yes", " 1", "33554433", "-1", "root")
SECTIONS = (
    *('context="default"',) * 6,
    *('context="mandatory"', 'at_console="true"'),
    *('user="root"', 'user="nosuch"', 'group="0"', 'group="nosuch"'),
)
TRUE_FALSE = ("send_broadcast", "send_requested_reply", "receive_requested_reply", "eavesdrop")


def value(chance: random.Random, attribute: str) -> str:
    """Something that the attribute may well take; what it never takes, one time in eight."""
    if chance.random() < 1 / 8:
        return chance.choice(COMMON + RARE)
    if attribute in TRUE_FALSE:
        return chance.choice(("true", "false"))
    if attribute.endswith("_fds"):
        return chance.choice(("0", "1", "0x2", "33554432"))
    if attribute.endswith("_type"):
        return chance.choice(("signal", "error", "method_call", "method_return", "*"))
    return chance.choice(("*", "a.b", "root"))


def combination(chance: random.Random) -> str:
    """A policy with one rule. Half of the time its attributes may go together."""
    among = chance.choice(
        (sorted(NAMES), (*SEND, *MODIFIERS), (*RECEIVE, *MODIFIERS), (*ALONE, LOG, "min_fds"))
    )
    names = chance.sample(among, chance.choice((1, 1, 2, 2, 3, 4)))
    said = " ".join(f'{name}="{value(chance, name)}"' for name in names)
    word = chance.choice(("allow", "deny"))
    return f"<policy {chance.choice(SECTIONS)}><{word} {said}/></policy>"


def test_combinations(tmp_path: Path) -> None:
    """One directory of files, each with one rule: both skip the same files."""
    chance = random.Random(3)
    rules = {
        f"d/{n}.conf": f"<busconfig>{combination(chance)}</busconfig>" for n in range(COMBINATIONS)
    }
    file = written(tmp_path, {"bus.conf": busconfig("<includedir>d</includedir>")} | rules)
    theirs = skipped_by_daemon(file)
    ours = {Path(each.origin.file).name for each in load(str(file)).complaints}
    differing = {name: rules[f"d/{name}"] for name in theirs ^ ours}
    assert not differing, {name: (text, name in theirs) for name, text in differing.items()}
    assert COMBINATIONS / 4 < len(ours) < COMBINATIONS * 3 / 4


def test_pairs(tmp_path: Path) -> None:
    """Each attribute with each other."""
    words = {
        name: "true" if name in TRUE_FALSE else "1" if "fds" in name else "*" for name in NAMES
    }
    pairs = [(a, b) for a in sorted(NAMES) for b in sorted(NAMES) if a <= b]
    rules = {}
    for a, b in pairs:
        said = " ".join(f'{name}="{words[name]}"' for name in sorted({a, b}))
        rules[f"d/{a}-{b}.conf"] = (
            f'<busconfig><policy context="default"><deny {said}/></policy></busconfig>'
        )
    file = written(tmp_path, {"bus.conf": busconfig("<includedir>d</includedir>")} | rules)
    ours = {Path(each.origin.file).name for each in load(str(file)).complaints}
    assert ours == skipped_by_daemon(file)
