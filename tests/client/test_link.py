"""Law: requests are packed as the protocol page says, and each RESULT finds the one that asked.

The packets are written and read by hand here, from PROTOCOL.md, and not with the library's formats.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus1.client import requests
from bus1.client.link import LEDGER, Link
from bus1.client.objects import DATA, NO_HANDLES_LEFT, ONCE_DROPPED, Handle, Node
from bus1.client.payload import Fd, Sealed
from bus1.client.pending import Quiet
from bus1.errors import Gone, Invalid, Quota, TooLong, Unknown

QUIET = 0x8000


class Far:
    """The link under test, and the bus at its far end."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.nudges = 0
        self.link: Link[Node] = Link(None, Node, self.nudge, self.errors.append)

    def nudge(self) -> None:
        self.nudges += 1

    def read(self) -> list[tuple[int, int, int, bytes, int]]:
        """All that the link wants to write: kind, flags, cookie, body and descriptors."""
        found = []
        self.link.sweep()
        while self.link.outbox.packets:
            packet = self.link.outbox.packets[0]
            data = b"".join(packet.parts)
            assert len(data) <= 131072
            assert len(packet.fds) <= 253
            at = 0
            while at < len(data):
                assert at % 8 == 0
                size, kind, flags, cookie, fds = struct.unpack_from("=IHHII", data, at)
                found.append((kind, flags, cookie, data[at + 16 : at + size], fds))
                at += (size + 7) // 8 * 8
            self.link.outbox.sent()
        return found

    def write(self, *records: bytes, fds: tuple[Fd, ...] = ()) -> None:
        data = b""
        for record in records:
            data += bytes(-len(data) % 8) + record
        self.link.take(memoryview(data), len(data), list(fds))

    def handle(self, id: int, once: bool = False) -> Handle:
        return self.link.holdings.hold(id, once)


@pytest.fixture
def far() -> Far:
    return Far()


def record(kind: int, body: bytes, flags: int = 0, cookie: int = 0, fds: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, cookie, fds) + body


def result(cookie: int, *values: int, error: int = 0, stamp: int = 0, rest: bytes = b"") -> bytes:
    body = struct.pack("=iIQQ", error, len(values), stamp, len(rest))
    return record(65, body + struct.pack(f"={len(values)}Q", *values) + rest, cookie=cookie)


def data(
    node: int,
    payload: bytes = b"",
    handles: tuple[tuple[int, int], ...] = (),
    cookie: int = 0,
    flags: int = 0,
    fds: int = 0,
    size: int | None = None,
) -> bytes:
    size = len(payload) if size is None else size
    body = struct.pack("=QQQQIIIIQ", 20, 7, node, cookie, 1000, 42, len(handles), 0, size)
    for id, kind in handles:
        body += struct.pack("=QII", id, kind, 0)
    return record(66, body + payload, flags=flags, fds=fds)


def notice(kind: int, id: int, cookie: int = 0) -> bytes:
    return record(kind, struct.pack("=QQQQ", 30, 7, id, cookie))


def send(far: Far, handle: Handle, payload: Any = b"", **more: Any) -> Any:
    return requests.send(far.link, handle, payload, more.get("handles", ()), more.get("fds", ()))


# Out.


def test_a_send_is_what_the_page_says(far: Far) -> None:
    node, target, other = far.link.holdings.own(3), far.handle(5), far.handle(6)
    send(far, target, b"hello", handles=[other, node, node.once(9)])
    [(kind, flags, cookie, body, fds)] = far.read()
    assert (kind, flags, cookie, fds) == (6, 0, 1, 0)
    assert body == (
        struct.pack("=IIQ", 1, 3, 5)
        + struct.pack("=Q", 5)
        + struct.pack("=IIQQ", 0, 0, 6, 0)
        + struct.pack("=IIQQ", 1, 0, 3, 0)
        + struct.pack("=IIQQ", 2, 0, 3, 9)
        + b"hello"
    )


