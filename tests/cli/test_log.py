"""The log's lines look as dbus-daemon's, wherever they go."""

from __future__ import annotations

import logging
import os
import syslog
from collections.abc import Iterator

import pytest

from bridge.cli.log import configure
from bridge.cli.options import LogTo

PID = os.getpid()
WHICH = f"[session uid={os.geteuid()} pid={PID}] "


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What reaches the system's log."""
    said: list[tuple[object, ...]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *how: said.append(how))
    monkeypatch.setattr(syslog, "syslog", lambda *what: said.append(what))
    return said


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers.clear()
    yield
    root.handlers[:] = before
    root.setLevel(level)


OPENED = ("bus1-daemon", syslog.LOG_PID, syslog.LOG_DAEMON)


@pytest.mark.parametrize(
    ("target", "on_stderr", "in_system"),
    [(LogTo.STDERR, True, False), (LogTo.BOTH, True, True), (LogTo.SYSLOG, False, True)],
)
def test_where_it_goes(
    target: LogTo,
    on_stderr: bool,
    in_system: bool,
    system: list[tuple[object, ...]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(target, "session")
    logging.getLogger("bus1.server").info("Reloaded %s", "configuration")
    logging.getLogger("bus1.server").debug("not this")
    line = f"{WHICH}Reloaded configuration"
    assert capsys.readouterr().err == (f"bus1-daemon[{PID}]: {line}\n" if on_stderr else "")
    assert system == ([OPENED, (syslog.LOG_INFO, line)] if in_system else [])


def test_each_line_is_one_entry(system: list[tuple[object, ...]]) -> None:
    configure(LogTo.SYSLOG, "session")
    logging.getLogger().error("one\ntwo")
    logging.getLogger().log(35, "odd")
    assert system[1:] == [
        (syslog.LOG_ERR, f"{WHICH}one"),
        (syslog.LOG_ERR, "two"),
        (syslog.LOG_NOTICE, f"{WHICH}odd"),
    ]


def test_nobody_listens(capfd: pytest.CaptureFixture[str]) -> None:
    configure(LogTo.SYSLOG, "session")
    logging.getLogger().warning("into the void")
    assert capfd.readouterr() == ("", "")
