"""Bytes in, stamped messages out: whatever way the bytes come, the model, compiled code and (where
installed) the reference library accept the same messages; what leaves is what came but for SENDER.
"""

import json
import os
import pathlib
import struct
import time
import tracemalloc
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.wire.frame import BadMessage, Frame, Framer
from bus1.fds.descriptors import Descriptors
from tests.wire import model, reference
from tests.wire.strategies import messages, mutated

MIB = 1 << 20
GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden.json").read_text())
CALL = [(1, ("o", "/a")), (2, ("s", "a.b")), (3, ("s", "Member")), (6, ("s", ":1.42"))]


def framer(sender: str | None = None, size: int = 128 * MIB, fds: int = 16) -> Framer:
    found = Framer(size, fds)
    if sender is not None:
        found.stamp(sender)
    return found


def drain(source: Framer, chunks: Iterable[bytes]) -> tuple[list[Frame], str | None]:
    """The frames that come out, and the reason why no more can."""
    frames = []
    try:
        for chunk in chunks:
            source.feed(chunk)
            while (frame := source.take()) is not None:
                frames.append(frame)
            source.settle()
    except BadMessage as reason:
        return frames, str(reason)
    return frames, None


def one(data: bytes, sender: str | None = None) -> Frame:
    (frame,), reason = drain(framer(sender), [data])
    assert reason is None
    return frame


def refusal(data: bytes) -> str:
    frames, reason = drain(framer(), [data])
    assert not frames
    assert reason is not None
    assert reference.agrees(False, data)
    return reason


def call(signature: str = "", body: bytes = b"", *, little: bool = True) -> bytes:
    fields = [*CALL, (8, ("g", signature))] if signature else CALL
    return model.message((1, 0, 7), fields, body, little=little)


def bytewise(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


# Golden frames: the same bytes today and tomorrow, and other people's code reads them alike.


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden["name"]))
def test_golden_frames(golden: dict[str, Any]) -> None:
    data = bytes.fromhex(golden["hex"])
    sender = golden["fields"].get("7")
    frame = one(data, sender)
    assert frame.raw() == data
    assert model.relayed(data, sender) == data
    assert reference.agrees(True, data)
    assert (frame.kind, frame.flags, frame.serial) == (
        golden["kind"],
        golden["flags"],
        golden["serial"],
    )
    texts = [frame.path(), frame.interface(), frame.member(), frame.error_name()]
    assert texts == [golden["fields"].get(code) for code in "1234"]
    assert (frame.destination(), frame.sender()) == (golden["fields"].get("6"), sender)
    assert frame.reply_serial == golden["fields"].get("5", 0)
    assert frame.signature() == golden["signature"]
    assert frame.little == golden["little"]
    assert frame.size == len(data)
    assert frame.body() == data[model.parse(data).body_start :]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden["name"]))
def test_a_truncated_message_is_waited_for(golden: dict[str, Any]) -> None:
    data = bytes.fromhex(golden["hex"])
    for size in range(len(data)):
        source = framer()
        source.feed(data[:size])
        assert source.take() is None
        source.settle()
        assert source.take() is None
        source.feed(data[size:])
        assert source.take() is not None
        assert source.take() is None


def test_however_the_bytes_come_the_messages_are_the_same() -> None:
    stream = b"".join(bytes.fromhex(golden["hex"]) for golden in GOLDEN)
    whole = [frame.raw() for frame in drain(framer(":1.7"), [stream])[0]]
    assert len(whole) == len(GOLDEN)
    assert [frame.raw() for frame in drain(framer(":1.7"), bytewise(stream))[0]] == whole
    for step in (3, 16, 17, 100, 1000):
        chunks = [stream[place : place + step] for place in range(0, len(stream), step)]
        assert [frame.raw() for frame in drain(framer(":1.7"), chunks)[0]] == whole


@settings(max_examples=120, deadline=None)
@given(messages())
def test_valid_messages_leave_as_the_model_says(data: bytes) -> None:
    for sender in (None, ":1.7", "org.freedesktop.DBus"):
        frame = one(data, sender)
        assert frame.raw() == model.relayed(data, sender)
        assert frame.sender() == sender
    parsed = model.parse(data)
    fields = dict(parsed.fields)
    assert frame.body() == data[parsed.body_start :]
    assert frame.path() == fields.get(1)
    assert frame.destination() == fields.get(6)
    assert frame.destination_number == (42 if fields.get(6) == ":1.42" else -1)
    assert frame.reply_serial == fields.get(5, 0)
    assert reference.agrees(True, data)


