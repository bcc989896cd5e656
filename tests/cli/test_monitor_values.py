"""Bodies as `bus1 monitor` writes them: whole for programs, short and harmless for people."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.monitor.values import brief, quoted, record, types
from bridge.cli.reading import Reader
from bridge.wire.frame import Frame
from tests.raw import INTERFACE, MEMBER, PATH, SENDER, SIGNAL, build, split

TYPES = st.recursive(
    st.sampled_from("ybnqiuxtdsogvh"),
    lambda inner: st.one_of(
        inner.map("a{}".format),
        st.lists(inner, min_size=1, max_size=3).map(lambda several: f"({''.join(several)})"),
        inner.map("a{{s{}}}".format),
    ),
    max_leaves=5,
)


def frame(signature: str, *values: Any, order: str = "<") -> Frame:
    fields = [(PATH, "/"), (INTERFACE, "t.T"), (MEMBER, "M"), (SENDER, ":1.1")]
    raw = build(SIGNAL, 1, fields, signature, values, order=order)
    return Reader().read(raw, (0.0, 0.0)).frame


@given(st.lists(TYPES, max_size=4))
def test_signatures_are_taken_apart(kinds: list[str]) -> None:
    assert types("".join(kinds)) == tuple(split("".join(kinds))) == tuple(kinds)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("signature", "value", "written", "shown"),
    [
        ("s", 'a"b', 'a"b', r'"a\"b"'),
        ("b", True, True, "true"),
        ("x", -(2**63), -(2**63), str(-(2**63))),
        ("d", 1.5, 1.5, "1.5"),
        ("d", float("inf"), "inf", "Infinity"),
        ("h", 3, 3, "fd 3"),
        ("ay", b"ab\0", [97, 98, 0], "b'ab'"),
        ("a(su)", [("x", 1), ("y", 2)], [["x", 1], ["y", 2]], '[("x", 1), ("y", 2)]'),
        ("a{sv}", {"k": ("ai", [1])}, {"k": {"type": "ai", "data": [1]}}, '{"k": [1]}'),
        ("a{ub}", {7: False}, {"7": False}, "{7: false}"),
        ("aa{sv}", [{}], [{}], "[{}]"),
        ("v", ("v", ("s", "x")), {"type": "v", "data": {"type": "s", "data": "x"}}, '"x"'),
        ("v", ("(sv)", ("s", ("y", 1))), {"type": "(sv)", "data": ["s", {"type": "y", "data": 1}]},
         '("s", 1)'),
    ],
)  # fmt: skip
def test_values(signature: str, value: Any, written: object, shown: str, order: str) -> None:
    message = frame(signature, value, order=order)
    assert json.loads(json.dumps(record(message), allow_nan=False)) == [written]
    assert brief(message, 100) == shown


def test_what_is_long_is_cut() -> None:
    assert brief(frame("ss", "x" * 50, "y"), 20) == '"' + "x" * 19 + "..."
    assert len(brief(frame("au", list(range(10_000))), 100)) == 103
    assert brief(frame("ay", bytes(100_000)), 100) == "ay, 100004 bytes"
    assert record(frame("ay", bytes(9_000_000))) is None


@given(st.text())
def test_a_text_does_nothing_to_a_terminal(text: str) -> None:
    shown = quoted(text)
    assert shown.isprintable()
    assert shown[0] == shown[-1] == '"'
    if text.isprintable():
        assert json.loads(shown) == text
