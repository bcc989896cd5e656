"""One directory of service files, and what they said when they were last looked at.

It knows no other directories. What has not changed, as far as stat(2) says, is not read again.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Literal, NamedTuple, final

from bridge.activation import service_file
from bridge.activation.service import Service

ENDING: Final = ".service"
MOST_FILES: Final = 65_536  # of one directory; the others are not looked at
# A change so soon after another may leave no trace in the time of the directory: a file system
# counts it in ticks of the kernel's clock.
TICK: Final = 100_000_000  # nanoseconds

Mark = tuple[int, int, int, int, int]
# What a file's name has to be, the service's and `.service`: it is not loaded else ("strict"), or
# the launch helper will not find it ("helper"), or it does not matter.
Naming = Literal["strict", "helper", "any"]


@final
class File(NamedTuple):
    """A file and its service, if it has one; `wrong` is what the log is to say of it."""

    mark: Mark
    service: Service | None
    wrong: str = ""


@final
class Directory:
    """`watched`: whoever changes it need not tell the bus."""

    def __init__(self, path: str, naming: Naming = "any", watched: bool = True) -> None:
        self.path = path
        self.naming = naming
        self.watched = watched
        self.files: dict[str, File] = {}
        self.seen: Mark | None = None  # how it looked when its files were these
        self.wrong = ""

    def join(self, other: "Directory") -> None:
        """It was named twice: as with the reference, what either allows is allowed."""
        self.naming = other.naming if self.naming == "strict" else self.naming
        self.watched = self.watched or other.watched

    def look(self, name: str = "") -> bool:
        """Read what has changed, if the directory has; has anything? A file that is called after
        the service `name` may have been written in place."""
        try:
            now = mark(os.stat(self.path))
            if now == self.seen:
                return name + ENDING in self.files and self.look_at(name + ENDING)
            marks = marks_in(self.path)
            self.wrong = ""
        except OSError as error:
            marks = {}
            now = None
            missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
            self.wrong = "" if missing else f"{self.path}: {error.strerror}"
        before, self.files = self.files, {}
        for each, its in marks.items():
            known = before.get(each)
            self.files[each] = known if known and known.mark == its else self.read(each, its)
        self.seen = now if now and abs(time.time_ns() - now[2]) > TICK else None
        return self.files != before

    def look_at(self, name: str) -> bool:
        """Read one of its files again, if it has changed; has it?"""
        try:
            now = mark(os.stat(os.path.join(self.path, name)))
        except OSError:
            self.files.pop(name, None)
            return True
        if now == self.files[name].mark:
            return False
        self.files[name] = self.read(name, now)
        return True

    def read(self, name: str, its: Mark) -> File:
        """What one file says."""
        path = os.path.join(self.path, name)
        try:
            service = service_file.read(path)
        except service_file.Broken as error:
            return File(its, None, f"{path}: skipped: {error}")
        except OSError as error:
            return File(its, None, f"{path}: skipped: {error.strerror}")
        wanted = service.name + ENDING
        if self.naming == "any" or name == wanted:
            return File(its, service)
        text = f'Service file "{path}" should have been named "{wanted}"'
        if self.naming == "strict":
            return File(its, None, f"{text}: not loading it")
        return File(its, service, f"{text} and will not work with system bus activation")

    def services(self) -> Iterator[Service]:
        """Its services, in the order of the files' names."""
        return (file.service for file in self.files.values() if file.service is not None)

    def complaints(self) -> list[str]:
        """What the log is to say of it and its files."""
        said = [self.wrong, *(file.wrong for file in self.files.values())]
        if len(self.files) == MOST_FILES:
            said.append(f"{self.path}: of its files only {MOST_FILES} are looked at")
        return [text for text in said if text]

    def stamp(self) -> tuple[tuple[str, Mark], ...]:
        """Its files and when they were written."""
        return tuple((name, file.mark) for name, file in self.files.items())


def stamp(path: str) -> tuple[tuple[str, Mark], ...]:
    """The same as it is now."""
    with suppress(OSError):
        return tuple(marks_in(path).items())
    return ()


def marks_in(path: str) -> dict[str, Mark]:
    """The service files of a directory, sorted by name. Raises OSError."""
    found: dict[str, Mark] = {}
    names = sorted(name for name in os.listdir(path) if name.endswith(ENDING))
    for name in names[:MOST_FILES]:
        with suppress(OSError):  # it has gone meanwhile, or leads nowhere
            found[name] = mark(os.stat(os.path.join(path, name)))
    return found


def mark(status: os.stat_result) -> Mark:
    """Which file it is, and when it was changed. Rights count: it may be readable now."""
    return (
        status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
    )  # fmt: skip
