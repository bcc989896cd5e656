"""Clients written in Python with the system's libraries: python3-dbus, GDBus, python-dbusmock."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.buses import (
    ROOT,
    SYSTEM_PYTHON,
    Bus,
    as_program,
    environment,
    first_line,
    need,
    need_module,
)

PROGRAMS = Path(__file__).parent / "programs"
DBUS_ERROR = "org.freedesktop.DBus.Error."


def served(bus: Bus, program: str) -> list[str]:
    """Start the service, run its client, and see both end well."""
    script = str(PROGRAMS / program)
    with subprocess.Popen(
        [SYSTEM_PYTHON, script, "serve"], stdout=subprocess.PIPE, env=bus.environment()
    ) as service:
        assert first_line(service) == "ready"
        try:
            lines = bus.said(SYSTEM_PYTHON, script).splitlines()
            assert service.wait(10) == 0
        finally:
            service.kill()
    return lines


def test_python_dbus(bus: Bus) -> None:
    need_module("dbus")
    need_module("gi")
    assert served(bus, "python_dbus.py") == [
        "echo",
        "count 5",
        "com.example.Refused no",
        DBUS_ERROR + "UnknownMethod",
        DBUS_ERROR + "ServiceUnknown",
        "through a pipe",
        "who True",
        "a.b.C",
        "introspect True",
        "names True True True",
        "seen ['owned', ['the end', 9], 'lost']",
    ]


def test_gio(bus: Bus) -> None:
    need_module("gi")
    assert served(bus, "gio.py") == [
        "echo",
        "com.example.Refused",
        DBUS_ERROR + "UnknownMethod",
        "through a pipe",
        "property 7",
        "seen [{'Level': 9}, ['Changed', 'the end'], 'vanished']",
        "unique True fds True",
    ]


# --------------------------------------------------------- who starts a bus itself


@pytest.fixture
def first_in_path(bus_kind: str, tmp_path: Path) -> dict[str, str]:
    """An environment in which `dbus-daemon` is the bus under test."""
    programs = tmp_path / "bin"
    programs.mkdir()
    as_program(bus_kind, programs)
    (tmp_path / "empty").mkdir(mode=0o700)
    return environment(tmp_path, PATH=f"{programs}:{os.environ['PATH']}")


def is_ours(line: str) -> bool:
    return "bridge.cli.daemon" in line or "bus1-daemon" in line


def lines_of(script: str, variables: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [SYSTEM_PYTHON, str(PROGRAMS / script)], capture_output=True, text=True, timeout=30,
        env=variables, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_gtestdbus(bus_kind: str, first_in_path: dict[str, str]) -> None:
    need_module("gi")
    address, program, end = lines_of("gtestdbus.py", first_in_path)
    assert (address, end) == ("address True", "stopped")
    assert is_ours(program) == (bus_kind == "ours")


def test_dbusmock(bus_kind: str, first_in_path: dict[str, str]) -> None:
    need_module("dbusmock")
    twice, level, program, end = lines_of("mock.py", first_in_path)
    assert (twice, level, end) == ("abab", "7", "stopped")
    assert is_ours(program) == (bus_kind == "ours")


@pytest.mark.parametrize("status", [0, 7])
def test_dbus_run_session(bus_kind: str, tmp_path: Path, status: int) -> None:
    """It runs the command on a bus of its own and returns its exit status."""
    program = as_program(bus_kind, tmp_path)
    (tmp_path / "empty").mkdir(mode=0o700)
    shell = (
        "dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / "
        f"org.freedesktop.DBus.GetNameOwner string:org.freedesktop.DBus; exit {status}"
    )
    done = subprocess.run(
        [need("dbus-run-session"), f"--dbus-daemon={program}", "--", "/bin/sh", "-c", shell],
        capture_output=True, text=True, timeout=30, env=environment(tmp_path), check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert done.stdout.strip() == "org.freedesktop.DBus"
