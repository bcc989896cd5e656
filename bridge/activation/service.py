"""What one service file says, and all the services that one bus can start.

Invariant: each name has one service, that of the first directory; and of that directory's files
the first by name. (Where the reference says that it is arbitrary, it is that here.)
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from bridge.activation.directory import Directory


@final
@dataclass(frozen=True, slots=True)
class Service:
    """One service file. `words` are what `command`, its Exec=, executes; if that cannot be split
    there are none, and `wrong` says why. `user`, `unit` and `label` are User=, SystemdService=
    and AssumedAppArmorLabel=."""

    name: str
    command: str
    words: tuple[str, ...]
    user: str | None
    unit: str | None
    label: str | None
    file: str
    wrong: str = ""


@final
class Services:
    """All that one bus can start, as it was when it was last looked at.

    `complaints` are lines for the log: what is skipped, and why.
    """

    def __init__(
        self, directories: Sequence["Directory"] = (), complaints: Sequence[str] = ()
    ) -> None:
        self.directories = tuple(directories)
        for directory in self.directories:
            directory.look()
        self.held = self.merge()
        said = [line for directory in self.directories for line in directory.complaints()]
        self.complaints = (*complaints, *said)

    def find(self, name: str) -> Service | None:
        """Who provides the name now. Of a name that somebody provides only that file is looked at
        again; of another, the directories in which files came, went or were replaced: others
        may ask for what is not there as often as they like."""
        held = self.held.get(name)
        if held is not None:
            service, directory = held
            if not directory.look_at(os.path.basename(service.file)):
                return service
        changed = [directory.look(name) for directory in self.directories]
        if held is not None or any(changed):
            self.held = self.merge()
        found = self.held.get(name)
        return None if found is None else found[0]

    def merge(self) -> "dict[str, tuple[Service, Directory]]":
        """The services by their names, each with its directory."""
        found: dict[str, tuple[Service, Directory]] = {}
        for directory in self.directories:
            for service in directory.services():
                found.setdefault(service.name, (service, directory))
        return found

    def names(self) -> list[str]:
        """All names, in the order of the directories and of their files."""
        return list(self.held)

    def all(self) -> list[Service]:
        """All services, in the same order."""
        return [service for service, _ in list(self.held.values())]

    def stamps(self) -> dict[str, tuple[object, ...]]:
        """By directory, which files it had, and when they were written."""
        return {each.path: each.stamp() for each in self.directories if each.watched}
