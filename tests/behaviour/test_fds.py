"""File descriptors: passing, limits and refusals (contract E.51 to E.56, E.66, H)."""

from __future__ import annotations

import array
import os
import socket
import time
from collections.abc import Iterator

import pytest

from tests.buses import Bus
from tests.raw import (
    CALL,
    DESTINATION,
    DRIVER,
    REPLY_SERIAL,
    RETURN,
    SIGNAL,
    UNIX_FDS,
    Client,
    Message,
    build,
    call_fields,
)

LIMIT = 16  # max_message_unix_fds
BOTH = pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])


@pytest.fixture
def pipes() -> Iterator[list[int]]:
    """Forty descriptors, each a file of its own."""
    fds = [end for _ in range(20) for end in os.pipe()]
    yield fds
    for fd in fds:
        os.close(fd)


def files(fds: list[int]) -> list[tuple[int, int]]:
    """Which files these are."""
    return [(os.fstat(fd).st_dev, os.fstat(fd).st_ino) for fd in fds]


def taken(message: Message) -> list[tuple[int, int]]:
    """The files of a message, whose descriptors are closed."""
    found = files(message.fds)
    for fd in message.fds:
        os.close(fd)
    message.fds = []
    return found


@BOTH
@pytest.mark.parametrize("count", [1, 2, LIMIT])
def test_fds_arrive_in_order(
    a: Client, b: Client, pipes: list[int], count: int, order: str
) -> None:
    serial = a.call(
        "M", "ah", list(range(count)), to=b.name, interface="t.T", fds=pipes[:count], order=order
    )
    call = b.receive("M")
    assert call.fields[UNIX_FDS] == count
    assert taken(call) == files(pipes[:count])
    b.reply(call, "h", 0, fds=pipes[:1])
    assert taken(a.answer(serial)) == files(pipes[:1])


def test_a_received_fd_works(a: Client, b: Client) -> None:
    read, write = os.pipe()
    a.signal("S", "h", 0, to=b.name, fds=[write])
    os.close(write)
    got = b.receive("S")
    os.write(got.fds[0], b"hello")
    assert os.read(read, 10) == b"hello"
    os.close(read)


def test_fds_that_no_argument_names(a: Client, b: Client, pipes: list[int]) -> None:
    a.signal("S", to=b.name, fds=pipes[:3])
    assert taken(b.receive("S")) == files(pipes[:3])


def test_one_fd_twice(a: Client, b: Client, pipes: list[int]) -> None:
    a.signal("S", "hhh", 0, 0, 0, to=b.name, fds=pipes[:1])
    got = b.receive("S")
    assert (got.args, taken(got)) == ([0, 0, 0], files(pipes[:1]))


def test_more_than_the_limit_ends_the_connection(
    bus: Bus, a: Client, b: Client, pipes: list[int]
) -> None:
    a.signal("S", to=b.name, fds=pipes[: LIMIT + 1])
    assert a.rest() == []
    b.until_gone(a.name)
    assert b.seen() == []


def test_many_too_many_leave_no_descriptor_behind(bus: Bus, b: Client, pipes: list[int]) -> None:
    """The kernel cuts the list short (MSG_CTRUNC); what came must be closed."""
    b.take()
    before = bus.usage()[1]
    for _ in range(10):
        bad = bus.connect()
        bad.signal("S", to=b.name, fds=(pipes * 7)[:250])
        assert bad.rest() == []
        bad.close()
    b.until(lambda: bus.usage()[1] == before)


def test_fewer_fds_than_announced_end_the_connection_of_the_sender(
    a: Client, b: Client, pipes: list[int]
) -> None:
    fields = [*call_fields(b.name, "/t", "t.T", "S"), (UNIX_FDS, 2)]
    a.write(build(SIGNAL, 1, fields, "h", [0]), pipes[:1])
    assert a.rest() == []
    b.until_gone(a.name)
    assert b.seen() == []


@pytest.mark.parametrize("at", [1, 8, 16, 40, -1])
def test_fds_may_ride_on_any_byte(a: Client, b: Client, pipes: list[int], at: int) -> None:
    data = build(SIGNAL, 99, [*call_fields(b.name, "/t", "t.T", "S"), (UNIX_FDS, 2)])
    a.write(data[:at])
    time.sleep(0.02)  # the bus reads this much first
    a.write(data[at:], pipes[:2])
    assert taken(b.receive("S")) == files(pipes[:2])


