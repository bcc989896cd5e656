"""The journal gets one datagram a record, with the fields of a denial; nobody waits for it."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cli import log
from bridge.cli.journal import Journal
from bridge.cli.log import SystemLog, system_log


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where the journal listens."""
    monkeypatch.setattr(log, "JOURNAL", str(tmp_path / "journal"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "journal"))
        listening.setblocking(False)
        yield listening


def read(listening: socket.socket) -> dict[str, str]:
    """The fields of the next datagram, in either of the protocol's two spellings."""
    data, fields = listening.recv(1 << 16), {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if equals:
            fields[name.decode()], data = value.decode(), rest
        else:
            size = int.from_bytes(rest[:8], "little")
            fields[name.decode()] = rest[8 : 8 + size].decode()
            assert rest[8 + size :][:1] == b"\n"
            data = rest[9 + size :]
    return fields


def record(text: str, level: int = logging.WARNING, **more: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": text, "levelno": level, **more})


def test_a_denial_has_the_place_of_its_rule(heard: socket.socket) -> None:
    fields = {"BUS1_POLICY_FILE": "/etc/x.conf", "BUS1_POLICY_LINE": 7}
    Journal().emit(record("Rejected send message", journal=fields))
    assert read(heard) == {
        "MESSAGE": "Rejected send message",
        "PRIORITY": "4",
        "SYSLOG_FACILITY": "3",
        "SYSLOG_IDENTIFIER": "bus1-daemon",
        "SYSLOG_PID": str(os.getpid()),
        "BUS1_POLICY_FILE": "/etc/x.conf",
        "BUS1_POLICY_LINE": "7",
    }


def test_several_lines_are_one_record(heard: socket.socket) -> None:
    Journal().emit(record("one\ntwo\nPRIORITY=0", logging.ERROR))
    fields = read(heard)
    assert (fields["MESSAGE"], fields["PRIORITY"]) == ("one\ntwo\nPRIORITY=0", "3")


def test_nobody_is_too_long_to_be_logged(heard: socket.socket) -> None:
    """Who is denied something may choose a path of any length."""
    journal = Journal()
    journal.emit(record(f"Rejected path=/{'x' * 5_000_000}; rule 7"))
    said = read(heard)["MESSAGE"]
    assert said.startswith("Rejected path=/xxx")
    assert " [...] x" in said
    assert said.endswith("xxx; rule 7")
    assert len(said) < 5000
    assert journal.lost == 0


def test_what_is_lost_is_counted_and_said(heard: socket.socket) -> None:
    journal = Journal()
    sent = 0
    while journal.lost < 3:  # nobody reads: its queue is full soon
        journal.emit(record("text"))
        sent += 1
    for _ in range(sent - 3):
        assert read(heard)["MESSAGE"] == "text"
    journal.emit(record("last"))
    assert read(heard)["MESSAGE"] == "3 lines lost: nobody read this log"
    assert read(heard)["MESSAGE"] == "last"


def test_the_system_log_is_the_journal_where_there_is_one(
    heard: socket.socket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert isinstance(system_log(), Journal)
    monkeypatch.setattr(log, "JOURNAL", str(tmp_path / "nothing"))
    assert isinstance(system_log(), SystemLog)
