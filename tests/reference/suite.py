"""Other people's test programs on a bus that is first in PATH: start, end, read TAP, judge.

It knows no suite; others.toml says what is expected of each.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from tests.buses import KINDS, as_program, environment

EXPECTED: dict[str, Any] = tomllib.loads(Path(__file__).with_name("others.toml").read_text())
INSTALLED = Path("/usr/libexec/installed-tests")
AT_ONCE = 8  # they mostly wait, but some of them for less than a second
PATIENCE = 90  # seconds; most take less than 5
MARK = "BUS1_SUITE"  # in the environment of all that a test program starts


class Outcome(NamedTuple):
    status: int  # what the program returned
    said: str
    results: dict[str, str]  # of each test: "ok", "not ok" or "skip"


Outcomes = dict[tuple[str, str], Future[Outcome]]  # by kind of bus and program


@contextmanager
def directory() -> Iterator[Path]:
    """A place for test programs and what they leave behind; of each kind of bus `dbus-daemon` is
    there, written before threads fork: what a child still has open for writing cannot be run."""
    place = Path(tempfile.mkdtemp(prefix="bus1-suite-"))
    for kind in KINDS:
        (place / kind).mkdir()
        as_program(kind, place / kind)
    yield place
    shutil.rmtree(place)


def run(
    kind: str,
    place: Path,
    argv: Sequence[str],
    report: str = "",
    seconds: float = PATIENCE,
    **variables: str,
) -> Outcome:
    """Run one program where `dbus-daemon` is the bus under test. Its TAP is in its output, or in
    the file `report` that it writes."""
    home = Path(tempfile.mkdtemp(dir=place, prefix="run-"))
    (home / "empty").mkdir(mode=0o700)
    path = f"{place}/{kind}:{variables.pop('PATH', os.environ['PATH'])}"
    own = {"PATH": path, "TMPDIR": str(home), "PYTHONPATH": "", MARK: str(home)}
    # Apart, as what a bus writes may stand in the middle of a line of TAP.
    with (home / "output").open("w+") as out, (home / "errors").open("w") as errors:
        options = {"stderr": errors, "cwd": home, "env": environment(home, **own | variables)}
        status = until_its_end(argv, seconds, out, lambda _: end_all(home), **options)
    said = "".join((home / each).read_text(errors="replace") for each in ("output", "errors"))
    lines = home / report if report else home / "output"
    results = tap(lines.read_text(errors="replace")) if lines.exists() else {}
    return Outcome(status, said, results)


def until_its_end(
    argv: Sequence[str], seconds: float, out: TextIO, end: Callable[[int], None], **options: Any
) -> int:
    """Run a program in a session of its own; its exit status. `end` gets its id, and ends it and
    what it has left behind: after so many seconds, if not earlier."""
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=out, start_new_session=True, **options
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        out.write(f"\n# no end after {seconds} s\n")
    finally:
        end(process.pid)
        process.wait()
    return process.returncode


def end_all(home: Path) -> None:
    """Kill what the program started and did not end: also buses, which have forked away."""
    mark = f"{MARK}={home}".encode()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)


def tap(text: str) -> dict[str, str]:
    """What became of each test; those of the plan that are missing count as failed."""
    found = re.findall(r"^(ok|not ok) (\d+)(?: -)? ?([^#\n]*)(#.*)?$", text, re.MULTILINE)
    results = {
        name.strip() or number: "skip" if "SKIP" in directive.upper() else result
        for result, number, name, directive in found
    }
    plan = re.search(r"^1\.\.(\d+)", text, re.MULTILINE)
    numbers = {int(number) for _, number, _, _ in found}
    planned = range(1, int(plan[1]) + 1) if plan else [0]
    return results | {f"number {each}": "not ok" for each in planned if each not in numbers}


def judge(outcome: Outcome, listed: Mapping[str, str]) -> None:
    """All tests went as they are listed; most are not, and must pass."""
    assert (outcome.status, bool(outcome.results)) == (0, True), outcome.said
    assert "after an error of the bus itself" not in outcome.said, outcome.said
    for name, result in outcome.results.items():
        said = next((said for each, said in listed.items() if fnmatch(name, each)), "passes")
        allowed = ("ok", "skip") if said.startswith("skips") else ("ok",)
        assert result in allowed, f"{name}: {result}\n{outcome.said}"
