"""Limits: dbus-daemon's names and defaults, and a clear error for what is none."""

import pytest

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


def test_settings_override_defaults() -> None:
    assert limits({"max_replies_per_connection": 7}) == Limits(max_replies_per_connection=7)


@pytest.mark.parametrize("value", [0, -1, HIGHEST + 1, "1", 1.5, True, None])
def test_a_limit_is_a_positive_32_bit_number(value: object) -> None:
    with pytest.raises(ValueError, match="max_message_size is"):
        limits({"max_message_size": value})


def test_an_unknown_limit_is_named() -> None:
    with pytest.raises(ValueError, match="'max_cows'"):
        limits({"max_cows": 1})
