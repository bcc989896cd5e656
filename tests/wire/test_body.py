"""The values of a body: what the model packs, the compiled code unpacks, in both byte orders."""

import pytest
from hypothesis import given, settings

from bridge.wire.body import unpack
from bridge.wire.frame import Frame, Framer
from tests.wire import model
from tests.wire.strategies import bodies


def frame(signature: str, body: bytes, *, little: bool = True) -> Frame:
    fields = [(1, ("o", "/")), (2, ("s", "a.b")), (3, ("s", "C")), (8, ("g", signature))]
    source = Framer(1 << 27, 0)
    source.feed(model.message((4, 0, 1), fields, body, little=little))
    found = source.take()
    assert found is not None
    return found


@settings(max_examples=200, deadline=None)
@given(bodies)
def test_what_is_packed_is_unpacked(case: tuple[str, tuple[object, ...]]) -> None:
    signature, body = case
    for little in (True, False):
        packed = model.pack(signature, body, little=little)
        assert unpack(frame(signature, packed, little=little)) == body


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        ("", ()),
        ("s", ("org.example.Name",)),
        ("su", ("org.example.Name", 4)),
        ("as", (["a", "b"],)),
        ("asu", ([], 0)),
        ("a{ss}", ({"PATH": "/bin"},)),
        ("ssv", ("a.b", "Name", ("av", [("i", -1), ("s", "x")]))),
        ("a{sv}", ({"a": ("y", 1)},)),
        ("ay", (b"\0\xff",)),
        ("aay", ([b"", b"x"],)),
        ("nqixd", (-1, 65535, -(1 << 31), -(1 << 63), 0.5)),
        ("bb", (True, False)),
        ("(ys(ob))", ((1, "é", ("/", True)),)),
    ],
)
def test_arguments_of_calls(signature: str, body: tuple[object, ...]) -> None:
    assert unpack(frame(signature, model.pack(signature, body))) == body


def test_the_deepest_body() -> None:
    signature = "(" * 32 + "a" * 32 + "s" + ")" * 32
    value: object = ["end"]
    for _ in range(31):
        value = [value]
    for _ in range(32):
        value = (value,)
    assert unpack(frame(signature, model.pack(signature, [value]))) == (value,)


# What match rules look at.


@settings(max_examples=200, deadline=None)
@given(bodies)
def test_arguments_are_the_texts_among_the_values(case: tuple[str, tuple[object, ...]]) -> None:
    signature, body = case
    kinds = model.split(signature)
    texts = [
        (kind, value) if kind in ("s", "o", "g") else None
        for kind, value in zip(kinds, body, strict=True)
    ]
    for little in (True, False):
        found = frame(signature, model.pack(signature, body, little=little), little=little)
        for count in (2, 1, 0, 64, 3):  # whatever was asked before
            assert found.arguments(count) == texts[:count]


def test_arguments_behind_everything_that_is_to_be_skipped() -> None:
    signature = "ya{sv}v(i(as))aa(xy)dvsog"
    deep: object = ("y", 1)
    for _ in range(60):
        deep = ("v", deep)
    values = [1, {"k": deep}, deep, (1, (["x"],)), [[], [(1, 2)]], 0.5, ("s", "x"), "é", "/", "as"]
    found = frame(signature, model.pack(signature, values))
    assert found.arguments(64) == [None] * 7 + [("s", "é"), ("o", "/"), ("g", "as")]


def test_arguments_are_found_once() -> None:
    found = frame("ss", model.pack("ss", ["a", "b"]))
    assert found.arguments(2) is found.arguments(2)
    assert found.arguments(1) == [("s", "a")]


def test_equal_texts_are_one_object() -> None:
    """So that comparing and hashing them costs nothing the next time."""
    first, second = frame("", b""), frame("", b"")
    assert first.interface() is second.interface()