@settings(max_examples=120, deadline=None)
@given(messages(), st.randoms(use_true_random=False))
def test_compiled_code_model_and_reference_accept_the_same(data: bytes, chance: Random) -> None:
    for _ in range(15):
        check_that_all_agree(mutated(data, chance))


def check_that_all_agree(data: bytes) -> None:
    whole = drain(framer(":1.7"), [data])
    pieces = drain(framer(":1.7"), bytewise(data))
    outcome = [frame.raw() for frame in whole[0]]
    assert [frame.raw() for frame in pieces[0]] == outcome
    assert pieces[1] == whole[1]
    try:
        size = model.length(data)
        if size is None or size > len(data):
            assert whole == ([], None)
            return
        data = data[:size]  # more may follow the message, whatever it is
        outcome = outcome[:1]
        expected = [model.relayed(data, ":1.7")]
    except model.Bad:
        expected = []
    if b"\x09\x01u\0" not in data:  # claims descriptors, of which there are none
        assert outcome == expected
    assert reference.agrees(bool(expected), data)


# The reference implementation's own corpus (dbus, test/data, *-messages/*.message-raw), as bytes.
# All of it applies; the .hex files beside are the same bytes with comments.

CORPUS = {
    "byteswap-fd-index": (
        True,
        "422d31010000000c97bc9023000000080801670002687600f82802080261760000000000",
    ),
    "minimal": (
        True,
        "6c0200010000000002000000080000000501750001000000",
    ),
    "boolean-has-no-value": (
        False,
        "6c0000001000000001000000010000000303c2f0e3c04c4aba558ae7e67806d1352214a24b7d1be38b4b"
        "95841d45f8293abb1a1f7c666937bbf31fa26c2674a1488844937691ab0c16c8500ff18bca0caa487214"
        "7f2e089ed074c445160ccd5a9fd3ba166465",
    ),
    "fixed-array-not-divisible": (
        False,
        "6c40ff0100000000f60059df18010000521161286128797979797979797929796174290000010000d800"
        "000000000000016f5d000000000000015602447265656465736b000017f60059df20dfff09a911612061"
        "2879717900d842e92f6f7267656564202020202020202000202020202020202020202020202020202020"
        "20b00024000000000000e6dfdfdf20202020650000000000000000000000000000000000000000000000"
        "00000000000000000000000000000000000000000000000028757987ff27b5e9d90100005e304b790001"
        "6f2d5d67446f724444726565640017656b7300f60059ffa911612061287971fd7eeeff01000000000000"
        "1067c8c8c8c8c8c8c801000000000000050000000000faff000000000000000000000000120000000000"
        "0000",
    ),
    "issue418": (
        False,
        "6c8f2801000000007b22000818000000fd152874617b79617b64617b79617b7961717d7d7d297d000000"
        "0000000000000c000000000000000000000000000000feff0000",
    ),
    "mis-nested-sig": (
        False,
        "6cff0001000000000100000018000000ff152874617b79617b64617b79617b7961717d7d7d297d00",
    ),
    "truncated-variant-sig": (
        False,
        "6cff0001000000000100000004000000ffff000000000000",
    ),
    "zero-length-variant-sig": (
        False,
        "6cff0001000000000100000003000000ff00000000000000",
    ),
}


@pytest.mark.parametrize("name", CORPUS)
def test_the_reference_corpus(name: str) -> None:
    valid, text = CORPUS[name]
    data = bytes.fromhex(text)
    frames, reason = drain(framer(), [data])
    assert (len(frames), reason is None) == ((1, True) if valid else (0, False))
    if valid:
        assert frames[0].raw() == data
    assert drain(framer(), bytewise(data))[1] == reason


# The header (contract E.43-49).


