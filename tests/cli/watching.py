"""`bus1 monitor` as a program that runs beside a test, and what it has written so far."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.buses import ROOT, Bus
from tests.raw import DRIVER, Client

CHANGED = f"type='signal',sender='{DRIVER}',member='NameOwnerChanged'"
PROGRAM = [sys.executable, "-m", "bridge.cli.main", "monitor"]


class Watcher:
    """A `bus1 monitor` that has become a monitor."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.text = ""

    def until(self, word: str) -> str:
        """All that it has written, once there is a whole line with that word."""
        while not any(word in line for line in self.text.split("\n")[:-1]):
            self.more()
        return self.text

    def more(self, seconds: float = 20) -> None:
        """Something that it writes now."""
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        part = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
        assert part, f"nothing more comes after:\n{self.text}\n{self.end()}"
        self.text += part.decode()

    def records(self, word: str) -> list[dict[str, Any]]:
        """The same of --json, without the message that has the word."""
        lines = self.until(word).splitlines()
        return [json.loads(line) for line in lines if word not in line]

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """Ctrl-C: the status, and what else it writes."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out.decode(), err.decode()


@contextmanager
def watching(bus: Bus, *words: str, **options: Any) -> Iterator[Watcher]:
    """A monitor of this bus, from when it watches."""
    observer = Client(bus.address)
    observer.match(CHANGED)
    process = subprocess.Popen(
        [*PROGRAM, "--address", bus.address, *words],
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        **{
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": bus.environment(),
        }
        | options,
    )
    try:
        until_it_watches(observer, process)
        observer.close()
        yield Watcher(process)
    finally:
        process.kill()
        process.communicate()
        observer.close()


def until_it_watches(observer: Client, process: subprocess.Popen[bytes]) -> None:
    """A monitor gives up its unique name, and nobody else does so here."""
    observer.sock.settimeout(30)
    while True:
        name, _, owner = observer.receive("NameOwnerChanged").args
        if name.startswith(":") and not owner:
            assert process.poll() is None, process.communicate()
            return


def run(bus: Bus, *words: str, **options: Any) -> tuple[int, str, str]:
    """A monitor that ends by itself: its status, and what it writes."""
    done = subprocess.run(
        [*PROGRAM, *words],
        capture_output=True,
        text=True,
        timeout=30,
        env=bus.environment(),
        cwd=ROOT,
        check=False,
        **options,
    )
    return done.returncode, done.stdout, done.stderr
