"""Goes through a machine that has booted, writes what it found to /results, and switches it off.

Runs as root, as boot-visit.service. What can be found out without the bus is written even if there
is none; nothing is waited for without end. /results/plan.json says whether the visit is brief, and
which commands are run at its end (to install or to remove a bus).
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from questions import TOOLS

HERE = Path(__file__).parent
RESULTS = Path("/results")
PYTHON = "/usr/bin/python3"
SECONDS = 60.0  # for all that one step may take
LATE_NAMES = ("Unit", "Exec", "NoUser", "Fails", "Missing")
SHOWN = (
    *("Id", "MainPID", "ActiveState", "NRestarts", "FragmentPath", "CPUUsageNSec"),
    *("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic"),
)
STATUS = ("Uid", "Gid", "Groups", "VmHWM", "VmRSS", "CapPrm", "CapEff", "NoNewPrivs")
found: dict[str, Any] = {"steps": {}}


def main() -> None:
    plan = json.loads((RESULTS / "plan.json").read_text())
    try:
        step("settled", settle)
        step("bus", bus)
        if not plan["brief"]:
            everything()
        step("last", lambda: [run(*shlex.split(command)) for command in plan["last"]])
        step("bus at the end", bus)
    finally:
        off()


def everything() -> None:
    """All questions, as all people."""
    step("blame", blame)
    for person in ("root", "anna", "ben"):
        step(f"answers of {person}", lambda who=person: asked(who, who=who))
    for person, commands in TOOLS.items():
        step(f"tools of {person}", lambda who=person, each=commands: tools(who, each))
    step("late", late)
    step("names", names)
    step("failed", failed)


def step(name: str, work: Callable[[], Any]) -> None:
    """One part; a part that fails says so, and the next one is tried."""
    start = time.monotonic()
    try:
        found[name] = work()
    except Exception as error:
        found[name] = None
        found["steps"][name] = f"{type(error).__name__}: {error}"
    found[f"seconds of {name}"] = round(time.monotonic() - start, 2)
    (RESULTS / "found.json").write_text(json.dumps(found, indent=1))


def run(*command: str, who: str = "root", seconds: float = SECONDS) -> dict[str, Any]:
    """How a command ended, and what it said; others log in to run it."""
    if who != "root":
        command = ("su", "--login", who, "--command", shlex.join(command))
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"status": "timeout", "out": "", "err": f"nothing after {seconds:.0f} s"}
    return {"status": done.returncode, "out": done.stdout, "err": done.stderr[-2000:]}


def asked(*words: str, who: str = "root", seconds: float = 6 * SECONDS) -> Any:
    """What ask.py says."""
    said = run(PYTHON, str(HERE / "ask.py"), *words, who=who, seconds=seconds)
    if said["status"]:
        raise RuntimeError(f"ask.py {' '.join(words)}: {said['status']} {said['err'][-600:]}")
    return json.loads(said["out"])


# ------------------------------------------------------------------------------ steps


def settle() -> dict[str, Any]:
    """Until systemd has nothing left to start."""
    state = run("systemctl", "is-system-running", "--wait")["out"].strip()
    stamps = run("systemctl", "show", "--property=FinishTimestampMonotonic", "--value")["out"]
    begun = run("systemctl", "show", "--property=UserspaceTimestampMonotonic", "--value")["out"]
    return {"state": state, "boot": (int(stamps) - int(begun)) / 1e6}


def blame() -> dict[str, Any]:
    """What took how long; and from now on ben has a bus without having logged in."""
    lines = run("systemd-analyze", "blame", "--no-pager")["out"].splitlines()
    return {"lines": lines[:12], "linger": run("loginctl", "enable-linger", "ben")}


def bus() -> dict[str, Any]:
    """What runs as the machine's bus."""
    said = run("systemctl", "show", "dbus.service", *(f"--property={name}" for name in SHOWN))
    shown = dict(line.split("=", 1) for line in said["out"].splitlines())
    process = Path("/proc") / shown["MainPID"]
    words = (process / "cmdline").read_bytes().decode().split("\0")[:-1]
    lines = [line.split(":", 1) for line in (process / "status").read_text().splitlines()]
    return {
        "shown": shown,
        "command": words,
        "status": {key: value.split() for key, value in lines if key in STATUS},
        "process": process_of(process),
        "doctor": run("/opt/bus1/bin/bus1", "doctor", "--system", "--json"),
    }


