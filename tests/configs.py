"""Configuration files of tests, and what dbus-daemon says of them: does it start with one?"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from policy.configuration import Configuration
from policy.files.load import load
from tests.buses import environment, first_line, need, started

LISTEN = "<listen>unix:tmpdir=/tmp</listen>"
SKIPPED = re.compile(r"' while parsing '(.*)'$", re.MULTILINE)
sockets = itertools.count(1)


def written(directory: Path, files: Mapping[str, str | bytes]) -> Path:
    """The files in their places; the first is the one that the bus is to read."""
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return directory / next(iter(files))


def busconfig(inside: str, before: str = "") -> str:
    """A whole file with these elements, and somewhere to listen."""
    return f"{before}<busconfig>{LISTEN}{inside}</busconfig>"


def loaded(directory: Path, inside: str, **more: str) -> Configuration:
    """What ours makes of such a file, beside others: `a="..."` is a.conf."""
    others = {f"{name}.conf": text for name, text in more.items()}
    return load(str(written(directory, {"bus.conf": busconfig(inside)} | others)))


def daemon(file: Path) -> tuple[bool, str]:
    """Does dbus-daemon start with this file, and what it writes. Where the file would have it
    listen, fork or write its pid does not matter."""
    socket = f"/tmp/bus1-configs-{os.getpid()}-{next(sockets)}"
    log = Path(f"{socket}.log")
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [
                need("dbus-daemon"),
                f"--config-file={file}",
                f"--address=unix:path={socket}",
                "--print-address=1",
                *("--nofork", "--nopidfile", "--nosyslog"),
            ],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(file.parent),
            cwd=file.parent,
        )
    started.append(process)
    starts = bool(first_line(process))
    process.kill()
    process.communicate()
    said = log.read_text(errors="replace")
    log.unlink()
    Path(socket).unlink(missing_ok=True)
    return starts, said


def skipped_by_daemon(file: Path) -> set[str]:
    """The names of the included files that dbus-daemon says it skips."""
    starts, said = daemon(file)
    assert starts, said[-1000:]
    return {Path(path).name for path in SKIPPED.findall(said)}
