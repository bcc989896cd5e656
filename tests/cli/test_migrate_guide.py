"""docs/migrating.md, followed from its first line to its last: old clients see no difference, and a
native one has a right, and loses it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.buses import ROOT, Bus, missing, need, need_module
from tests.cli.migration.place import (
    NAME,
    PATH,
    Watched,
    bus_with_rules,
    old_client,
    old_service,
    running,
)

GUIDE = ROOT / "docs" / "migrating.md"
FILE = re.compile(r"^`(\w+\.py)`[^\n]*:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    need_module("dbus")
    need_module("gi")
    bus = bus_with_rules("ours", tmp_path)
    yield bus
    bus.stop()


def follow(directory: Path) -> None:
    """Write the guide's files over the skeleton."""
    files = dict(FILE.findall(GUIDE.read_text()))
    assert set(files) == {"service.py", "__main__.py", "reader.py"}
    for name, text in files.items():
        (directory / name).write_text(text)


def is_typed(directory: Path) -> None:
    if not find_spec("mypy"):
        missing("mypy is not installed")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", directory.name],
        cwd=directory.parent, env=os.environ | {"MYPYPATH": str(ROOT)}, text=True,
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def others(bus: Bus) -> list[str]:
    """What clients that know no Python see."""
    here = (f"--bus={bus.address}", "--print-reply=literal", f"--dest={NAME}", PATH)
    gdbus = ("gdbus", "call", "--session", "--dest", NAME, "--object-path", PATH, "--method")
    limit = (f"string:{NAME}", "string:Limit")
    return [
        bus.said("dbus-send", *here, f"{NAME}.Read", "string:shopping"),
        bus.run("dbus-send", *here, f"{NAME}.Read", "string:nothing").stderr,
        bus.said("dbus-send", *here, "org.freedesktop.DBus.Properties.Get", *limit),
        bus.said(*gdbus, f"{NAME}.Describe", "shopping"),
        bus.said(*gdbus, f"{NAME}.List"),
        bus.run(*gdbus, f"{NAME}.Read", "nothing").stderr,
    ]


def test_the_guide(bus: Bus, tmp_path: Path) -> None:
    need("gdbus")
    need("dbus-send")
    package = tmp_path / "notes"
    with old_service(bus):
        watched = Watched(bus, "--output", str(package), NAME)
        before = old_client(bus)
        also_before = others(bus)
        status, out, err = watched.end()
        assert (status, err) == (0, "")
    assert "8 methods, 2 properties, 1 signal" in out
    the_report_is_right((package / "report.md").read_text())
    is_typed(package)
    follow(package)
    is_typed(package)
    places = {"BUS1_ADDRESS": f"unix:path={tmp_path}/native", "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    with running(bus, sys.executable, "-m", "notes", **places) as service:
        assert old_client(bus) == before
        assert others(bus) == also_before
        a_right_is_had_and_lost(service)
        second = bus.run(sys.executable, "-m", "notes", **places)
        assert second.returncode == 1
        assert "has another owner" in second.stderr


def the_report_is_right(report: str) -> None:
    """Each rule is where it belongs."""
    titles = re.split(r"^##+ (.*)$", report, flags=re.MULTILINE)[1:]
    parts = dict(zip(titles[::2], titles[1::2], strict=True))
    needed = parts["Unnecessary once these clients are native"]
    assert f'send_destination="{NAME}" send_interface="{NAME}"' in needed
    assert f'receive_sender="{NAME}" receive_type="method_return"' in needed
    assert "old_client.py" in needed
    assert "com.example.Admin" in parts["Unnecessary, if nobody else calls"]
    assert "<deny send_destination" in parts["Unnecessary without the D-Bus side"]
    assert "<allow own" in parts["These stay"]
    assert f"`{NAME}.Error.NoSuchNote` | 4 |" in parts["Errors of its own that clients got"]
    assert "calls com.example.Notes.Import" in parts["Who uses it"]


def a_right_is_had_and_lost(service: subprocess.Popen[bytes]) -> None:
    """The reader, which the service has started, reads what it is to call from the service's input,
    and writes what comes of it to its output."""
    assert service.stdin
    assert service.stdout

    def said(line: str) -> str:
        assert service.stdin
        assert service.stdout
        service.stdin.write(f"{line}\n".encode())
        service.stdin.flush()
        return service.stdout.readline().decode().strip()

    assert said("read shopping") == "milk and bread"
    assert said("read nothing") == f"CallError: {NAME}.Error.NoSuchNote: there is no note nothing"
    assert said("clear") == "CallError: UnknownMethod: clear"
    service.send_signal(signal.SIGUSR1)
    answers = [said("read shopping") for _ in range(100)]  # it is lost as soon as that is heard of
    assert answers[-1].startswith("Gone: ")
    # A request that waits at the service when the node is destroyed is dropped with it.
    dropped = "Dropped: Dropped: nobody will answer"
    assert set(answers[: answers.index(answers[-1])]) <= {"milk and bread", dropped}
