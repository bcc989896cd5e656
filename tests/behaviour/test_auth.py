"""The handshake, line by line (contract A.2, E.59, E.60, H)."""

from __future__ import annotations

import os
import select
import socket
import time
from contextlib import suppress

import pytest

from tests.buses import Bus
from tests.raw import CALL, DRIVER, RETURN, Client, build, call_fields, parse, size_of, socket_to

ME = str(os.geteuid()).encode().hex()
OTHER = str(os.geteuid() + 1).encode().hex()
EXTERNAL = f"AUTH EXTERNAL {ME}"
OK = "OK"
REJECTED = "REJECTED EXTERNAL"
UNKNOWN = 'ERROR "Unknown command"'
CLOSED = "closed"


def converse(address: str, data: bytes, wanted: int) -> list[str]:
    """Send all at once; the lines that come back, and CLOSED when the bus hangs up."""
    with socket_to(address) as sock:
        with suppress(ConnectionError):
            sock.sendall(data)
        received = b""
        lines: list[str] = []
        while len(lines) < wanted:
            try:
                more = sock.recv(65536)
            except ConnectionError:
                more = b""
            received += more
            *whole, received = received.split(b"\r\n")
            lines += [line.decode() for line in whole]
            if not more:
                return [*lines, CLOSED]
        ready, _, _ = select.select([sock], [], [], 0.002)
        assert not ready, (lines, sock.recv(65536))
        return lines


# lines sent -> lines back; every one is sent in one write, after the NUL byte
TALKS: list[tuple[list[str], list[str]]] = [
    (["AUTH"], [REJECTED]),
    ([EXTERNAL], [OK]),
    (["AUTH EXTERNAL"], ["DATA"]),
    (["AUTH EXTERNAL", "DATA"], ["DATA", OK]),
    (["AUTH EXTERNAL", f"DATA {ME}"], ["DATA", OK]),
    (["AUTH EXTERNAL", f"DATA {OTHER}"], ["DATA", REJECTED]),
    (["AUTH EXTERNAL", "DATA zz"], ["DATA", 'ERROR "Invalid hex encoding"']),
    (["AUTH EXTERNAL", "CANCEL"], ["DATA", REJECTED]),
    (["AUTH EXTERNAL", "ERROR"], ["DATA", REJECTED]),
    (["AUTH EXTERNAL", EXTERNAL], ["DATA", 'ERROR "Sent AUTH while another AUTH in progress"']),
    (["AUTH EXTERNAL", "BEGIN"], ["DATA", CLOSED]),
    (["AUTH EXTERNAL", "FOO"], ["DATA", UNKNOWN]),
    (["AUTH EXTERNAL", "NEGOTIATE_UNIX_FD"], ["DATA", 'ERROR "Need to authenticate first"']),
    (["AUTH EXTERNAL", "CANCEL", EXTERNAL], ["DATA", REJECTED, OK]),
    ([f"AUTH EXTERNAL {OTHER}"], [REJECTED]),
    ([f"AUTH EXTERNAL {OTHER}", EXTERNAL], [REJECTED, OK]),
    (["AUTH EXTERNAL " + b"root".hex()], [REJECTED]),  # names are not looked up
    (["AUTH EXTERNAL " + b"-1".hex()], [REJECTED]),
    (["AUTH EXTERNAL " + b"4294967295".hex()], [REJECTED]),
    (["AUTH EXTERNAL " + b"99999999999999999999999999".hex()], [REJECTED]),
    (["AUTH EXTERNAL " + (str(os.geteuid()) + "\0").encode().hex()], [REJECTED]),
    (["AUTH EXTERNAL zz"], ['ERROR "Invalid hex encoding"']),
    ([f"AUTH EXTERNAL {ME} "], ['ERROR "Invalid hex encoding"']),
    ([f"AUTH  EXTERNAL {ME}"], [OK]),
    ([f"AUTH EXTERNAL  {ME}"], [OK]),
    ([f"AUTH external {ME}"], [REJECTED]),
    ([f"auth EXTERNAL {ME}"], [UNKNOWN]),
    (["AUTH ANONYMOUS"], [REJECTED]),
    (["AUTH ANONYMOUS 61"], [REJECTED]),
    (["AUTH DBUS_COOKIE_SHA1 " + ME], [REJECTED]),
    (["AUTH FOO"], [REJECTED]),
    (["AUTH FOO BAR"], [REJECTED]),
    (["FOO"], [UNKNOWN]),
    ([""], [UNKNOWN]),
    ([" "], [UNKNOWN]),
    (["OK"], [UNKNOWN]),
    (["FOO", EXTERNAL], [UNKNOWN, OK]),
    (["BEGIN"], [CLOSED]),
    (["NEGOTIATE_UNIX_FD"], ['ERROR "Need to authenticate first"']),
    (["DATA"], ['ERROR "Not currently in an auth conversation"']),
    (["CANCEL"], ['ERROR "Not currently in an auth conversation"']),
    (["ERROR"], [REJECTED]),
    (["ERROR x"], [REJECTED]),
    ([EXTERNAL, "NEGOTIATE_UNIX_FD"], [OK, "AGREE_UNIX_FD"]),
    ([EXTERNAL, "NEGOTIATE_UNIX_FD", "NEGOTIATE_UNIX_FD"], [OK, "AGREE_UNIX_FD", "AGREE_UNIX_FD"]),
    ([EXTERNAL, EXTERNAL], [OK, 'ERROR "Sent AUTH while expecting BEGIN"']),
    ([EXTERNAL, "DATA"], [OK, 'ERROR "Sent DATA while expecting BEGIN"']),
    ([EXTERNAL, "CANCEL"], [OK, REJECTED]),
    ([EXTERNAL, "ERROR", EXTERNAL], [OK, REJECTED, OK]),
    ([EXTERNAL, "FOO"], [OK, UNKNOWN]),
    ([EXTERNAL, "REJECTED"], [OK, UNKNOWN]),
    (["AUTH"] * 5, [REJECTED] * 5),
    (["AUTH"] * 6, [*[REJECTED] * 6, CLOSED]),
    (["AUTH"] * 5 + [EXTERNAL], [REJECTED] * 5 + [OK]),
    ([f"AUTH EXTERNAL {OTHER}"] * 7, [*[REJECTED] * 6, CLOSED]),
    (["AUTH EXTERNAL", "CANCEL"] * 6, [*["DATA", REJECTED] * 6, CLOSED]),
    (["FOO"] * 20, [UNKNOWN] * 20),  # errors are not failures
    (["A" * 16000], [UNKNOWN]),
    (["A" * 17000], [CLOSED]),
    (["A\0B"], ['ERROR "Command contained non-ASCII"']),
    ([f"AUTH EXTERNAL {ME}\r"], ['ERROR "Invalid hex encoding"']),
]


