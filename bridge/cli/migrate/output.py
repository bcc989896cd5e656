"""The files of a migration, and the directory for them. What is there already stays, unless it is
to be written over.
"""

import keyword
import os
import sys
from collections.abc import Mapping
from typing import Final, final

from bridge.cli.migrate.export import export_text
from bridge.cli.migrate.findings import Findings
from bridge.cli.migrate.program import program_text
from bridge.cli.migrate.python import snake
from bridge.cli.migrate.report import report_text
from bridge.cli.migrate.service import service_text
from bridge.cli.migrate.visit import Trouble

FILES: Final = ("__init__.py", "service.py", "on_dbus.py", "__main__.py", "report.md")

# Packages of these names would stand before those that they themselves need.
OTHERS: Final = frozenset([*sys.stdlib_module_names, "bridge", "bus1", "dbus_fast", "policy"])


def package_of(name: str) -> str:
    """com.example.AlarmClock -> alarm_clock."""
    found = snake(name.rpartition(".")[2])
    return f"{found}_service" if found in OTHERS or keyword.iskeyword(found) else found


def written(found: Findings, package: str, system: bool) -> dict[str, str]:
    """All files: their names and texts."""
    name, classes = found.shape.name, found.classes
    texts = (
        f'"""{name} as a native service, with its D-Bus side. Begun by `bus1 migrate`."""\n',
        service_text(name, classes),
        export_text(name, classes, found.traffic.variants),
        program_text(found.shape, package, classes, system),
        report_text(found, package),
    )
    return dict(zip(FILES, texts, strict=True))


@final
class Output:
    """A directory that is, or can become, a Python package."""

    def __init__(self, directory: str, force: bool) -> None:
        self.directory = directory
        self.force = force
        self.package = os.path.basename(os.path.abspath(directory))

    def check(self) -> None:
        """Before anything is asked of anybody. Raises Trouble."""
        package = self.package
        if not package.isidentifier() or keyword.iskeyword(package) or package in OTHERS:
            raise Trouble(f"{package!r} cannot be the name of this Python package")
        there = [name for name in FILES if os.path.lexists(os.path.join(self.directory, name))]
        if there and not self.force:
            place = os.path.join(self.directory, there[0])
            raise Trouble(f"{place} is there already: say --force to write over it")
        place = os.path.abspath(self.directory)
        if not os.path.lexists(place):
            place = os.path.dirname(place)
        if not os.path.isdir(place):
            raise Trouble(f"{place} is no directory")
        if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
            raise Trouble(f"nothing can be written to {place}")

    def put(self, texts: Mapping[str, str]) -> None:
        """Each file is there whole, or as before. Raises OSError."""
        os.makedirs(self.directory, exist_ok=True)
        for name, text in texts.items():
            place = os.path.join(self.directory, name)
            if self.force:
                whole = f"{place}.new"
                write(whole, text, os.O_TRUNC)
                os.replace(whole, place)
            else:
                write(place, text, os.O_EXCL)


def write(place: str, text: str, how: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | how
    with open(os.open(place, flags, 0o666), "w", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except BaseException:  # half of it would be in the way of the next attempt
            os.unlink(place)
            raise