def header(**changes: Any) -> bytes:
    """A method call's first bytes, one of them wrong."""
    given: dict[str, Any] = {
        "endian": b"l",
        "kind": 1,
        "version": 1,
        "body": 0,
        "serial": 1,
        "fields": 0,
    } | changes
    numbers = struct.pack("<III", given["body"], given["serial"], given["fields"])
    first: bytes = given["endian"] + bytes([given["kind"], 0, given["version"]])
    return first + numbers


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"endian": b"L"}, "unknown byte order"),
        ({"endian": b"\0"}, "unknown byte order"),
        ({"kind": 0}, "message type 0"),
        ({"version": 2}, "unknown protocol version"),
        ({"version": 0}, "unknown protocol version"),
        ({"serial": 0}, "serial 0"),
        ({"fields": 64 * MIB + 1}, "header fields longer than 64 MiB"),
        ({"body": 128 * MIB}, "longer than 128 MiB"),
        ({"body": 0xFFFFFFFF, "fields": 64 * MIB}, "longer than 128 MiB"),
    ],
)
def test_the_first_16_bytes_tell(changes: dict[str, Any], reason: str) -> None:
    assert refusal(header(**changes)) == reason


def test_the_limit_of_this_bus() -> None:
    data = call("s", model.pack("s", ["x" * 100]))
    assert len(drain(framer(size=len(data)), [data])[0]) == 1
    frames, reason = drain(framer(size=len(data) - 1), [data[:16]])
    assert (frames, reason) == ([], "longer than this bus allows (max_message_size)")


PATH, INTERFACE, MEMBER, DESTINATION = CALL
REPLY = (5, ("u", 9))
ERROR = (4, ("s", "a.b"))


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        (1, [PATH], "a call or signal without PATH or MEMBER"),
        (1, [MEMBER], "a call or signal without PATH or MEMBER"),
        (4, [PATH, MEMBER], "a signal without INTERFACE"),
        (4, [INTERFACE, MEMBER], "a call or signal without PATH or MEMBER"),
        (2, [], "a reply without REPLY_SERIAL"),
        (3, [REPLY], "an error without ERROR_NAME"),
        (3, [ERROR], "a reply without REPLY_SERIAL"),
        (2, [(5, ("u", 0))], "header field REPLY_SERIAL: is 0"),
        (2, [REPLY, REPLY], "header field REPLY_SERIAL: appears twice"),
        (2, [REPLY, (5, ("i", 9))], "header field REPLY_SERIAL: appears twice"),
        (2, [(5, ("i", 9))], "header field REPLY_SERIAL: has the wrong type"),
        (1, [*CALL, PATH], "header field PATH: appears twice"),
        (1, [*CALL, (7, ("s", "a.b")), (7, ("s", "a.b"))], "header field SENDER: appears twice"),
        (1, [*CALL, (8, ("g", "")), (8, ("g", ""))], "header field SIGNATURE: appears twice"),
        (1, [*CALL, (9, ("u", 0)), (9, ("u", 0))], "header field UNIX_FDS: appears twice"),
        (1, [(1, ("s", "/a")), MEMBER], "header field PATH: has the wrong type"),
        (1, [*CALL, (8, ("s", ""))], "header field SIGNATURE: has the wrong type"),
        (1, [*CALL, (9, ("t", 0))], "header field UNIX_FDS: has the wrong type"),
        (1, [*CALL, (7, ("o", "/"))], "header field SENDER: has the wrong type"),
        (1, [*CALL, (7, ("s", "x"))], "header field SENDER: is not a valid name"),
        (1, [PATH, MEMBER, (6, ("s", "x"))], "header field DESTINATION: is not a valid name"),
        (1, [PATH, (3, ("s", "a.b"))], "header field MEMBER: is not a valid name"),
        (1, [PATH, MEMBER, (2, ("s", "a"))], "header field INTERFACE: is not a valid name"),
        (1, [(1, ("o", "/a/")), MEMBER], "header field PATH: is not a valid name"),
        (3, [REPLY, (4, ("s", ""))], "header field ERROR_NAME: is not a valid name"),
        (2, [REPLY, (0, ("s", ""))], "header field 0"),
        (2, [REPLY, (200, ("s", "\udcff"))], "header field 200: a string is not valid UTF-8"),
        (2, [REPLY, (255, ("b", 2))], "header field 255: a boolean is neither 0 nor 1"),
        (
            1,
            [(1, ("o", "/org/freedesktop/DBus/Local")), MEMBER],
            "header field PATH: is reserved for messages that no bus carries",
        ),
        (
            5,
            [(2, ("s", "org.freedesktop.DBus.Local"))],
            "header field INTERFACE: is reserved for messages that no bus carries",
        ),
    ],
)
def test_wrong_fields(kind: int, fields: list[Any], reason: str) -> None:
    for little in (True, False):
        data = model.message((kind, 0, 1), fields, little=little)
        assert refusal(data) == reason


