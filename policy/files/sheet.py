"""One file by itself, for those who write it down again: what it says, and which files it includes
where, without what those say.

Knows no file formats: the same readers that fill a draft fill this.
"""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final, final

from policy.configuration import Configuration
from policy.files.draft import OWN, Draft, Inclusion, read
from policy.limits import Limits

# What a draft has that is no word of the file.
NOT_SAID: Final = (*OWN, "limits", "sources", "directories", "complaints")


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
    said = unusual(configuration, Configuration)
    if changed := unusual(configuration.limits, Limits):
        said["limits"] = changed
    if "selinux" in said:
        said["selinux"] = dict(said["selinux"])
    return Sheet((Part((), said),))


def unusual(record: object, kind: type[Configuration | Draft | Limits]) -> dict[str, Any]:
    """What a record has in the fields of this class that is not what it is if nothing is said."""
    return {
        each.name: getattr(record, each.name)
        for each in fields(kind)
        if each.name not in NOT_SAID and getattr(record, each.name) != default(each)
    }


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

    def include(self, inclusion: Inclusion) -> None:
        if self.said():
            self.cut()
        self.includes.append(inclusion)

    def resolve(self, path: str) -> str:
        return path

    def limit(self, name: str, value: int) -> None:
        self.changed[name] = value

    def said(self) -> dict[str, Any]:
        """What was said since the last include."""
        return unusual(self, Draft) | ({"limits": self.changed} if self.changed else {})

    def cut(self) -> None:
        """Here a part ends."""
        said = self.said()
        if said or self.includes:
            self.parts.append(Part(tuple(self.includes), said))
        for each in fields(Draft):
            if each.name in said:
                setattr(self, each.name, default(each))
        self.includes, self.changed = [], {}
