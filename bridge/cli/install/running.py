"""Which program is the bus at an address, and what systemd would start as that bus next time.

Only looks: the bus is asked who it is, the rest is read from /proc and from units.
"""

import os
import pwd
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, final

from bridge.cli.install.place import ALIAS, Place
from bridge.cli.link import BusError, NoBus, reach
from bridge.wire.protocol import DRIVER

Kind = Literal["bus1", "dbus-daemon", "dbus-broker", "another"]
# By the name of the program, or of the script that it runs.
KINDS: Final[tuple[tuple[str, Kind], ...]] = (
    ("bus1-daemon", "bus1"),
    ("bridge.cli.daemon", "bus1"),
    ("dbus-daemon", "dbus-daemon"),
    ("dbus-broker", "dbus-broker"),
)
START: Final = re.compile(r'^ExecStart=[-@:+!]*(?:"([^"]+)"|(\S+))', re.MULTILINE)


@final
@dataclass(frozen=True, slots=True)
class Running:
    """The bus that answers now. What other users may not see of it is empty."""

    kind: Kind
    pid: int
    user: str
    words: tuple[str, ...]
    unit: str


@final
@dataclass(frozen=True, slots=True)
class Next:
    """What dbus.service will be: its file, where that leads, and what it starts."""

    file: str = ""
    unit: str = ""
    program: str = ""
    ours: bool = False


def running(place: Place, address: str | None) -> Running | str:
    """The bus that answers; or why there is none."""
    try:
        link = reach(address, place.bus == "system")
        try:
            ((pid,),) = link.ask(("GetConnectionUnixProcessID", "s", (DRIVER,)))
        finally:
            link.close()
    except (NoBus, BusError) as error:
        return str(error)
    assert isinstance(pid, int)
    return process(pid)


def process(pid: int) -> Running:
    """From what the kernel tells of it."""
    words = tuple(read(pid, "cmdline").split("\0")[:-1])
    return Running(kind(words), pid, user(pid), words, unit(read(pid, "cgroup")))


def read(pid: int, what: str) -> str:
    try:
        return Path(f"/proc/{pid}/{what}").read_text(errors="replace")
    except OSError:
        return ""


def kind(words: tuple[str, ...]) -> Kind:
    names = {os.path.basename(word) for word in words[:3]}
    return next((each for name, each in KINDS if name in names), "another")


def user(pid: int) -> str:
    """By name, if it has one."""
    found = re.search(r"^Uid:\s+\d+\s+(\d+)", read(pid, "status"), re.MULTILINE)
    if found is None:
        return ""
    try:
        return pwd.getpwuid(int(found[1])).pw_name
    except KeyError:
        return found[1]


def unit(groups: str) -> str:
    """The innermost unit in which a process is."""
    parts = [part for line in groups.splitlines() for part in line.split("/")]
    return next((part for part in reversed(parts) if part.endswith(".service")), "")


def next_boot(place: Place) -> Next:
    """What systemd will find under the bus's name."""
    file = place.find(ALIAS)
    if file is None:
        return Next()
    try:
        at = place.follow(file)[-1]
        text = place.path(at).read_text(errors="replace")
    except (OSError, IndexError):
        return Next(f"/{file}")
    found = next(programs(text), "")
    return Next(f"/{file}", f"/{at}", found, os.path.basename(at) == place.service)


def programs(text: str) -> Iterator[str]:
    for quoted, plain in START.findall(text):
        yield quoted or plain