def test_a_local_path_may_be_longer() -> None:
    path = (1, ("o", "/org/freedesktop/DBus/Local/x"))
    interface = (2, ("s", "org.freedesktop.DBus.Locals"))
    assert one(model.message((1, 0, 1), [path, interface, MEMBER])).path() == path[1][1]


@pytest.mark.parametrize("place", range(len(CALL) + 1))
@pytest.mark.parametrize("little", [True, False])
def test_a_claimed_sender_is_overwritten_wherever_it_stands(place: int, little: bool) -> None:
    claimed = [*CALL[:place], (7, ("s", "org.example.Somebody.Else")), *CALL[place:]]
    body = model.pack("u", [5], little=little)
    data = model.message((1, 255, 1), [*claimed, (8, ("g", "u"))], body, little=little)
    for sender, last in ((":1.7", [(7, ("s", ":1.7"))]), (None, [])):
        stamped = [*CALL, (8, ("g", "u")), *last]
        assert one(data, sender).raw() == model.message((1, 255, 1), stamped, body, little=little)


def test_unknown_fields_are_taken_out_and_unknown_flags_and_types_stay() -> None:
    strange = [(200, ("a{sv}", {"x": ("ay", b"abc")})), (10, ("o", "/")), (11, ("y", 1))]
    for place in range(len(CALL) + 1):
        fields = [*CALL[:place], *strange, *CALL[place:], (255, ("s", "end"))]
        for kind in (1, 5, 255):
            frame = one(model.message((kind, 0xF8, 3), fields), ":1.7")
            stamped = [*CALL, (7, ("s", ":1.7"))]
            assert frame.raw() == model.message((kind, 0xF8, 3), stamped)
            assert (frame.path(), frame.member(), frame.sender()) == ("/a", "Member", ":1.7")


def test_padding_must_be_zero() -> None:
    data = call("yyu", model.pack("yyu", [1, 2, 3]))
    zeros = [place for place in range(16, len(data)) if data[place] == 0]
    spoiled = [data[:place] + b"\x01" + data[place + 1 :] for place in zeros]
    reasons = {drain(framer(), [bad])[1] for bad in spoiled}
    assert {"padding is not zero", "body: padding is not zero"} < reasons
    assert "header field MEMBER: padding is not zero" in reasons


@pytest.mark.parametrize(
    ("name", "number"),
    [
        (":1.42", 42),
        (":1.0", 0),
        (":1.9223372036854775807", (1 << 63) - 1),
        (":1.9223372036854775808", -1),
        (":1.9999999999999999999", -1),
        (":1.99999999999999999999", -1),
        (":1.042", -1),
        (":1.00", -1),
        (":1.", None),
        (":1.4a", -1),
        (":1.4.2", -1),
        (":2.42", -1),
        (":1-42", -1),
        (":1", -1),
        (":", -1),
        ("a.b", -1),
    ],
)
def test_destination_number(name: str, number: int | None) -> None:
    data = model.message((1, 0, 1), [PATH, MEMBER, (6, ("s", name))])
    if number is None:
        refusal(data)
    else:
        assert one(data).destination_number == number
        assert one(data).destination() == name


def test_no_destination_no_number() -> None:
    frame = one(model.message((1, 0, 1), [PATH, MEMBER]))
    assert (frame.destination_number, frame.destination(), frame.signature()) == (-1, None, "")
    assert (frame.interface(), frame.error_name(), frame.sender()) == (None, None, None)


