"""Other people's monitors: busctl monitor and capture, dbus-monitor in each of its forms."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.buses import Bus, need, start
from tests.configs import busconfig, written
from tests.raw import DRIVER, Client, parse

DLT_DBUS = 231  # tcpdump.org/linktypes.html
MEMBER = "Seen"
ALL = """<policy context="default"><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
  <allow eavesdrop="true"/></policy>"""
NOT_THAT = """<policy context="mandatory">
  <deny send_interface="org.freedesktop.DBus.Monitoring"/></policy>"""


class Watching:
    """A monitor that writes to a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process, self.output = process, output

    def wait_for(self, words: str, by: Client) -> None:
        """Until it has written this; `by` sends signals meanwhile, as it may not watch yet."""

        def has_it() -> bool:
            by.signal(MEMBER, "su", "what", 7, path="/t", interface="t.Watched")
            by.settle()
            return words.encode() in self.output.read_bytes()

        by.until(has_it)

    def end(self) -> bytes:
        """All that it wrote, ended as by a user."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        return self.output.read_bytes()


@contextmanager
def watching(bus: Bus, output: Path, *argv: str) -> Iterator[Watching]:
    with (
        output.open("wb") as out,
        subprocess.Popen([need(argv[0]), *argv[1:]], stdout=out, env=bus.environment()) as process,
    ):
        try:
            yield Watching(process, output)
        finally:
            process.kill()


def pcap(capture: bytes) -> list[bytes]:
    """The packets of a pcap file: D-Bus messages."""
    magic, _, _, _, _, _, kind = struct.unpack_from("=IHHiIII", capture)
    assert (magic, kind) == (0xA1B2C3D4, DLT_DBUS)
    packets, at = [], 24
    while at + 16 <= len(capture):
        size, whole = struct.unpack_from("=II", capture, at + 8)
        assert size == whole
        packets.append(capture[at + 16 : at + 16 + size])
        at += 16 + size
    return packets


def pcapng(capture: bytes) -> list[bytes]:
    """The same of a pcapng file, which is made of blocks."""
    packets, kinds, at = [], [], 0
    while at + 12 <= len(capture):
        block, length = struct.unpack_from("=II", capture, at)
        if block == 1:  # a description of where packets are from
            kinds.append(struct.unpack_from("=H", capture, at + 8)[0])
        if block == 6:  # a packet
            size, whole = struct.unpack_from("=II", capture, at + 20)
            assert size == whole
            packets.append(capture[at + 28 : at + 28 + size])
        at += length
    assert kinds == [DLT_DBUS]
    return packets


def test_busctl_monitor(bus: Bus, a: Client, tmp_path: Path) -> None:
    with watching(bus, tmp_path / "out", "busctl", f"--address={bus.address}", "monitor") as busctl:
        busctl.wait_for(MEMBER, a)
        text = busctl.end().decode()
    assert "Type=signal  Endian=l" in text
    assert f"Sender={a.name}  Path=/t  Interface=t.Watched  Member={MEMBER}" in text
    assert 'STRING "what";' in text
    assert "UINT32 7;" in text


def test_busctl_monitor_of_one_name(bus: Bus, a: Client, b: Client, tmp_path: Path) -> None:
    options = (f"--address={bus.address}", "--json=short", "monitor", b.name)
    with watching(bus, tmp_path / "out", "busctl", *options) as busctl:
        busctl.wait_for(MEMBER, b)
        a.signal("Other")
        a.call("Called", to=b.name, interface="t.T")
        b.reply(b.receive("Called"), "s", "answered")
        busctl.wait_for("answered", b)
        seen = [json.loads(line) for line in busctl.end().splitlines()]
    assert {b.name} <= {each["sender"] for each in seen}
    assert all(b.name in (each["sender"], each.get("destination")) for each in seen)
    call = next(
        each for each in seen if each["type"] == "method_call" and each["member"] == "Called"
    )
    answer = next(each for each in seen if each.get("reply_cookie") == call["cookie"])
    assert answer["payload"] == {"type": "s", "data": ["answered"]}


@pytest.mark.parametrize(
    ("command", "packets_of"),
    [("busctl --address={} capture", pcapng), ("dbus-monitor --address {} --pcap", pcap)],
    ids=["busctl", "dbus-monitor"],
)
def test_captures(
    bus: Bus, a: Client, tmp_path: Path, command: str, packets_of: Callable[[bytes], list[bytes]]
) -> None:
    """What Wireshark and bustle read."""
    with watching(bus, tmp_path / "out", *command.format(bus.address).split()) as monitor:
        monitor.wait_for(MEMBER, a)
        packets = [parse(packet) for packet in packets_of(monitor.end())]
    assert [each.args for each in packets if each.member == MEMBER][:1] == [["what", 7]]
    assert {each.sender for each in packets if each.member == MEMBER} == {a.name}


def test_dbus_monitor(bus: Bus, a: Client, tmp_path: Path) -> None:
    with watching(bus, tmp_path / "out", "dbus-monitor", "--address", bus.address) as monitor:
        monitor.wait_for(MEMBER, a)
        text = monitor.end().decode()
    assert f"sender={DRIVER} -> destination=:1." in text
    assert "member=NameLost" in text.split(MEMBER)[0]  # its own name goes first
    assert f'interface=t.Watched; member={MEMBER}\n   string "what"\n   uint32 7\n' in text


def test_dbus_monitor_of_some_messages(bus: Bus, a: Client, tmp_path: Path) -> None:
    rules = ("type='signal',interface='t.Watched'", "type='error'")
    options = ("--address", bus.address, "--profile", *rules)
    with watching(bus, tmp_path / "out", "dbus-monitor", *options) as monitor:
        monitor.wait_for(MEMBER, a)
        a.ask("GetNameOwner", "s", "com.example.Nobody")
        monitor.wait_for("err\t", a)
        lines = [line.split("\t") for line in monitor.end().decode().splitlines()]
    about = [line for line in lines if not line[0].startswith("#")][2:]  # NameAcquired, NameLost
    assert {line[0] for line in about} == {"sig", "err"}
    assert {line[-1] for line in about if line[0] == "sig"} == {MEMBER}


def test_dbus_monitor_binary(bus: Bus, a: Client, tmp_path: Path) -> None:
    options = ("--address", bus.address, "--binary", "interface='t.Watched'")
    with watching(bus, tmp_path / "out", "dbus-monitor", *options) as monitor:
        monitor.wait_for(MEMBER, a)
        stream = monitor.end()
    assert stream.startswith(b"l\x04")
    assert b"t.Watched" in stream


def test_dbus_monitor_that_may_not_eavesdrops(bus_kind: str, tmp_path: Path) -> None:
    """Refused to become a monitor it adds match rules with eavesdrop='true'."""
    file = written(tmp_path, {"bus.conf": busconfig(ALL + NOT_THAT)})
    bus = start(bus_kind, tmp_path / "bus", argv=(f"--config-file={file}",))
    try:
        one, two = bus.connect(), bus.connect()
        with watching(bus, tmp_path / "out", "dbus-monitor", "--address", bus.address) as monitor:
            monitor.wait_for(MEMBER, one)
            one.signal("Private", to=two.name)
            monitor.wait_for("member=Private", one)
            assert f"destination={two.name}" in monitor.end().decode()
    finally:
        bus.stop()
