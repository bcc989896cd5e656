"""What a service finds around it when the bus has started it: that is part of the interface, too.

Nothing of it is the bus's but where it stands and where it prints.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.buses import Bus, start
from tests.configs import busconfig, written

POLICY = (
    '<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/>'
    '<allow own="*"/></policy>'
)
FILES = ("status", "stat", "environ", "limits", "cmdline")
START = "StartServiceByName"


@pytest.fixture
def served(bus_kind: str, tmp_path: Path) -> Iterator[Bus]:
    bus = serving(bus_kind, tmp_path)
    yield bus
    bus.stop()


def serving(kind: str, tmp_path: Path) -> Bus:
    """A bus with services that are no more than a look around."""
    configuration = written(
        tmp_path,
        {
            "bus.conf": busconfig(
                f"<type>session</type><servicedir>{tmp_path}/services</servicedir>{POLICY}"
                '<limit name="service_start_timeout">700</limit>'
            ),
            # No shell, which would change its signals.
            "services/t.Files.service": service(
                "t.Files", "/bin/cp " + " ".join(f"/proc/self/{each}" for each in FILES), tmp_path
            ),
            "services/t.Shell.service": service("t.Shell", f"/bin/sh {tmp_path}/look", tmp_path),
            "services/t.Stays.service": service("t.Stays", f"/bin/sh {tmp_path}/stay", tmp_path),
            "services/t.Plain.service": service("t.Plain", "true", tmp_path),
            "look": 'pwd -P >"$1/cwd"; readlink /proc/$$/fd/0 >"$1/stdin"\n'
            'for fd in /proc/$$/fd/*; do echo ${fd##*/}; done >"$1/fds"\n'
            "echo to stdout; echo to stderr >&2\n",
            "stay": "trap '' TERM HUP INT; echo $$ >\"$1/stays\"; while :; do sleep 0.1; done\n",
        },
    )
    return start(kind, tmp_path / "bus", argv=(f"--config-file={configuration}",))


def service(name: str, command: str, directory: Path) -> str:
    return f"[D-BUS Service]\nName={name}\nExec={command} {directory}\n"


def come(found: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not found() and time.monotonic() < end:
        time.sleep(0.01)
    assert found()


def ask(bus: Bus, name: str) -> int:
    """Have it started; it never has its name, so there will be an error."""
    return bus.connect().call(START, "su", name, 0)


def error(bus: Bus, name: str) -> str:
    return str(bus.connect().ask(START, "su", name, 0).error)


def fields(file: Path) -> dict[str, str]:
    lines = file.read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def of(pid: int, name: str) -> Path:
    return Path(f"/proc/{pid}/{name}")


def test_its_process(served: Bus, tmp_path: Path) -> None:
    """In the bus's session and group; signals as the bus found them, but for SIGPIPE."""
    ask(served, "t.Files")
    come(lambda: all((tmp_path / name).exists() for name in FILES))
    ours = of(served.pid, "stat").read_text().rpartition(")")[2].split()
    its = (tmp_path / "stat").read_text().rpartition(")")[2].split()
    assert its[2:4] == ours[2:4]  # process group, session
    assert its[16] == ours[16]  # nice
    status, bus = fields(tmp_path / "status"), fields(of(served.pid, "status"))
    for key in ("Uid", "Gid", "Groups", "Umask", "CapInh", "CapBnd", "NoNewPrivs"):
        assert status[key] == bus[key], key
    assert int(status["SigBlk"], 16) == 0
    ignored = int(fields(of(os.getpid(), "status"))["SigIgn"], 16)
    ignored |= 1 << (signal.SIGPIPE - 1)
    ignored &= ~(1 << (signal.SIGHUP - 1))  # the bus reloads then
    ignored &= ~(1 << (signal.SIGXFSZ - 1))  # our own interpreter's
    assert int(status["SigIgn"], 16) == ignored
    words = (tmp_path / "cmdline").read_bytes().split(b"\0")
    assert words[0] == b"/bin/cp"
    found = (tmp_path / "limits").read_text()
    assert found == of(os.getpid(), "limits").read_text()  # as ours, who started the bus


def test_its_directory_and_descriptors(served: Bus, tmp_path: Path) -> None:
    ask(served, "t.Shell")
    come(lambda: "to stderr" in served.log())
    assert (tmp_path / "cwd").read_text().strip() == os.readlink(of(served.pid, "cwd"))
    assert (tmp_path / "stdin").read_text() == "/dev/null\n"
    numbers = (tmp_path / "fds").read_text().split()
    # The others are the shell's own: the directory, what it reads, its stdout while that is a file.
    assert {"0", "1", "2"} <= set(numbers) <= {"0", "1", "2", "3", "10", "11"}


def test_its_environment(served: Bus, tmp_path: Path) -> None:
    ask(served, "t.Files")
    come((tmp_path / "limits").exists)
    said = (tmp_path / "environ").read_bytes().decode().rstrip("\0").split("\0")
    found = dict(each.split("=", 1) for each in said)
    assert found["DBUS_STARTER_BUS_TYPE"] == "session"
    assert found["DBUS_STARTER_ADDRESS"] == served.address
    bus = of(served.pid, "environ").read_bytes().decode().rstrip("\0").split("\0")
    added = ("DBUS_STARTER_", "DBUS_SESSION_BUS_ADDRESS=")
    kept = [each for each in bus if not each.startswith(added)]
    assert sorted(each for each in said if not each.startswith(added)) == sorted(kept)


def test_path_is_not_searched(served: Bus) -> None:
    assert error(served, "t.Plain") == "org.freedesktop.DBus.Error.Spawn.ExecFailed"


def test_when_it_takes_too_long_it_is_killed(served: Bus, tmp_path: Path) -> None:
    """So that no signal that it handles would do."""
    assert error(served, "t.Stays") == "org.freedesktop.DBus.Error.TimedOut"
    pid = int((tmp_path / "stays").read_text())
    come(lambda: not Path(f"/proc/{pid}").exists())


def test_it_outlives_the_bus(bus_kind: str, tmp_path: Path) -> None:
    bus = serving(bus_kind, tmp_path)
    ask(bus, "t.Stays")
    come(lambda: (tmp_path / "stays").exists() and (tmp_path / "stays").read_text() != "")
    bus.stop()
    pid = int((tmp_path / "stays").read_text())
    assert Path(f"/proc/{pid}").exists()
    os.kill(pid, signal.SIGKILL)
