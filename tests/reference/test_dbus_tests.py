"""Debian's dbus-tests on our program (DBUS_TEST_DAEMON): each subtest as expected.toml says."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.buses import KINDS, as_program, environment, missing, start
from tests.readable import READING_ALL, need_reading_all
from tests.reference.suite import until_its_end

SUITE = Path("/usr/lib/dbus-1.0/installed-tests/dbus")
DEBUG = Path("/usr/lib/dbus-1.0/debug-build")
EXPECTED = tomllib.loads(Path(__file__).with_name("expected.toml").read_text())
PATIENCE = 30  # seconds; /activation/forking sleeps for 6
SHORT = 3  # for what is not expected to pass: most of it waits for a message that never comes
AT_ONCE = 8
AS_OTHERS = {"test-uid-permissions"}  # they start the bus as messagebus
AS_NOBODY = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"]


class Subtest(NamedTuple):
    mode: str  # how the bus is started: "session", "config", or "nobody": as config, by nobody
    binary: str
    name: str
    verdict: str

    @property
    def user(self) -> list[str]:
        """What comes before its words: the bus will be another user's, who must find it."""
        if self.mode == "nobody":
            return [*READING_ALL, *AS_NOBODY]
        return READING_ALL if self.binary in AS_OTHERS else []


class Outcome(NamedTuple):
    result: str  # "ok", "not ok" or "skip"
    said: str


SUBTESTS = [
    Subtest(mode, binary, name, verdict)
    for mode in ("session", "config", "nobody")
    for binary, subtests in EXPECTED[mode].items()
    for name, verdict in subtests.items()
]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that other users can read: some subtests start the bus as messagebus."""
    if not SUITE.exists():
        missing("package dbus-tests is not installed")
    directory = Path(tempfile.mkdtemp(prefix="bus1-reference-"))
    directory.chmod(0o755)
    (directory / "home").mkdir()
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module", params=KINDS)
def program(request: pytest.FixtureRequest, place: Path) -> Path:
    return as_program(request.param, place, request.param)


@pytest.fixture(scope="module")
def outcomes(place: Path, program: Path) -> Iterator[dict[Subtest, Future[Outcome]]]:
    """All subtests, some at a time: they mostly wait."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {each: pool.submit(run, place, program, each) for each in SUBTESTS}


def is_due(subtest: Subtest, program: Path) -> bool:
    """Whether this bus must pass it: the reference all of them."""
    later = subtest.verdict.startswith("issue")
    return program.name == "dbus-daemon" or not later


def run(place: Path, program: Path, subtest: Subtest) -> Outcome:
    """What became of one subtest."""
    options = ("--tap", "-p", subtest.name) if subtest.name.startswith("/") else ()
    seconds = PATIENCE if is_due(subtest, program) else SHORT
    words = [*subtest.user, where(subtest.binary), *options]
    said = output(place, program, words, subtest.mode, seconds)
    number = rf"\d+ {re.escape(subtest.name)}" if options else subtest.name
    line = re.search(rf"^(ok|not ok) {number}\b(?!/)(.*)$", said, re.MULTILINE)
    if not line:
        return Outcome("not ok", said)
    return Outcome("skip" if "# SKIP" in line[2] else line[1], said)


def where(binary: str) -> str:
    """The production build's, if it has it: the debug build asks for the Verbose interface."""
    found = SUITE / binary
    return str(found if found.exists() else DEBUG / "libexec/installed-tests/dbus" / binary)


def output(
    place: Path, program: Path, words: Sequence[str], mode: str, seconds: float = PATIENCE
) -> str:
    """What a test program says; it and its buses are gone afterwards."""
    suite = {
        "DBUS_TEST_HOMEDIR": f"{place}/home",
        "DBUS_TEST_EXEC": str(SUITE),
        "DBUS_TEST_DBUS_LAUNCH": str(DEBUG / "bin/dbus-launch"),  # looks at DBUS_TEST_DAEMON
    }
    data = {} if mode == "session" else {"DBUS_TEST_DATA": str(SUITE / "data")}
    with tempfile.TemporaryFile("w+") as out:
        variables = environment(place, DBUS_TEST_DAEMON=str(program), **suite, **data)
        until_its_end(words, seconds, out, end_group, stderr=out, cwd=place, env=variables)
        out.seek(0)
        return out.read()


def end_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


@pytest.mark.parametrize("subtest", SUBTESTS, ids=lambda each: f"{each.mode}-{each.name}")
def test_subtest(outcomes: dict[Subtest, Future[Outcome]], program: Path, subtest: Subtest) -> None:
    if subtest.user:
        need_reading_all()
    outcome = outcomes[subtest].result()
    if is_due(subtest, program):
        allowed = ("ok", "skip") if "skips" in subtest.verdict else ("ok",)
        assert outcome.result in allowed, outcome.said
    else:
        assert outcome.result != "ok", f"passes now, but is listed as {subtest.verdict!r}"


def test_transient_services(bus_kind: str, place: Path, tmp_path: Path) -> None:
    """The suite's integration test, without systemd; it wants its bus at the usual place."""
    at = f"unix:path={tmp_path}/bus"
    own = {"XDG_RUNTIME_DIR": str(tmp_path)}
    bus = start(bus_kind, tmp_path, argv=("--session", f"--address={at}"), **own)
    bus.address = at
    said = bus.said(str(SUITE / "integration/transient-services.sh"), **own)
    bus.stop()
    assert re.search(r"^ok 1 - ", said, re.MULTILINE), said


def test_every_subtest_is_listed(place: Path) -> None:
    listed = {each.binary for each in SUBTESTS}
    suites = (SUITE, DEBUG / "libexec/installed-tests/dbus")
    present = {path.name for suite in suites for path in suite.glob("test-*")}
    assert present == listed | set(EXPECTED["alone"])
    for binary in sorted(each for each in listed if not each.endswith(".sh")):
        names = {each.name for each in SUBTESTS if each.binary == binary}
        said = output(place, Path("/bin/false"), [where(binary), "-l"], "session")
        assert {line for line in said.splitlines() if line.startswith("/")} == names, binary
