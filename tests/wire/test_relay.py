"""Messages that did not come by a connection: what is filled in, and what stays as it was."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.frame import BadMessage, Frame
from bridge.wire.relay import borrowed, relay
from bus1.fds.descriptors import Descriptors
from tests import frames
from tests.raw import DESTINATION, PATH, REPLY_SERIAL, RETURN, SENDER, SIGNATURE, build, parse

HERE = ":1.5"
GOOD = [(name, order) for name in sorted(frames.GOOD) for order in "<>"]


def passed(data: bytes, **options: Any) -> Frame:
    options = {"sender": HERE, "serial": 7, "longest": 1 << 27, "most_fds": 16, **options}
    return relay(data, **options)


@pytest.mark.parametrize(("name", "order"), GOOD)
def test_sender_and_serial_are_filled_in(name: str, order: str) -> None:
    data = frames.GOOD[name]("a.b", order)
    before, frame = parse(data), passed(data)
    after = parse(frame.raw())
    assert (frame.sender(), frame.serial, after.serial) == (HERE, 7, 7)
    assert (after.kind, after.flags, after.order) == (before.kind, before.flags, order)
    assert (after.body, frame.body()) == (before.body, before.body)
    known = {code: value for code, value in before.fields.items() if code < 10}
    assert after.fields == {**known, SENDER: HERE}


@given(
    st.text("abcdefgh", min_size=1, max_size=251),
    st.text("/abc", max_size=20).map(
        lambda text: "/x" + "".join(f"/{c}" for c in text if c != "/")
    ),
    st.sampled_from("<>"),
    st.binary(max_size=20),
)
def test_the_destination_is_filled_in_if_there_is_none(
    name: str, path: str, order: str, body: bytes
) -> None:
    name = f"a.{name}"
    data = build(1, 9, [(PATH, path), (3, "M")], "ay", [body], order=order)
    after = parse(passed(data, destination=name).raw())
    fields = {PATH: path, 3: "M", SIGNATURE: "ay", DESTINATION: name, SENDER: HERE}
    assert (after.fields, after.args, after.order) == (fields, [body], order)
    there = build(1, 9, [(PATH, path), (3, "M"), (DESTINATION, "x.y")], order=order)
    assert passed(there, destination=name).destination() == "x.y"
    assert passed(data, destination=":1.42").destination_number == 42


@pytest.mark.parametrize("order", ["<", ">"])
def test_what_it_answers_is_filled_in(order: str) -> None:
    data = build(RETURN, 1, [(DESTINATION, "a.b"), (REPLY_SERIAL, 3)], "s", ["x"], order=order)
    frame = passed(data, reply_serial=0xFFFFFFFF)
    assert frame.reply_serial == parse(frame.raw()).reply_to == 0xFFFFFFFF
    call = build(1, 1, [(PATH, "/"), (3, "M")], order=order)
    assert passed(call, reply_serial=5).reply_serial == 0  # it answers nothing


@pytest.mark.parametrize("name", [name for name in sorted(frames.BAD) if name != "serial 0"])
@pytest.mark.parametrize("destination", [None, "a.b"])
def test_what_is_wrong_is_refused(name: str, destination: str | None) -> None:
    for order in "<>":
        with pytest.raises(BadMessage):
            passed(frames.BAD[name]("a.b", order), destination=destination)


def test_a_serial_is_not_needed() -> None:
    assert passed(frames.BAD["serial 0"]("a.b", "<")).serial == 7


def test_limits() -> None:
    data = frames.GOOD["signal"]("a.b", "<")
    assert passed(data, longest=len(data)).size > len(data)
    with pytest.raises(BadMessage, match="max_message_size"):
        passed(data, longest=len(data) - 1)
    without = build(1, 1, [(PATH, "/"), (3, "M")])
    with pytest.raises(BadMessage):
        passed(without, destination="a." + "b" * 300)


def test_descriptors_are_their_owners() -> None:
    read, write = os.pipe()
    owner = Descriptors([read, write])
    data = build(4, 1, [(PATH, "/t"), (2, "t.T"), (3, "S"), (9, 1)], "h", [0])
    with pytest.raises(BadMessage, match="more file descriptors came"):
        passed(data, fds=owner)
    frame = passed(data, fds=borrowed(owner, 0, 1))
    assert frame.fds is not None
    assert (frame.fd_count, frame.fds.numbers) == (1, [read])
    rest = borrowed(owner, 1, 1)
    assert rest is not None
    assert rest.numbers == [write]
    with pytest.raises(BadMessage):
        passed(data, fds=owner, most_fds=0)
    with pytest.raises(BadMessage):
        passed(data)
    del owner, frame
    gc.collect()
    os.write(write, b"!")  # the rest keeps all
    assert os.read(read, 1) == b"!"
    del rest
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(read)
