"""Starting and ending the program: addresses, what it prints, signals (contract A.1, A.10, H)."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.buses import ROOT, command, environment, start
from tests.raw import Client, socket_to

GUID = "[0-9a-f]{32}"


def run(bus_kind: str, place: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command(bus_kind), *options],
        capture_output=True,
        text=True,
        timeout=20,
        env=environment(place),
        cwd=ROOT,
        check=False,
    )


ADDRESSES = {
    "path": ("unix:path=PLACE/my%20bus", r"unix:path=PLACE/my%20bus"),
    "escaped": ("unix:path=PLACE/a%2cb", r"unix:path=PLACE/a%2cb"),
    "abstract": ("unix:abstract=PLACE/x", r"unix:abstract=PLACE/x"),
    "dir": ("unix:dir=PLACE", r"unix:path=PLACE/dbus-[A-Za-z0-9]+"),
    "tmpdir": ("unix:tmpdir=PLACE", r"unix:path=PLACE/dbus-[A-Za-z0-9]+"),
    "runtime": ("unix:runtime=yes", r"unix:path=PLACE/empty/bus"),
}


@pytest.mark.parametrize("form", ADDRESSES)
def test_addresses(bus_kind: str, tmp_path: Path, form: str) -> None:
    wanted, printed = ADDRESSES[form]
    bus = start(
        bus_kind,
        tmp_path,
        argv=("--session", "--address=" + wanted.replace("PLACE", str(tmp_path))),
    )
    assert re.fullmatch(f"{printed.replace('PLACE', str(tmp_path))},guid={GUID}", bus.address), (
        bus.address
    )
    assert bus.connect().is_open()
    bus.stop()


def test_two_addresses_in_one(bus_kind: str, tmp_path: Path) -> None:
    """Of a list, the reference listens on the first that works, only."""
    wanted = f"unix:path={tmp_path}/one;unix:path={tmp_path}/two"
    bus = start(bus_kind, tmp_path, argv=("--session", "--address=" + wanted))
    assert re.fullmatch(rf"unix:path={re.escape(str(tmp_path))}/one,guid={GUID}", bus.address)
    assert not (tmp_path / "two").exists()
    assert bus.connect().is_open()
    bus.stop()


def test_systemd_address(bus_kind: str, tmp_path: Path) -> None:
    """LISTEN_FDS: the socket is there before the program, and after it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{tmp_path}/bus")
    listener.listen()
    shell = 'exec 3<&"$1"; shift; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
    words = [*command(bus_kind), "--session", "--nofork", "--address=systemd:", "--print-address"]
    (tmp_path / "empty").mkdir()
    with subprocess.Popen(
        ["/bin/bash", "-c", shell, "sh", str(listener.fileno()), *words],
        stdout=subprocess.PIPE,
        pass_fds=[listener.fileno()],
        env=environment(tmp_path),
        cwd=ROOT,
    ) as process:
        assert process.stdout
        address = process.stdout.readline().decode().strip()
        assert re.fullmatch(rf"unix:path={re.escape(str(tmp_path))}/bus,guid={GUID}", address)
        with Client(address) as client:
            assert client.is_open()
        process.terminate()
    with socket_to(address):  # the bus has ended, and whoever gave it the socket still listens
        pass
    listener.close()


@pytest.mark.parametrize(
    "address",
    ["unix:path=/nonexistent/x", "unix:", "foo:bar=1", "unix:path=/a,abstract=b", "path=/a"],
)
def test_a_bad_address_is_an_error(bus_kind: str, tmp_path: Path, address: str) -> None:
    done = run(
        bus_kind, tmp_path, "--session", "--nofork", f"--address={address}", "--print-address"
    )
    assert done.returncode != 0
    assert done.stderr
    assert not done.stdout


@pytest.mark.parametrize("option", ["--nonsense", "surplus", "--address=unix:path=/a b"])
def test_bad_options_are_an_error(bus_kind: str, tmp_path: Path, option: str) -> None:
    done = run(bus_kind, tmp_path, "--session", option)
    assert done.returncode != 0
    assert done.stderr


def test_help_version_and_introspect_print_and_end(bus_kind: str, tmp_path: Path) -> None:
    for option, wanted in (("--version", "Daemon"), ("--introspect", "<interface name=")):
        done = run(bus_kind, tmp_path, option)
        assert done.returncode == 0
        assert (wanted in done.stdout) or (option == "--version" and done.stdout)


@pytest.mark.parametrize(
    "form", [["--print-address=1", "--print-pid=1"], ["--print-pid", "1", "--print-address", "1"]]
)
def test_print_address_and_pid(bus_kind: str, tmp_path: Path, form: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    with subprocess.Popen(
        [*command(bus_kind), "--session", "--nofork", f"--address=unix:path={tmp_path}/bus", *form],
        stdout=subprocess.PIPE,
        env=environment(tmp_path),
        cwd=ROOT,
    ) as process:
        assert process.stdout
        assert process.stdout.readline().startswith(b"unix:path=")
        assert int(process.stdout.readline()) == process.pid
        process.terminate()


def test_fork(bus_kind: str, tmp_path: Path) -> None:
    """The parent ends when the child is ready; two lines, and the pid is the child's."""
    done = run(
        bus_kind, tmp_path, "--session", "--fork", "--print-address=1", "--print-pid=1",
        f"--address=unix:path={tmp_path}/bus",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    address, pid = done.stdout.splitlines()
    with Client(address) as client:
        assert client.ask("GetConnectionUnixProcessID", "s", "org.freedesktop.DBus").args == [
            int(pid)
        ]
        os.kill(int(pid), signal.SIGTERM)
        assert client.rest() == []


def test_the_end(bus_kind: str, tmp_path: Path) -> None:
    """SIGTERM: clients are disconnected, the socket is removed, exit status 0."""
    bus = start(bus_kind, tmp_path)
    client = bus.connect()
    bus.process.terminate()
    assert client.rest() == []
    assert bus.process.wait(10) == 0
    assert not (tmp_path / "bus").exists()
    assert bus.process.stdout
    bus.process.stdout.close()


def test_a_stale_socket_is_replaced(bus_kind: str, tmp_path: Path) -> None:
    old = socket.socket(socket.AF_UNIX)
    old.bind(f"{tmp_path}/bus")
    old.close()
    bus = start(bus_kind, tmp_path)
    assert bus.connect().is_open()
    bus.stop()


def test_few_descriptors_are_no_reason_to_die(bus_kind: str, tmp_path: Path) -> None:
    """`ulimit -n 64`, and a hundred clients: those that fit are served, the bus lives."""
    shell = tmp_path / "limited"
    words = " ".join(f"'{word}'" for word in command(bus_kind))
    shell.write_text(f'#!/bin/sh\nulimit -n 64\nexec {words} "$@"\n')
    shell.chmod(0o755)
    (tmp_path / "empty").mkdir()
    with subprocess.Popen(
        [
            str(shell),
            "--session",
            "--nofork",
            f"--address=unix:path={tmp_path}/bus",
            "--print-address",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(tmp_path),
        cwd=ROOT,
    ) as process:
        assert process.stdout
        address = process.stdout.readline().decode().strip()
        first = Client(address)
        crowd = [socket_to(address) for _ in range(100)]
        assert first.is_open()
        for each in crowd:
            each.close()
        with Client(address) as later:
            assert later.is_open()
        first.close()
        process.terminate()
        assert process.wait(10) == 0