def test_a_lean_call_and_a_rich_one_are_alike(far: Far) -> None:
    far.link.replies = far.link.holdings.own(3)
    target = far.handle(5)
    lean, rich = far.link.call(target, b"x"), far.link.call(target, bytearray(b"x"))
    (kind, flags, one, body, _), (_, _, two, other, _) = far.read()
    assert (kind, flags, two) == (6, QUIET, one + 1)
    head = struct.pack("=IIQQ", 1, 1, 1, 5)
    assert body == head + struct.pack("=IIQQ", 2, 0, 3, lean.cookie) + b"x"
    assert other == head + struct.pack("=IIQQ", 2, 0, 3, rich.cookie) + b"x"


def test_a_lean_answer_and_a_rich_one_are_alike(far: Far) -> None:
    target = far.handle(5)
    far.link.answer(target, b"x")
    far.link.answer(target, memoryview(b"x"))
    (kind, flags, _, body, _), (_, _, _, other, _) = far.read()
    assert (kind, flags, body) == (6, QUIET, struct.pack("=IIQQ", 1, 0, 1, 5) + b"x")
    assert other == body


def test_requests_of_one_turn_are_one_packet(far: Far) -> None:
    handle = far.handle(5)
    for size in range(9):
        send(far, handle, b"x" * size)
    assert len(far.link.outbox.packets) == 1
    assert [len(body) - 24 for _, _, _, body, _ in far.read()] == list(range(9))
    assert not far.link.outbox.packets
    assert far.link.outbox.size == 0


def test_packets_have_a_most(far: Far) -> None:
    handle = far.handle(5)
    for _ in range(5):
        send(far, handle, b"x" * 60001)
    assert far.link.outbox.size > 5 * 60000
    assert len(far.read()) == 5  # read() looks at the sizes
    with open("/dev/null", "rb") as file:
        for _ in range(3):
            send(far, handle, fds=[file] * 100)
    assert [fds for _, _, _, _, fds in far.read()] == [100] * 3


def test_what_no_packet_takes_changes_nothing(far: Far) -> None:
    handles = [far.handle(id) for id in range(1, 20000)]
    with pytest.raises(TooLong):
        requests.multicast(far.link, handles, b"", (), (), False)
    with open("/dev/null", "rb") as file, pytest.raises(TooLong):
        send(far, handles[0], fds=[file] * 254)
    assert far.read() == []


def test_large_payloads_are_sealed_memory(far: Far) -> None:
    content, target = os.urandom(65537), far.handle(5)
    send(far, target, content)
    [packet] = far.link.outbox.packets
    [fd] = packet.fds
    assert os.pread(fd.fileno(), 70000, 0) == content
    with pytest.raises(PermissionError):
        os.pwrite(fd.fileno(), b"x", 0)
    [(_, flags, _, body, fds)] = far.read()
    assert (flags, body, fds) == (2, struct.pack("=IIQQ", 1, 0, 65537, 5), 1)
    number = fd.fileno()
    del packet, fd
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_descriptors_stay_the_callers(far: Far) -> None:
    read, write = os.pipe()
    send(far, far.handle(5), fds=[write])
    os.close(write)
    [packet] = far.link.outbox.packets
    os.write(packet.fds[0].fileno(), b"x")
    assert os.read(read, 1) == b"x"
    del packet
    far.read()
    assert os.read(read, 1) == b""  # the last one is closed when it is sent
    os.close(read)


def test_only_what_is_held_is_sent(far: Far) -> None:
    released, foreign = far.handle(5), Far().handle(5)
    released.release()
    for handle in (released, foreign):
        with pytest.raises(Unknown):
            send(far, handle)
        with pytest.raises(Unknown):
            send(far, far.handle(6), handles=[handle])
    with pytest.raises(Invalid):
        send(far, far.handle(6), handles=["a string"])


# Results.


