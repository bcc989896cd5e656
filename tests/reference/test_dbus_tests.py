"""Debian's dbus-tests on our program (DBUS_TEST_DAEMON): each subtest as expected.toml says."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.buses import KINDS, as_program, environment, missing

SUITE = Path("/usr/lib/dbus-1.0/installed-tests/dbus")
EXPECTED = tomllib.loads(Path(__file__).with_name("expected.toml").read_text())
SUBTESTS = [
    (mode, binary, subtest, verdict)
    for mode in ("session", "config")
    for binary, subtests in EXPECTED[mode].items()
    for subtest, verdict in subtests.items()
]
SECONDS = 30  # /activation/forking sleeps for 6


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that other users can read: some subtests start the bus as messagebus."""
    if not SUITE.exists():
        missing("package dbus-tests is not installed")
    directory = Path(tempfile.mkdtemp(prefix="bus1-reference-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module", params=KINDS)
def program(request: pytest.FixtureRequest, place: Path) -> Path:
    return as_program(request.param, place, request.param)


def output(place: Path, program: Path, mode: str, binary: str, *options: str) -> str:
    """What a test binary says; it and its buses are gone afterwards."""
    home = place / "home"
    home.mkdir(exist_ok=True)
    suite = {
        "DBUS_TEST_DAEMON": str(program),
        "DBUS_TEST_HOMEDIR": str(home),
        "DBUS_TEST_EXEC": str(SUITE),
    }
    data = {"DBUS_TEST_DATA": str(SUITE / "data")} if mode == "config" else {}
    with (place / "output").open("w+") as out:
        process = subprocess.Popen(
            [str(SUITE / binary), *options],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment(place, **suite, **data),
            cwd=place,
            start_new_session=True,
        )
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            out.write(f"\n# no end after {SECONDS} s\n")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        return out.read()


def run(place: Path, program: Path, mode: str, binary: str, subtest: str) -> tuple[str, str]:
    """What became of one subtest ("ok", "not ok", "skip"), and the whole output."""
    options = ("--tap", "-p", subtest) if subtest.startswith("/") else ()
    said = output(place, program, mode, binary, *options)
    number = rf"\d+ {re.escape(subtest)}" if options else subtest
    line = re.search(rf"^(ok|not ok) {number}\b(?!/)(.*)$", said, re.MULTILINE)
    if not line:
        return "not ok", said
    return ("skip" if "# SKIP" in line[2] else line[1]), said


@pytest.mark.parametrize(("mode", "binary", "subtest", "verdict"), SUBTESTS)
def test_subtest(
    place: Path, program: Path, mode: str, binary: str, subtest: str, verdict: str
) -> None:
    result, said = run(place, program, mode, binary, subtest)
    reference = program.name == "dbus-daemon"
    if verdict.startswith("skips"):
        assert result in ("ok", "skip") or (mode == "config" and not reference), said
    elif verdict == "passes" or reference:
        assert result == "ok", said
    else:
        assert result != "ok", f"it passes now, but expected.toml says {verdict}"


def test_every_subtest_is_listed(place: Path) -> None:
    binaries = {path.name for path in SUITE.glob("test-*")} - {"test-apparmor-activation.sh"}
    assert binaries == {b for _, b, _, _ in SUBTESTS} | set(EXPECTED["alone"])
    for binary in sorted({b for _, b, _, _ in SUBTESTS} - {"test-dbus-daemon-fork.sh"}):
        listed = {subtest for _, b, subtest, _ in SUBTESTS if b == binary}
        said = output(place, Path("/bin/false"), "session", binary, "-l")
        assert {line for line in said.splitlines() if line.startswith("/")} == listed, binary
