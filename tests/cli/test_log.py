"""The log's lines look as dbus-daemon's, wherever they go; and nobody waits for its reader."""

from __future__ import annotations

import logging
import os
import pty
import re
import select
import socket
import subprocess
import sys
import syslog
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.cli import log
from bridge.cli.log import configure
from bridge.cli.options import LogTo
from tests.buses import ROOT

PID = os.getpid()
WHICH = f"[session uid={os.geteuid()} pid={PID}] "
SECONDS = 20


class System:
    """Somebody who listens where the system's log is."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)

    def said(self) -> list[tuple[int, str]]:
        """What has come: priority and text, without the time."""
        entries = []
        while True:
            try:
                entry = self.socket.recv(10_000).decode()
            except BlockingIOError:
                return entries
            form = r"<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d bus1-daemon\[(\d+)\]: (.*)"
            found = re.fullmatch(form, entry)
            assert found is not None, entry
            assert int(found[2]) == PID
            entries.append((int(found[1]), found[3]))


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(log, "SYSTEM_LOG", "log")
    listener = System("log")
    yield listener
    listener.socket.close()


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers.clear()
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.parametrize(
    ("target", "on_stderr", "in_system"),
    [(LogTo.STDERR, True, False), (LogTo.BOTH, True, True), (LogTo.SYSLOG, False, True)],
)
def test_where_it_goes(
    target: LogTo,
    on_stderr: bool,
    in_system: bool,
    system: System,
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure(target, "session")
    logging.getLogger("bus1.server").info("Reloaded %s", "configuration")
    logging.getLogger("bus1.server").debug("not this")
    line = f"{WHICH}Reloaded configuration"
    assert capfd.readouterr().err == (f"bus1-daemon[{PID}]: {line}\n" if on_stderr else "")
    expected = [(syslog.LOG_DAEMON | syslog.LOG_INFO, line)] if in_system else []
    assert system.said() == expected


def test_of_a_long_line_the_middle_is_lost(
    system: System, capfd: pytest.CaptureFixture[str]
) -> None:
    """A denial says at its end why, whatever path is before that."""
    configure(LogTo.BOTH, "session")
    logging.getLogger().info("Rejected path=/%s; rule 7", "x" * 5_000_000)
    on_stderr = capfd.readouterr().err
    ((_, in_system),) = system.said()
    for said in (on_stderr, in_system + "\n"):
        assert said.endswith("xxx; rule 7\n")
        assert " [...] x" in said
        assert "Rejected path=/xxx" in said
        assert len(said) <= select.PIPE_BUF


def test_priorities_are_those_of_the_system() -> None:
    levels = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
    assert [log.PRIORITY[level] for level in levels] == [
        syslog.LOG_DEBUG,
        syslog.LOG_INFO,
        syslog.LOG_WARNING,
        syslog.LOG_ERR,
        syslog.LOG_CRIT,
    ]
    assert (log.DAEMON, log.NOTICE) == (syslog.LOG_DAEMON, syslog.LOG_NOTICE)


def test_each_line_is_one_entry(system: System) -> None:
    configure(LogTo.SYSLOG, "session")
    logging.getLogger().error("one\ntwo")
    logging.getLogger().log(35, "odd")
    daemon = syslog.LOG_DAEMON
    assert system.said() == [
        (daemon | syslog.LOG_ERR, f"{WHICH}one"),
        (daemon | syslog.LOG_ERR, "two"),
        (daemon | syslog.LOG_NOTICE, f"{WHICH}odd"),
    ]


@pytest.mark.parametrize(
    ("bus_type", "which"),
    [("session", WHICH), ("system", "[system] "), ("", ""), ("100%s %(message)s %", "")],
    ids=["session", "system", "unknown", "strange"],
)
def test_which_bus_it_is(bus_type: str, which: str, capfd: pytest.CaptureFixture[str]) -> None:
    """As dbus-daemon says it: only one type can be there several times."""
    configure(LogTo.STDERR, bus_type)
    logging.getLogger().info("here")
    assert capfd.readouterr().err == f"bus1-daemon[{PID}]: {which}here\n"


def test_text_that_is_no_text(system: System, capfd: pytest.CaptureFixture[str]) -> None:
    """The names of programs and files may be any bytes."""
    configure(LogTo.BOTH, "session")
    logging.getLogger().info("%s", "a\udcffb")
    assert capfd.readouterr().err == f"bus1-daemon[{PID}]: {WHICH}a\\udcffb\n"
    assert [text for _, text in system.said()] == [f"{WHICH}a\\udcffb"]


def test_nobody_listens(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(log, "SYSTEM_LOG", str(tmp_path / "none"))
    configure(LogTo.SYSLOG, "session")
    logging.getLogger().warning("into the void")
    assert capfd.readouterr() == ("", "")


# ------------------------------------------------------------------- nobody reads

MANY = 3000


def test_a_full_system_log_loses_lines(system: System) -> None:
    configure(LogTo.SYSLOG, "session")
    for number in range(MANY):
        logging.getLogger().info("%d", number)
    came = system.said()
    assert 0 < len(came) < MANY
    logging.getLogger().info("again")
    texts = [text.removeprefix(WHICH) for _, text in system.said()]
    assert texts == [f"{MANY - len(came)} lines lost: nobody read this log", "again"]


TALK = f"""
import logging, sys
from bridge.cli.log import configure
from bridge.cli.options import LogTo
configure(LogTo.STDERR, "session")
for number in range({MANY}):
    logging.info("line %d %s", number, "x" * (number % 5000))
