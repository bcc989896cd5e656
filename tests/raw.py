"""A D-Bus client on a blocking socket, for tests: it sends any bytes and keeps the order.

It shares no code with the bus: marshalling is its own, for both byte orders.
"""

from __future__ import annotations

import array
import os
import socket
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

DRIVER = "org.freedesktop.DBus"
DRIVER_PATH = "/org/freedesktop/DBus"
CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
NO_REPLY, NO_AUTO_START = 1, 2
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE, UNIX_FDS = range(
    1, 10
)
FIELD_TYPE = {1: "o", 2: "s", 3: "s", 4: "s", 5: "u", 6: "s", 7: "s", 8: "g", 9: "u"}
TIMEOUT = 10.0

# ------------------------------------------------------------------ marshalling

ALIGN = dict(
    zip("ybnqiuxtdsogav({h", (1, 4, 2, 2, 4, 4, 8, 8, 8, 4, 4, 1, 4, 1, 8, 8, 4), strict=True)
)
FIXED = dict(zip("ybnqiuxtdh", "BIhHiIqQdI", strict=True))


def split(signature: str) -> list[str]:
    """'ua(st)v' -> ['u', 'a(st)', 'v']"""
    types, start = [], 0
    while start < len(signature):
        end = start
        while signature[end] == "a":
            end += 1
        depth = 0
        while True:
            depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(signature[end], 0)
            end += 1
            if not depth:
                break
        types.append(signature[start:end])
        start = end
    return types


def put(out: bytearray, kind: str, value: Any, order: str) -> None:
    code = kind[0]
    out.extend(bytes(-len(out) % ALIGN[code]))
    if code in FIXED:
        out += struct.pack(order + FIXED[code], value)
    elif code in "so":
        text = value if isinstance(value, bytes) else value.encode()
        out += struct.pack(order + "I", len(text)) + text + b"\0"
    elif code == "g":
        out += bytes([len(value)]) + value.encode() + b"\0"
    elif code == "v":
        put(out, "g", value[0], order)
        put(out, value[0], value[1], order)
    elif code in "({":
        for each, item in zip(split(kind[1:-1]), value, strict=True):
            put(out, each, item, order)
    else:
        if kind == "ay":
            out += struct.pack(order + "I", len(value)) + bytes(value)
            return
        length_at = len(out)
        out += bytes(4)
        out.extend(bytes(-len(out) % ALIGN[kind[1]]))
        start = len(out)
        for item in value.items() if isinstance(value, dict) else value:
            put(out, kind[1:], item, order)
        struct.pack_into(order + "I", out, length_at, len(out) - start)


def pack(signature: str, values: Sequence[Any], order: str = "<") -> bytes:
    out = bytearray()
    for kind, value in zip(split(signature), values, strict=True):
        put(out, kind, value, order)
    return bytes(out)


def take(data: bytes, at: int, kind: str, order: str) -> tuple[Any, int]:
    code = kind[0]
    at += -at % ALIGN[code]
    if code in FIXED:
        fmt = order + FIXED[code]
        return struct.unpack_from(fmt, data, at)[0], at + struct.calcsize(fmt)
    if code in "so":
        end = at + 4 + int(struct.unpack_from(order + "I", data, at)[0])
        return data[at + 4 : end].decode(), end + 1
    if code == "g":
        return data[at + 1 : at + 1 + data[at]].decode(), at + data[at] + 2
    if code == "v":
        inner, at = take(data, at, "g", order)
        return take(data, at, inner, order)
    if code in "({":
        fields = []
        for each in split(kind[1:-1]):
            value, at = take(data, at, each, order)
            fields.append(value)
        return tuple(fields), at
    length = struct.unpack_from(order + "I", data, at)[0]
    at = at + 4 + (-(at + 4) % ALIGN[kind[1]])
    end, items = at + length, []
    if kind[1] == "y":
        return data[at:end], end
    while at < end:
        item, at = take(data, at, kind[1:], order)
        items.append(item)
    return (dict(items) if kind[1] == "{" else items), at


