"""The bus's own messages: the same bytes as the golden frames, and other people's code agrees."""

import io
import json
import os
import pathlib
from typing import Any

import pytest
from dbus_fast import Message, MessageFlag, MessageType, Variant
from dbus_fast._private.unmarshaller import Unmarshaller
from hypothesis import given, settings

from bridge.wire.body import unpack
from bridge.wire.build import build
from bridge.wire.frame import Frame, Framer
from tests.wire import model, reference
from tests.wire.strategies import bodies

GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden.json").read_text())
NAMES = {"1": "path", "2": "interface", "3": "member", "4": "error_name"} | {
    "5": "reply_serial", "6": "destination", "7": "sender",
}  # fmt: skip


def built(golden: dict[str, Any]) -> Frame:
    fields = {NAMES[code]: value for code, value in golden["fields"].items()}
    fields.setdefault("sender", None)
    return build(
        golden["kind"],
        serial=golden["serial"],
        flags=golden["flags"],
        signature=golden["signature"],
        body=golden["body"],
        **fields,
    )


def taken(data: bytes, sender: str | None) -> Frame:
    source = Framer(1 << 27, 0)
    if sender is not None:
        source.stamp(sender)
    source.feed(data)
    frame = source.take()
    assert frame is not None
    return frame


def foreign(kind: str, value: Any) -> Any:
    """The value as dbus-fast wants it."""
    code = kind[0]
    if code == "v":
        return Variant(value[0], foreign(*value))
    if code in "({":
        return [foreign(*pair) for pair in zip(model.split(kind[1:-1]), value, strict=True)]
    if kind == "ay":
        return bytes(value)
    if kind[:2] == "a{":
        return dict(foreign(kind[1:], entry) for entry in dict(value).items())
    if code == "a":
        return [foreign(kind[1:], element) for element in value]
    return value


def plain(value: Any) -> Any:
    """dbus-fast's value as it stands in the golden file."""
    if isinstance(value, Variant):
        return [value.signature, plain(value.value)]
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple | bytes) else value


LITTLE = [golden for golden in GOLDEN if golden["little"]]


@pytest.mark.parametrize("golden", LITTLE, ids=lambda golden: str(golden["name"]))
def test_golden_frames_are_built(golden: dict[str, Any]) -> None:
    assert built(golden).raw().hex() == golden["hex"]


@pytest.mark.parametrize("golden", LITTLE, ids=lambda golden: str(golden["name"]))
def test_another_marshaller_makes_the_same_message(golden: dict[str, Any]) -> None:
    fields = {NAMES[code]: value for code, value in golden["fields"].items()}
    message = Message(
        message_type=MessageType(golden["kind"]),
        flags=MessageFlag(golden["flags"]),
        serial=golden["serial"],
        signature=golden["signature"],
        body=[
            foreign(*pair)
            for pair in zip(model.split(golden["signature"]), golden["body"], strict=True)
        ],
        **fields,
    )
    ours = built(golden)
    theirs = taken(bytes(message._marshall(False)), golden["fields"].get("7"))
    for read in (Frame.path, Frame.interface, Frame.member, Frame.error_name, Frame.destination):
        assert read(ours) == read(theirs)
    assert (ours.kind, ours.flags, ours.serial) == (theirs.kind, theirs.flags, theirs.serial)
    assert ours.sender() == theirs.sender()
    assert ours.reply_serial == theirs.reply_serial
    assert ours.signature() == theirs.signature()
    assert ours.body() == theirs.body()
    assert unpack(ours) == unpack(theirs)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden["name"]))
def test_another_unmarshaller_reads_the_golden_frames(golden: dict[str, Any]) -> None:
    stream: Any = io.BytesIO(bytes.fromhex(golden["hex"]))
    message = Unmarshaller(stream).unmarshall()
    assert message is not None
    for code, name in NAMES.items():
        assert (getattr(message, name) or None) == golden["fields"].get(code)
    assert message.signature == golden["signature"]
    assert plain(message.body) == golden["body"]


