"""dbus-python's own tests, as Debian's python3-dbus-tests has them installed run: on a bus from
dbus-run-session that starts their service and lets dbus-monitor watch."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.buses import KINDS, missing, need_module
from tests.reference.suite import AT_ONCE, EXPECTED, Outcomes, directory, judge, run

PROGRAMS: dict[str, dict[str, str]] = EXPECTED["dbus-python"]
# One embeds Debian's Python, which looks in PATH for where it is: it must not find ours.
DEBIANS = "/usr/local/bin:/usr/bin:/bin"
INSTALLED = Path("/usr/share/installed-tests/dbus-python")


@pytest.fixture(scope="module")
def commands() -> dict[str, list[str]]:
    """Of each program, how Debian would have it started."""
    need_module("gi")
    files = {path.name.removesuffix(".test"): path for path in INSTALLED.glob("python3*/*.test")}
    if not files:
        missing("package python3-dbus-tests is not installed")
    return {name: command(path) for name, path in files.items()}


def command(path: Path) -> list[str]:
    line = next(each for each in path.read_text().splitlines() if each.startswith("Exec="))
    return shlex.split(line.removeprefix("Exec="))


@pytest.fixture(scope="module")
def outcomes(commands: dict[str, list[str]]) -> Iterator[Outcomes]:
    with directory() as place, ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            (kind, each): pool.submit(run, kind, place, commands[each], PATH=DEBIANS)
            for each in PROGRAMS
            for kind in KINDS
        }


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(bus_kind: str, outcomes: Outcomes, program: str) -> None:
    judge(outcomes[bus_kind, program].result(), PROGRAMS[program])


def test_every_program_is_listed(commands: dict[str, list[str]]) -> None:
    assert set(commands) == set(PROGRAMS)
