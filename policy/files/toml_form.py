"""Reads the project's own form of the configuration: TOML, one file into one draft.

docs/configuration.md is its reference. A file is read in parts: first what stands above the first
[[then]], after that each of those. Of a part, the files that it includes are read first.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from reprlib import Repr
from typing import Any, Final, final

from pydantic import ValidationError

from policy.configuration import STANDARD_SESSION, STANDARD_SYSTEM, ConfigError, Quota, Rate
from policy.files.draft import CONDITIONS, Draft, Inclusion
from policy.files.toml_lines import Place, places
from policy.files.toml_schema import FileTable, IncludeTable, PartTable, QuotaTable, SectionTable
from policy.rule import Section

# What a part sets, and what it adds to, under the same names as in a draft.
SET: Final = (
    "type",
    "user",
    "pidfile",
    "apparmor",
    "permissive",
    "slow_receivers",
    "native",
)
PATHS: Final = ("service_helper", "metrics")
SET_TRUE: Final = ("allow_anonymous", "fork", "keep_umask", "syslog")
STANDARD: Final = (STANDARD_SESSION, STANDARD_SYSTEM)
WHERE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")

LONGEST_KEY: Final = 1000  # words; tomllib's time and memory for a key grow with their square
WORD: Final = re.compile(r"""[\w\-"' \t]*""")
MOST_SAID: Final = 10  # mistakes of one file

# What a value should be, for people, by what pydantic calls it if it is something else.
SHOULD: Final = {
    "string_type": "should be a text",
    "string_pattern_mismatch": "should be without a NUL",
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "list_type": "should be a list",
    "dict_type": "should be a table",
    "model_type": "should be a table",
    "model_attributes_type": "should be a table",
}


SHORT: Final = Repr()
SHORT.maxstring = SHORT.maxlong = SHORT.maxother = 100


