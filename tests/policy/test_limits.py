"""Limits: dbus-daemon's names and defaults, and a clear error for what is none."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from policy import busconfig
from policy.limits import HIGHEST, Limits, limits

# dbus-daemon(1), "limit", and bus/config-parser.c of 1.14: a sample of what people rely on.
REFERENCE = {
    "max_incoming_bytes": 127 * 1024 * 1024,
    "max_outgoing_bytes": 127 * 1024 * 1024,
    "max_message_size": 32 * 1024 * 1024,
    "max_message_unix_fds": 16,
    "auth_timeout": 30_000,
    "max_completed_connections": 2048,
    "max_incomplete_connections": 64,
    "max_connections_per_user": 256,
    "max_names_per_connection": 512,
    "max_match_rules_per_connection": 512,
    "max_replies_per_connection": 128,
    "reply_timeout": None,
}


def test_defaults_are_the_references() -> None:
    assert {name: getattr(Limits(), name) for name in REFERENCE} == REFERENCE


def test_limits_without_effect_are_said_to_be() -> None:
    root = Path(__file__).parents[2]
    bridge = "".join(path.read_text() for path in (root / "bridge").rglob("*.py"))
    names = {field.name for field in fields(Limits)}
    unused = {name for name in names if not re.search(rf"limits\.{name}\b", bridge)}
    # busconfig.py refuses this one; session.toml does not set it.
    unused.remove("reply_timeout")
    comments = re.findall("^#.*", (root / "conf" / "session.toml").read_text(), re.MULTILINE)
    (said,) = re.findall(
        r"# (max_incoming_bytes,.*?) are there", "".join(comments).replace("#", " #")
    )
    assert set(re.findall(r"\w+_\w+", said)) == unused
    assert set(re.findall(r"\w+_\w+", busconfig.__doc__.partition("the limits")[2])) == unused


def test_settings_override_defaults() -> None:
    assert limits({"max_replies_per_connection": 7}) == Limits(max_replies_per_connection=7)


@pytest.mark.parametrize("value", [0, -1, HIGHEST + 1, "1", 1.5, True, None])
def test_a_limit_is_a_positive_32_bit_number(value: object) -> None:
    with pytest.raises(ValueError, match="max_message_size is"):
        limits({"max_message_size": value})


def test_an_unknown_limit_is_named() -> None:
    with pytest.raises(ValueError, match="'max_cows'"):
        limits({"max_cows": 1})
