"""python-dbusmock's own tests: a bus by `dbus-daemon --fork`, mock services, and real clients."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.buses import KINDS, SYSTEM_PYTHON, missing, need_module
from tests.packages.fetch import Unavailable
from tests.reference import fetch
from tests.reference.suite import AT_ONCE, EXPECTED, Outcome, Outcomes, directory, judge, run

MODULES: dict[str, dict[str, str]] = EXPECTED["dbusmock"]
RUNNER = Path(__file__).parent / "programs" / "tap.py"


class Fetched(NamedTuple):
    source: Path
    programs: Path


@pytest.fixture(scope="module")
def fetched() -> Fetched:
    need_module("dbusmock")
    need_module("gi")
    try:
        return Fetched(fetch.dbusmock(), fetch.programs())
    except Unavailable as reason:
        missing(str(reason))
        raise


@pytest.fixture(scope="module")
def outcomes(fetched: Fetched) -> Iterator[Outcomes]:
    """All modules on all buses, some at a time."""
    with directory() as place, ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            (kind, each): pool.submit(attempt, kind, place, fetched, each)
            for each in MODULES
            for kind in KINDS
        }


def attempt(kind: str, place: Path, fetched: Fetched, module: str) -> Outcome:
    """One module; the programs are found as if they were installed."""
    libraries = next((fetched.programs / "usr/lib").glob("*/libnm.so.0")).parent
    return run(
        kind,
        place,
        [SYSTEM_PYTHON, str(RUNNER), f"tests.{module}", "report"],
        report="report",
        PATH=f"{fetched.programs}/usr/bin:{os.environ['PATH']}",
        LD_LIBRARY_PATH=str(libraries),
        OFONO_SCRIPT_DIR=f"{fetched.programs}/usr/share/ofono/scripts",
        PYTHONPATH=str(fetched.source),
    )


@pytest.mark.parametrize("module", MODULES)
def test_module(bus_kind: str, outcomes: Outcomes, module: str) -> None:
    judge(outcomes[bus_kind, module].result(), MODULES[module])


def test_every_module_is_listed(fetched: Fetched) -> None:
    """Either as a whole or, to be quicker, by its classes."""
    present = {"test_code"}  # the style of its own text
    for path in (fetched.source / "tests").glob("test_*.py"):
        classes = re.findall(r"^class (\w+)\(", path.read_text(), re.MULTILINE)
        parts = {f"{path.stem}.{name}" for name in classes}
        present |= parts if parts & set(MODULES) else {path.stem}
    assert present == {"test_code", *MODULES}
