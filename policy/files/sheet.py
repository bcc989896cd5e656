"""One file by itself, for those who write it down again: what it says, and which files it includes
where, without what those say.

Knows no file formats: the same readers that fill a draft fill this.
"""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final, final

from policy.configuration import Configuration
from policy.files.draft import OWN, Draft, read
from policy.limits import Limits
from policy.rule import NOWHERE, Origin

# What a draft has that is no word of the file.
NOT_SAID: Final = (*OWN, "limits", "sources", "directories", "complaints")


@final
@dataclass(frozen=True, slots=True)
class Inclusion:
    """A file to read, or all files of a directory, by the path that was written."""

    path: str
    directory: bool = False
    ignore_missing: bool = False
    if_selinux_enabled: bool = False
    selinux_root_relative: bool = False
    origin: Origin = field(default=NOWHERE, compare=False)


@final
@dataclass(frozen=True, slots=True)
class Part:
    """Files to include, and what is said after them: by the names of Configuration, only what is
    said. Of `limits` it is a mapping of those that are set."""

    includes: tuple[Inclusion, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True)
class Sheet:
    """A file: its parts in order, and the type of the buses that it is for (None: all)."""

    parts: tuple[Part, ...]
    bus: str | None = None
    path: str = field(default="", compare=False)


def alone(path: str) -> Sheet:
    """One file, its includes left as they are. Raises ConfigError, OSError."""
    scribe = Scribe(os.path.abspath(path))
    read(scribe)
    scribe.cut()
    return Sheet(tuple(scribe.parts), scribe.only, scribe.path)


def whole(configuration: Configuration) -> Sheet:
    """All that a configuration says, as one file without includes."""
    said = {
        each.name: getattr(configuration, each.name)
        for each in fields(Configuration)
        if each.name not in NOT_SAID and getattr(configuration, each.name) != default(each)
    }
    limits, usual = configuration.limits, Limits()
    changed = {
        each.name: getattr(limits, each.name)
        for each in fields(Limits)
        if getattr(limits, each.name) != getattr(usual, each.name)
    }
    if changed:
        said["limits"] = changed
    if "selinux" in said:
        said["selinux"] = dict(said["selinux"])
    return Sheet((Part((), said),))


def default(each: Any) -> Any:
    """What a field of a dataclass is if nothing is said."""
    return each.default if each.default_factory is MISSING else each.default_factory()


@final
@dataclass(slots=True)
class Scribe(Draft):
    """A draft that writes down what it is told to include, instead of reading it. What comes
    after an include begins a new part, if anything was said in the last one."""

    only: str | None = None
    parts: list[Part] = field(default_factory=list)
    includes: list[Inclusion] = field(default_factory=list)
    changed: dict[str, int] = field(default_factory=dict)

    def is_for(self, bus: str | None) -> bool:
        self.only = bus
        return True

    def include(
        self,
        path: str,
        origin: Origin,
        ignore_missing: bool = False,
        if_selinux_enabled: bool = False,
        selinux_root_relative: bool = False,
    ) -> None:
        conditions = ignore_missing, if_selinux_enabled, selinux_root_relative
        self.note(Inclusion(path, False, *conditions, origin=origin))

    def include_directory(self, path: str, origin: Origin) -> None:
        self.note(Inclusion(path, True, origin=origin))

    def note(self, inclusion: Inclusion) -> None:
        if self.said():
            self.cut()
        self.includes.append(inclusion)

    def resolve(self, path: str) -> str:
        return path

    def limit(self, name: str, value: int) -> None:
        self.changed[name] = value

    def said(self) -> dict[str, Any]:
        """What was said since the last include."""
        said = {
            each.name: getattr(self, each.name)
            for each in fields(Draft)
            if each.name not in NOT_SAID and getattr(self, each.name) != default(each)
        }
        return said | ({"limits": self.changed} if self.changed else {})

    def cut(self) -> None:
        """Here a part ends."""
        said = self.said()
        if said or self.includes:
            self.parts.append(Part(tuple(self.includes), said))
        for each in fields(Draft):
            if each.name in said:
                setattr(self, each.name, default(each))
        self.includes, self.changed = [], {}
