"""Peer: a machine's id from the files that libdbus reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.driver import peer
from tests.driver.desk import Caller
from tests.raw import DRIVER, Client

PEER = DRIVER + ".Peer"
ID = "0123456789abcdef0123456789abcdef"


def test_ping(a: Client) -> None:
    assert str(a.ask("Ping", interface=PEER)) == "=()"


def test_machine_id_is_the_reference_s(a: Client, caller: Caller) -> None:
    machine = a.ask("GetMachineId", interface=PEER).args
    assert machine == caller.ask("GetMachineId", interface=PEER).args


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ([ID + "\n", None], f"=({ID})"),
        ([None, ID], f"=({ID})"),
        (["uninitialized\n", ID + "\n"], f"=({ID})"),
        ([ID + "0\n", None], "!Failed"),
        ([ID + "\nmore", None], "!Failed"),
        (["", None], "!Failed"),
        ([None, None], "!Failed"),
    ],
)
def test_machine_id_files(
    caller: Caller,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: list[str | None],
    answer: str,
) -> None:
    for number, content in enumerate(files):
        if content is not None:
            (tmp_path / str(number)).write_text(content)
    monkeypatch.setattr(peer, "FILES", (str(tmp_path / "0"), str(tmp_path / "1")))
    assert str(caller.ask("GetMachineId", interface=PEER)) == answer
