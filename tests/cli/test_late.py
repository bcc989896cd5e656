"""What is imported late is imported early where only root could do it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bridge.cli.late import LATE, is_open
from tests.buses import ROOT

IMPORTED = """
import sys
from bridge.cli import late
late.is_open = lambda path: not path.startswith(sys.argv[1])
late.import_what_is_hidden()
print(*sys.modules)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may look into; pytest's own are for one user."""
    with TemporaryDirectory(dir="/var/tmp") as directory:
        os.chmod(directory, 0o755)
        path = Path(directory) / "a/b"
        path.mkdir(parents=True)
        (path / "x.py").touch(0o644)
        yield path


def test_a_file_for_everybody(place: Path) -> None:
    assert is_open(str(place / "x.py"))


@pytest.mark.parametrize("closed", ["a", "a/b", "a/b/x.py"])
def test_one_step_for_one_user_hides_it(place: Path, closed: str) -> None:
    path = place.parent.parent / closed
    path.chmod(path.stat().st_mode & ~0o001 if path.is_dir() else 0o640)
    assert not is_open(str(place / "x.py"))


@pytest.mark.parametrize("closed", ["a", "c"])
def test_both_ends_of_a_link_count(place: Path, closed: str) -> None:
    top = place.parent.parent
    (top / "c").mkdir()
    (top / "c/link").symlink_to("../a/b")
    assert is_open(str(top / "c/link/x.py"))
    (top / closed).chmod(0o700)
    assert not is_open(str(top / "c/link/x.py"))


@pytest.mark.parametrize(("hidden", "count"), [("/", len(LATE)), ("/nowhere", 0)])
def test_what_is_hidden_is_imported(hidden: str, count: int) -> None:
    said = subprocess.check_output(
        [sys.executable, "-c", IMPORTED, hidden], text=True, timeout=60, cwd=ROOT
    )
    assert len(set(LATE) & set(said.split())) == count