@pytest.mark.parametrize("at", [16, 40, -1])
def test_only_the_first_set_of_fds_of_a_message_counts(
    a: Client, b: Client, pipes: list[int], at: int
) -> None:
    """sd-bus repeats them with each part that it writes; the next message must not get them."""
    data = build(SIGNAL, 99, [*call_fields(b.name, "/t", "t.T", "S"), (UNIX_FDS, 2)])
    a.write(data[:at], pipes[:2])
    time.sleep(0.02)
    a.write(data[at:], pipes[:2])
    a.signal("Next", "h", 0, to=b.name, fds=pipes[5:6])
    assert taken(b.receive("S")) == files(pipes[:2])
    assert taken(b.receive("Next")) == files(pipes[5:6])


@pytest.mark.parametrize("at", [16, 40, -1])
def test_fds_in_two_sets_are_too_few(a: Client, b: Client, pipes: list[int], at: int) -> None:
    data = build(SIGNAL, 99, [*call_fields(b.name, "/t", "t.T", "S"), (UNIX_FDS, 2)])
    a.write(data[:at], pipes[:1])
    time.sleep(0.02)
    a.write(data[at:], pipes[1:2])
    assert a.rest() == []
    b.until_gone(a.name)
    assert b.seen() == []


def test_fds_on_the_first_byte_of_a_message_in_pieces(
    a: Client, b: Client, pipes: list[int]
) -> None:
    data = build(SIGNAL, 99, [*call_fields(b.name, "/t", "t.T", "S"), (UNIX_FDS, 2)])
    a.write(data[:1], pipes[:2])
    for byte in data[1:]:
        a.write(bytes([byte]))
    assert taken(b.receive("S")) == files(pipes[:2])


def test_each_message_gets_its_own_fds(a: Client, b: Client, pipes: list[int]) -> None:
    for number, fd in enumerate(pipes):
        a.signal("S", "h", 0, to=b.name, fds=[fd])
        a.signal("Plain", "u", number, to=b.name)
    for fd in pipes:
        assert taken(b.receive("S")) == files([fd])
        assert b.receive("Plain").fds == []


def test_fds_of_several_messages_in_one_write(a: Client, b: Client, pipes: list[int]) -> None:
    def one(number: int, count: int) -> bytes:
        fields = [*call_fields(b.name, "/t", "t.T", f"S{number}"), (UNIX_FDS, count)]
        return build(SIGNAL, 100 + number, fields)

    a.write(one(1, 2) + one(2, 0) + one(3, 3), pipes[:5])
    assert taken(b.receive("S1")) == files(pipes[:2])
    assert taken(b.receive("S2")) == []
    assert taken(b.receive("S3")) == files(pipes[2:5])


def test_a_broadcast_with_fds_skips_who_cannot_take_them(
    bus: Bus, a: Client, b: Client, c: Client, pipes: list[int]
) -> None:
    plain = bus.connect(fds=False)
    for each in (b, plain, c):
        each.match("member=S")
    a.signal("S", "h", 0, fds=pipes[:1])
    a.signal("S", "s", "after")
    assert a.seen() == []
    for each in (b, c):
        assert taken(each.receive("S")) == files(pipes[:1])
        assert each.receive("S").args == ["after"]
    assert plain.seen() == ["S(after)"]


def test_fds_to_who_cannot_take_them(bus: Bus, a: Client, pipes: list[int]) -> None:
    plain = bus.connect(fds=False)
    serial = a.call("M", "h", 0, to=plain.name, interface="t.T", fds=pipes[:1])
    answer = a.answer(serial)
    assert answer.error == "org.freedesktop.DBus.Error.NotSupported"
    assert "file descriptors" in answer.args[0]
    assert plain.seen() == []


def test_fds_in_a_reply_to_who_cannot_take_them(bus: Bus, a: Client, pipes: list[int]) -> None:
    """The replier is told; the caller still waits, and a good reply can follow."""
    plain = bus.connect(fds=False)
    serial = plain.call("M", to=a.name, interface="t.T")
    call = a.receive("M")
    bad = a.reply(call, "h", 0, fds=pipes[:1])
    assert a.answer(bad).error == "org.freedesktop.DBus.Error.NotSupported"
    assert plain.seen() == []
    a.reply(call, "s", "instead")
    assert plain.answer(serial).args == ["instead"]


