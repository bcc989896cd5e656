"""The command `bus1`, called in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from bridge.cli import main

Said = tuple[object, str, str]
Bus1 = Callable[..., Said]


@pytest.fixture
def bus1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bus1:
    """Call it with these words: the status, and what it wrote."""

    def call(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["bus1", *words])
        with pytest.raises(SystemExit) as end:
            main.main()
        return (end.value.code, *capsys.readouterr())

    return call