def unpack(signature: str, data: bytes, order: str = "<") -> list[Any]:
    values, at = [], 0
    for kind in split(signature):
        value, at = take(data, at, kind, order)
        values.append(value)
    return values


# --------------------------------------------------------------------- messages


@dataclass
class Message:
    kind: int
    flags: int
    serial: int
    order: str
    fields: dict[int, Any]
    body: bytes
    head: bytes
    fds: list[int] = field(default_factory=list)

    path = property(lambda self: self.fields.get(PATH))
    interface = property(lambda self: self.fields.get(INTERFACE))
    member = property(lambda self: self.fields.get(MEMBER))
    error = property(lambda self: self.fields.get(ERROR_NAME))
    reply_to = property(lambda self: self.fields.get(REPLY_SERIAL, 0))
    destination = property(lambda self: self.fields.get(DESTINATION))
    sender = property(lambda self: self.fields.get(SENDER))
    signature = property(lambda self: self.fields.get(SIGNATURE, ""))
    args = property(lambda self: unpack(self.signature, self.body, self.order))

    def __str__(self) -> str:
        """Short, for lists of what somebody saw: '=(1)', '!NameHasNoOwner', 'NameLost(:1.3)'."""
        if self.kind == ERROR:
            return "!" + str(self.error).rpartition(".")[2]
        values = ",".join(str(arg) for arg in self.args)
        return f"=({values})" if self.kind == RETURN else f"{self.member}({values})"


def build(
    kind: int,
    serial: int,
    fields: Iterable[tuple[int, Any] | tuple[int, str, Any]] = (),
    signature: str = "",
    args: Sequence[Any] = (),
    *,
    flags: int = 0,
    order: str = "<",
    body: bytes | None = None,
    version: int = 1,
) -> bytes:
    """A message, as right or wrong as the caller wants it.

    A field is (code, value), or (code, type, value) for another type than it should have.
    """
    body = pack(signature, args, order) if body is None else body
    listed = [
        (each[0], (FIELD_TYPE[each[0]], each[1]) if len(each) == 2 else each[1:]) for each in fields
    ]
    if signature:
        listed.append((SIGNATURE, ("g", signature)))
    start = struct.pack(
        order + "BBBBII", ord("l" if order == "<" else "B"), kind, flags, version, len(body), serial
    )
    out = bytearray(start)
    put(out, "a(yv)", listed, order)
    out.extend(bytes(-len(out) % 8))
    return bytes(out) + body


def call_fields(
    destination: str | None, path: str | None, interface: str | None, member: str | None
) -> list[tuple[int, Any]]:
    pairs = [(PATH, path), (INTERFACE, interface), (MEMBER, member), (DESTINATION, destination)]
    return [(code, value) for code, value in pairs if value is not None]


def size_of(data: bytes | bytearray) -> int:
    """Whole size of the message that begins in `data`, 0 if that is not known yet."""
    if len(data) < 16:
        return 0
    order = "<" if data[0] == ord("l") else ">"
    body, fields = (
        struct.unpack_from(order + "I", data, 4)[0],
        struct.unpack_from(order + "I", data, 12)[0],
    )
    return 16 + int(fields) + (-int(fields) % 8) + int(body)


def parse(data: bytes) -> Message:
    order = "<" if data[0] == ord("l") else ">"
    length, serial = struct.unpack_from(order + "II", data, 4)
    listed, _ = take(data, 12, "a(yv)", order)
    body_at = len(data) - length
    return Message(data[1], data[2], serial, order, dict(listed), data[body_at:], data[:body_at])


# -------------------------------------------------------------------- addresses


