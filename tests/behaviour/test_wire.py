"""The wire format: what passes unchanged, and what ends a connection (contract E.43 to E.50)."""

from __future__ import annotations

import pytest

from tests.behaviour.differences import expected
from tests.buses import Bus
from tests.frames import BAD, GOOD, variants
from tests.raw import (
    CALL,
    DRIVER,
    RETURN,
    SENDER,
    SIGNAL,
    Client,
    build,
    call_fields,
    parse,
)

BOTH = pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])


@BOTH
@pytest.mark.parametrize("name", GOOD)
def test_a_good_message_arrives_as_it_was_sent(a: Client, b: Client, name: str, order: str) -> None:
    data = GOOD[name](b.name, order)
    sent = parse(data)
    a.write(data)
    got = b.wait(lambda m: m.serial == sent.serial and m.sender == a.name)
    assert (got.kind, got.flags, got.order, got.body) == (sent.kind, sent.flags, order, sent.body)
    fields = dict(got.fields)
    assert fields.pop(SENDER) == a.name
    keep = {code: value for code, value in sent.fields.items() if code != 9 and value != ""}
    assert {code: value for code, value in fields.items() if code != 9 and value != ""} == keep


@BOTH
@pytest.mark.parametrize("name", BAD)
def test_a_bad_message_ends_the_connection_of_its_sender_only(
    bus: Bus, a: Client, name: str, order: str
) -> None:
    victim, good = bus.connect(), a.call("GetId")
    data = BAD[name](a.name, order)
    if name.startswith(("fields", "body of", "array of 64")):
        data += bytes(64)
    victim.write(data)
    assert [str(m) for m in victim.rest()] == []
    a.until_gone(victim.name)
    assert a.answer(good).kind == RETURN
    assert a.seen() == []


@BOTH
def test_a_bad_message_after_good_ones(bus: Bus, a: Client, order: str) -> None:
    """What came before it is delivered."""
    victim = bus.connect()
    data = b"".join(
        build(SIGNAL, n, call_fields(a.name, "/t", "t.T", f"S{n}"), order=order)
        for n in range(1, 6)
    )
    victim.write(data + BAD["serial 0"](a.name, order) + GOOD["signal"](a.name, order))
    victim.rest()
    a.until_gone(victim.name)
    assert a.seen() == [f"S{n}()" for n in range(1, 6)]


@BOTH
@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("lie", ["com.example.Liar", DRIVER, ":1.0"])
def test_sender_is_overwritten(a: Client, b: Client, order: str, place: str, lie: str) -> None:
    fields = call_fields(b.name, "/t", "t.T", "S")
    fields.insert({"first": 0, "middle": 2, "last": 4}[place], (SENDER, lie))
    a.send(SIGNAL, fields, "s", ["x"], order=order)
    got = b.receive("S")
    assert (got.sender, got.args, got.path, got.destination) == (a.name, ["x"], "/t", b.name)


@BOTH
@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize(
    ("code", "kind", "value"),
    [
        (10, "o", "/container"),
        (11, "s", "x"),
        (11, "u", 7),
        (127, "a{sv}", {"a": ("s", "b")}),
        (255, "(yv)", (1, ("t", 2))),
    ],
)
def test_unknown_header_fields_are_stripped(
    a: Client, b: Client, order: str, place: str, code: int, kind: str, value: object
) -> None:
    fields: list[tuple[int, object] | tuple[int, str, object]] = [
        *call_fields(b.name, "/t", "t.T", "S")
    ]
    fields.insert({"first": 0, "middle": 2, "last": 4}[place], (code, kind, value))
    a.send(SIGNAL, fields, "s", ["x"], order=order)
    got = b.receive("S")
    assert code not in got.fields
    assert (got.sender, got.args, got.path) == (a.name, ["x"], "/t")


def test_the_field_number_that_the_reference_reserves(bus: Bus, a: Client, b: Client) -> None:
    a.send(SIGNAL, [*call_fields(b.name, "/t", "t.T", "S"), (10, "s", "x")])
    assert ("open" if a.is_open() else "closed") == expected(
        bus.kind, "header field 10 of another type"
    )


@BOTH
def test_the_driver_understands_both_byte_orders(a: Client, order: str) -> None:
    serial = a.call("NameHasOwner", "s", a.name, order=order)
    assert a.answer(serial).args == [1]


@BOTH
def test_a_message_byte_by_byte(a: Client, b: Client, order: str) -> None:
    for byte in GOOD["everything"](b.name, order):
        a.write(bytes([byte]))
    assert b.receive("S").args == parse(GOOD["everything"](b.name, order)).args


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 100, 4096])
def test_many_messages_in_pieces(a: Client, b: Client, size: int) -> None:
    count = 5 if size < 16 else 200
    data = b"".join(
        build(CALL, 1000 + n, call_fields(b.name, "/t", "t.T", "M"), "us", [n, "x" * n], flags=1)
        for n in range(count)
    )
    for at in range(0, len(data), size):
        a.write(data[at : at + size])
    a.take()
    assert [m.args[0] for m in b.take()] == list(range(count))


@pytest.mark.parametrize("size", [10_000_000, 1 << 25])
def test_a_big_message(bus: Bus, a: Client, b: Client, size: int) -> None:
    body = bytes(range(256)) * (size // 256)
    serial = a.call("M", "ay", body, to=b.name, interface="t.T")
    call = b.receive("M")
    assert call.args == [body]
    b.reply(call, "ay", call.args[0])
    assert a.answer(serial).args == [body]


def test_many_depths_of_variants(bus: Bus, a: Client) -> None:
    """64 levels in all; nothing recurses on input."""
    for depth in (1, 32, 63, 64):
        client = bus.connect()
        client.write(variants(depth)(client.name, "<"))
        assert client.receive("S").signature == "v"
    for depth in (65, 66):
        client = bus.connect()
        client.write(variants(depth)(client.name, "<"))
        assert client.rest() == []


def test_very_deep_nesting_is_refused_quickly(bus: Bus, a: Client) -> None:
    body = b"\1v\0" * 100_000 + b"\1y\0\1"
    client = bus.connect()
    client.send(SIGNAL, [*call_fields(a.name, "/t", "t.T", "S"), (8, "v")], body=body)
    assert client.rest() == []
    assert a.is_open()
