"""Exec= is split as the reference splits it (CVE-2022-31212: where another bus read too far)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.activation.service_file import read
from bridge.activation.words import split
from tests.activation.reference import Reference

UNCLOSED = "Unclosed quotes in command line"
WORDS = {
    "a": ("a",),
    "a  b": ("a", "b"),
    "a ": ("a", ""),
    "": ("",),
    '""': ("",),
    "''": ("",),
    "a '' b": ("a", "", "b"),
    "a'b c'd": ("ab cd",),
    '"a\\"b" c\\ d': ('a"b', "c d"),
    '"\\$\\`\\\\\\n\\x"': ("$`\\\\n\\x",),
    "'a\\'": ("a\\",),
    "a\\\nb": ("ab",),
    "'a\nb' \"c\\\nd\"": ("a\nb", "c\nd"),
    "a\n\nb\n": ("a", "", "b", ""),
    "a # b": ("a", ""),
    "a#b\nc d": ("ac", "d"),
    "# b": ("",),
    "$HOME `x` ~ *;&": ("$HOME", "`x`", "~", "*;&"),
    "é\r\v\t\u00a0": ("é\r\v", "\u00a0"),
}
BROKEN = ("\\", "a \\", "'", '"', "'a", '"a\\"', "a'", "a #", "#", '"\\')
# Half of them mean something to a shell; and in a file a backslash is written twice.
LETTERS = (
    *"ab\t~é$`\v",
    " ",
    " ",
    "'",
    '"',
    "''",
    '""',
    "#",
    "\\\\",
    "\\\\",
    "\\n",
    "\\r",
    "\\\\\\n",
)


@pytest.mark.parametrize("command", WORDS)
def test_words(command: str) -> None:
    assert split(command) == WORDS[command]


@pytest.mark.parametrize("command", BROKEN)
def test_what_has_no_end(command: str) -> None:
    with pytest.raises(ValueError, match=UNCLOSED):
        split(command)


@pytest.mark.parametrize("seed", ["the table", 31212])
def test_words_are_the_references(reference: Reference, seed: str | int) -> None:
    """A service whose Exec= cannot be split is activatable all the same."""
    chance = random.Random(seed)
    values = ["".join(chance.choices(LETTERS, k=chance.randrange(10))) for _ in range(400)]
    if seed == "the table":
        values = [written(command) for command in (*WORDS, *BROKEN)]
    for path, heard in reference.executed(values):
        service = read(str(path))
        assert (service.words[1:] or service.wrong) == heard, service.command


def written(command: str) -> str:
    """As it stands in a file."""
    return command.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


@given(st.text(alphabet="a \t\n\\'\"#$`é\0"))
def test_nothing_but_a_complaint(command: str) -> None:
    said = outcome(command)
    assert said == UNCLOSED or (said and isinstance(said, tuple))


def outcome(command: str) -> tuple[str, ...] | str:
    try:
        return split(command)
    except ValueError as error:
        return str(error)


@given(st.lists(st.text(alphabet="a\\'\"#$` \n"), min_size=1))
def test_what_is_quoted_comes_back(words: list[str]) -> None:
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    assert split(quoted) == tuple(words)


@pytest.mark.parametrize("command", ["''" * 65_536, "# " * 65_536, '"' + "\\" * 131_070 + '"'])
def test_long_ones_do_not_take_long(command: str) -> None:
    """Each piece is looked at once; else this would be no matter of milliseconds, but of hours."""
    assert len(split(command)) == 1
