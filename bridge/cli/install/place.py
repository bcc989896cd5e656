"""Where a bus is installed: a machine's root directory, and systemd's places below it.

It changes nothing. Links are followed as the machine would follow them, not as this one does.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from policy.configuration import Bus

ALIAS: Final = "dbus.service"  # what everybody calls the bus
ALIAS_SOCKET: Final = "dbus.socket"
UNIT: Final[dict[Bus, str]] = {"system": "bus1", "session": "bus1-session"}
FOLDER: Final[dict[Bus, str]] = {"system": "system", "session": "user"}
# systemd.unit(5), strongest first. What is in /run is gone at the next boot.
ABOVE: Final = ("etc/systemd/system.control",)
BELOW: Final = ("usr/local/lib/systemd", "usr/lib/systemd", "lib/systemd")
SYSTEMD: Final = ("usr/lib/systemd/systemd", "lib/systemd/systemd")
MOST_LINKS: Final = 40  # as many as the kernel follows


@final
class Refusal(Exception):
    """What keeps a command from being done: one line that says what to do instead."""


@final
@dataclass(frozen=True, slots=True)
class Place:
    """One of the two buses of one machine. `root` is that of the machine, `/` for this one."""

    root: Path
    bus: Bus

    @property
    def service(self) -> str:
        return f"{UNIT[self.bus]}.service"

    @property
    def socket(self) -> str:
        return f"{UNIT[self.bus]}.socket"

    @property
    def units(self) -> str:
        """Where the administrator's units are; like all names here, from the root on."""
        return f"etc/systemd/{FOLDER[self.bus]}"

    @property
    def record(self) -> str:
        """Where it is written down what has been installed."""
        return f"var/lib/bus1/{self.bus}.json"

    @property
    def words(self) -> str:
        """How commands are told which bus of which machine."""
        return f"--{self.bus}" if self.root == Path("/") else f"--{self.bus} --root {self.root}"

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def check(self, name: str) -> None:
        """Is that place in this machine, whatever leads there? Who has made an image may have put
        links into it, and names into its record. Raises Refusal."""
        folder = os.path.dirname(self.path(name))
        if not Path(os.path.realpath(folder)).is_relative_to(self.root):
            raise Refusal(f"{folder} leads out of {self.root}")

    def searched(self) -> Sequence[str]:
        """Where systemd will look for units."""
        above = ABOVE if self.bus == "system" else ()
        return (*above, self.units, *(f"{each}/{FOLDER[self.bus]}" for each in BELOW))

    def find(self, unit: str, without: str = "") -> str | None:
        """The file of a unit, by its name alone; not looking in one of the directories."""
        names = [unit]
        stem, at, rest = unit.partition("@")
        if at:
            names.append(f"{stem}@.{rest.rpartition('.')[2]}")
        for folder in self.searched():
            for name in names:
                found = f"{folder}/{name}"
                if folder != without and os.path.lexists(self.path(found)):
                    return found
        return None

    def has_systemd(self) -> bool:
        return any(self.path(name).exists() for name in SYSTEMD)

    def follow(self, name: str) -> list[str]:
        """A file, and what it and the directories on the way are links to: all that is looked at
        to get there, the file itself last. Raises FileNotFoundError, OSError."""
        seen: list[str] = []
        rest = [part for part in name.split("/") if part]
        here: list[str] = []
        links = 0
        while rest:
            part = rest.pop(0)
            if part in (".", ".."):
                here = here if part == "." else here[:-1]
                continue
            here.append(part)
            at = "/".join(here)
            seen.append(at)
            if not self.path(at).is_symlink():
                self.path(at).lstat()
                continue
            links += 1
            if links > MOST_LINKS:
                raise OSError(f"/{name}: too many links")
            target = os.readlink(self.path(at))
            here = [] if target.startswith("/") else here[:-1]
            rest = [part for part in target.split("/") if part] + rest
        return seen
