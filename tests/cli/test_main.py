"""The command `bus1`: what it does with its words; errors of use are one line and status 2."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli import demo, main, session
from tests.buses import ROOT, environment

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the commands were called with, instead of doing it; their status is 7."""
    calls: list[object] = []

    def note(*words: object) -> int:
        calls.append(words)
        return 7

    monkeypatch.setattr(session, "run_on_own_bus", note)
    monkeypatch.setattr(demo, "show", note)
    return calls


def status(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    monkeypatch.setattr(sys, "argv", ["bus1", *words])
    with pytest.raises(SystemExit) as end:
        main.main()
    return end.value.code


@pytest.mark.parametrize(
    ("words", "about"),
    [
        ("", "command"),
        ("nonsense", "'nonsense'"),
        ("--nonsense", "--nonsense"),
        ("demo surplus", "surplus"),
        ("demo --nonsense", "--nonsense"),
        ("session", "COMMAND"),
        ("session --", "COMMAND"),
    ],
)
def test_errors_of_use(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, said: list[object], words: str, about: str
) -> None:
    assert status(monkeypatch, *words.split()) == 2
    out, err = capsys.readouterr()
    assert (out, said) == ("", [])
    meant = "".join(f" {word}" for word in words.split() if word in ("demo", "session"))
    assert err.startswith(f"bus1{meant}: ")
    assert err.endswith(f" (try bus1{meant} --help)\n")
    assert err.count("\n") == 1
    assert about in err


def test_the_version_is_the_daemons(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    assert status(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"bus1 {importlib.metadata.version('bus1')}\n"


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("demo", ()),
        ("session -- cmd", (["cmd"],)),
        ("session cmd", (["cmd"],)),
        ("session cmd --help -x demo", (["cmd", "--help", "-x", "demo"],)),
        ("session -- cmd -- -x", (["cmd", "--", "-x"],)),
        ("session -- --odd", (["--odd"],)),
    ],
)
def test_a_command_gets_its_words_and_gives_the_status(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, said: list[object], words: str, call: object
) -> None:
    assert status(monkeypatch, *words.split()) == 7
    assert said == [call]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("words", ["--help", "session --help", "demo --help"])
def test_help(monkeypatch: pytest.MonkeyPatch, capsys: Captured, words: str) -> None:
    assert not status(monkeypatch, *words.split())
    out, err = capsys.readouterr()
    assert "Usage: " in out
    assert err == ""


def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "show", interrupted)
    assert status(monkeypatch, "demo") == 130
    assert capsys.readouterr() == ("", "")


def test_as_a_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli.main", "nonsense"],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment(tmp_path),
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bus1: No such command 'nonsense'. (try bus1 --help)\n"