def read(draft: Draft, content: bytes) -> None:
    """Read a file's content into its draft. Raises ConfigError."""
    try:
        text = content.decode("utf-8")
        check_keys(text)
        table = tomllib.loads(text)
        lines = places(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(unreadable(draft.path, content, error)) from None
    try:
        file = FileTable.model_validate(table)
    except ValidationError as error:
        raise ConfigError(refused(draft.path, error, lines)) from None
    if draft.is_for(file.bus):
        Reader(draft, lines).read(file)


@final
class Reader:
    """What a file says, on its way into the draft."""

    def __init__(self, draft: Draft, lines: dict[Place, int]) -> None:
        self.draft = draft
        self.lines = lines

    def read(self, file: FileTable) -> None:
        self.part(file, ())
        for index, part in enumerate(file.then):
            self.part(part, ("then", index))

    def part(self, part: PartTable, place: Place) -> None:
        """All that stands in one part; its place comes before those of all that is in it."""
        self.draft.bus = self.draft.bus or part.type  # what it includes is for this bus, too
        for index, include in enumerate(part.include):
            self.include(include, (*place, "include", index))
        self.settings(part)
        for name, value in part.limits.items():
            self.draft.limit(name, value)
        for index, section in enumerate(part.policy):
            self.draft.policy.append(self.section(section, (*place, "policy", index)))
        for index, quota in enumerate(part.quota):
            self.draft.quotas.append(self.quota(quota, (*place, "quota", index)))

    def include(self, include: IncludeTable, place: Place) -> None:
        origin = self.draft.origin(self.lines[place])
        try:
            os.fsencode(include.path)
        except ValueError:  # in the encoding of this system
            raise ConfigError(f"{origin}: no file can be called {shown(include.path)}") from None
        directory = include.path.endswith("/")
        path = (include.path.rstrip("/") or "/") if directory else include.path
        conditions: dict[str, bool] = {name: getattr(include, name) for name in CONDITIONS}
        self.draft.include(Inclusion(path, directory, origin=origin, **conditions))

    def settings(self, part: PartTable) -> None:
        """All but the tables that have tables in them."""
        draft = self.draft
        for name in SET:
            if getattr(part, name) is not None:
                setattr(draft, name, getattr(part, name))
        for name in PATHS:
            if getattr(part, name) is not None:
                setattr(draft, name, draft.resolve(getattr(part, name)))
        for name in SET_TRUE:
            if getattr(part, name):
                setattr(draft, name, True)
        draft.listen += part.listen
        draft.auth += part.auth
        draft.selinux.update(part.selinux)
        for path in part.service_directories:
            draft.add_service_directory(path if path in STANDARD else draft.resolve(path))
        if part.connection_rate is not None:
            rate = part.connection_rate
            draft.connection_rate = Rate(rate.per_second, rate.burst)

    def section(self, section: SectionTable, place: Place) -> Section:
        context, who = section.whom()
        name = str(Section(context, who))
        rules = (
            rule.rule(
                self.draft.origin(self.lines[(*place, "rules", index)], name), section.permissive
            )
            for index, rule in enumerate(section.rules)
        )
        return Section(context, who, tuple(rules), self.draft.origin(self.lines[place], name))

    def quota(self, quota: QuotaTable, place: Place) -> Quota:
        origin = self.draft.origin(self.lines[place])
        return Quota(quota.user, quota.name, quota.limits(), origin)


# ---------------------------------------------------------------------------- what is wrong


def unreadable(path: str, content: bytes, error: ValueError | RecursionError) -> str:
    """What to say of a file that is not TOML."""
    if isinstance(error, RecursionError):
        return f"{path}: tables or lists in too many others"
    if isinstance(error, UnicodeDecodeError):
        line = error.object.count(b"\n", 0, error.start) + 1
        return f"{path}:{line}: not text in UTF-8"
    where = WHERE.search(str(error))
    if where is None:
        return f"{path}: {error}"
    line = int(where[1] or content.rstrip().count(b"\n") + 1)
    return f"{path}:{line}: {str(error)[: where.start()]}"


def check_keys(text: str) -> None:
    """Raises ValueError if a dotted key could be longer than any is."""
    words = 0
    for piece in text.split("."):
        words = words + 1 if WORD.fullmatch(piece) else 0
        if words > LONGEST_KEY:
            raise ValueError(f"a key of more than {LONGEST_KEY} words")


def refused(path: str, error: ValidationError, lines: dict[Place, int]) -> str:
    """What to say of TOML that says what it must not, in the order of lines."""
    errors = sorted(error.errors(), key=lambda each: line(each["loc"], lines))
    (first, text), *others = ((line(each["loc"], lines), what(each)) for each in errors[:MOST_SAID])
    more = "".join(f"; line {number}: {text}" for number, text in others)
    left = len(errors) - MOST_SAID
    return f"{path}:{first}: {text}{more}" + (f"; and {left} more" if left > 0 else "")


def line(place: Place, lines: dict[Place, int]) -> int:
    """Where it stands. Of a key that is missing, the table; what else a place has than keys
    and indices, such as the kind of a rule, is passed over."""
    known: Place = ()
    for step in place:
        known = (*known, step) if (*known, step) in lines else known
    return lines.get(known, 1)


def what(error: Mapping[str, Any]) -> str:
    """What is wrong, in a sentence."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "kind":
        return str(error["msg"])
    name = next((step for step in reversed(error["loc"]) if isinstance(step, str)), "")
    if error["type"] == "extra_forbidden":
        return f"unknown key {name if name.isprintable() else shown(name)}"
    if error["type"] == "missing":
        return f"{name} is missing"
    if error["type"] == "string_too_short":
        return f"{name} is empty"
    should = SHOULD.get(error["type"], error["msg"].removeprefix("Input "))
    return f"{name} {should}, not {shown(error['input'])}"


def shown(value: object) -> str:
    """A value as a person can read it, however large it is."""
    try:
        return SHORT.repr(value)
    except ValueError:
        return "a number of very many digits"