def test_results_find_who_asked(far: Far) -> None:
    first, second, handle = requests.create(far.link), requests.create(far.link), far.handle(5)
    far.link.send([handle], b"", (), (), Quiet(trouble=far.errors.append), QUIET)
    third = requests.query(far.link)
    cookies = [cookie for _, _, cookie, _, _ in far.read()]
    far.write(result(cookies[0], 11), result(cookies[1], 12))
    assert (first.take().id, second.take().id) == (11, 12)
    far.write(result(cookies[3], *range(10)))
    assert third.take().queued == 9
    assert far.errors == []
    assert far.link.awaited == 0


def test_a_quiet_failure_is_told(far: Far) -> None:
    handle, once = far.handle(5), far.handle(6, once=True)
    for target in (handle, once, handle):
        far.link.send([target], b"", (), (), Quiet(trouble=far.errors.append), QUIET)
    assert once.spent
    far.write(result(2, error=errno.EDQUOT, rest=b"too much"))
    assert [type(each) for each in far.errors] == [Quota]
    assert str(far.errors[0]) == "too much"
    assert not once.spent


def test_errors_have_the_classes_of_the_core(far: Far) -> None:
    handle = far.handle(5)
    waiting = send(far, handle)
    far.write(result(1, error=errno.ESTALE, rest="für Leute".encode()))
    with pytest.raises(Gone, match="für Leute"):
        waiting.take()
    waiting = send(far, handle)
    far.write(result(2, error=errno.EBADF))
    with pytest.raises(Exception, match="EBADF") as caught:
        waiting.take()
    assert caught.value.errno == errno.EBADF  # type: ignore[attr-defined]


def test_who_is_left_out_is_named_and_keeps_what_is_once(far: Far) -> None:
    targets = [far.handle(5), far.handle(6, once=True), far.handle(7, once=True)]
    waiting = requests.multicast(far.link, targets, b"", (), (), True)
    [(_, flags, cookie, _, _)] = far.read()
    assert flags == 1
    far.write(result(cookie, 0, errno.ESTALE, 2, errno.EDQUOT))
    assert [(target.id, type(why)) for target, why in waiting.take()] == [(5, Gone), (7, Quota)]
    assert [each.spent for each in targets] == [False, True, False]


def test_what_is_not_answered_has_a_bound(far: Far) -> None:
    """Every so often a QUIET request asks for a RESULT, so that the others can be forgotten."""
    handle = far.handle(5)
    for _ in range(LEDGER + 1):
        far.link.answer(handle, b"")
    asked = [cookie for _, flags, cookie, _, _ in far.read() if not flags & QUIET]
    assert len(asked) == 1
    far.write(result(asked[0]))
    assert len(far.link.pending) == 0


def test_cookies_go_round(far: Far) -> None:
    far.link.number = 0xFFFFFFFE
    first, second = requests.create(far.link), requests.create(far.link)
    assert [cookie for _, _, cookie, _, _ in far.read()] == [0xFFFFFFFF, 1]
    far.write(result(0xFFFFFFFF, 3), result(1, 4))
    assert (first.take().id, second.take().id) == (3, 4)


# Messages.


def test_a_message_has_all_that_came(far: Far) -> None:
    node = far.link.holdings.own(3)
    read, write = (Fd(number) for number in os.pipe())
    parts = data(3, b"payload", ((8, 0), (0, 0), (9, 1)), flags=1, fds=2)
    far.write(parts, data(3, b"next"), fds=(read, write))
    first, second = far.link.holdings.inbox
    assert (first.kind, first.node, first.payload) == (DATA, node, b"payload")
    assert (first.stamp, first.sender, first.uid, first.pid) == (20, 7, 1000, 42)
    one, none, once = first.handles
    assert one is not None
    assert once is not None
    assert (one.id, one.once, none, once.id, once.once) == (8, False, None, 9, True)
    assert (first.more, second.more) == (True, False)
    assert first.fds == [read, write]
    assert second.payload == b"next"


