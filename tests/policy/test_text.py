"""Texts that anybody may have chosen (policy/text.py)."""

import pytest

from policy.text import escaped, printable


@pytest.mark.parametrize(
    ("text", "seen", "told"),
    [
        ("a b", "a b", "a b"),
        ("é", "é", "é"),
        ("a\nb\x1b[2J", "a?b?[2J", r"a\nb\x1b[2J"),
        ("\u202egpj.exe", "?gpj.exe", r"\u202egpj.exe"),
        ("\udcff", "?", r"\udcff"),
    ],
)
def test_nothing_ends_the_line_or_is_not_seen(text: str, seen: str, told: str) -> None:
    assert printable(text) == seen
    assert escaped(text) == told
