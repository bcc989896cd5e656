"""On which line of a TOML file each of its values stands: the standard library does not say.

Reads only text that tomllib has accepted, so it looks for where things begin and end, and for
nothing that could be wrong with them.
"""

import re
import tomllib
from bisect import bisect_right
from typing import Final, final

Place = tuple[str | int, ...]  # the keys and indices that lead to a value

BLANK: Final = re.compile(r"(?:[ \t\n,]|#[^\n]*)*")  # a comma says nothing new here
STRING: Final = re.compile(
    r'"""(?:\\[\s\S]|[^\\])*?"""(?:""?)?'
    r"|'''[\s\S]*?'''(?:''?)?"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
)
BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
SCALAR: Final = re.compile(r"[^,\]}#\n]+")
SPACE: Final = re.compile(r"[ \t]*")


def places(text: str) -> dict[Place, int]:
    """The line of each value and table, counted from 1. Of what is written in several places
    it is the first; of an array of tables that has none but its elements' the first of them."""
    return Scanner(text.replace("\r\n", "\n")).scan()


@final
class Scanner:
    """One text on its way from its beginning, `at` 0, to its end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.breaks = [match.start() for match in re.finditer("\n", text)]
        self.found: dict[Place, int] = {}
        self.tables: dict[Place, int] = {}  # how many each array of tables has so far

    def scan(self) -> dict[Place, int]:
        """All places of the text."""
        table: Place = ()
        self.skip(BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip(BLANK)
        return self.found

    def skip(self, what: re.Pattern[str]) -> str:
        """Pass over what matches here, and return it."""
        match = what.match(self.text, self.at)
        if match is None:
            raise ValueError(f"line {self.line()}: not the TOML that tomllib takes")
        self.at = match.end()
        return match[0]

    def line(self) -> int:
        return bisect_right(self.breaks, self.at - 1) + 1

    def note(self, place: Place) -> None:
        """Something at `place` begins here, and so does what it is in, if it is the first."""
        line = self.line()
        for length in range(1, len(place) + 1):
            self.found.setdefault(place[:length], line)

    # ------------------------------------------------------------------- what there is

    def header(self) -> Place:
        """`[table]` or `[[array of tables]]`: what follows stands in it."""
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        names = self.key()
        self.at += 2 if many else 1
        place = self.resolve(names[:-1]) + names[-1:]
        if many:
            self.tables[place] = self.tables.get(place, 0) + 1
        place = self.last(place)
        self.note(place)
        return place

    def resolve(self, names: tuple[str, ...]) -> Place:
        """Where a header's name leads: through the last element of each array of tables."""
        place: Place = ()
        for name in names:
            place = self.last((*place, name))
        return place

    def last(self, place: Place) -> Place:
        return (*place, self.tables[place] - 1) if place in self.tables else place

    def key(self) -> tuple[str, ...]:
        """A dotted key."""
        names = []
        while True:
            self.skip(SPACE)
            if self.text[self.at] in "\"'":
                names.append(tomllib.loads(f"key = {self.skip(STRING)}")["key"])
            else:
                names.append(self.skip(BARE_KEY))
            self.skip(SPACE)
            if not self.text.startswith(".", self.at):
                return tuple(names)
            self.at += 1

    def pair(self, table: Place) -> None:
        """`key = value`"""
        names = self.key()
        self.at += 1
        self.skip(SPACE)
        self.value((*table, *names))

    def value(self, place: Place) -> None:
        self.note(place)
        first = self.text[self.at]
        if first in "\"'":
            self.skip(STRING)
        elif first == "[":
            self.array(place)
        elif first == "{":
            self.inline_table(place)
        else:
            self.skip(SCALAR)

    def array(self, place: Place) -> None:
        self.at += 1
        self.skip(BLANK)
        index = 0
        while self.text[self.at] != "]":
            self.value((*place, index))
            self.skip(BLANK)
            index += 1
        self.at += 1

    def inline_table(self, place: Place) -> None:
        self.at += 1
        self.skip(BLANK)
        while self.text[self.at] != "}":
            self.pair(place)
            self.skip(BLANK)
        self.at += 1
