"""Security modules that this machine may not have: libraries of the test's own, in their place."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bridge.mediation.audit import Audit
from tests.buses import need
from tests.routing.conftest import a, b, c, world

__all__ = ["a", "b", "c", "world"]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The three libraries in one file."""
    made = tmp_path_factory.mktemp("libraries") / "libraries.so"
    source = Path(__file__).with_name("libraries.c")
    subprocess.run(
        [need("gcc"), "-D_GNU_SOURCE", "-shared", "-fPIC", "-Wall", "-o", str(made), str(source)],
        check=True,
    )
    return str(made)


class Fake:
    """What the library was asked last."""

    def __init__(self, path: str) -> None:
        self.library: Any = ctypes.CDLL(path)

    def question(self) -> bytes:
        size = ctypes.c_size_t.in_dll(self.library, "size").value
        return (ctypes.c_char * 65536).in_dll(self.library, "question").raw[:size]

    def mask(self) -> int:
        return ctypes.c_uint32.in_dll(self.library, "mask").value

    def enable(self, state: int) -> None:
        ctypes.c_int.in_dll(self.library, "enabled").value = state


@pytest.fixture
def fake(library: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    """The library, and a kernel that mediates D-Bus."""
    place = tmp_path / "apparmor"
    (place / "features/dbus").mkdir(parents=True)
    (place / "features/dbus/mask").write_text("acquire send receive\n")
    monkeypatch.setenv("FAKE_APPARMOR", str(place))
    monkeypatch.setenv("FAKE_AUDIT", str(tmp_path / "audit"))
    found = Fake(library)
    found.enable(1)
    return found


class Records:
    """The audit log."""

    def __init__(self, path: Path, audit: Audit) -> None:
        self.path, self.audit = path, audit

    def take(self) -> list[str]:
        """What was recorded since the last time."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        if lines:
            self.path.write_text("")
        return lines


@pytest.fixture
def records(fake: Fake, library: str, tmp_path: Path) -> Records:
    return Records(tmp_path / "audit", Audit(library))
