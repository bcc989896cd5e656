"""`bus1 monitor --pcap`: the same bytes as dbus-monitor's own file of the same traffic."""

from __future__ import annotations

import struct
import subprocess
import time
from pathlib import Path

from tests.buses import Bus, need
from tests.cli.watching import run, until_it_watches, watching
from tests.raw import CALL, DESTINATION, MEMBER, PATH, Client, build, parse

HEAD = struct.Struct("=IHHiIII")
RECORD = struct.Struct("=IIII")


def read(data: bytes) -> tuple[bytes, list[tuple[float, bytes]]]:
    """The head of a pcap file, and its messages with their times."""
    head, at, found = data[: HEAD.size], HEAD.size, []
    while at < len(data):
        seconds, micro, size, whole = RECORD.unpack_from(data, at)
        assert size == whole
        assert micro < 1_000_000
        at += RECORD.size
        assert at + size <= len(data)
        found.append((seconds + micro / 1e6, data[at : at + size]))
        at += size
    return head, found


def traffic(bus: Bus, a: Client, b: Client, name: str) -> None:
    """Of both byte orders, with and without body, and an error."""
    b.own(name)
    for order in "<>":
        fields = [(PATH, "/o"), (MEMBER, "Ask"), (DESTINATION, name)]
        serial = a.next_serial()
        a.write(build(CALL, serial, fields, "sv", ["\u00fc", ("a{sv}", {})], order=order))
        b.reply(b.receive("Ask"), "ay", b"x" * 100_000, order=order)
        a.answer(serial)
    a.ask("GetNameOwner", "s", "x.Nobody")
    a.signal("Last")


def test_a_file_is_as_that_of_dbus_monitor(
    bus: Bus, a: Client, b: Client, name: str, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "ours.pcap", tmp_path / "theirs.pcap"
    began = time.time()
    with watching(bus, "--pcap", str(ours)) as watcher, theirs.open("wb") as file:
        observer = bus.connect()
        observer.match("type='signal',member='NameOwnerChanged'")
        other = subprocess.Popen(
            [need("dbus-monitor"), "--address", bus.address, "--pcap"], stdout=file
        )
        try:
            until_it_watches(observer, other)
            traffic(bus, a, b, name)
            watcher.until("t.T.Last")
            a.until(lambda: read(theirs.read_bytes())[1][-1:] != [] and b"Last" in last(theirs))
        finally:
            other.terminate()
            other.wait(10)
        assert watcher.end()[0] == 0
    (head, seen), (same, known) = read(ours.read_bytes()), read(theirs.read_bytes())
    assert head == same == HEAD.pack(0xA1B2C3D4, 2, 4, 0, 0, 1 << 27, 231)
    messages = [raw for _, raw in seen]
    expected = [raw for _, raw in known if parse(raw).member not in ("NameAcquired", "NameLost")]
    start = messages.index(expected[0])
    rest = [
        raw for raw in messages[start:] if parse(raw).member not in ("NameAcquired", "NameLost")
    ]
    assert rest == expected
    assert {chr(raw[0]) for raw in rest} == {"l", "B"}
    assert all(began <= when <= time.time() for when, _ in seen)


def last(file: Path) -> bytes:
    return read(file.read_bytes())[1][-1][1]


def test_standard_output(bus: Bus, a: Client) -> None:
    with watching(bus, "--pcap", "-", "--interface", "t.T", "--limit", "1") as watcher:
        a.signal("Once", "s", "x")
        watcher.process.wait(20)
        out, err = watcher.process.communicate()
    (_, raw) = read(out)[1][0]
    assert parse(raw).args == ["x"]
    assert b"1 message in " in err


def test_an_old_file_survives_a_bus_that_is_not_there(bus: Bus, tmp_path: Path) -> None:
    file = tmp_path / "old.pcap"
    file.write_bytes(b"precious" * 1000)
    assert run(bus, "--address", "unix:path=/no", "--pcap", str(file))[0] == 2
    assert file.read_bytes() == b"precious" * 1000
    with watching(bus, "--pcap", str(file)) as watcher:
        watcher.end()
    assert len(file.read_bytes()) >= HEAD.size
    assert file.read_bytes()[:4] == struct.pack("=I", 0xA1B2C3D4)
    assert b"precious" not in file.read_bytes()


def test_a_full_disk(bus: Bus, a: Client) -> None:
    with watching(bus, "--pcap", "/dev/full", "--interface", "t.T") as watcher:
        watcher.process.wait(20)
        status, _, err = watcher.end()
    assert (status, err) == (2, "bus1 monitor: cannot write: No space left on device\n")
