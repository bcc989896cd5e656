"""The project as a wheel, and all that it depends on as wheels: made here, for the machine.

The compiled modules are those of the checkout (tests/test_build.py sees to it that they are
younger than their text); to compile them once more takes minutes and would test the same.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

from tests.boot.trouble import Trouble
from tests.buses import ROOT

PYTHON = (3, 11)  # of the Debian that is booted
GLIBC = (2, 36)
COMPILED = f"build/lib.{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
AS_THEY_ARE = (
    "--config-settings=--global-option=build_py",
    "--config-settings=--build-option=--skip-build",
)


def dependencies() -> list[str]:
    """What the project asks for."""
    return [str(each) for each in pyproject()["project"]["dependencies"]]


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def fetch(place: Path) -> None:
    """The dependencies, and what these depend on."""
    check_kinship()
    pip("wheel", "--wheel-dir", str(place), *dependencies())


def project(place: Path) -> Path:
    """The wheel of this checkout."""
    check_kinship()
    source = place / "source"
    for name in tracked():
        copy(ROOT / name, source / name)
    options: tuple[str, ...] = ()
    if compiled := fresh():
        options = AS_THEY_ARE
        for path in compiled:
            copy(path, source / COMPILED / path.relative_to(ROOT))
    pip("wheel", "--no-deps", "--wheel-dir", str(place), *options, str(source))
    (wheel,) = place.glob("bus1-*.whl")
    return wheel


def check_kinship() -> None:
    """What is compiled here must run there."""
    name, version = platform.libc_ver()
    if sys.version_info[:2] != PYTHON:
        raise Trouble(f"Python {'.'.join(map(str, PYTHON))} is needed, as in the machine")
    if name != "glibc" or tuple(map(int, version.split(".")[:2])) > GLIBC:
        raise Trouble(f"glibc {'.'.join(map(str, GLIBC))} or older is needed, not {name} {version}")


def tracked() -> list[str]:
    """The files of the checkout, with those that are new, without what is made from them."""
    said = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    names = [os.fsdecode(name) for name in said.split(b"\0") if name]
    return [name for name in names if (ROOT / name).is_file()]


def fresh() -> list[Path]:
    """The compiled modules; none, if one of them is missing or older than its text."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    found = []
    for each in pyproject()["tool"]["setuptools"]["ext-modules"]:
        sources = [ROOT / name for name in each["sources"]]
        module = sources[0].with_suffix(suffix)
        types = [path.with_suffix(".pxd") for path in sources]
        written = [path.stat().st_mtime for path in (*sources, *types) if path.exists()]
        if module.exists() and module.stat().st_mtime >= max(written):
            found.append(module)
        elif not each.get("optional"):
            return []
    return found


def copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Trouble(f"pip {arguments[0]} failed:\n{done.stderr[-2000:]}")