def process_of(process: Path) -> dict[str, Any]:
    """What it has used by itself, without the services that it started; and its libraries."""
    ticks = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    memory = [line.split() for line in (process / "smaps_rollup").read_text().splitlines()[1:]]
    maps = [line.split(maxsplit=5)[5:] for line in (process / "maps").read_text().splitlines()]
    return {
        "seconds": sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        "memory": {words[0].rstrip(":"): int(words[1]) for words in memory},
        "libraries": sorted({Path(path).name for (path,) in filter(None, maps) if ".so" in path}),
    }


def tools(person: str, commands: Sequence[str]) -> list[dict[str, Any]]:
    return [{"command": command, **run(*shlex.split(command), who=person)} for command in commands]


def names() -> list[str]:
    """Who is there, without the names that differ each time."""
    said = run("busctl", "list", "--acquired", "--no-legend", "--no-pager")["out"]
    return sorted(line.split()[0] for line in said.splitlines())


def failed() -> dict[str, Any]:
    """Units that failed: the machine's, and each user's."""
    words = ("list-units", "--state=failed", "--output=json")
    whose = {"root": (), "anna": ("--user", "--machine=anna@"), "ben": ("--user", "--machine=ben@")}
    found = {}
    for person, options in whose.items():
        said = run("systemctl", *options, *words)
        units = json.loads(said["out"]) if not said["status"] else [{"unit": said["err"]}]
        found[person] = sorted(each["unit"] for each in units)
    return found


def off() -> None:
    found["end"] = time.monotonic()
    if run("systemctl", "poweroff")["status"]:
        run("systemctl", "poweroff", "--force", "--force")


# --------------------------------------------------------- what comes while it runs


def late() -> dict[str, Any]:
    """A package is installed: a policy, services. The bus sees the files; its clients use them."""
    begin = time.monotonic()
    programs = {
        "Exec": ("root", f"{PYTHON} {HERE}/late.py system org.example.LateExec", ""),
        "Unit": ("root", "/bin/false", "boot-late.service"),
        "NoUser": ("", "/bin/true", ""),
        "Fails": ("root", "/bin/false", ""),
        "Missing": ("root", "/nowhere/at/all", ""),
    }
    for kind, (user, command, unit) in programs.items():
        lines = ["[D-BUS Service]", f"Name=org.example.Late{kind}", f"Exec={command}"]
        lines += [f"User={user}"] if user else []
        lines += [f"SystemdService={unit}"] if unit else []
        file = Path("/usr/share/dbus-1/system-services") / f"org.example.Late{kind}.service"
        file.write_text("\n".join(lines) + "\n")
    allowed = "".join(
        f'<allow own="{name}"/><allow send_destination="{name}"/>'
        for name in (f"org.example.Late{kind}" for kind in LATE_NAMES)
    )
    Path("/etc/dbus-1/system.d/org.example.Late.conf").write_text(
        f'<busconfig><policy user="root">{allowed}</policy></busconfig>\n'
    )
    wait_for("org.example.LateMissing")
    seen = time.monotonic() - begin
    return {
        "seen": round(seen, 2),
        "root": asked("late"),
        "anna": asked("late", who="anna"),
    }


def wait_for(name: str) -> None:
    """Until the bus knows the file, without a word from us."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        if name in run("busctl", "list", "--activatable", "--no-legend")["out"]:
            time.sleep(0.5)  # the policy is another directory
            return
        time.sleep(0.2)
    raise RuntimeError(f"the bus has not seen the service file of {name}")


if __name__ == "__main__":
    main()