def test_a_large_message_is_read_where_it_lies(far: Far) -> None:
    node = far.link.holdings.own(3)
    sealed = Sealed(b"x" * 100000)
    far.write(data(3, flags=2, fds=1, size=100000), fds=(sealed.fd,))
    message = far.link.holdings.take(far.link.holdings.inbox)
    assert message.node is node
    assert isinstance(message.payload, memoryview)
    assert message.payload.readonly
    assert message.payload == b"x" * 100000
    view = message.payload
    message.close()
    with pytest.raises(ValueError, match="released"):
        bytes(view)


def test_a_smaller_memory_than_was_said_is_no_message(far: Far) -> None:
    """Reading behind its end would kill the process."""
    far.link.holdings.own(3)
    node = far.link.holdings.own(3)
    far.write(data(3, flags=2, fds=1, size=1 << 40), fds=(Sealed(b"x").fd,))
    assert not far.link.holdings.inbox
    assert len(far.errors) == 1
    assert node.id == 3


def test_without_room_for_its_descriptors_a_message_is_lost_with_an_error(far: Far) -> None:
    node = far.link.holdings.own(3)
    far.write(data(3, b"x", ((8, 0),), fds=1))
    assert [each.errno for each in far.errors if isinstance(each, OSError)] == [errno.EMFILE]
    assert released(far) == [8]
    assert node.id == 3


def released(far: Far) -> list[int]:
    gc.collect()
    found = [body for kind, flags, _, body, _ in far.read() if (kind, flags) == (4, QUIET)]
    return [id for body in found for (id,) in struct.iter_unpack("=Q", body)]


def test_a_message_to_a_node_that_is_dropped_dies_with_all_it_carries(far: Far) -> None:
    far.link.holdings.own(3)
    read, write = os.pipe()
    far.write(data(3, b"x", ((8, 0), (9, 1)), fds=1), fds=(Fd(write),))
    assert sorted(released(far)) == [3, 8, 9]
    assert os.read(read, 1) == b""
    os.close(read)


def test_notices(far: Far) -> None:
    node, handle = far.link.holdings.own(3), far.handle(8)
    seen: list[Handle] = []
    handle.on_gone = seen.append
    watched = far.link.holdings.watch(handle)
    far.write(notice(67, 8), notice(67, 99), notice(68, 3), notice(69, 3, 5), record(90, b"?"))
    assert handle.gone == watched.take() == 30
    callback, argument = far.link.due.popleft()
    callback(argument)
    assert seen == [handle]
    assert not handle.spent  # it stays until it is released
    notices = [(each.kind, each.node, each.cookie) for each in far.link.holdings.inbox]
    assert notices == [(NO_HANDLES_LEFT, node, 0), (ONCE_DROPPED, node, 5)]


# Calls.


@pytest.fixture
def caller(far: Far) -> Far:
    far.link.replies = far.link.holdings.own(3)
    return far


def test_a_reply_finds_its_call(caller: Far) -> None:
    target = caller.handle(5)
    one, two = caller.link.call(target, b"1"), caller.link.call(target, b"2")
    caller.write(data(3, b"two", cookie=two.cookie, flags=4), notice(69, 3, one.cookie))
    assert two.take().payload == b"two"
    assert one.take().kind == ONCE_DROPPED
    assert caller.link.awaited == 0
    assert not caller.link.holdings.stored


def test_a_call_that_cannot_be_sent_fails_at_once(caller: Far) -> None:
    call = caller.link.call(caller.handle(5), b"")
    caller.write(result(1, error=errno.ESTALE))
    with pytest.raises(Gone):
        call.take()
    assert caller.link.calls == {}
    assert caller.link.awaited == 0


def test_a_late_reply_is_dropped_with_all_it_carries(caller: Far) -> None:
    call = caller.link.call(caller.handle(5), b"")
    caller.link.forget(call)
    caller.read()
    read, write = os.pipe()
    reply = data(3, b"late", ((8, 0),), cookie=call.cookie, flags=4, fds=1)
    caller.write(reply, fds=(Fd(write),))
    assert 8 in released(caller)
    assert os.read(read, 1) == b""
    os.close(read)
    assert caller.link.awaited == 0


# Lifetimes.


