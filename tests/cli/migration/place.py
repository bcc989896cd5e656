"""A bus with rules about com.example.Notes, the old service on it, and `bus1 migrate` beside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.buses import ROOT, SYSTEM_PYTHON, Bus, first_line, start
from tests.cli.watching import CHANGED, until_it_watches
from tests.configs import busconfig, written
from tests.raw import Client

HERE = Path(__file__).parent
NAME, PATH = "com.example.Notes", "/com/example/Notes"
PROGRAM = [sys.executable, "-m", "bridge.cli.main", "migrate"]
RULES = f"""<type>session</type>
<policy context="default">
  <allow user="*"/>
  <allow send_destination="org.freedesktop.DBus"/>
  <allow receive_sender="org.freedesktop.DBus"/>
  <allow receive_type="method_call"/>
  <allow receive_type="signal"/>
  <allow receive_sender="x.Y"/>
  <allow send_type="signal"/>
  <allow send_requested_reply="true" send_type="method_return"/>
  <allow send_requested_reply="true" send_type="error"/>
  <allow send_interface="org.freedesktop.DBus.Introspectable"/>
  <deny send_destination="{NAME}"/>
</policy>
<policy user="{os.getuid()}">
  <allow own="x.Y"/>
  <allow send_destination="x.Y"/>
  <allow own="{NAME}"/>
  <allow receive_sender="{NAME}" receive_type="method_return"/>
  <allow receive_sender="{NAME}" receive_type="error"/>
  <allow send_destination="{NAME}" send_interface="{NAME}"/>
  <allow send_destination="{NAME}" send_interface="org.freedesktop.DBus.Properties"/>
  <allow send_destination="{NAME}" send_interface="org.freedesktop.DBus.Introspectable"/>
  <allow send_destination="{NAME}" send_interface="com.example.Admin"/>
</policy>"""


def bus_with_rules(kind: str, directory: Path) -> Bus:
    """Ours has a native socket, too."""
    file = written(directory, {"bus.conf": busconfig(RULES)})
    native = (f"--native=unix:path={directory}/native",) if kind == "ours" else ()
    return start(kind, directory, *native, argv=(f"--config-file={file}",))


@contextmanager
def running(bus: Bus, *argv: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has said its first line."""
    environment = bus.environment(**more)
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=bus.directory
    ) as process:
        try:
            assert first_line(process)
            yield process
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def old_service(bus: Bus) -> Iterator[None]:
    with running(bus, SYSTEM_PYTHON, str(HERE / "notes.py")):
        yield


def old_client(bus: Bus) -> list[str]:
    """What it prints."""
    return bus.said(SYSTEM_PYTHON, str(HERE / "old_client.py")).splitlines()


def migrate(bus: Bus, *words: str) -> subprocess.CompletedProcess[str]:
    return bus.run(*PROGRAM, "--address", bus.address, *words)


class Watched:
    """A `bus1 migrate --watch` that watches; `end` is Ctrl-C."""

    def __init__(self, bus: Bus, *words: str) -> None:
        observer = Client(bus.address)
        observer.match(CHANGED)
        self.process = subprocess.Popen(
            [*PROGRAM, "--address", bus.address, "--watch", "60", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=bus.environment(),
            cwd=ROOT,
        )
        until_it_watches(observer, self.process)
        observer.close()

    def end(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out.decode(), err.decode()
