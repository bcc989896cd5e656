"""What the log's entries say in fields of a bus at work; its ordinary life has no errors."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.routing.entry import Kind
from bridge.transport import reload
from policy.configuration import ConfigError
from tests.buses import ROOT, environment, first_line
from tests.cli.test_journal import read
from tests.raw import Client, build
from tests.transport.running import Running

Make = Callable[..., Running]
US = {"BUS1_UID": os.geteuid(), "BUS1_PID": os.getpid()}


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[Kind], dict[str, Any]]:
    """The fields of the one entry of this kind."""

    def find(kind: Kind) -> dict[str, Any]:
        entries = [getattr(record, "journal", {}) for record in caplog.records]
        (found,) = [each for each in entries if each.get("MESSAGE_ID") == kind.value]
        del found["MESSAGE_ID"]
        if "BUS1_COMM" in found:
            assert found.pop("BUS1_COMM") == Path("/proc/self/comm").read_text().rstrip()
        found.pop("BUS1_LABEL", None)
        return found

    return find


def test_a_client_at_fault(here: Running, said: Callable[[Kind], dict[str, Any]]) -> None:
    client = here.connect()
    client.own("com.example.Fault")
    client.write(build(1, 0))
    client.rest()
    assert said(Kind.DISCONNECTED) == {
        "BUS1_UNIQUE_NAME": client.name,
        "BUS1_NAMES": "com.example.Fault",
        "BUS1_REASON": "serial 0",
        **US,
    }


def test_somebody_who_is_no_client(here: Running, said: Callable[[Kind], dict[str, Any]]) -> None:
    with here.socket() as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n")
        assert stranger.recv(100) == b""
    fields = said(Kind.DISCONNECTED)
    assert fields.pop("BUS1_REASON")
    assert fields == US


def test_one_who_does_not_read(make: Make, said: Callable[[Kind], dict[str, Any]]) -> None:
    here = make(max_outgoing_messages=5)
    a, stuck = here.connect(), here.connect()
    stuck.match("member=S")
    here.narrow(stuck)
    while here.client(stuck).dropped < 1:
        a.signal("S", "s", "x" * 2000)
        a.settle()
    assert said(Kind.DROPPED) == {
        "BUS1_UNIQUE_NAME": stuck.name,
        "BUS1_DROPPED": 1,
        "BUS1_SENDER": a.name,
        **US,
    }


def test_a_reload(here: Running, said: Callable[[Kind], dict[str, Any]]) -> None:
    a = here.connect()
    a.ask("ReloadConfig")
    assert said(Kind.RELOADED)["BUS1_CHANGES"]


def test_a_reload_that_fails(
    here: Running, said: Callable[[Kind], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(read: object) -> None:
        raise ConfigError("nonsense")

    a = here.connect()
    monkeypatch.setattr(reload, "load", wrong)
    a.ask("ReloadConfig")
    assert said(Kind.NOT_RELOADED) == {"BUS1_REASON": "nonsense"}


# --------------------------------------------------------------- a whole life in the journal

DAEMON = """
import sys
from bridge.cli import daemon, log
log.JOURNAL = sys.argv.pop(1)
sys.exit(daemon.main())
"""
SERVICE = """
import sys, time
from tests.raw import Client
client = Client(sys.argv[1])
client.own("com.example.C")
print("here", flush=True)
time.sleep(60)
"""


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("journal")
        listening.settimeout(10)
        yield listening


def live(address: str) -> None:
    """What happens on any bus: clients come, talk, misbehave, are killed and are not answered."""
    a, b, c = Client(address), Client(address), Client(address)
    a.match("type=signal")
    b.own("com.example.B")
    a.call("Ask", to="com.example.B")
    b.signal("S", to=a.name)
    b.signal("S")
    a.ask("Nothing", to="com.example.Nobody")
    b.write(build(1, 0))
    b.rest()
    child = subprocess.Popen(
        [sys.executable, "-c", SERVICE, address],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert first_line(child) == "here"
    c.call("Ask", to="com.example.C")
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert c.wait(lambda m: m.error is not None).error == "org.freedesktop.DBus.Error.NoReply"
    for each in (a, b, c):
        each.close()


def test_a_life(journal: socket.socket, tmp_path: Path) -> None:
    """It begins, reloads, ends; stderr is empty, and nothing has the priority of an error."""
    (tmp_path / "empty").mkdir(mode=0o700)  # the runtime directory, which should be there
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            DAEMON,
            str(tmp_path / "journal"),
            "--session",
            "--syslog",
            "--address=unix:path=bus",
            "--print-address=1",
            "--nofork",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
        cwd=tmp_path,
    )
    address = first_line(process)
    try:
        live(address)
        process.send_signal(signal.SIGHUP)
        entries = [read(journal)]
        while entries[-1].get("MESSAGE_ID") != Kind.RELOADED.value:
            entries.append(read(journal))
    finally:
        process.terminate()
        _, err = process.communicate(timeout=20)
    entries.append(read(journal))
    first, last = entries[0], entries[-1]
    assert first["MESSAGE_ID"] == Kind.SERVING.value
    assert first["MESSAGE"].endswith(f"] Serving clients at {address}")
    assert first["BUS1_ADDRESS"] == address
    assert re.fullmatch("[0-9a-f]{32}", first["BUS1_GUID"])
    assert last["MESSAGE_ID"] == Kind.ENDING.value
    assert last["MESSAGE"].endswith("] Ending, as SIGTERM wants")
    assert last["BUS1_CLIENTS"] == "0"
    assert [each["MESSAGE"] for each in entries if int(each["PRIORITY"]) <= 3] == []
    lines = err.decode().splitlines()
    assert [line for line in lines if "Disconnecting" not in line and "Reloaded" not in line] == []
    assert len(lines) == 2
    assert logging.getLogger("bus1.lifecycle").handlers == []
