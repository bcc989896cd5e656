"""The command: boots a Debian on dbus-daemon and on bus1-daemon, and compares what they found."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.boot import wheels
from tests.boot.compare import differences, entries, failures_to_start, in_the_journal
from tests.boot.figures import report
from tests.boot.machine import Boot, Machine, prepare
from tests.boot.tree import HOME, install, run, say, tree
from tests.boot.trouble import Trouble

HERE = Path(__file__).resolve().parent
BUS1 = f"{HOME}/bin/bus1"
PROGRAM = f"{HOME}/bin/bus1-daemon"
HELPER = "usr/lib/dbus-1.0/dbus-daemon-launch-helper"
PLACE = "usr/local/lib/boot"  # of what goes on inside
UNITS = "etc/systemd/system"
SECONDS = 200.0  # a boot that takes longer hangs
# Libraries of what the bus imports when somebody asks for it; here nobody does, for example by a
# file in TOML.
NEEDLESS = ("pydantic_core", "_ctypes")
# Where an installation writes.
OWNED = ("etc/systemd", "etc/bus1", "usr/local/lib/bus1", "var/lib/bus1")
INSTALL = (f"{BUS1} install --system", f"{BUS1} install --session", "systemctl daemon-reload")
UNINSTALL = (f"{BUS1} uninstall --system", f"{BUS1} uninstall --session")
# Of a machine whose bus is to be another one after the next boot: it is still the old one's.
STILL = (
    "systemctl reload dbus.service",
    "systemctl start boot-example.service",
    "busctl call org.freedesktop.locale1 /org/freedesktop/locale1 org.freedesktop.DBus.Peer Ping",
)

Found = dict[str, Any]


def main() -> int:
    chosen = arguments()
    if chosen.packages:
        print(tree())
        return 0
    with TemporaryDirectory(prefix="bus1-boot-") as directory:
        place = Path(directory)
        try:
            bad = compare(place)
        except Trouble as trouble:
            print(f"tests/boot: {trouble}", file=sys.stderr)
            return 1
        finally:
            if chosen.keep:
                keep(place, chosen.keep)
    for line in bad:
        print(f"  DIFFERENT: {line}")
    say(f"{len(bad)} differences" if bad else "nobody noticed")
    return int(bool(bad))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("tests/boot/run", description=__doc__)
    parser.add_argument("--keep", metavar="DIR", type=Path, help="where to put what was found")
    parser.add_argument("--packages", action="store_true", help="only make the tree, say where")
    return parser.parse_args()


def compare(place: Path) -> list[str]:
    """Boot both; what is different."""
    for program in ("mmdebstrap", "systemd-nspawn", "journalctl"):
        if not shutil.which(program):
            raise Trouble(f"{program} is needed")
    base = tree()
    wheel = wheels.project(place / "wheels")
    prepare()
    with ExitStack() as machines:
        return visited(base, wheel, place, machines)


def visited(base: Path, wheel: Path, place: Path, machines: ExitStack) -> list[str]:
    """Both machines, one after the other, and what is different."""
    reference = furnished("reference", base, place, wheel)
    machines.callback(reference.close)
    theirs = visit(reference, last=(*INSTALL, *STILL))
    check_reference(theirs)
    ours = furnished("ours", base, place, wheel)
    machines.callback(ours.close)
    ours.path(HELPER).unlink()  # so that it needs the one that comes with bus1
    before = snapshot(ours)
    for bus in ("--system", "--session"):
        root = f"--root={ours.root}"
        run(sys.executable, "-m", "bridge.cli.main", "install", bus, root, "--program", PROGRAM)
    found = visit(ours, last=UNINSTALL)
    after = snapshot(ours)
    report(theirs, found)
    if bad := ended(found):
        return [*bad, *failures_to_start(entries(found["journal"]))]
    again = visit(reference, brief=True)
    return [
        *differences(theirs, found),
        *(f"the bus has imported {name}" for name in needless(found)),
        *in_the_journal(
            entries(theirs["journal"]), entries(found["journal"]), theirs["failed"]["root"]
        ),
        *(f"`{each['command']}` failed: {each['err']}" for each in done(theirs) + done(found)),
        *(f"after uninstall, {name} is not what it was" for name in changed(before, after)),
        *(f"after installing on a running machine: {each}" for each in replaced(again)),
    ]


# ------------------------------------------------------------------------- machines


def furnished(name: str, base: Path, place: Path, wheel: Path) -> Machine:
    """A machine with the project in it, and what visits it when it has booted."""
    machine = Machine(name, base, place)
    machine.copy(wheel, f"wheels/{wheel.name}")
    install(machine.root, "--no-deps", f"/wheels/{wheel.name}")
    for source in (HERE / "inside").glob("*.py"):
        machine.copy(source, f"{PLACE}/{source.name}")
    for source in (HERE / "inside").glob("*.service"):
        machine.copy(source, f"{UNITS}/{source.name}")
    machine.path(f"{UNITS}/multi-user.target.wants/boot-visit.service").symlink_to(
        "../boot-visit.service"
    )
    for unit in ("ModemManager", "bluetooth", "systemd-timesyncd"):  # not in containers, they say
        machine.copy(HERE / "inside" / "anywhere.conf", f"{UNITS}/{unit}.service.d/boot.conf")
    machine.write("etc/default/locale", "")
    return machine


def visit(machine: Machine, last: tuple[str, ...] = (), brief: bool = False) -> Found:
    """Boot it; what was found inside, and how it went from outside."""
    found = machine.results / "found.json"
    found.unlink(missing_ok=True)
    (machine.results / "plan.json").write_text(json.dumps({"last": last, "brief": brief}))
    boot = machine.boot(SECONDS)
    if not found.exists():
        raise Trouble(f"{machine.name} did not come up\n{end_of(boot)}")
    inside: Found = json.loads(found.read_text())
    found.rename(found.with_name("brief.json" if brief else "whole.json"))
    journal = machine.journal()
    (machine.results / "journal").write_text(journal)
    say(f"{machine.name}: on and off again in {boot.seconds:.1f} s")
    return inside | {"boot": boot, "journal": journal}


def end_of(boot: Boot) -> str:
    return "\n".join(boot.console.splitlines()[-30:])


def check_reference(theirs: Found) -> None:
    """What does not work on the reference cannot be compared with."""
    if theirs["steps"]:
        raise Trouble(f"the machine does not work on dbus-daemon: {theirs['steps']}")
    program = theirs["bus"]["command"][0]
    if not program.endswith("dbus-daemon"):
        raise Trouble(f"the reference runs {program}")


# ------------------------------------------------------------------------- judgement


def ended(found: Found) -> list[str]:
    """Did it go down by itself, and was the bus ours?"""
    boot: Boot = found["boot"]
    bad = [] if boot.status == 0 else [f"the machine did not go down ({boot.status})"]
    command = (found["bus"] or {}).get("command", ["nothing"])
    if PROGRAM not in command:
        bad.append(f"the bus is {' '.join(command)}")
    return bad


def needless(found: Found) -> list[str]:
    """What the bus has imported, and nobody asked for."""
    libraries = found["bus at the end"]["process"]["libraries"]
    return [name for name in libraries if name.startswith(NEEDLESS)]


def done(found: Found) -> list[dict[str, Any]]:
    """The commands at the end that failed."""
    return [each for each in found["last"] or [] if each["status"]]


def replaced(again: Found) -> list[str]:
    """Does the machine whose bus was replaced while it ran now run ours?"""
    bad = [f"step '{name}' failed: {why}" for name, why in again["steps"].items()]
    return bad + ended(again)


def snapshot(machine: Machine) -> dict[str, str]:
    """All files where an installation writes, each with its kind and content."""
    found = {}
    for top in OWNED:
        for path in [machine.path(top), *machine.path(top).rglob("*")]:
            if path.is_symlink():
                found[str(path)] = f"-> {os.readlink(path)}"
            elif path.exists():
                content = path.read_bytes() if path.is_file() else b""
                found[str(path)] = f"{path.stat().st_mode:o} {content!r}"
    return found


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    names = before.keys() | after.keys()
    return sorted(name for name in names if before.get(name) != after.get(name))


def keep(place: Path, target: Path) -> None:
    """What the machines wrote, for those who want to look."""
    for results in place.glob("*/results"):
        shutil.copytree(results, target / results.parent.name, dirs_exist_ok=True)


if __name__ == "__main__":
    sys.exit(main())
