"""`bus1 demo` plays its acts in order, quickly, in colour only for people, and leaves nothing."""

from __future__ import annotations

import os
import pty
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.buses import ROOT, environment

ACTS = [
    "Four dbus-fast programs connect",
    "Anna calls Add(20, 22)",
    "The service and Ben signal at the same time",
    "Ben takes the service's name",
    "The service dies while it owes Anna a reply",
]


def play(tmp_path: Path, out: int, **variables: str) -> subprocess.Popen[str]:
    (tmp_path / "tmp").mkdir()
    keep = environment(tmp_path, TMPDIR=str(tmp_path / "tmp"), TERM="xterm-256color", **variables)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        keep.pop(name, None)
    return subprocess.Popen(
        [sys.executable, "-m", "bridge.cli.main", "demo"],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        env=keep,
        cwd=ROOT,
    )


@pytest.fixture(scope="module")
def piped(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    """What it writes into a pipe, and the processor time that it took."""
    place = tmp_path_factory.mktemp("demo")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out, err = (process := play(place, subprocess.PIPE)).communicate(timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (process.returncode, err) == (0, "")
    assert os.listdir(place / "tmp") == []
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return out, seconds


def test_the_acts_are_in_order(piped: tuple[str, float]) -> None:
    places = [piped[0].find(f"\n{act}\n") for act in ACTS]
    assert -1 not in places
    assert places == sorted(places)


def test_it_takes_less_than_three_seconds(piped: tuple[str, float]) -> None:
    assert piped[1] < 3


def test_into_a_pipe_it_writes_no_colour(piped: tuple[str, float]) -> None:
    assert "\x1b" not in piped[0]


@pytest.mark.parametrize(
    "what",
    [
        r"reply: 42\n",
        r"Anna now holds handle \d+ to node \d+ of peer \d+",
        r"service held one-shot handle \d+ to the node of Anna, for call \d+",
        r"reply handles it holds now: 0\n",
        r"Ben: PRIMARY_OWNER; service: NameLost org\.bus1\.Demo\n",
        r"org\.bus1\.Demo is now :1\.3: node \d+ of peer \d+, next in its queue :1\.1\n",
        r"Anna gets org\.freedesktop\.DBus\.Error\.NoReply: Message recipient disconnected",
    ],
)
def test_it_shows(piped: tuple[str, float], what: str) -> None:
    assert re.search(what, piped[0])


def test_all_subscribers_see_the_signals_in_the_order_of_their_stamps(
    piped: tuple[str, float],
) -> None:
    rows = re.findall(r"(\d+) +│ (\w+) +│ Tick +│ (.*) │\n", piped[0])
    assert len(rows) == 6
    stamps = [int(stamp) for stamp, _, _ in rows]
    assert stamps == sorted(set(stamps))
    for place, (_, _, cells) in enumerate(rows, 1):
        seen = {cell.strip() for cell in cells.split("│")}
        assert len(seen) == 1
        assert seen.pop().startswith(f"{place}. Tick(")
    assert {sender for _, sender, _ in rows} == {"service", "Ben"}


def test_on_a_terminal_it_is_in_colour(tmp_path_factory: pytest.TempPathFactory) -> None:
    terminal, other = pty.openpty()
    process = play(tmp_path_factory.mktemp("demo"), other)  # short: a socket's path is in it
    os.close(other)
    text = b""
    try:
        while part := os.read(terminal, 4096):
            text += part
    except OSError:  # EIO: nobody writes any more
        pass
    os.close(terminal)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert re.search(rb"\x1b\[[0-9;]*m", text)
    plain = re.sub(rb"\x1b\[[0-9;]*m", b"", text)
    assert all(act.encode() in plain for act in ACTS)
