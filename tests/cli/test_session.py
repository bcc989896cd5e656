"""`bus1 session`: a bus as long as the command, its status, its signals, and nothing after it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.cli.session import PASSED_ON, Signals, run, run_on_own_bus
from tests.buses import ROOT, environment, first_line

SECONDS = 30
# A command that prints where its bus is, and which process, then does what it is told.
LOOK = (
    "import os, sys, signal\n"
    "from tests.raw import Client\n"
    "address = os.environ['DBUS_SESSION_BUS_ADDRESS']\n"
    "bus = Client(address)\n"
    "pid = bus.ask('GetConnectionUnixProcessID', 's', 'org.freedesktop.DBus').args[0]\n"
    "print(address, pid, os.getpid(), bus.name, flush=True)\n"
)
READ = "sys.exit(int(sys.stdin.readline()))"
WAIT = LOOK + READ
CATCH = LOOK.replace(
    "\n", "\nsignal.signal(getattr(signal, sys.argv[1]), lambda *_: sys.exit(5))\n", 1
)


class Session:
    """A running `bus1 session -- python -c PROGRAM WORDS…`, whose first line has been read."""

    def __init__(self, place: Path, program: str, *words: str) -> None:
        self.process = subprocess.Popen(
            [*BUS1, "session", "--", sys.executable, "-c", program, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(place),
            cwd=ROOT,
            start_new_session=True,
        )
        line = first_line(self.process, SECONDS).split()
        assert len(line) == 4, self.process.communicate(timeout=SECONDS)
        self.path = re.fullmatch(r"unix:path=(.*),guid=[0-9a-f]{32}", line[0])[1]  # type: ignore[index]
        self.bus, self.command = int(line[1]), int(line[2])
        self.name = line[3]

    def end(self, word: str = "") -> tuple[int, str]:
        """Its status and errors; nothing of it may be left."""
        _, err = self.process.communicate(word.encode(), timeout=SECONDS)
        assert not os.path.exists(self.path)
        for pid in (self.bus, self.command):
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        return self.process.returncode, err.decode()

    def kill(self) -> None:
        for pid in (
            (self.process.pid, self.command, self.bus) if self.process.poll() is None else ()
        ):
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()


BUS1 = (sys.executable, "-m", "bridge.cli.main")
Start = Callable[..., Session]


@pytest.fixture(autouse=True)
def runtime_directory(tmp_path: Path) -> None:
    """The one that is in the environment; a session has one."""
    (tmp_path / "empty").mkdir(mode=0o700)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Session] = []

    def begin(program: str, *words: str) -> Session:
        started.append(Session(tmp_path, program, *words))
        return started[-1]

    yield begin
    for each in started:
        each.kill()


@pytest.fixture
def handlers() -> Iterator[None]:
    """Running a command takes over signals of this process: give them back."""
    kept = {number: signal.getsignal(number) for number in (*PASSED_ON, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_the_status_is_the_commands_and_nothing_is_left(start: Start) -> None:
    session = start(WAIT)
    assert os.path.exists(session.path)
    assert session.name == ":1.0"
    assert session.end("42\n") == (42, "")


def test_each_has_a_bus_of_its_own(start: Start) -> None:
    one, two = start(WAIT), start(WAIT)
    assert (one.path, one.bus) != (two.path, two.bus)
    assert one.end("0\n") == (0, "")
    assert os.path.exists(two.path)
    assert two.end("1\n") == (1, "")


@pytest.mark.parametrize(
    ("command", "status", "error"),
    [
        (("true",), 0, ""),
        (("sh", "-c", "exit 42"), 42, ""),
        (("sh", "-c", "kill -KILL $$"), 137, ""),
        (("/nonexistent/cmd",), 127, "bus1 session: /nonexistent/cmd: command not found\n"),
        (("bus1-no-such",), 127, "bus1 session: bus1-no-such: command not found\n"),
        (("PLACE/text",), 126, "bus1 session: PLACE/text: Permission denied\n"),
        (("PLACE",), 126, "bus1 session: PLACE: Permission denied\n"),
    ],
)
@pytest.mark.usefixtures("handlers")
def test_how_it_ends(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    status: int,
    error: str,
) -> None:
    (tmp_path / "text").write_text("no program")
    place = str(tmp_path)
    words = [word.replace("PLACE", place) for word in command]
    assert run(words, "unix:path=/x", "unix:path=/y", Signals()) == status
    assert capfd.readouterr() == ("", error.replace("PLACE", place))


def test_a_command_that_is_not_there_leaves_no_bus(tmp_path: Path) -> None:
    done = subprocess.run(
        [*BUS1, "session", "--", "bus1-no-such"],
        capture_output=True,
        text=True,
        timeout=SECONDS,  # as long as the bus lived it would hold the pipes open
        env=environment(tmp_path),
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr == "bus1 session: bus1-no-such: command not found\n"


@pytest.mark.usefixtures("handlers")
def test_the_environment_is_of_this_bus_only(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    outer = ("SESSION_BUS_ADDRESS", "SESSION_BUS_PID", "SESSION_BUS_WINDOWID", "STARTER_ADDRESS")
    for name in (*outer, "STARTER_BUS_TYPE"):
        monkeypatch.setenv(f"DBUS_{name}", "unix:path=/outer")
    monkeypatch.setenv("OTHER", "stays")
    monkeypatch.setenv("BUS1_ADDRESS", "unix:path=/outer")
    command = ["sh", "-c", 'env; echo "$0|$1"', "-a", "b c"]
    assert run(command, "unix:path=/inner", "unix:path=/native", Signals()) == 0
    lines = capfd.readouterr().out.splitlines()
    assert "OTHER=stays" in lines
    assert lines[-1] == "-a|b c"
    of_a_bus = sorted(line for line in lines if line.startswith(("DBUS_", "BUS1_ADDRESS")))
    assert of_a_bus == [
        "BUS1_ADDRESS=unix:path=/native",
        "DBUS_SESSION_BUS_ADDRESS=unix:path=/inner",
    ]


NATIVELY = """
import os
from tests.native.peer import Peer
transport, _, place = os.environ["BUS1_ADDRESS"].partition("=")
peer = Peer(place)
print(transport, os.path.dirname(place), peer.version, flush=True)
"""


def test_the_command_finds_a_place_for_native_programs(tmp_path: Path) -> None:
    done = subprocess.run(
        [*BUS1, "session", "--", sys.executable, "-c", NATIVELY],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment(tmp_path),
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    transport, place, version = done.stdout.split()
    assert (transport, version) == ("unix:path", "1")
    assert not os.path.exists(place)


def test_input_and_output_are_the_commands(tmp_path: Path) -> None:
    done = subprocess.run(
        [*BUS1, "session", "--", "sh", "-c", "cat; echo err >&2"],
        input=b"through",
        capture_output=True,
        timeout=SECONDS,
        env=environment(tmp_path),
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"through", b"err\n")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT"])
def test_signals_reach_the_command(start: Start, name: str) -> None:
    # Not signal.pause(): a signal that comes just before it would be waited for.
    session = start(CATCH + "import time; [time.sleep(0.05) for _ in iter(int, 1)]", name)
    session.process.send_signal(getattr(signal, name))
    assert session.end() == (5, "")


def test_a_command_that_a_signal_ends(start: Start) -> None:
    session = start(LOOK + "signal.pause()")
    session.process.terminate()
    assert session.end() == (128 + signal.SIGTERM, "")


def test_the_command_decides_about_an_interrupt(start: Start) -> None:
    """Ctrl-C goes to everybody at the terminal; the bus stays while the command does."""
    session = start(CATCH + "sys.stdin.readline()", "SIGUSR1")
    session.process.send_signal(signal.SIGINT)  # to it alone: nothing happens
    assert session.process.poll() is None
    os.killpg(session.process.pid, signal.SIGINT)
    status, err = session.end()
    assert status == 128 + signal.SIGINT
    assert err.splitlines()[-1] == "KeyboardInterrupt"  # the command's own
    assert err.count("Traceback") == 1


def test_the_command_may_ignore_an_interrupt(start: Start) -> None:
    session = start(CATCH.replace("lambda *_: sys.exit(5)", "signal.SIG_IGN") + READ, "SIGINT")
    os.killpg(session.process.pid, signal.SIGINT)
    assert session.end("3\n") == (3, "")


def test_a_bus_that_dies_does_not_end_the_command(start: Start) -> None:
    session = start(WAIT)
    os.kill(session.bus, signal.SIGTERM)
    end = time.monotonic() + SECONDS
    while os.path.exists(session.path):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert session.end("4\n") == (4, "")


def test_a_bus_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert run_on_own_bus(["echo", "never"]) == 126
    assert capfd.readouterr() == ("", "bus1 session: the bus did not start\n")


@pytest.mark.usefixtures("handlers")
def test_a_signal_before_the_command_runs_waits_for_it() -> None:
    signals = Signals()
    os.kill(os.getpid(), signal.SIGHUP)
    status = run(["sh", "-c", "sleep 30"], "unix:path=/x", "unix:path=/y", signals)
    assert status == 128 + signal.SIGHUP
