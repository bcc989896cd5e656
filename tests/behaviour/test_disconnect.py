"""What the others hear when a client goes (contract E.10 to E.12), and half-closed ones (E.63)."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

import pytest

from tests.buses import Bus
from tests.raw import DRIVER, RETURN, SIGNAL, Client, build, call_fields

NO_REPLY_TEXT = "Message recipient disconnected from message bus without replying"


def test_names_go_newest_first_and_the_unique_name_last(
    a: Client, b: Client, names: Callable[[], str]
) -> None:
    owned = [names() for _ in range(3)]
    for each in owned:
        b.own(each)
    a.match(f"sender={DRIVER},member=NameOwnerChanged")
    b.close()
    a.until_gone(b.name)
    gone = [m.args for m in a.take() if m.args[1] == b.name]
    assert gone == [[each, b.name, ""] for each in [*reversed(owned), b.name]]


def test_the_waiting_one_takes_over(a: Client, b: Client, c: Client, name: str) -> None:
    b.own(name)
    c.own(name)
    a.match(f"sender={DRIVER},member=NameOwnerChanged")
    for each in (a, c):
        each.take()
    b.close()
    a.until_gone(b.name)
    assert a.seen() == [
        f"NameOwnerChanged({name},{b.name},{c.name})",
        f"NameOwnerChanged({b.name},{b.name},)",
    ]
    assert c.seen() == [f"NameAcquired({name})"]


def test_the_caller_hears_of_the_name_before_no_reply(a: Client, b: Client, name: str) -> None:
    b.own(name)
    a.match(f"sender={DRIVER},member=NameOwnerChanged")
    serial = a.call("Question", to=name, interface="t.T")
    b.receive("Question")
    b.close()
    seen = [a.next() for _ in range(3)]
    assert [str(m) for m in seen] == [
        f"NameOwnerChanged({name},{b.name},)",
        f"NameOwnerChanged({b.name},{b.name},)",
        "!NoReply",
    ]
    assert (seen[2].reply_to, seen[2].sender, seen[2].args) == (serial, DRIVER, [NO_REPLY_TEXT])


@pytest.mark.parametrize("read", [True, False])
def test_every_unanswered_call_gets_no_reply(a: Client, b: Client, read: bool) -> None:
    serials = [a.call(f"M{number}", to=b.name, interface="t.T") for number in range(20)]
    a.take()
    if read:
        b.reply(b.receive("M3"))
        b.take()
    b.close()
    answers = {serial: str(a.answer(serial)) for serial in serials}
    answered = {serials[3]} if read else set()
    assert {s for s, text in answers.items() if text == "=()"} == answered
    assert {text for s, text in answers.items() if s not in answered} == {"!NoReply"}


def test_no_reply_for_a_call_that_wanted_none(a: Client, b: Client) -> None:
    a.call("M", to=b.name, interface="t.T", flags=1)
    b.receive("M")
    b.close()
    a.until_gone(b.name)
    assert a.seen() == []


def test_a_reply_to_a_caller_that_is_gone_hurts_nobody(a: Client, b: Client) -> None:
    a.call("M", to=b.name, interface="t.T")
    call = b.receive("M")
    a.close()
    b.until_gone(a.name)
    b.reply(call)
    assert b.seen() == ["!ServiceUnknown"]


def test_a_client_does_not_hear_of_its_own_end(bus: Bus, a: Client) -> None:
    new = bus.connect()
    new.match("type=signal")
    new.take()
    new.sock.shutdown(socket.SHUT_WR)
    assert [str(m) for m in new.rest()] == []
    a.until_gone(new.name)


def test_calls_to_oneself_end_with_oneself(a: Client, b: Client) -> None:
    b.call("M", to=b.name, interface="t.T")
    b.receive("M")
    b.close()
    a.until_gone(b.name)
    assert a.is_open()


def test_half_close_what_was_asked_before_is_answered(bus: Bus, a: Client) -> None:
    """The bus writes what it has for a client that sends no more, and hangs up.

    dbus-daemon does so unless it sees both at once: then the answer is lost.
    """
    new = bus.connect()
    serial = new.call("GetId")
    new.sock.shutdown(socket.SHUT_WR)
    answered = [m.reply_to for m in new.rest()]
    assert answered == [serial] or (bus.kind == "dbus-daemon" and not answered)
    a.until_gone(new.name)


def test_half_close_delivers_what_was_sent_before(bus: Bus, a: Client, b: Client) -> None:
    for number in range(50):
        b.signal(f"S{number}", to=a.name)
    b.sock.shutdown(socket.SHUT_WR)
    assert [a.next().member for _ in range(50)] == [f"S{number}" for number in range(50)]
    a.until_gone(b.name)


def test_a_partial_message_dies_with_its_client(bus: Bus, a: Client, b: Client) -> None:
    b.write(b"l\1\0\1")
    b.close()
    a.until_gone(b.name)
    assert a.is_open()


def test_clients_that_vanish_while_others_send_to_them(bus: Bus, a: Client) -> None:
    for _ in range(20):
        victim = bus.connect()
        serials = [a.call("M", to=victim.name, interface="t.T") for _ in range(20)]
        victim.close()
        answers = {str(a.answer(serial)) for serial in serials}
        assert answers <= {"!NoReply", "!ServiceUnknown", "!NameHasNoOwner"}


@pytest.mark.parametrize("whole", [True, False])
def test_a_client_that_sends_and_goes_without_reading(
    bus: Bus, a: Client, b: Client, whole: bool
) -> None:
    """Its last bytes, its end, and ECONNRESET reach the bus in one wake-up.

    (The error is there because it left an answer unread.)
    """
    b.call("GetId")
    a.take()
    os.kill(bus.pid, signal.SIGSTOP)
    try:
        data = build(SIGNAL, 9, call_fields(a.name, "/t", "t.T", "S"))
        b.write(data if whole else data[:20])
        b.close()
    finally:
        os.kill(bus.pid, signal.SIGCONT)
    a.until_gone(b.name)
    assert a.seen() == (["S()"] if whole else [])


def test_no_descriptors_are_left(bus: Bus, a: Client) -> None:
    a.take()
    before = bus.usage()[1]
    for _ in range(50):
        client = bus.connect()
        read, write = os.pipe()
        client.call("M", "h", 0, to=a.name, interface="t.T", fds=[read])
        assert client.ask("GetId").kind == RETURN
        client.close()
        os.close(read)
        os.close(write)
    for message in a.take():
        for fd in message.fds:
            os.close(fd)
    a.until(lambda: bus.usage()[1] == before)
