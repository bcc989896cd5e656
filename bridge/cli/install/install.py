"""`bus1 install` and `bus1 uninstall`: units in systemd's places, and back.

Nothing here talks to systemd or to a bus: what runs goes on running, and the next boot finds what
stands in the files.
"""

import os
import sys
from pathlib import Path
from typing import Final

from bridge.cli.install import record as records
from bridge.cli.install.entry import Entry, look, make_directories, put
from bridge.cli.install.helper import USER, helper, number_of
from bridge.cli.install.place import ALIAS, ALIAS_SOCKET, Place, Refusal
from bridge.cli.install.record import Record
from bridge.cli.install.trust import doubts, failure
from policy.files.load import shipped

IN_THE_UNIT: Final = "/usr/bin/bus1-daemon"  # what conf/*.service say
RUNNING: Final = Path("/run/systemd/system")  # there while systemd runs, sd_booted(3)
WHEN: Final = {
    "system": "The machine's bus is bus1 after the next boot",
    "session": "The users' buses are bus1 when they log in after the next boot",
}
OLD: Final = {
    "system": "The machine's bus is again what it was before, after the next boot",
    "session": "The users' buses are again what they were before, after the next boot",
}


def install(place: Place, image: bool, program: str | None, replace: bool) -> int:
    """Put the units there. Raises Refusal, OSError."""
    check(place, image)
    old = records.read(place)
    chosen = program or own_program()
    if not chosen.startswith("/"):
        raise Refusal(f"--program: {chosen} is not a path from the root on; systemd takes no other")
    for doubt in doubts(place, chosen):
        raise Refusal(f"{doubt}; choose another with --program")
    if not image and (why := failure(chosen)):
        raise Refusal(why)
    wanted = units(place, chosen) | helper(place, chosen)
    marks = {name: entry.mark() for name, entry in wanted.items()}
    if old is not None and old.made == marks and not records.changed(place, old):
        print(f"{WHEN[place.bus]}: it is installed already.")
        return 0
    for name in wanted:
        place.check(name)
    new = planned(place, chosen, wanted, old, replace)
    for name in (*wanted, place.record):
        new.directories += make_directories(place.root, name)
    records.write(place, new)
    for name, entry in wanted.items():
        put(place.path(name), entry)
        print(f"/{name}" if entry.target is None else f"/{name} -> {entry.target}")
    print(f"{WHEN[place.bus]}; until then nothing changes.")
    print(f"`bus1 uninstall {place.words}` takes it back.")
    return 0


def check(place: Place, image: bool) -> None:
    """Can it be done here at all?"""
    if not image and os.geteuid() != 0:
        raise Refusal("only root can do this")
    if not place.has_systemd():
        raise Refusal(
            f"{place.root} has no systemd: start `bus1-daemon --{place.bus}` as dbus-daemon is"
            " started there"
        )
    if not image and not RUNNING.is_dir():
        raise Refusal(
            "systemd does not run here, so nothing would start the bus; if it will with the next"
            " boot, say --root /"
        )
    if place.bus == "system" and number_of(place, "passwd", USER) is None:
        raise Refusal(f"there is no user {USER}, whom the bus becomes; install the package dbus")


def own_program() -> str:
    """The bus that comes with the command that runs."""
    return os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "bus1-daemon")


def units(place: Place, program: str) -> dict[str, Entry]:
    """All that is to be there. The bus's socket is the machine's, if it has one."""
    service = f"{place.units}/{place.service}"
    found = {
        service: Entry(unit(place.service, program)),
        f"{place.units}/{ALIAS}": Entry(target=f"/{service}"),
    }
    if has_socket(place):
        return found
    socket = f"{place.units}/{place.socket}"
    link = Entry(target=f"/{socket}")
    return found | {
        socket: Entry(unit(place.socket, program)),
        f"{place.units}/{ALIAS_SOCKET}": link,
        f"{place.units}/sockets.target.wants/{place.socket}": link,
    }


def has_socket(place: Place) -> bool:
    """A dbus.socket that is not ours."""
    found = place.find(ALIAS_SOCKET)
    if found is None:
        return False
    there = look(place.path(found))
    return there is None or there.target != f"/{place.units}/{place.socket}"


def unit(name: str, program: str) -> bytes:
    """A unit of conf/ for a program that is elsewhere."""
    text = Path(shipped(name)).read_text()
    return text.replace(IN_THE_UNIT, quoted(program)).encode()


def quoted(program: str) -> str:
    """A path as systemd.service(5) takes it."""
    if any(sign in program for sign in "'\"\\\n"):
        raise Refusal(f"{program!r}: systemd could not start a program of this name")
    path = program.replace("%", "%%").replace("$", "$$")
    return f'"{path}"' if " " in path else path


def planned(
    place: Place, program: str, wanted: dict[str, Entry], old: Record | None, replace: bool
) -> Record:
    """What will be made and replaced; what stands there and is not ours stays, unless that is
    asked for."""
    new = Record(program, {name: entry.mark() for name, entry in wanted.items()})
    if old is not None:
        new.replaced |= old.replaced
        new.directories += old.directories
    for name, entry in wanted.items():
        there = look(place.path(name))
        ours = None if old is None else old.made.get(name)
        if there is None or there.mark() in (ours, entry.mark()):
            continue
        if not replace:
            raise Refusal(
                f"{place.path(name)} is there already: {there.what()}; --replace puts ours in its"
                f" place until `bus1 uninstall {place.words}`"
            )
        new.replaced.setdefault(name, there)
    return new


# ------------------------------------------------------------------------- and back


def uninstall(place: Place, image: bool, force: bool) -> int:
    """Put back what was there before. Raises Refusal, OSError."""
    if not image and os.geteuid() != 0:
        raise Refusal("only root can do this")
    record = records.read(place)
    if record is None:
        print("Nothing is installed, so there is nothing to take back.")
        return 0
    for name in records.changed(place, record):
        if not force and look(place.path(name)) is not None:
            raise Refusal(f"{place.path(name)} has been changed since; --force removes it")
    for name in reversed(record.made):
        path = place.path(name)
        if before := record.replaced.get(name):
            put(path, before)
            print(f"/{name}: {before.what()} again")
        else:
            path.unlink(missing_ok=True)
            print(f"/{name} is removed")
    records.remove(place, record)
    print(f"{OLD[place.bus]}; until then nothing changes.")
    return 0
