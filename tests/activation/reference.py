"""A dbus-daemon that is asked what it makes of service files: which it loads, what it executes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.behaviour.files import Files
from tests.buses import Bus
from tests.raw import ERROR, Client

# Writes its arguments into a file that is named after the first, and fails at once.
RECORDER = """#!/bin/sh
printf '%s\\0' "$@" > "${0%/*}/said/$1"
exit 1
"""


def text(name: str, command: str = "/bin/false", *more: str) -> str:
    """A service file as they usually are."""
    return "\n".join(["[D-BUS Service]", f"Name={name}", f"Exec={command}", *more, ""])


def write(directory: Path, name: str, *rest: str, file: str = "") -> Path:
    """Such a file in its place, all of it at once."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / (file or f"{name}.service")
    new = directory / "new"
    new.write_text(text(name, *rest))
    new.rename(path)
    return path


class Reference:
    """It has one directory of services, which is filled anew for each question."""

    def __init__(self, place: Path) -> None:
        files = Files(place)
        self.directory = place / "services"
        self.said = place / "said"
        self.said.mkdir()
        self.directory.mkdir()
        self.recorder = place / "record"
        self.recorder.write_text(RECORDER)
        self.recorder.chmod(0o755)
        files.configure(f"<servicedir>{self.directory}</servicedir>")
        self.bus: Bus = files.start("dbus-daemon")
        self.client: Client = self.bus.connect()

    def fill(self, contents: Mapping[str, bytes]) -> None:
        """These files, and no others; and it has read them."""
        shutil.rmtree(self.directory)
        self.directory.mkdir()
        for name, content in contents.items():
            (self.directory / name).write_bytes(content)
        assert self.client.ask("ReloadConfig").error is None

    def names(self, contents: Mapping[str, bytes]) -> set[str]:
        """The names of the services in these files."""
        self.fill(contents)
        return set(self.client.ask("ListActivatableNames").args[0][1:])

    def executed(self, values: Iterable[str]) -> Iterator[tuple[Path, tuple[str, ...] | str]]:
        """What each Exec= executes. A value is what follows in the file on the recorder's path
        and a number; the answer is the file and the arguments with that number, or the text of
        the error if nothing is executed."""
        files = {
            f"a.n{number}.service": text(f"a.n{number}", f"{self.recorder} {number} {value}")
            for number, value in enumerate(values)
        }
        self.fill({name: content.encode() for name, content in files.items()})
        for number, name in enumerate(files):
            yield self.directory / name, self.execute(number)

    def execute(self, number: int) -> tuple[str, ...] | str:
        answer = self.client.ask("StartServiceByName", "su", f"a.n{number}", 0)
        assert answer.kind == ERROR
        said = self.said / str(number)
        if not said.exists():
            return str(answer.args[0])
        arguments = said.read_bytes().decode().split("\0")[:-1]
        said.unlink()
        return tuple(arguments)
