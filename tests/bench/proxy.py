"""A bus in front of a bus that damages one message: does loadgen notice? Knows no workload."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

RETURN, SIGNAL = 2, 4
REPLY_SERIAL, MEMBER, SENDER = 5, 3, 7
AGREED = b"AGREE_UNIX_FD\r\n"


def u32(message: bytes, at: int) -> int:
    return int(struct.unpack_from("=I", message, at)[0])


def padded(position: int) -> int:
    return position + -position % 8


def body_at(message: bytes) -> int:
    return padded(16 + u32(message, 12))


def size(data: bytes) -> int:
    """Of the first message in data."""
    return body_at(data) + u32(data, 4)


def field_at(message: bytes, code: int) -> int:
    """Where the value of a header field is."""
    at, end = 16, 16 + u32(message, 12)
    while at < end:
        at = padded(at)
        found, kind = message[at], chr(message[at + 2])
        at += 4
        if found == code:
            return at
        at += {"u": 4, "g": 2 + message[at]}.get(kind) or 5 + u32(message, at)
    raise ValueError(f"no field {code}")


def patch(message: bytes, at: int, new: bytes) -> list[bytes]:
    return [message[:at] + new + message[at + len(new) :]]


def sender(message: bytes) -> list[bytes]:
    """Another last digit."""
    at = field_at(message, SENDER)
    last = at + 4 + u32(message, at) - 1
    return patch(message, last, b"8" if message[last : last + 1] == b"7" else b"7")


def shorten(message: bytes) -> list[bytes]:
    """One byte less, consistently: the array's and the body's length."""
    body = body_at(message)
    lengths = struct.pack("=I", u32(message, 4) - 1), struct.pack("=I", u32(message, body) - 1)
    return [message[:4] + lengths[0] + message[8:body] + lengths[1] + message[body + 4 : -1]]


def reply_serial(message: bytes) -> list[bytes]:
    at = field_at(message, REPLY_SERIAL)
    return patch(message, at, struct.pack("=I", u32(message, at) + 1))


FAULTS: dict[str, Callable[[bytes], list[bytes]]] = {
    "drop": lambda m: [],
    "duplicate": lambda m: [m, m],
    "sender": sender,
    "shorten": shorten,
    "flip a payload byte": lambda m: patch(m, len(m) - 3, bytes([m[-3] ^ 1])),
    "flip the sequence": lambda m: patch(m, body_at(m) + 11, b"z"),
    "reply serial": reply_serial,
    "member": lambda m: patch(m, field_at(m, MEMBER) + 4, b"X"),
    "turn into an error": lambda m: patch(m, 1, b"\3"),
}


class Fault(NamedTuple):
    """What happens to the nth message of a type that contains a marker."""

    how: str  # a key of FAULTS, or "swap", "misdeliver", "hang up"
    kind: int
    marker: bytes
    nth: int


class Proxy:
    def __init__(self, upstream: str, fault: Fault | None, directory: Path) -> None:
        self.path = str(directory / "proxy")
        self.upstream = upstream
        self.fault = fault
        self.fired = False
        self.count = 0
        self.held: bytes | None = None
        self.lock = threading.Lock()
        self.clients: list[socket.socket] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.start(self.accept)

    def start(self, run: Callable[..., None], *arguments: socket.socket) -> None:
        threading.Thread(target=self.shielded, args=(run, *arguments), daemon=True).start()

    @staticmethod
    def shielded(run: Callable[..., None], *arguments: socket.socket) -> None:
        """Sockets close while others use them; that is what hanging up means."""
        try:
            run(*arguments)
        except OSError:
            for one in arguments:
                one.close()

    def accept(self) -> None:
        while True:
            client = self.listener.accept()[0]
            bus = socket.socket(socket.AF_UNIX)
            bus.connect(self.upstream)
            self.clients.append(client)
            self.start(self.upwards, client, bus)
            self.start(self.downwards, client, bus)

    def upwards(self, client: socket.socket, bus: socket.socket) -> None:
        while data := client.recv(65536):
            bus.sendall(data)
        bus.shutdown(socket.SHUT_WR)

    def downwards(self, client: socket.socket, bus: socket.socket) -> None:
        data = self.authentication(client, bus)
        while True:
            out = []
            while len(data) >= 16 and len(data) >= size(data):
                message, data = data[: size(data)], data[size(data) :]
                out += self.damage(client, message)
            client.sendall(b"".join(out))
            part = bus.recv(65536)
            if not part:
                break
            data += part
        client.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def authentication(client: socket.socket, bus: socket.socket) -> bytes:
        """Passed on as it is; returns what came after it."""
        data = b""
        while AGREED not in data:
            part = bus.recv(65536)
            if not part:
                raise ConnectionError
            data += part
            head, found, _ = data.partition(AGREED)
            if not found:
                client.sendall(data)
                data = b""
        client.sendall(head + AGREED)
        return data[len(head) + len(AGREED) :]

    def damage(self, client: socket.socket, message: bytes) -> list[bytes]:
        fault = self.fault
        if not fault or message[1] != fault.kind or fault.marker not in message:
            return [message]
        with self.lock:
            self.count += 1
            if self.held:
                held, self.held = self.held, None
                return [message, held]
            if self.count != fault.nth:
                return [message]
            self.fired = True
        if fault.how == "swap":
            self.held = message
            return []
        if fault.how == "hang up":
            client.shutdown(socket.SHUT_RDWR)
            return []
        if fault.how == "misdeliver":  # to everybody, also to those who did not ask for it
            for other in self.clients:
                if other is not client:
                    other.sendall(message)
            return [message]
        return FAULTS[fault.how](message)

    def close(self) -> None:
        self.listener.close()