def test_fds_sent_without_negotiation_do_not_pass(bus: Bus, b: Client, pipes: list[int]) -> None:
    plain = bus.connect(fds=False)
    plain.call("M", "h", 0, to=b.name, interface="t.T", fds=pipes[:1])
    assert plain.rest() == []
    b.until_gone(plain.name)
    assert b.seen() == []


def test_fds_for_the_bus_are_closed(bus: Bus, a: Client, pipes: list[int]) -> None:
    a.take()
    before = bus.usage()[1]
    for _ in range(20):
        serial = a.call("GetId", fds=pipes[:LIMIT])
        assert a.answer(serial).kind == RETURN
    for _ in range(20):
        a.signal("S", to=DRIVER, fds=pipes[:LIMIT])
        a.signal("Broadcast", fds=pipes[:LIMIT])
        a.call("M", to="com.example.Nobody", interface="t.T", fds=pipes[:LIMIT])
    a.take()
    a.until(lambda: bus.usage()[1] == before)


def test_fds_of_a_partial_message_are_closed_with_the_connection(
    bus: Bus, b: Client, pipes: list[int]
) -> None:
    b.take()
    before = bus.usage()[1]
    bad = bus.connect()
    fields = [*call_fields(b.name, "/t", "t.T", "S"), (UNIX_FDS, 2)]
    connected = bus.usage()[1]
    bad.write(build(SIGNAL, 1, fields)[:-1], pipes[:2])
    b.until(lambda: bus.usage()[1] == connected + 2)
    bad.close()
    b.until(lambda: bus.usage()[1] == before)


def test_queued_fds_are_closed_with_their_receiver(bus: Bus, b: Client, pipes: list[int]) -> None:
    b.take()
    before = bus.usage()[1]
    sender, deaf = bus.connect(), bus.connect()
    for _ in range(200):
        sender.signal("S", "s", "x" * 10000, to=deaf.name, fds=pipes[:4])
    sender.take()
    assert bus.usage()[1] > before + 100
    deaf.close()
    sender.close()
    b.until(lambda: bus.usage()[1] == before)


def test_queued_fds_outlive_their_sender(bus: Bus, b: Client, pipes: list[int]) -> None:
    sender = bus.connect()
    for _ in range(20):
        sender.signal("S", "h", 0, to=b.name, fds=pipes[:1])
    sender.close()
    assert [taken(b.receive("S")) for _ in range(20)] == [files(pipes[:1])] * 20


def test_a_client_may_send_its_own_connection(bus: Bus, a: Client, b: Client) -> None:
    b.take()
    before = bus.usage()[1]
    loops = [bus.connect() for _ in range(5)]
    for each in loops:
        each.signal("S", "h", 0, to=each.name, fds=[each.sock.fileno()])
    for each in loops:
        each.close()

    def gone() -> bool:
        for end in socket.socketpair():
            end.close()  # the kernel looks for such loops whenever a socket closes
        return bus.usage()[1] <= before

    b.until(gone)


def test_sockets_pass_like_any_fd(a: Client, b: Client) -> None:
    left, right = socket.socketpair()
    a.signal("S", "h", 0, to=b.name, fds=[right.fileno()])
    got = socket.socket(fileno=b.receive("S").fds[0])
    got.sendall(b"hello")
    assert left.recv(10) == b"hello"
    for each in (left, right, got):
        each.close()


def test_a_reply_may_carry_fds_of_another_process(a: Client, b: Client, pipes: list[int]) -> None:
    serial = a.call("M", to=b.name, interface="t.T")
    call = b.receive("M")
    to = [(DESTINATION, a.name), (REPLY_SERIAL, call.serial), (UNIX_FDS, 2)]
    b.write(build(RETURN, 9, to, "hh", [1, 0]), pipes[:2])
    answer = a.answer(serial)
    assert (answer.args, taken(answer)) == ([1, 0], files(pipes[:2]))


def test_a_message_with_unused_rights_of_zero(a: Client, b: Client) -> None:
    """An empty list of rights is no list."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i"))]
    data = build(CALL, 1, call_fields(b.name, "/t", "t.T", "M"))
    a.sock.sendmsg([data], rights)
    assert b.receive("M").fds == []
