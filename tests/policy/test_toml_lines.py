"""Every value of a TOML file is found on its line, however the file is laid out."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.files.toml_lines import Place, places

# Values as they may be written: the text, and how many lines it goes on for.
SCALARS = [
    "1",
    "-1_000",
    "0x1f",
    "true",
    "1.5e-3",
    "1979-05-27 07:32:00",
    '"a # no comment"',
    '"] } , ="',
    r'"a \" b \\"',
    "'a \" ] b'",
    "''",
    '""',
    '"""one"""',
    '"""\ntwo\n  ] # lines"""',
    '"""with "two" quotes inside"""',
    '"""ends in quotes"""""',
    r'"""a \""" b\\"""',
    '"""\\\n   folded"""',
    "'''\n[not.a.table]\n'''",
    "''''quoted'''''",
]
KEYS = ["a", "b-c", "_d", "7", '"e f"', "'g.h'", '"i = [{#"', r'"\u006a"', '""']
GAPS = ["", " ", "\t", "\n", " # ] } \" ' [a]\n", "\n\n  \n"]


class Writer:
    """Writes TOML of any layout, and remembers where it wrote what."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[Place, int] = {}

    def put(self, text: str) -> None:
        self.text += text

    def gap(self) -> None:
        self.put(self.draw(st.sampled_from(GAPS)))

    def space(self) -> None:
        self.put(self.draw(st.sampled_from(["", " ", "\t "])))

    def note(self, place: Place) -> None:
        for length in range(1, len(place) + 1):
            self.lines.setdefault(place[:length], self.text.count("\n") + 1)

    def value(self, place: Place, depth: int) -> None:
        self.note(place)
        kind = self.draw(st.sampled_from(["scalar", "array", "table"])) if depth else "scalar"
        if kind == "scalar":
            self.put(self.draw(st.sampled_from(SCALARS)))
        elif kind == "array":
            self.array(place, depth - 1)
        else:
            self.table(place, depth - 1)

    def array(self, place: Place, depth: int) -> None:
        self.put("[")
        self.gap()
        for index in range(self.draw(st.integers(0, 3))):
            self.value((*place, index), depth)
            self.gap()
            self.put(",")
            self.gap()
        self.put("]")

    def table(self, place: Place, depth: int) -> None:
        self.put("{")
        for index, key in enumerate(self.keys()):
            self.put("," if index else "")
            self.pair(place, key, depth)
        self.space()
        self.put("}")

    def keys(self) -> list[str]:
        return self.draw(st.lists(st.sampled_from(KEYS), max_size=3, unique=True))

    def pair(self, place: Place, key: str, depth: int) -> None:
        self.space()
        dotted = self.draw(st.booleans())
        line = (*place, plain(key), "dotted") if dotted else (*place, plain(key))
        self.note(line)
        self.put(f"{key} . dotted" if dotted else key)
        self.space()
        self.put("=")
        self.space()
        self.value(line, depth)

    def pairs(self, place: Place) -> None:
        for key in self.keys():
            self.pair(place, key, 2)
            self.space()
            self.put(self.draw(st.sampled_from(["\n", " # a = [\n", "\n\n"])))


def plain(key: str) -> str:
    return next(iter(tomllib.loads(f"{key} = 1")))


@st.composite
def files(draw: st.DrawFn) -> Writer:
    """Pairs, tables, and arrays of tables with tables and arrays of tables in them."""
    writer = Writer(draw)
    writer.pairs(())
    for number in range(draw(st.integers(0, 3))):
        writer.note(("table", str(number)))
        writer.put(f"[ table . '{number}' ]\n")
        writer.pairs(("table", str(number)))
    for number in range(draw(st.integers(0, 3))):
        writer.note(("many", number))
        writer.put("[[many]] # [\n")
        writer.pairs(("many", number))
        if draw(st.booleans()):
            writer.note(("many", number, "inner", "deep"))
            writer.put("[many.inner.deep]\n")
        for index in range(draw(st.integers(0, 2))):
            writer.note(("many", number, "more", index))
            writer.put('[["many"."more"]]\n')
            writer.pairs(("many", number, "more", index))
    return writer


@settings(deadline=None)
@given(files(), st.booleans())
def test_each_value_is_found_on_its_line(file: Writer, dos: bool) -> None:
    text = file.text.replace("\n", "\r\n") if dos else file.text
    parsed = tomllib.loads(text)
    assert places(text) == file.lines
    assert set(paths(parsed)) == file.lines.keys()


def paths(value: Any, place: Place = ()) -> list[Place]:
    """All places of what tomllib made of a file."""
    found = [place] if place else []
    inside: Any = ()
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    for key, each in inside:
        found += paths(each, (*place, key))
    return found


@pytest.mark.parametrize(("text", "line"), [("x = 1", 1), ("\n\nx = 1", 3), ("#\n[x]", 2)])
def test_lines_count_from_one(text: str, line: int) -> None:
    assert places(text) == {("x",): line}


def test_text_that_tomllib_refuses_ends_the_search() -> None:
    with pytest.raises(ValueError, match="line 2"):
        places("\n$ = 1")
