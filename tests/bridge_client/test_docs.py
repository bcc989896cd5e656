"""docs/bridge.md, word for word: its programs run, and the commands print what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.buses import ROOT, Bus, first_line, need

TEXT = (ROOT / "docs" / "bridge.md").read_text()
BLOCKS = [
    re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") + "\n"
    for block in re.findall(r"(?:^(?:    .*)?\n)+", TEXT, re.MULTILINE)
    if block.strip()
]


def programs() -> dict[str, str]:
    """The blocks that begin with the name of a file."""
    named = [(re.match(r"# (\w+\.py)\n", block), block) for block in BLOCKS]
    return {found[1]: block for found, block in named if found}


def commands() -> Iterator[tuple[list[str], str]]:
    """Command lines, and what each prints, in the order of the page."""
    for block in BLOCKS:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            yield shlex.split(line), output


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, text in programs().items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_all_of_it(native_bus: Bus, place: Path) -> None:
    """Programs that are followed by & run until the end; they say when they are ready."""
    environment = native_bus.environment(BUS1_ADDRESS=f"unix:path={native_bus.directory}/native")
    running: list[subprocess.Popen[bytes]] = []
    count = 0
    try:
        for words, output in commands():
            program = sys.executable if words[0] == "python3" else need(words[0])
            behind = words[-1] == "&"
            argv = [program, *(words[1:-1] if behind else words[1:])]
            process = subprocess.Popen(
                argv, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            running.append(process)
            count += 1
            if behind:
                assert first_line(process) == "ready", words
            else:
                told, _ = process.communicate(timeout=30)
                assert told.decode() == output, words
    finally:
        for process in running:
            process.kill()
            process.communicate()
    assert count == 12
