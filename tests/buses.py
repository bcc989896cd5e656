"""Starting a private bus for tests: ours or dbus-daemon, each by its own command line."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.raw import Client

ROOT = Path(__file__).resolve().parent.parent
KINDS = os.environ.get("BUSES", "ours,dbus-daemon").split(",")
started: list[subprocess.Popen[bytes]] = []  # so that none outlives the tests, whatever fails
SYSTEM_PYTHON = "/usr/bin/python3"


def missing(reason: str) -> None:
    """What cannot run says why. It is a failure, but for who is not root and so can neither install
    what is missing nor become somebody else; in CI for them, too."""
    if os.environ.get("CI") or not os.geteuid():
        pytest.fail(reason)
    pytest.skip(reason)


def need(program: str) -> str:
    """Where the program is."""
    found = shutil.which(program)
    if not found:
        missing(f"{program} is not installed")
    return str(found)


def need_root() -> None:
    """For what only root can do: become somebody else."""
    if os.geteuid():
        missing("only root can become somebody else")


def need_module(module: str) -> None:
    """A module of the system's own Python (Debian's python3-dbus, python3-gi, ...)."""
    need(SYSTEM_PYTHON)
    found = subprocess.run(
        [SYSTEM_PYTHON, "-c", f"import {module}"], capture_output=True, check=False
    )
    if found.returncode:
        missing(f"{SYSTEM_PYTHON} has no module {module}")


def command(kind: str) -> list[str]:
    """The program of a bus, before its options."""
    if kind == "dbus-daemon":
        return [need("dbus-daemon")]
    assert kind == "ours", kind
    if os.environ.get("BUS1_UNCOMPILED") == "1":
        return [sys.executable, "-m", "tests.uncompiled", "bridge.cli.daemon"]
    installed = Path(sys.executable).parent / "bus1-daemon"
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "bridge.cli.daemon"]


def as_program(kind: str, directory: Path, name: str = "dbus-daemon") -> Path:
    """One executable file that is the bus, for whoever starts a bus by a path or from PATH."""
    script = directory / name
    words = " ".join(f"'{word}'" for word in command(kind))
    script.write_text(f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec {words} \"$@\"\n")
    script.chmod(0o755)
    return script


def environment(directory: Path, **more: str) -> dict[str, str]:
    """No bus, no service files and no home of the machine's."""
    keep = {
        key: value for key, value in os.environ.items() if not key.startswith(("DBUS_", "XDG_"))
    }
    empty = str(directory / "empty")
    places = {
        "XDG_DATA_HOME": empty,
        "XDG_DATA_DIRS": empty,
        "XDG_RUNTIME_DIR": empty,
        "HOME": empty,
    }
    return keep | places | {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"} | more


@dataclass
class Bus:
    kind: str
    directory: Path
    process: subprocess.Popen[bytes]
    address: str = ""
    clients: list[Client] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        """What it has written; nothing, if its directory is gone before somebody asks."""
        with suppress(FileNotFoundError):
            return (self.directory / "log").read_text(errors="replace")
        return ""

    def connect(self, **options: Any) -> Client:
        """A client that is closed when the test ends."""
        self.clients.append(Client(self.address, **options))
        return self.clients[-1]

    def hang_up(self) -> None:
        for client in self.clients:
            client.close()
        self.clients.clear()

    def environment(self, **more: str) -> dict[str, str]:
        return environment(self.directory, DBUS_SESSION_BUS_ADDRESS=self.address, **more)

    def run(self, *argv: str, seconds: float = 30, **more: str) -> subprocess.CompletedProcess[str]:
        """A program with this as its session bus."""
        return subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=self.environment(**more),
            cwd=ROOT,
            check=False,
        )

    def said(self, *argv: str, **options: Any) -> str:
        """What a program that must succeed wrote."""
        done = self.run(*argv, **options)
        assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def usage(self) -> tuple[int, int]:
        """Resident bytes and open descriptors."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{self.pid}/fd"))

    def stop(self) -> None:
        """End it; it must have lived until now, and end cleanly."""
        self.hang_up()
        died = self.process.poll()
        if died is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        assert died is None, f"the bus died by itself with {died}\n{self.log()}"
        assert self.process.returncode == 0, f"exit {self.process.returncode}\n{self.log()}"
        assert "Traceback" not in self.log(), self.log()


def start(
    kind: str, directory: Path, *options: str, argv: tuple[str, ...] = (), **more: str
) -> Bus:
    """A bus of this kind with its socket and log in `directory`; `more` is its environment."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "empty").mkdir(mode=0o700, exist_ok=True)
    wanted = argv or ("--session", f"--address=unix:path={directory}/bus")
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command(kind), "--nofork", "--print-address=1", *wanted, *options],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(directory, **more),
            cwd=ROOT,
        )
    bus = Bus(kind, directory, process)
    started.append(process)
    bus.address = first_line(process)
    if not bus.address:
        process.kill()
        process.wait()
        pytest.fail(f"{kind} did not start\n{bus.log()}")
    return bus


def first_line(process: subprocess.Popen[bytes], seconds: float = 20) -> str:
    """The first line of a program's output; '' if it ended, or took too long."""
    assert process.stdout
    text, end = b"", time.monotonic() + seconds
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0, end - time.monotonic()))
        byte = os.read(process.stdout.fileno(), 1) if ready else b""
        if not byte:
            return ""
        text += byte
    return text.decode().strip()