@settings(max_examples=200, deadline=None)
@given(bodies)
def test_what_is_built_is_what_the_model_makes(case: tuple[str, tuple[object, ...]]) -> None:
    signature, body = case
    frame = build(
        4, serial=3, path="/", interface="a.b", member="C", signature=signature, body=body
    )
    fields = [(1, ("o", "/")), (2, ("s", "a.b")), (3, ("s", "C"))]
    fields += [(8, ("g", signature))] if signature else []
    fields += [(7, ("s", "org.freedesktop.DBus"))]
    data = model.message((4, 1, 3), fields, model.pack(signature, body))
    assert frame.raw() == data
    assert unpack(frame) == body
    assert reference.agrees(True, data)


def test_a_message_is_the_drivers_unless_said_otherwise() -> None:
    frame = build(2, serial=4, reply_serial=9, destination=":1.42")
    assert (frame.kind, frame.flags, frame.serial, frame.reply_serial) == (2, 1, 4, 9)
    assert (frame.sender(), frame.destination_number) == ("org.freedesktop.DBus", 42)
    assert (frame.path(), frame.fds, frame.fd_count, frame.signature()) == (None, None, 0, "")
    assert build(2, serial=4, reply_serial=9, sender=None).sender() is None


def test_descriptors_belong_to_the_message() -> None:
    numbers = [os.open("/dev/null", os.O_RDONLY) for _ in range(2)]
    kept = list(numbers)
    frame = build(2, serial=4, reply_serial=9, signature="hh", body=(0, 1), fds=numbers)
    assert numbers == kept
    assert frame.fd_count == 2
    assert frame.fds is not None
    assert frame.fds.numbers == kept
    del frame
    for number in kept:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


@pytest.mark.parametrize(
    ("signature", "body", "error"),
    [
        ("s", (), ValueError),
        ("s", ("a", "b"), ValueError),
        ("s", ("a\0b",), ValueError),
        ("s", ("\ud800",), UnicodeEncodeError),
        ("s", (5,), TypeError),
        ("s", (None,), TypeError),
        ("o", ("x",), ValueError),
        ("g", ("a",), ValueError),
        ("g", ("y" * 256,), ValueError),
        ("u", (-1,), OverflowError),
        ("u", (1 << 32,), OverflowError),
        ("y", (256,), OverflowError),
        ("n", (1 << 15,), OverflowError),
        ("q", (-1,), OverflowError),
        ("i", (1 << 31,), OverflowError),
        ("h", (-1,), OverflowError),
        ("x", (1 << 63,), OverflowError),
        ("t", (-1,), OverflowError),
        ("t", (1 << 64,), OverflowError),
        ("d", ("x",), TypeError),
        ("as", (5,), TypeError),
        ("a{ss}", ([],), AttributeError),
        ("(ss)", (("a",),), ValueError),
        ("(s)", (("a", "b"),), ValueError),
        ("v", (("ss", "a"),), ValueError),
        ("v", (("", "a"),), ValueError),
        ("a(i}", ([],), ValueError),
        ("y" * 256, (0,) * 256, ValueError),
    ],
)
def test_what_cannot_be_built(
    signature: str, body: tuple[object, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        build(4, serial=3, path="/", interface="a.b", member="C", signature=signature, body=body)


@pytest.mark.parametrize(
    "fields",
    [{"path": "x"}, {"interface": "x"}, {"member": "a.b"}, {"destination": "x"}, {"serial": 0}],
)
def test_the_bus_sends_nothing_that_it_would_not_accept(fields: dict[str, Any]) -> None:
    given: dict[str, Any] = {"serial": 3, "path": "/", "interface": "a.b", "member": "C"} | fields
    with pytest.raises(ValueError, match="no valid message"):
        build(4, **given)


def test_depth_is_limited_before_the_machine_is() -> None:
    value: Any = ("y", 1)
    for _ in range(63):
        value = ("v", value)
    assert build(5, serial=1, signature="v", body=(value,)).signature() == "v"
    for _ in range(100_000):
        value = ("v", value)
    with pytest.raises(ValueError, match="64 deep"):
        build(5, serial=1, signature="v", body=(value,))


def test_long_values() -> None:
    text = "x" * 3_000_000
    frame = build(5, serial=1, signature="sas", body=(text, ["y"] * 1000))
    assert unpack(frame) == (text, ["y"] * 1000)
