"""What is meant to be compiled is compiled, from the text that stands here, and listed once.

A stale extension silently wins over an edited source, and a missing one silently loses to it.
"""

import importlib.machinery
import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.buses import missing

ROOT = Path(__file__).parent.parent
SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
PROGRAM = "bridge.cli.trampoline"  # the only one that is no module
UNCOMPILED = os.environ.get("BUS1_UNCOMPILED") == "1"


def compiled() -> list[Path]:
    """Sources that have a sibling .pxd: the project's sign for 'this is compiled'."""
    return sorted(
        source
        for room in ("bus1", "bridge", "policy")
        for pxd in (ROOT / room).rglob("*.pxd")
        for source in (pxd.with_suffix(".py"), pxd.with_suffix(".pyx"))
        if source.exists()
    )


def listed() -> dict[str, list[str]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        modules = tomllib.load(file)["tool"]["setuptools"]["ext-modules"]
    return {each["name"]: each["sources"] for each in modules if each["name"] != PROGRAM}


def test_pyproject_lists_every_compiled_module() -> None:
    expected = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): [str(path.relative_to(ROOT))]
        for path in compiled()
    }
    assert listed() == expected


def test_pyproject_lists_every_package() -> None:
    """An editable install finds those that are missing there; an ordinary one does not."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        packages = tomllib.load(file)["tool"]["setuptools"]["packages"]
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for room in ("bus1", "bridge", "policy")
        for path in (ROOT / room).rglob("__init__.py")
    }
    assert set(packages) == found | {"policy.conf"}


@pytest.mark.parametrize("source", compiled(), ids=lambda path: str(path.relative_to(ROOT)))
def test_compiled_and_newer_than_its_text(source: Path) -> None:
    extension = source.with_name(source.stem + SUFFIX)
    assert extension.exists(), f"{source} is not compiled: pip install -e ."
    for text in (source, source.with_suffix(".pxd")):
        assert extension.stat().st_mtime >= text.stat().st_mtime, f"{text} is newer than its .so"


@pytest.mark.parametrize("name", sorted(listed()))
def test_what_is_imported_is_what_is_meant(name: str) -> None:
    module = importlib.import_module(name)
    is_memory = (ROOT / (name.replace(".", "/") + ".pyx")).exists()
    expected = SUFFIX if is_memory or not UNCOMPILED else ".py"
    assert module.__file__ is not None
    assert module.__file__.endswith(expected)


def test_the_setuid_program_needs_no_loader() -> None:
    """It would take libraries from where the compiler's own are: a user's directory, perhaps."""
    source = ROOT / "bridge/cli/trampoline.c"
    program = source.with_name(source.stem + SUFFIX)
    if not program.exists():
        missing("there is no static libc to link bridge/cli/trampoline.c with")
    assert program.stat().st_mtime >= source.stat().st_mtime
    image = program.read_bytes()
    assert image[:4] == b"\x7fELF"
    assert b"\0.interp\0" not in image
    assert subprocess.run([program], check=False, env={}).returncode in (7, 10)
