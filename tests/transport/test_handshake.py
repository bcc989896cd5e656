"""Lines before the first message: answered at once, and whatever goes wrong ends this one only."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from bridge.routing.credentials import Credentials
from bridge.routing.errors import Disconnect
from bridge.transport.handshake import Handshake
from bridge.wire.sasl import MAX_FAILURES, Sasl

GUID = "0123456789abcdef0123456789abcdef"
EXTERNAL = b"AUTH EXTERNAL 31303030\r\n"  # 1000
OK = f"OK {GUID}\r\n".encode()


class Server:
    """Notes what it is told; `refuse` is raised when a client would begin."""

    def __init__(self) -> None:
        self.begun: list[tuple[bool, bytes]] = []
        self.dropped: list[str | None] = []
        self.blamed = 0
        self.refuse: Exception | None = None
        self.door = self
        self.failures: Counter[str] = Counter()

    def begin(self, handshake: Handshake, sasl: Sasl) -> None:
        if self.refuse:
            raise self.refuse
        self.begun.append((sasl.takes_fds, bytes(sasl.rest)))

    def drop(self, handshake: Handshake, reason: str | None) -> None:
        self.dropped.append(reason)

    def blame_self(self, handshake: Handshake) -> None:
        self.blamed += 1


class Wire:
    """Both ends of a connection in its handshake."""

    def __init__(self) -> None:
        self.client, ours = socket.socketpair()
        self.client.setblocking(False)
        ours.setblocking(False)
        server: Any = Server()
        self.server = server
        credentials = Credentials(1000, None)
        sasl = Sasl(1000, GUID, False, can_pass_fds=True)
        self.handshake = Handshake(server, ours.detach(), credentials, sasl)

    def say(self, data: bytes) -> bytes:
        """What the server answers to this."""
        if data:
            self.client.sendall(data)
        self.handshake.on_readable()
        try:
            return self.client.recv(1 << 16)
        except BlockingIOError:
            return b""


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.client.close()
    if not wire.server.begun:
        wire.handshake.close()
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(wire.handshake.fd)


def test_line_by_line(wire: Wire) -> None:
    assert wire.say(b"\0") == b""
    assert wire.say(EXTERNAL) == OK
    assert wire.say(b"NEGOTIATE_UNIX_FD\r\n") == b"AGREE_UNIX_FD\r\n"
    assert wire.server.begun == []
    assert wire.say(b"BEGIN\r\n") == b""
    assert (wire.server.begun, wire.server.dropped) == ([(True, b"")], [])


def test_all_at_once_with_the_first_message(wire: Wire) -> None:
    lines = b"\0" + EXTERNAL + b"NEGOTIATE_UNIX_FD\r\nBEGIN\r\nl\1\0\1"
    assert wire.say(lines) == OK + b"AGREE_UNIX_FD\r\n"
    assert wire.server.begun == [(True, b"l\1\0\1")]


def test_byte_by_byte(wire: Wire) -> None:
    lines = b"\0" + EXTERNAL + b"BEGIN\r\n"
    answers = b"".join(wire.say(bytes([byte])) for byte in lines)
    assert (answers, wire.server.begun) == (OK, [(False, b"")])


def test_nothing_to_read_changes_nothing(wire: Wire) -> None:
    assert wire.say(b"") == b""
    assert wire.say(b"\0" + EXTERNAL + b"BEGIN\r\n") == OK
    assert wire.server.dropped == []


def test_who_hangs_up_is_dropped_without_a_word(wire: Wire) -> None:
    wire.say(b"\0AUTH")
    wire.client.shutdown(socket.SHUT_WR)
    wire.handshake.on_readable()
    assert (wire.server.dropped, wire.server.blamed) == ([None], 0)


def test_who_is_gone_before_the_answer_is_dropped_without_a_word(wire: Wire) -> None:
    wire.client.sendall(b"\0" + EXTERNAL)
    wire.client.close()
    wire.handshake.on_readable()
    assert (wire.server.dropped, wire.server.blamed) == ([None], 0)


@pytest.mark.parametrize("lines", [b"AUTH EXTERNAL\r\n", b"\0" + b"A" * 4095 + b"A" * 20000])
def test_who_speaks_nonsense_is_dropped_with_a_reason(wire: Wire, lines: bytes) -> None:
    wire.client.sendall(lines)
    while not wire.server.dropped:
        wire.handshake.on_readable()
    assert wire.server.dropped[0]
    assert wire.server.blamed == 0


def test_the_last_answer_comes_before_the_end(wire: Wire) -> None:
    answers = b""
    for _ in range(1000):
        answers += wire.say(b"\0AUTH NONE\r\n" if not answers else b"AUTH NONE\r\n")
        if wire.server.dropped:
            break
    assert wire.server.dropped[0]
    assert answers == b"REJECTED EXTERNAL\r\n" * MAX_FAILURES
    assert wire.server.blamed == 0


def test_who_does_not_read_the_answers_is_dropped(wire: Wire) -> None:
    """A short write, or none: the bus neither waits nor leaves out lines."""
    wire.say(b"\0" + EXTERNAL)
    for _ in range(100_000):
        with suppress(BlockingIOError):
            wire.client.send(b"x\r\n" * 100)
        wire.handshake.on_readable()
        if wire.server.dropped:
            break
    assert wire.server.dropped == ["it does not read what it is answered"]


@pytest.mark.parametrize(
    ("error", "dropped", "blamed"),
    [
        (Disconnect("its user may not use this bus"), ["its user may not use this bus"], 0),
        (OSError("gone"), [None], 0),
        (RuntimeError("a mistake"), [], 1),
    ],
)
def test_who_may_not_begin(
    wire: Wire, error: Exception, dropped: list[str | None], blamed: int
) -> None:
    wire.server.refuse = error
    assert wire.say(b"\0" + EXTERNAL + b"BEGIN\r\n") == OK
    assert (wire.server.dropped, wire.server.blamed) == (dropped, blamed)
    assert wire.server.failures.total() == len([each for each in dropped if each])


def test_its_name_in_the_log(wire: Wire) -> None:
    assert str(wire.handshake) == "a connection without a name (uid=1000)"
