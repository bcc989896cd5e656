"""A system bus that reads all of the packages' files: its directory, for any kind of bus.

The main file is the shipped conf/system.conf without what belongs to the machine. Users and
groups that the machine lacks can be exchanged for some that it has, so that no section is for
nobody.
"""

from __future__ import annotations

import grp
import pwd
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from tests.buses import ROOT

SHIPPED = ROOT / "conf" / "system.conf"
OF_THE_MACHINE = (
    *("user", "fork", "syslog", "pidfile", "listen", "servicehelper", "servicedir"),
    *("standard_system_servicedirs", "include", "includedir"),
)
WHO = re.compile(r"""\b(user|group)=(["'])([^"'*]+)\2""")
# May own every name, and has no other rights of its own: the owner of last resort.
KEEPER = "games"
KEEP = f'<busconfig><policy user="{KEEPER}"><allow own="*"/></policy></busconfig>'


def write(
    place: Path, files: Mapping[str, Iterable[Path]], known: bool, listed: bool = False
) -> Path:
    """The main file, beside it all that it reads. `known`: all users exist. `listed`: every
    file is included by itself, in order, for a bus that does not sort its directories."""
    directory = place / "system.d"
    directory.mkdir(parents=True)
    for path in (path for paths in files.values() for path in paths):
        content = path.read_bytes()
        (directory / path.name).write_bytes(everybody_known(content) if known else content)
    (directory / "keeper.conf").write_text(KEEP)
    main = place / "system.conf"
    main.write_text(main_file(place, sorted(directory.iterdir()) if listed else None))
    return main


def main_file(place: Path, included: list[Path] | None) -> str:
    root = ElementTree.parse(SHIPPED).getroot()
    for element in list(root):
        if element.tag in OF_THE_MACHINE:
            root.remove(element)
    ElementTree.SubElement(root, "listen").text = f"unix:path={place}/bus"
    for path in included or ():
        ElementTree.SubElement(root, "include").text = str(path)
    if included is None:
        ElementTree.SubElement(root, "includedir").text = "system.d"
    return ElementTree.tostring(root, encoding="unicode")


def everybody_known(content: bytes) -> bytes:
    """The file with users and groups that exist here."""

    def replace(found: re.Match[str]) -> str:
        kind, quote, name = found.groups()
        return f"{kind}={quote}{here(kind, name)}{quote}"

    return WHO.sub(replace, content.decode()).encode()


def here(kind: str, name: str) -> str:
    """The same, or one that stands for it: always the same for the same."""
    present = users() if kind == "user" else groups()
    if name in present:
        return name
    spare = sorted(each for each in present if each not in ("root", "nobody", "nogroup", KEEPER))
    return spare[sum(name.encode()) % len(spare)]


@cache
def users() -> dict[str, int]:
    return {each.pw_name: each.pw_uid for each in pwd.getpwall()}


@cache
def groups() -> dict[str, int]:
    return {each.gr_name: each.gr_gid for each in grp.getgrall()}