# Big messages, and many connections with one buffer.


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[place : place + size] for place in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1000, 16 * 1024, 100_000, 255 * 1024, 4 * MIB])
def test_big_messages_in_pieces(size: int) -> None:
    small = call()
    for fields in (
        CALL,
        [*CALL, (200, ("s", "x" * 1000))],  # the header shrinks
        [(7, ("s", "a." + "y" * 200)), *CALL],
    ):
        for length in (20_000, 262_000, 3 * MIB):
            body = model.pack("s", ["x" * length])
            big = model.message((1, 0, 7), [*fields, (8, ("g", "s"))], body)
            stream = small + big + small
            source = framer(":1.7")
            if size > len(stream):
                source.feed(small)
                stream = stream[len(small) :]
            chunks = [piece for piece in pieces(stream, size) if piece]
            if size == 4 * MIB:
                chunks = pieces(stream, 255 * 1024)
            frames, reason = drain(source, chunks)
            assert reason is None
            expected = [model.relayed(data, ":1.7") for data in (small, big, small)]
            assert [frame.raw() for frame in frames] == expected
            assert frames[1].path() == "/a"
            assert frames[1].sender() == ":1.7"


def test_a_big_message_without_a_sender_keeps_its_bytes() -> None:
    data = call("ay", model.pack("ay", [b"x" * 300_000]))
    frames, _ = drain(framer(), pieces(data, 50_000))
    assert frames[0].raw() == data


def test_connections_share_the_buffer_and_not_their_bytes() -> None:
    """Even one that does not settle loses nothing when another receives."""
    data = [call("s", model.pack("s", [letter * 30_000])) + call() for letter in "abc"]
    sources = [framer(f":1.{number}") for number in range(3)]
    got: list[list[bytes]] = [[], [], []]
    for place in range(0, len(data[0]), 777):
        for number, source in enumerate(sources):
            source.feed(data[number][place : place + 777])
            if place % 2:
                while (frame := source.take()) is not None:
                    got[number].append(frame.raw())
    for number, source in enumerate(sources):
        while (frame := source.take()) is not None:
            got[number].append(frame.raw())
        expected = [model.relayed(data[number][: -len(call())], f":1.{number}")]
        assert got[number] == [*expected, model.relayed(call(), f":1.{number}")]


def test_whole_messages_wait_until_they_are_taken() -> None:
    data = call()
    source = framer()
    source.feed(data * 1000)
    source.settle()
    framer().feed(call())
    source.feed(data * 500)
    assert sum(1 for _ in iter(source.take, None)) == 1500
    many = 2 * 256 * 1024 // len(data)  # more than the shared buffer takes
    source.feed(data * many + data[:20])
    source.settle()
    assert sum(1 for _ in iter(source.take, None)) == many
    source.feed(data[20:])
    assert [frame.raw() for frame in iter(source.take, None)] == [data]