def socket_to(address: str, timeout: float = TIMEOUT) -> socket.socket:
    """A connected socket for the first entry of a D-Bus address."""
    kind, _, rest = address.partition(";")[0].partition(":")
    assert kind == "unix", address
    values = dict(pair.split("=", 1) for pair in rest.split(","))
    values = {key: unescape(value) for key, value in values.items()}
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    patience = struct.pack("ll", int(timeout), 0)  # a full backlog is waited for, too
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
    sock.connect(values["path"] if "path" in values else "\0" + values["abstract"])
    sock.settimeout(timeout)
    return sock


def unescape(text: str) -> str:
    first, *others = text.split("%")
    return first + "".join(chr(int(part[:2], 16)) + part[2:] for part in others)


# ----------------------------------------------------------------------- client


class Closed(Exception):
    """The bus closed the connection."""


class Client:
    """One connection. Nothing is thrown away: `ask` leaves other messages for `seen`.

    Sockets have no order among each other, so what one client sent first may be read last.
    `take` therefore first sees to it that the bus has read what others sent (`unsettled`).
    """

    others: ClassVar[weakref.WeakSet[Client]] = weakref.WeakSet()
    address = ""
    unsettled = False
    thread = 0

    def __init__(
        self, address: str, *, fds: bool = True, hello: bool = True, timeout: float = TIMEOUT
    ) -> None:
        self.sock = socket_to(address, timeout)
        self.address = address
        self.others.add(self)
        self.serial = 0
        self.buffer = bytearray()
        self.fds: list[int] = []
        self.unread: list[Message] = []
        self.name = ""
        self.guid = self.authenticate(fds)
        if hello:
            self.name = self.ask("Hello").args[0]
            self.seen()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()
        for fd in self.fds + [fd for message in self.unread for fd in message.fds]:
            with suppress(OSError):
                os.close(fd)
        self.fds, self.unread = [], []

    # sending

    def authenticate(self, fds: bool) -> str:
        self.sock.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
        answer = self.line()
        assert answer.startswith("OK "), answer
        if fds:
            self.sock.sendall(b"NEGOTIATE_UNIX_FD\r\n")
            assert self.line() == "AGREE_UNIX_FD"
        self.sock.sendall(b"BEGIN\r\n")
        return answer[3:]

    def line(self) -> str:
        text = b""
        while not text.endswith(b"\r\n"):
            byte = self.sock.recv(1)
            if not byte:
                raise Closed(text)
            text += byte
        return text[:-2].decode()

    def write(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """All of `data`; the fds ride on its first byte."""
        self.unsettled = False
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            sent = self.sock.sendmsg([data], rights)
            if sent < len(data):
                self.sock.sendall(data[sent:])
        except ConnectionError as gone:
            raise Closed from gone

    def next_serial(self) -> int:
        self.serial += 1
        return self.serial

    def send(
        self,
        kind: int,
        fields: Iterable[tuple[int, Any] | tuple[int, str, Any]],
        signature: str = "",
        args: Sequence[Any] = (),
        *,
        fds: Sequence[int] = (),
        serial: int = 0,
        flags: int = 0,
        order: str = "<",
        body: bytes | None = None,
    ) -> int:
        serial = serial or self.next_serial()
        fields = [*fields, (UNIX_FDS, len(fds))] if fds else fields
        self.write(
            build(kind, serial, fields, signature, args, flags=flags, order=order, body=body), fds
        )
        self.unsettled, self.thread = bool(self.name), threading.get_ident()
        return serial

    def call(
        self,
        member: str,
        signature: str = "",
        *args: Any,
        to: str | None = DRIVER,
        path: str = DRIVER_PATH,
        interface: str | None = DRIVER,
        **options: Any,
    ) -> int:
        """Send a method call and return its serial."""
        return self.send(CALL, call_fields(to, path, interface, member), signature, args, **options)

    def signal(
        self,
        member: str,
        signature: str = "",
        *args: Any,
        to: str | None = None,
        path: str = "/t",
        interface: str = "t.T",
        **options: Any,
    ) -> int:
        return self.send(
            SIGNAL, call_fields(to, path, interface, member), signature, args, **options
        )

    def reply(self, call: Message, signature: str = "", *args: Any, **options: Any) -> int:
        to = [(DESTINATION, call.sender), (REPLY_SERIAL, call.serial)]
        return self.send(RETURN, to, signature, args, **options)

    def refuse(self, call: Message, name: str, text: str = "") -> int:
        to = [(DESTINATION, call.sender), (REPLY_SERIAL, call.serial), (ERROR_NAME, name)]
        return self.send(ERROR, to, "s", [text])

    # receiving

    def read(self) -> Message:
        """The next message from the socket itself."""
        while not (size := size_of(self.buffer)) or len(self.buffer) < size:
            try:
                data, control, flags, _ = self.sock.recvmsg(1 << 20, socket.CMSG_SPACE(4 * 256))
            except ConnectionError as gone:
                raise Closed from gone
            assert not flags & socket.MSG_CTRUNC
            for _level, _kind, rights in control:
                self.fds += array.array("i", rights)
            if not data:
                raise Closed
            self.buffer += data
        message = parse(bytes(self.buffer[:size]))
        del self.buffer[:size]
        count = message.fields.get(UNIX_FDS, 0)
        message.fds, self.fds = self.fds[:count], self.fds[count:]
        return message

    def next(self) -> Message:
        """The next message nobody has looked at."""
        return self.unread.pop(0) if self.unread else self.read()

    def wait(self, wanted: Callable[[Message], bool]) -> Message:
        """The first message that is wanted; the others stay, in order."""
        for at, message in enumerate(self.unread):
            if wanted(message):
                return self.unread.pop(at)
        while not wanted(message := self.read()):
            self.unread.append(message)
        return message

    def answer(self, serial: int) -> Message:
        return self.wait(lambda m: m.reply_to == serial and m.kind in (RETURN, ERROR))

    def ask(self, member: str, signature: str = "", *args: Any, **options: Any) -> Message:
        """Call and wait for the answer, a return or an error."""
        answer = self.answer(self.call(member, signature, *args, **options))
        self.unsettled = False
        return answer

    def receive(self, member: str) -> Message:
        """The next call or signal of this name."""
        return self.wait(lambda m: m.member == member)

    def take(self) -> list[Message]:
        """Everything the bus had sent before now, and in answer to what others sent until now."""
        for other in self.others:
            if (
                other.unsettled
                and other.address == self.address
                and other.thread == threading.get_ident()
            ):
                with suppress(Closed, OSError):
                    other.settle()
        self.settle()
        messages, self.unread = self.unread, []
        return messages

    def settle(self) -> None:
        """Wait until the bus has read all that was sent: a call to it is the barrier."""
        serial = self.call("GetId")
        self.unsettled = False
        while (message := self.read()).reply_to != serial:
            self.unread.append(message)

    def seen(self) -> list[str]:
        """The same, in short."""
        return [str(message) for message in self.take()]

    def rest(self) -> list[Message]:
        """Everything until the bus closes the connection; fails if it does not."""
        messages, self.unread = self.unread, []
        with suppress(Closed):
            while True:
                messages.append(self.read())
        return messages

    def is_open(self) -> bool:
        try:
            self.ask("GetId")
        except Closed:
            return False
        return True

    # the bus

    def match(self, rule: str) -> None:
        answer = self.ask("AddMatch", "s", rule)
        assert answer.kind == RETURN, (rule, answer.args)

    def own(self, name: str, flags: int = 0) -> int:
        return int(self.ask("RequestName", "su", name, flags).args[0])

    def until(self, done: Callable[[], bool], seconds: float = TIMEOUT) -> None:
        """Wait for something that the bus does in its own time."""
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.005)

    def until_gone(self, name: str) -> None:
        self.until(lambda: not self.ask("NameHasOwner", "s", name).args[0])
