"""One machine: a tree with a layer of its own above it, and how it is booted.

It knows nothing of buses. All mounts are made in the mount namespace that tests/boot/run has
made, so they end with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from tests.boot.trouble import Trouble

CGROUPS: Final = Path("/sys/fs/cgroup")
MACHINE_ID: Final = "b0071e57b0071e57b0071e57b0071e57"
RESULTS: Final = "/results"  # as the machine sees the directory


@final
@dataclass(frozen=True)
class Boot:
    """What one boot was like from outside."""

    status: int  # of systemd-nspawn; 0 if the machine switched itself off
    seconds: float
    console: str


def prepare() -> None:
    """What the machine's systemd wants: one hierarchy of control groups."""
    mount("-t", "cgroup2", "cgroup2", str(CGROUPS))


@final
class Machine:
    """A tree that can be changed and booted; what it changes is gone when the program ends."""

    def __init__(self, name: str, tree: Path, place: Path) -> None:
        self.name = name
        self.root = place / name / "root"
        self.results = place / name / "results"
        self.layer = layer = place / name / "layer"
        for path in (self.root, self.results, layer):
            path.mkdir(parents=True)
        mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(layer))
        upper, work = layer / "upper", layer / "work"
        upper.mkdir()
        work.mkdir()
        options = f"lowerdir={tree},upperdir={upper},workdir={work}"
        mount("-t", "overlay", "-o", options, "overlay", str(self.root))
        self.write("etc/machine-id", MACHINE_ID + "\n")
        self.path("var/log/journal").mkdir(exist_ok=True)

    def close(self) -> None:
        """Let go of what it was; its results stay."""
        for path in (self.root, self.layer):
            subprocess.run(["umount", "--lazy", str(path)], check=False)

    def path(self, name: str) -> Path:
        return self.root / name

    def write(self, name: str, text: str) -> None:
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def copy(self, source: Path, name: str) -> None:
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)

    def boot(self, seconds: float) -> Boot:
        """Until it is off; one that takes longer is switched off."""
        group = own_group()
        start = time.monotonic()
        console = self.results / "console"
        with console.open("wb") as output:
            process = subprocess.Popen(
                within(group, *self.command()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                status = -1
                (group / "cgroup.kill").write_text("1")
                process.wait()
        remove(group)
        return Boot(status, time.monotonic() - start, console.read_text(errors="replace"))

    def command(self) -> list[str]:
        return [
            *("systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine={self.name}"),
            *("--register=no", "--keep-unit", "--private-network", "--console=read-only"),
            *(f"--bind={self.results}:{RESULTS}", "--boot"),
        ]

    def journal(self) -> str:
        """All that it wrote to its journal, an entry a line, in JSON."""
        directory = self.path("var/log/journal") / MACHINE_ID
        said = subprocess.run(
            ["journalctl", f"--directory={directory}", "--output=json", "--all"],
            capture_output=True,
            text=True,
            check=False,
        )
        return said.stdout


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Trouble(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


def own_group() -> Path:
    """A control group of the machine's own, below ours: its systemd ends all that is in there."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    ours = next(line.removeprefix("0::/") for line in lines if line.startswith("0::/"))
    group = CGROUPS / ours / f"bus1-boot-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    return group


def within(group: Path, *command: str) -> list[str]:
    """The command, run in that group."""
    return ["sh", "-c", f'echo $$ > "{group}/cgroup.procs" && exec "$@"', "sh", *command]


def remove(group: Path) -> None:
    """The groups that systemd has left; they are empty now, or soon."""
    for _ in range(50):
        for path in sorted(group.rglob("*"), key=lambda path: -len(path.parts)):
            if path.is_dir():
                with suppress(OSError):
                    path.rmdir()
        with suppress(OSError):
            group.rmdir()
        if not group.exists():
            return
        time.sleep(0.1)
