"""Limits: dbus-daemon's names and defaults, and a clear error for what is none."""

import re
from pathlib import Path

import pytest

from policy.limits import (
    HELD_ANYWAY,
    HIGHEST,
    NAMES,
    OWN,
    WITHOUT_EFFECT,
    Limits,
    limits,
)

# dbus-daemon(1), "limit", and bus/config-parser.c of 1.14.
REFERENCE = {
    "max_incoming_bytes": 127 * 1024 * 1024,
    "max_incoming_unix_fds": 64,
    "max_outgoing_bytes": 127 * 1024 * 1024,
    "max_outgoing_unix_fds": 64,
    "max_message_size": 32 * 1024 * 1024,
    "max_message_unix_fds": 16,
    "service_start_timeout": 25_000,
    "auth_timeout": 30_000,
    "pending_fd_timeout": 150_000,
    "reply_timeout": None,
    "max_completed_connections": 2048,
    "max_incomplete_connections": 64,
    "max_connections_per_user": 256,
    "max_pending_service_starts": 512,
    "max_names_per_connection": 512,
    "max_match_rules_per_connection": 512,
    "max_replies_per_connection": 128,
}


def test_defaults_are_the_references() -> None:
    assert {name: getattr(Limits(), name) for name in NAMES - OWN} == REFERENCE
    assert not NAMES & WITHOUT_EFFECT


def test_limits_without_effect_are_said_to_be() -> None:
    folder = Path(__file__).parents[2] / "bridge"
    bridge = "".join(path.read_text() for path in folder.rglob("*.py"))
    unused = {name for name in NAMES if not re.search(rf"limits\.{name}\b", bridge)}
    assert unused == HELD_ANYWAY


def test_settings_override_defaults() -> None:
    assert limits({"max_replies_per_connection": 7}) == Limits(max_replies_per_connection=7)
    assert limits({"max_replies_per_connection": 0}) == Limits(max_replies_per_connection=0)


@pytest.mark.parametrize("value", [-1, HIGHEST + 1, "1", 1.5, True, None])
def test_a_limit_is_a_32_bit_number(value: object) -> None:
    with pytest.raises(ValueError, match="max_message_size is"):
        limits({"max_message_size": value})


def test_an_unknown_limit_is_named() -> None:
    with pytest.raises(ValueError, match="'max_cows'"):
        limits({"max_cows": 1})