def test_an_idle_framer_owns_no_buffers_and_a_claim_costs_what_came() -> None:
    framer().feed(call()[:17])  # the shared buffer exists
    claim = struct.pack("<4B3I", 0x6C, 1, 0, 1, 100 * MIB, 1, 100)
    idle, claimed = [framer() for _ in range(50)], [framer() for _ in range(50)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for source in idle:
            assert len(drain(source, [call("s", model.pack("s", ["x" * 100_000]))])[0]) == 1
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
        for source in claimed:
            assert drain(source, [claim + b"x" * 20_000]) == ([], None)
        assert tracemalloc.get_traced_memory()[0] - before < 50 * 70_000
        for source in claimed:
            source.close()
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()


def test_a_message_that_the_sender_makes_too_long_costs_no_receiver_its_connection() -> None:
    path = (1, ("o", "/" + "a" * (64 * MIB - 100)))
    data = model.message((1, 0, 7), [path, (3, ("s", "Member" * 7))])
    assert one(data, ":1.7").size < 16 + 64 * MIB
    frames, reason = drain(framer("a." + "b" * 200), [data])
    assert (frames, reason) == ([], "too long with SENDER")


def test_after_a_bad_message_there_is_nothing_more() -> None:
    source = framer()
    source.feed(call() + b"x" * 16 + call())
    assert source.take() is not None
    for _ in range(3):
        with pytest.raises(BadMessage, match="unknown byte order"):
            source.take()
    source.close()
    source.feed(call())
    assert source.take() is not None


def test_a_sender_is_a_bus_name() -> None:
    for wrong in ("", "x", "a." + "b" * 254, ":1.\n"):
        with pytest.raises(ValueError, match="bus name"):
            framer(wrong)
    longest = "a." + "b" * 253
    data = call("s", model.pack("s", ["x" * 50_000]))
    frames, _ = drain(framer(longest), pieces(data, 20_000))
    assert frames[0].raw() == model.relayed(data, longest)


# File descriptors (contract E.51-56).


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def with_fds(count: int) -> bytes:
    return model.message((1, 0, 7), [*CALL, (9, ("u", count))])


def descriptors(count: int) -> list[int]:
    return [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]


def test_a_message_has_the_first_descriptors_and_the_next_one_the_others() -> None:
    source = framer()
    numbers = descriptors(5)
    source.fds.extend(numbers)
    source.feed(with_fds(2) + call() + with_fds(0) + with_fds(1))
    first, plain, none, second = iter(source.take, None)
    assert isinstance(first.fds, Descriptors)
    assert first.fds.numbers == numbers[:2]
    assert (len(first.fds), first.fd_count, second.fd_count) == (2, 2, 1)
    assert (plain.fds, plain.fd_count, none.fds, none.fd_count) == (None, 0, None, 0)
    assert source.fds == numbers[3:]
    assert all(map(is_open, numbers))
    held = first.fds
    del first, second
    assert [is_open(number) for number in numbers] == [True, True, False, True, True]
    del held
    source.close()
    assert not any(map(is_open, numbers))
    assert source.fds == []


def test_too_few_and_too_many_descriptors() -> None:
    source = framer(fds=3)
    numbers = descriptors(4)
    source.fds.extend(numbers[:1])
    source.feed(with_fds(2))
    with pytest.raises(BadMessage, match="fewer file descriptors came"):
        source.take()
    assert is_open(numbers[0])
    del source
    assert not is_open(numbers[0])

    source = framer(fds=3)
    source.feed(with_fds(4))
    with pytest.raises(BadMessage, match="max_message_unix_fds"):
        source.take()

    source = framer(fds=2)
    source.fds.extend(numbers[1:])
    with pytest.raises(BadMessage, match="more file descriptors wait"):
        source.take()
    source.close()
    assert not any(map(is_open, numbers))


def test_any_index_of_a_descriptor_goes_in_both_orders() -> None:
    """As with the reference (CVE-2022-42012 was about swapping such a message)."""
    for little in (True, False):
        data = call("h", model.pack("h", [0xF8280208], little=little), little=little)
        assert one(data).raw() == data


# The body (contract E.43-44, F).


def nested(depth: int, *, little: bool = True) -> bytes:
    """That many variants in one another."""
    return call("v", b"\x01v\0" * (depth - 1) + b"\x01y\0\x05", little=little)


def test_variants_64_deep_and_no_deeper() -> None:
    assert one(nested(64)).size > 64
    assert refusal(nested(65)) == "body: nested more than 64 deep"
    assert refusal(nested(100_000)) == "body: nested more than 64 deep"


@pytest.mark.parametrize(
    ("signature", "deepest"),
    [("a" * 32 + "v", 32), ("(" * 32 + "v" + ")" * 32, 32), ("a{yv}", 62), ("ay", 64), ("as", 64)],
)
def test_all_containers_count(signature: str, deepest: int) -> None:
    """Variants, structs and arrays are levels; arrays of elements of fixed size are none."""

    def body(variants: int) -> bytes:
        value: Any = ("y", 5)
        for _ in range(variants - 1):
            value = ("v", value)
        if signature in ("ay", "as"):
            return model.pack("v", [wrapped(variants, signature)])
        if signature == "a{yv}":
            return model.pack(signature, [{1: value}])
        for _ in range(32):
            value = [value]
        return model.pack(signature, [value])

    outer = "v" if signature in ("ay", "as") else signature
    limit = deepest - (signature == "as")
    good, bad = call(outer, body(limit)), call(outer, body(limit + 1))
    assert one(good).raw() == good == model.relayed(good, None)
    assert reference.agrees(True, good)
    assert refusal(bad) == "body: nested more than 64 deep"


def wrapped(variants: int, signature: str) -> Any:
    value: Any = (signature, ["x"] if signature == "as" else b"x")
    for _ in range(variants - 1):
        value = ("v", value)
    return value


def test_header_variants_count_from_the_header() -> None:
    """The array of structs that they are in is two levels."""
    for depth, fine in ((62, True), (63, False)):
        value: Any = ("y", 5)
        for _ in range(depth - 1):
            value = ("v", value)
        data = model.message((1, 0, 1), [*CALL, (200, value)])
        assert (drain(framer(), [data])[1] is None) == fine
        assert reference.agrees(fine, data)


@pytest.mark.parametrize(
    ("signature", "body", "reason"),
    [
        ("a(i}", b"", "brackets are not nested"),
        ("{i)", b"", "a dict entry outside an array"),
        ("(", b"", "a bracket is not closed"),
        ("a", b"", "an array without an element type"),
        ("au", b"\x05\0\0\0" + bytes(5), "the length of an array is no multiple of its element's"),
        ("at", b"\x05\0\0\0\0\0\0\0" + bytes(5), "the length of an array is no multiple"),
        ("au", b"\x08\0\0\0\0\0\0\0", "an array is longer than what is left"),
        ("as", b"\x06\0\0\0\x01\0\0\0a\0\0\0", "there is more than the signature says"),
        ("as", b"\x05\0\0\0\x01\0\0\0a\0", "a text is longer than what is left"),
        ("ay", b"\x01\0\0\x04" + bytes(16), "an array is longer than 64 MiB"),
        ("ax", b"\0\0\0\0", "ends in the padding before a value"),
        ("ax", b"\0\0\0\0\0\0\x01\0", "padding is not zero"),
        ("b", b"\x02\0\0\0", "a boolean is neither 0 nor 1"),
        ("ab", b"\x08\0\0\0\x01\0\0\0\x01\x01\0\0", "a boolean is neither 0 nor 1"),
        ("s", b"\x01\0\0\0a", "a text is longer than what is left"),
        ("s", b"\xff\xff\xff\xffa", "a text is longer than what is left"),
        ("s", b"\x01\0\0\0aa", "a text does not end with NUL"),
        ("s", b"\x01\0\0\0\0\0", "a string is not valid UTF-8"),
        ("o", b"\x02\0\0\0//\0", "an object path is not valid"),
        ("g", b"\x01a\0", "an array without an element type"),
        ("g", b"\xffs\0", "a text is longer than what is left"),
        ("v", b"\0\0", "the type of a variant is not exactly one"),
        ("v", b"\x02yy\0\0\0", "the type of a variant is not exactly one"),
        ("v", b"\x01r\0\0", "an unknown type code"),
        ("v", b"\x01y", "a text is longer than what is left"),
        ("u", b"\0\0\0", "ends in the middle of a value"),
        ("", b"x", "there is more than the signature says"),
        ("y", b"xx", "there is more than the signature says"),
        ("(y)", b"", "ends in the middle of a value"),
    ],
)
def test_wrong_bodies(signature: str, body: bytes, reason: str) -> None:
    assert refusal(call(signature, body)).startswith(f"body: {reason}")


def test_text_is_the_utf8_that_the_protocol_allows() -> None:
    good = ["", "a" * 100, "é" * 9, "\u07ff\u0800\ud7ff\ue000\uffff", "\U00010000\U0010ffff"]
    bad = [b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf"]  # overlong
    bad += [b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80"]  # surrogates
    bad += [b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xff", b"\x80", b"\xbf"]
    bad += [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc3a", b"\xe2\x82a", b"\xf0\x9f\x98a"]
    bad += [b"a\0b"]
    for shift in range(10):  # wherever it is in the steps of eight
        for text in good:
            body = model.pack("s", ["x" * shift + text])
            assert one(call("s", body)).arguments(1) == [("s", "x" * shift + text)]
        for raw in bad:
            for tail in (b"", b"y" * 9):
                whole = b"x" * shift + raw + tail
                body = struct.pack("<I", len(whole)) + whole + b"\0"
                assert refusal(call("s", body)) == "body: a string is not valid UTF-8"


def test_time_is_linear_in_the_size() -> None:
    """An empty array takes one step, however long its element's type is."""

    def seconds(signature: str, count: int) -> float:
        data = call(signature, struct.pack("<I", 8 * count - 4) + bytes(8 * count - 4))
        source = framer()
        source.feed(data)
        start = time.perf_counter()
        assert source.take() is not None
        return time.perf_counter() - start

    short = min(seconds("aa(y)", 30_000) for _ in range(5))
    long = min(seconds("aa(" + "y" * 250 + ")", 30_000) for _ in range(5))
    assert long < 5 * short + 0.001


def test_a_frame_made_of_nothing_is_empty() -> None:
    frame = Frame()
    assert (frame.raw(), frame.body(), frame.arguments(3), frame.path()) == (b"", b"", [], None)
