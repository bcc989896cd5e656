"""A message as bytes that leave: a line of JSON, or a record of a pcap file."""

import json
import struct
from abc import abstractmethod
from typing import Any, Final, Protocol, final

from bridge.cli.monitor.names import Names
from bridge.cli.monitor.pairs import Event
from bridge.cli.monitor.values import record
from bridge.cli.reading import LONGEST, Seen
from bridge.wire.frame import Frame
from bridge.wire.protocol import NO_AUTO_START, NO_REPLY_EXPECTED, TYPES

# As `dbus-monitor --pcap` begins: the magic number of microseconds in the machine's byte order,
# version 2.4, no time zone, no accuracy, the longest message, and the link type of D-Bus.
PCAP: Final = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, LONGEST, 231)
ALLOW_INTERACTIVE: Final = 4
FLAGS: Final = {
    NO_REPLY_EXPECTED: "no-reply-expected",
    NO_AUTO_START: "no-auto-start",
    ALLOW_INTERACTIVE: "allow-interactive-authorization",
}


class View(Protocol):
    """How messages are written."""

    @abstractmethod
    def head(self) -> bytes:
        """What comes first."""

    @abstractmethod
    def message(self, event: Event) -> bytes:
        """One message."""

    @abstractmethod
    def lost(self, count: int, by_bus: Seen | None) -> bytes:
        """So many were lost: the bus's own message says so, or it was here."""


@final
class Pcap:
    """For wireshark, bustle and the like."""

    def head(self) -> bytes:
        return PCAP

    def message(self, event: Event) -> bytes:
        return self.entry(event.seen)

    def lost(self, count: int, by_bus: Seen | None) -> bytes:
        return self.entry(by_bus) if by_bus else b""

    def entry(self, seen: Seen) -> bytes:
        seconds, micro = divmod(round(seen.time * 1e6), 1_000_000)
        size = len(seen.raw)
        return struct.pack("=IIII", seconds, micro, size, size) + seen.raw


@final
class Json:
    """For programs: an object a line, without what does not apply."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def head(self) -> bytes:
        return b""

    def message(self, event: Event) -> bytes:
        frame = event.seen.frame
        known: dict[str, Any] = {
            "time": round(event.seen.time, 6),
            "type": kind_of(frame),
            "serial": frame.serial,
            "reply_serial": frame.reply_serial or None,
            "flags": [word for flag, word in FLAGS.items() if frame.flags & flag] or None,
            **self.end("sender", frame.sender()),
            **self.end("destination", frame.destination()),
            "path": frame.path(),
            "interface": frame.interface(),
            "member": frame.member(),
            "error": frame.error_name(),
            "fds": frame.fd_count or None,
            "size": len(event.seen.raw),
            "signature": frame.signature(),
            "body": record(frame),
            **answer(event),
        }
        return line({key: value for key, value in known.items() if value is not None})

    def end(self, key: str, name: str | None) -> dict[str, Any]:
        """Who sends or receives: what the message says, and what it means."""
        owner = self.names.owner(name)
        found = {key: name, f"{key}_names": list(self.names.of(owner)) or None}
        return found if owner == name else found | {f"{key}_owner": owner}

    def lost(self, count: int, by_bus: Seen | None) -> bytes:
        return line({"type": "lost", "count": count, "where": "bus" if by_bus else "here"})


def answer(event: Event) -> dict[str, Any]:
    """What is known of a reply besides what it says."""
    latency, asked = event.latency(), event.answers
    found: dict[str, Any] = {"verdict": event.verdict()}
    if latency is not None:
        found["latency"] = round(latency, 6)
    if asked is not None:
        call = {"path": asked.path, "interface": asked.interface, "member": asked.member}
        call["destination"] = asked.destination
        found["answers"] = {key: value for key, value in call.items() if value is not None}
    return found


def kind_of(frame: Frame) -> str:
    return TYPES[frame.kind] if frame.kind < len(TYPES) else str(frame.kind)


def line(found: dict[str, Any]) -> bytes:
    return json.dumps(found).encode() + b"\n"
