"""GLib's tests that start a bus, and xdg-dbus-proxy's: GTestDBus and dbusmock start `dbus-daemon`.

Both are installed by Debian (libglib2.0-tests, xdg-dbus-proxy-tests).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.buses import KINDS, missing
from tests.reference.suite import (
    AT_ONCE,
    EXPECTED,
    INSTALLED,
    Outcome,
    Outcomes,
    directory,
    judge,
    run,
)

BINARIES: dict[str, dict[str, str]] = EXPECTED["gdbus"]
STARTERS = (b"dbus-daemon", b"g_test_dbus_up", b"import dbusmock")  # who has one may start a bus


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    for package in sorted({Path(each).parts[0] for each in BINARIES}):
        if not (INSTALLED / package).exists():
            missing(f"the installed tests of {package} are missing")
    with directory() as place:
        yield place


@pytest.fixture(scope="module")
def outcomes(place: Path) -> Iterator[Outcomes]:
    """All binaries on all buses, some at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            (kind, each): pool.submit(attempt, kind, place, each)
            for each in BINARIES
            for kind in KINDS
        }


def attempt(kind: str, place: Path, binary: str) -> Outcome:
    """One binary: as a whole, but for what would disturb the rest."""
    program = str(INSTALLED / binary)
    if binary.endswith(".py"):
        return run(kind, place, [program])
    alone = [each for each, said in BINARIES[binary].items() if said.startswith("alone")]
    outcome = run(kind, place, [program, "--tap", "-k", *(f"-s={each}" for each in alone)])
    for each in alone:
        other = run(kind, place, [program, "--tap", "-k", f"-p={each}"])
        outcome.results[each] = other.results.get(each, "not ok")
    return outcome


@pytest.mark.parametrize("binary", BINARIES)
def test_binary(bus_kind: str, outcomes: Outcomes, binary: str) -> None:
    judge(outcomes[bus_kind, binary].result(), BINARIES[binary])


@pytest.mark.parametrize("package", ["glib", "xdg-dbus-proxy"])
def test_every_binary_is_listed(place: Path, package: str) -> None:
    programs = [path for path in (INSTALLED / package).iterdir() if path.is_file()]
    starters = {
        f"{package}/{path.name}"
        for path in programs
        if any(word in path.read_bytes() for word in STARTERS)
    }
    listed = {each for each in BINARIES if each.startswith(f"{package}/")}
    assert starters == listed | {each for each in EXPECTED["alone"] if each.startswith(package)}
