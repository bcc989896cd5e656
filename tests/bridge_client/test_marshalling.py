"""dbus-fast's messages as bytes and back, without a bus."""

import pytest
from dbus_fast import Message, MessageType, Variant

from bridge.client.marshalling import Malformed, from_bytes, to_bytes
from bridge.client.takers import referenced
from tests.raw import SIGNAL, build, call_fields


def call(signature: str = "", *body: object) -> Message:
    return Message(
        destination="com.example.N", path="/p", interface="com.example.I", member="M",
        signature=signature, body=list(body), serial=7,
    )  # fmt: skip


def test_all_of_a_message_comes_back() -> None:
    sent = call("sa{sv}(ix)h", "é", {"k": Variant("as", ["a", "b"])}, (1, -(2**40)), 0)
    sent.unix_fds = [5]
    got = from_bytes(to_bytes(sent), [9])
    assert repr(got) == repr(sent)
    assert got.unix_fds == [9]


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(order: str) -> None:
    raw = build(
        SIGNAL, 3, call_fields("", "/t", "t.T", "S")[:3], "su", ("text", 2**31), order=order
    )
    got = from_bytes(memoryview(raw))
    assert (got.message_type, got.member, got.body) == (MessageType.SIGNAL, "S", ["text", 2**31])


def test_nothing_but_malformed_comes_of_broken_bytes() -> None:
    """Whatever is cut off, turned around or made up: no other exception."""
    whole = to_bytes(call("sa{sv}ay", "text", {"k": Variant("(ib)", [1, True])}, b"abc"))
    for at in range(len(whole)):
        for broken in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            try:
                from_bytes(broken)
            except Malformed:
                continue
    with pytest.raises(Malformed):
        from_bytes(b"")


@pytest.mark.parametrize(
    ("signature", "body", "places"),
    [
        ("", [], set()),
        ("si", ["text", 4], set()),
        ("hsh", [2, "text", 0], {0, 2}),
        ("ah", [[1, 3]], {1, 3}),
        ("a{sh}", [{"a": 4}], {4}),
        ("(s(h))", [["text", [5]]], {5}),
        ("v", [Variant("v", Variant("h", 6))], {6}),
        ("a{sv}", [{"a": Variant("h", 7), "b": Variant("i", 8)}], {7}),
        ("ay", [b"\1\2"], set()),
    ],
)
def test_descriptors_that_the_body_speaks_of(
    signature: str, body: list[object], places: set[int]
) -> None:
    assert referenced(call(signature, *body)) == places
    assert referenced(from_bytes(to_bytes(call(signature, *body)))) == places