print("lives", flush=True)
sys.stdin.readline()
logging.info("again")
print("lives", flush=True)
sys.stdin.readline()
"""


def a_pipe() -> tuple[int, int]:
    return os.pipe()


def a_socket() -> tuple[int, int]:
    """As systemd's journal gives it."""
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


def a_terminal() -> tuple[int, int]:
    return pty.openpty()


@pytest.mark.parametrize("make", [a_pipe, a_socket, a_terminal])
def test_a_full_stderr_loses_lines(make: Callable[[], tuple[int, int]]) -> None:
    """And stays as it is for others who write to it."""
    ours, theirs = make()
    with subprocess.Popen(
        [sys.executable, "-c", TALK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
    ) as talker:
        assert talker.stdin is not None
        assert talker.stdout is not None
        try:
            assert said(talker) == "lives\n"
            assert os.get_blocking(theirs)
            first = drained(ours, lambda _: bool(select.select([], [theirs], [], 0)[1]))
            talker.stdin.write("\n")
            talker.stdin.flush()
            assert said(talker) == "lives\n"
            second = drained(ours, lambda data: b" again" in data)
        finally:
            talker.kill()
    os.close(theirs)
    os.close(ours)
    written = (first + second).count(" line ")
    assert 0 < written < MANY
    lost = re.search(r" pid=\d+\] (\d+) lines lost: nobody read this log\r?\n", second)
    assert lost is not None
    # A terminal may have taken a part of a line, which is then counted as lost.
    assert MANY - int(lost[1]) in (written, written - 1)
    assert second.endswith((" again\n", " again\r\n"))


def said(talker: subprocess.Popen[str]) -> str:
    """A line of its output, if it comes in time."""
    assert talker.stdout is not None
    assert select.select([talker.stdout], [], [], SECONDS)[0], "it waits for its log's reader"
    return talker.stdout.readline()


def drained(fd: int, enough: Callable[[bytes], bool]) -> str:
    """All that has been written so far, and what comes until that is enough: the kernel may pass on
    what is written to a terminal later."""
    data = b""
    while select.select([fd], [], [], 0.2 if enough(data) else SECONDS)[0]:
        data += os.read(fd, 65536)
    return data.decode()