def test_dropped_handles_go_together_and_after_what_uses_them(far: Far) -> None:
    handles = [far.handle(id) for id in range(5, 10)]
    send(far, handles[0])
    del handles
    gc.collect()
    sent, release = far.read()
    assert sent[0] == 6
    kind, flags, _, body, _ = release
    assert (kind, flags) == (4, QUIET)
    assert sorted(struct.unpack("=5Q", body)) == [5, 6, 7, 8, 9]
    assert far.nudges == 5


def test_a_refused_release_goes_on_one_by_one(far: Far) -> None:
    """One of them was gone already, with a RESET; the others would stay forever."""
    for id in (5, 6, 7):
        far.handle(id).release()
    [(_, _, cookie, _, _)] = far.read()
    far.write(result(cookie, error=errno.ENXIO))
    again = far.read()
    assert [struct.unpack("=Q", body)[0] for _, _, _, body, _ in again] == [5, 6, 7]
    far.write(result(again[1][2], error=errno.ENXIO))
    assert far.read() == []
    assert far.errors == []


def test_a_handle_that_its_use_spends_is_not_released(far: Far) -> None:
    once = far.handle(5, once=True)
    far.link.answer(once, b"")
    with pytest.raises(Unknown):
        far.link.answer(once, b"")
    far.read()
    del once
    far.link.pending.clear()
    assert released(far) == []
    assert far.link.holdings.handles == {}


def test_handles_may_be_dropped_by_any_thread(far: Far) -> None:
    handles = [far.handle(id) for id in range(1, 401)]
    parts = [handles[start::4] for start in range(4)]
    handles.clear()
    threads = [threading.Thread(target=part.clear) for part in parts]
    for thread in threads:
        thread.start()
    found: list[int] = []
    while any(thread.is_alive() for thread in threads):
        found += released(far)
    found += released(far)
    assert sorted(found) == list(range(1, 401))


def test_a_value_that_nobody_takes_is_released(far: Far) -> None:
    waiting = requests.create(far.link)
    [(_, _, cookie, _, _)] = far.read()
    del waiting
    far.write(result(cookie, 3))
    assert released(far) == [3]


# The end.


def test_the_end_is_told_to_all_who_wait(caller: Far) -> None:
    handle = caller.handle(5)
    waiting: list[Any] = [
        requests.create(caller.link),
        caller.link.call(handle, b""),
        caller.link.holdings.watch(handle),
        caller.link.opening,
    ]
    caller.link.end("it has ended")
    for each in waiting:
        with pytest.raises(ConnectionError, match="it has ended"):
            each.take()
    with pytest.raises(ConnectionError):
        requests.create(caller.link)
    del handle
    assert caller.read() == []


BROKEN: list[Callable[[], bytes]] = [
    lambda: b"\0" * 15,
    lambda: struct.pack("=IHHII", 15, 66, 0, 0, 0),
    lambda: struct.pack("=IHHII", 17, 66, 0, 0, 0),
    lambda: record(66, b""),
    lambda: record(65, b"", cookie=1),
    lambda: record(67, b"short"),
    lambda: result(77),
    lambda: data(3, b"xyz", size=2),
    lambda: data(3, b"", ((8, 0),))[:-8] + b"",
]


@pytest.mark.parametrize("packet", BROKEN)
def test_what_is_no_packet_ends_the_connection(far: Far, packet: Callable[[], bytes]) -> None:
    node = far.link.holdings.own(3)
    with pytest.raises(ConnectionError):
        far.write(packet())
    assert node.id == 3


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from([64, 65, 66, 67, 68, 69, 1]),
    flags=st.integers(0, 7),
    many=st.integers(0, 3),
    body=st.binary(max_size=120),
)
def test_nothing_that_comes_raises_anything_else(
    kind: int, flags: int, many: int, body: bytes
) -> None:
    far = Far()
    node = far.link.holdings.own(0)
    requests.create(far.link)
    with contextlib.suppress(ConnectionError):
        far.write(record(kind, body, flags, 1, many), fds=(Sealed(b"x").fd,))
    assert node.id == 0