@pytest.mark.parametrize(("sent", "wanted"), TALKS, ids=lambda lines: "|".join(lines)[:40])
def test_a_conversation(bus: Bus, a: Client, sent: list[str], wanted: list[str]) -> None:
    data = b"\0" + "".join(line + "\r\n" for line in sent).encode()
    lines = converse(bus.address, data, len(wanted))
    assert [OK if line == f"OK {a.guid}" else line for line in lines] == wanted


@pytest.mark.parametrize("first", [b"A", b"\1", b"\n"])
def test_the_first_byte_must_be_nul(bus: Bus, a: Client, first: bytes) -> None:
    assert converse(bus.address, first + EXTERNAL.encode() + b"\r\n", 1) == [CLOSED]


def test_a_line_ends_with_cr_lf(bus: Bus) -> None:
    """A bare LF ends nothing: the rest of the line may still come."""
    with socket_to(bus.address) as sock:
        sock.sendall(b"\0AUTH\n")
        assert not select.select([sock], [], [], 0.05)[0]


def test_a_line_without_end_is_limited(bus: Bus) -> None:
    assert converse(bus.address, b"\0" + b"A" * 20000, 1) == [CLOSED]


def answer_to_hello(sock: socket.socket, text: bytes) -> bytes:
    """What follows the line that ends the handshake, up to one whole message."""
    while text.count(b"\r\n") < 1 or not (size := size_of(text.partition(b"\r\n")[2])):
        text += sock.recv(4096)
    rest = text.partition(b"\r\n")[2]
    while len(rest) < size:
        rest += sock.recv(4096)
    return rest[:size]


HELLO = build(CALL, 1, call_fields(DRIVER, "/org/freedesktop/DBus", DRIVER, "Hello"))
PIPELINED = b"\0" + EXTERNAL.encode() + b"\r\nBEGIN\r\n" + HELLO


@pytest.mark.parametrize("size", [len(PIPELINED), 1, 2, 7, 31])
def test_handshake_and_hello_in_pieces_of_any_size(bus: Bus, size: int) -> None:
    """One write, as sd-bus and zbus do it, or byte by byte."""
    with socket_to(bus.address) as sock:
        for at in range(0, len(PIPELINED), size):
            sock.sendall(PIPELINED[at : at + size])
        assert parse(answer_to_hello(sock, b"")).kind == RETURN


def test_bytes_after_begin_belong_to_the_bus(bus: Bus) -> None:
    with socket_to(bus.address) as sock:
        sock.sendall(b"\0" + EXTERNAL.encode() + b"\r\nBEGIN\r\nAUTH\r\nAUTH\r\nAUTH\r\nAUTH\r\n")
        lines = b""
        with suppress(ConnectionError):
            while more := sock.recv(4096):
                lines += more
        assert lines.startswith(b"OK ")
        assert lines.count(b"\r\n") == 1


def test_idle_handshakes_delay_nobody(bus: Bus) -> None:
    idle = [socket_to(bus.address) for _ in range(200)]
    for number, sock in enumerate(idle):
        sock.sendall(b"\0AUTH EXT"[: number % 10])
    start = time.monotonic()
    assert bus.connect().is_open()
    assert time.monotonic() - start < 2
    for sock in idle:
        sock.close()


def test_a_client_that_goes_in_the_handshake_leaves_nothing(bus: Bus, a: Client) -> None:
    a.take()
    before = bus.usage()[1]
    for number in range(100):
        with socket_to(bus.address) as sock:
            sock.sendall(PIPELINED[: number % len(PIPELINED)])
    a.until(lambda: bus.usage()[1] <= before)
