"""A plain connection to a bus: messages as they came, and buses that are none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.cli.link import BusError, Link, NoBus
from bridge.cli.reading import Reader
from bridge.wire.frame import BadMessage
from tests.buses import Bus
from tests.raw import (
    CALL,
    DESTINATION,
    DRIVER,
    MEMBER,
    PATH,
    REPLY_SERIAL,
    RETURN,
    SENDER,
    UNIX_FDS,
    Client,
    build,
    size_of,
)


def test_a_bus_is_asked(bus: Bus, a: Client, name: str) -> None:
    a.own(name)
    link = Link(bus.address, "the bus")
    calls = [("GetNameOwner", "s", (name,))] * 200
    assert link.ask(*calls, ("GetId", "", ()))[:200] == [(a.name,)] * 200
    with pytest.raises(BusError, match=r"NameHasNoOwner: .*x\.Nobody"):
        link.ask(("GetNameOwner", "s", ("x.Nobody",)))
    a.signal("To", "s", "you", to=link.name)
    seen = link.next() if link.aside == [] else link.aside[-1]
    while seen.frame.member() != "To":
        seen = link.next()
    assert seen.frame.sender() == a.name
    assert size_of(seen.raw) == len(seen.raw)
    link.close()


def test_the_first_address_that_answers(bus: Bus) -> None:
    Link(f"unix:path=/no;tcp:host=x;{bus.address}", "the bus").close()


def test_a_socket_for_native_programs(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as native:
        native.bind(f"{tmp_path}/n")
        native.listen()
        with pytest.raises(NoBus, match="is a socket for native programs, not for D-Bus"):
            Link(f"unix:path={tmp_path}/n", "the bus")


@contextmanager
def impostor(directory: Path, *lines: bytes) -> Iterator[str]:
    """Something that answers each thing that it hears with the next of these, and hangs up."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(directory / "socket"))
    listener.listen()

    def serve() -> None:
        client, _ = listener.accept()
        for line, awaited in zip(lines, (b"AUTH", b"FD", b"Hello"), strict=False):
            heard = client.recv(1 << 16)
            while heard and awaited not in heard:
                heard = client.recv(1 << 16)
            client.sendall(line)
        client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"unix:path={directory}/socket"
    finally:
        thread.join()
        listener.close()


OK, AGREE = b"OK 1\r\n", b"AGREE_UNIX_FD\r\n"


@pytest.mark.parametrize(
    ("lines", "about"),
    [
        ([], "the bus has hung up"),
        ([b"REJECTED\r\n"], "does not let this user in"),
        ([b"x" * 20_000], "does not speak D-Bus"),
        ([b"\xff\xfe\r\n"], "does not let this user in"),
        ([OK, AGREE], "the bus has hung up"),
        ([OK, AGREE, b"nonsense" * 10], "has sent what is no message: unknown byte order"),
        ([OK, AGREE, b"l" + b"\xff" * 20], "has sent what is no message: longer than 128 MiB"),
        ([OK, AGREE, b"l\2\1\1" + bytes(12)], "has sent what is no message: "),
    ],
)
def test_what_is_no_bus(tmp_path: Path, lines: list[bytes], about: str) -> None:
    with impostor(tmp_path, *lines) as address, pytest.raises(NoBus, match=about):
        Link(address, "the bus")


def test_only_the_bus_answers_for_itself(tmp_path: Path) -> None:
    """Another's message may say that it answers the same call."""
    fields = [(REPLY_SERIAL, 1), (DESTINATION, ":1.1")]
    said = [
        build(RETURN, 1, [*fields, (SENDER, sender)], "s", [name])
        for sender, name in ((":1.7", ":1.666"), (DRIVER, ":1.1"))
    ]
    with impostor(tmp_path, OK, AGREE, b"".join(said)) as address:
        link = Link(address, "the bus")
        assert link.name == ":1.1"
        assert [each.frame.sender() for each in link.aside] == [":1.7"]
        link.close()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_message_is_read_with_its_sender(order: str) -> None:
    fields = [
        (SENDER, ":1.7"),
        (PATH, "/o"),
        (77, "(sv)", ("x", ("u", 3))),
        (MEMBER, "Ask"),
        (DESTINATION, "x.Y"),
        (UNIX_FDS, 2),
    ]
    raw = build(CALL, 5, fields, "su", ["x", 1], order=order)
    reader = Reader()
    for _ in range(2):
        frame = reader.read(raw, (1.0, 2.0)).frame
        found = (frame.sender(), frame.path(), frame.member(), frame.destination())
        assert found == (":1.7", "/o", "Ask", "x.Y")
        assert (frame.serial, frame.fd_count, frame.signature()) == (5, 2, "su")
    assert reader.read(build(CALL, 5, fields[1:]), (0.0, 0.0)).frame.sender() == DRIVER


@pytest.mark.parametrize(
    "fields", [[(SENDER, "s", "no name")], [(SENDER, "u", 1)], [(UNIX_FDS, 1 << 31)]]
)
def test_messages_that_no_bus_sends(fields: list[tuple[int, object]]) -> None:
    with pytest.raises(BadMessage):
        Reader().read(build(CALL, 5, [(PATH, "/o"), (MEMBER, "Ask"), *fields]), (0.0, 0.0))
