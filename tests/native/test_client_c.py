"""A client in C, written from PROTOCOL.md alone, does on a real bus what the page says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bus1.native import words
from tests.buses import need

HERE = Path(__file__).resolve().parent
SCENES = ["create", "inline", "memfd", "fds", "call", "multicast", "quiet", "errors", "end"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> str:
    program = tmp_path_factory.mktemp("c") / "scenes"
    sources = [str(HERE / name) for name in ("client.c", "scenes.c")]
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g"]
    subprocess.run([need("gcc"), *flags, *sources, "-o", str(program)], check=True)
    return str(program)


@pytest.mark.parametrize("scene", SCENES)
def test_a_client_in_c(scenes: str, scene: str, native: str) -> None:
    command = [scenes, native, scene]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


def test_every_scene_is_played(scenes: str) -> None:
    found = re.findall(r'\{ "(\w+)", \w+ \}', (HERE / "scenes.c").read_text())
    assert found == SCENES


def test_the_client_has_the_numbers_of_the_bus() -> None:
    """The header says what bus1/native/words.py says."""
    header = (HERE / "client.h").read_text()
    for name, value in re.findall(r"#define (\w+_MOST) (\d+)", header):
        assert getattr(words, name) == int(value), name
