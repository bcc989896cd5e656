"""Where `bus1 monitor` writes: never waits, holds so much and no more, and says what it dropped."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cli.monitor.names import Names
from bridge.cli.monitor.outlet import HELD, Outlet
from bridge.cli.monitor.pairs import Event
from bridge.cli.monitor.views import Json
from bridge.cli.reading import Reader
from tests.buses import Bus, start
from tests.cli.watching import watching
from tests.raw import INTERFACE, MEMBER, PATH, SENDER, SIGNAL, Client, build


def big(serial: int = 1) -> Event:
    """A message whose line is about a megabyte."""
    fields = [(PATH, "/"), (INTERFACE, "t.T"), (MEMBER, "Big"), (SENDER, ":1.1")]
    raw = build(SIGNAL, serial, fields, "s", ["x" * 1_000_000])
    return Event(Reader().read(raw, (0.0, 0.0)))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for end in (read, write):
        try:
            os.close(end)
        except OSError:
            continue


def test_a_reader_that_sleeps_costs_messages_and_no_time(pipe: tuple[int, int]) -> None:
    read, write = pipe
    outlet = Outlet(write, Json(Names()))
    began = time.monotonic()
    written = [outlet.message(big()) for _ in range(20)]
    outlet.flush()
    assert time.monotonic() - began < 5
    assert len(outlet.held) < HELD + 2_000_000
    assert written == sorted(written, reverse=True)
    assert 0 < sum(written) < 20
    text = b""
    while outlet.held:
        outlet.flush()
        text += os.read(read, 1 << 20)
    lines = text.splitlines()
    assert len(lines) == sum(written) + 1
    assert lines[-1] == b'{"type": "lost", "count": %d, "where": "here"}' % (20 - sum(written))


def test_a_reader_that_is_gone(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1], Json(Names()))
    os.close(pipe[0])
    outlet.message(big())
    with pytest.raises(BrokenPipeError):
        outlet.flush()


def test_a_terminal_that_stands_still(tmp_path: Path) -> None:
    """Nobody reads it: the monitor reads on, and can be stopped."""
    bus = start("dbus-daemon", tmp_path)
    a = bus.connect()
    terminal, other = pty.openpty()
    with watching(bus, "--interface", "t.T", stdout=other) as watcher:
        for _ in range(2_000):
            a.signal("Said", "s", "x" * 100)
        a.settle()
        time.sleep(0.5)
        watcher.process.terminate()
        end = time.monotonic() + 10
        while watcher.process.poll() is None:  # the closing words wait for the terminal
            assert time.monotonic() < end
            if select.select([terminal], [], [], 0.1)[0]:
                os.read(terminal, 1 << 16)
        assert watcher.process.returncode == 0
    os.close(terminal)
    os.close(other)
    bus.stop()


def on_a_terminal(bus: Bus, a: Client, **variables: str) -> str:
    """What it writes there of an error, and a summary."""
    terminal, other = pty.openpty()
    environment = bus.environment(TERM="xterm-256color", **variables)
    for name in {"NO_COLOR", "FORCE_COLOR"} - set(variables):
        environment.pop(name, None)
    with watching(bus, "--errors", "--limit", "2", stdout=other, env=environment) as watcher:
        os.close(other)
        a.ask("GetNameOwner", "s", "x.Nobody")
        assert watcher.process.wait(20) == 0
    text = b""
    try:
        while part := os.read(terminal, 4096):
            text += part
    except OSError:  # EIO: nobody writes any more
        os.close(terminal)
    return text.decode().replace("\r\n", "\n")


def test_colour_is_for_terminals(bus: Bus, a: Client) -> None:
    text = on_a_terminal(bus, a)
    assert "\x1b[1;31merror\x1b[0m" in text
    assert re.search("\x1b\\[31morg.freedesktop.DBus.Error.NameHasNoOwner .*no such name", text)
    assert "2 messages in " in text
    assert not re.search("\x1b\\[[0-9;]*3[0-7]m", on_a_terminal(bus, a, NO_COLOR="1"))


def test_our_bus_tells_a_slow_monitor_what_it_lost(tmp_path: Path) -> None:
    """Each message is shown or counted, and the capture has the bus's own word for it. (What is
    counted may also be the end of a connection, which monitors hear of.)"""
    bus, file, many = start("ours", tmp_path), tmp_path / "seen.pcap", 3_000
    a = bus.connect()
    with watching(bus, "--json", "--pcap", str(file), "--interface", "t.T") as watcher:
        watcher.process.send_signal(signal.SIGSTOP)
        for _ in range(many):
            a.signal("Big", "s", "x" * 60_000)
        a.settle()
        watcher.process.send_signal(signal.SIGCONT)
        while True:
            shown, lost = counted(watcher.text)
            if shown + lost >= many:
                break
            watcher.more()
        status, out, err = watcher.end()
    assert (status, out) == (0, "")
    assert 0 < shown < many <= shown + lost <= many + 2
    assert '"where": "bus"' in watcher.text
    assert re.search(r"\nlost: \d\d+", err)
    assert b"org.bus1.Monitor1" in file.read_bytes()
    bus.stop()


def counted(text: str) -> tuple[int, int]:
    """Big messages that were shown, and messages that were lost, here or there."""
    lines = text.split("\n")[:-1]
    lost = [json.loads(line)["count"] for line in lines if '"type": "lost"' in line]
    return sum('"member": "Big"' in line for line in lines), sum(lost)
