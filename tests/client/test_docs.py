"""Law: every program in docs/native.md runs, and says what the page says it does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.buses import ROOT

PAGE = (ROOT / "docs" / "native.md").read_text(encoding="utf-8")


def blocks() -> list[str]:
    """All that is indented, without the indent."""
    found = re.findall(r"(?:^ {4}.*\n(?:^\n(?=^(?: {4}|\n)))*)+", PAGE, re.MULTILINE)
    return [re.sub(r"^ {4}", "", each, flags=re.MULTILINE).strip() + "\n" for each in found]


def programs() -> dict[str, str]:
    """By the comment that they begin with."""
    named = (re.match(r"# (\w+\.py)\n", each) for each in blocks())
    return {match[1]: match.string for match in named if match}


def runs() -> dict[str, str]:
    """What `$ python3 NAME` says."""
    shown = (re.match(r"\$ python3 (\w+\.py)\n", each) for each in blocks())
    return {match[1]: match.string[match.end() :] for match in shown if match}


def test_the_page_has_programs_and_no_other_python() -> None:
    assert len(programs()) == 6
    assert set(runs()) == set(programs()) - {"reader.py"}  # which clock.py runs
    assert len(blocks()) == len(programs()) + len(runs())


@pytest.mark.parametrize("name", sorted(runs()))
def test_it_runs(name: str, address: str, tmp_path: Path) -> None:
    for each, text in programs().items():
        (tmp_path / each).write_text(text)
    done = subprocess.run(
        [sys.executable, "-X", "dev", name],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "BUS1_ADDRESS": address},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.returncode) == (runs()[name], 0), done.stderr
    assert complaints(done.stderr) == ""


def complaints(text: str) -> str:
    """What development mode says, but for how long a step took: that is the machine's matter."""
    return re.sub(r"^Executing <.*> took \d+\.\d+ seconds\n", "", text, flags=re.MULTILINE)
