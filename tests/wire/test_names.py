"""The grammar of names: the specification's, the model's and the reference library's are one."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.wire import names
from tests.wire import model, reference

LONG = "a." + "b" * 253
DICTS = "a{y" * 32 + "y" + "}" * 32


def words(text: str) -> list[str]:
    return text.split("|")


TABLE: list[tuple[Callable[[str], bool], list[str], list[str]]] = [
    (
        names.is_bus_name,
        [":1.42", ":", ":a", ":.a", ":1.-_", "a.b", "org.freedesktop.DBus", "-a._b", "a.b-c", LONG],
        [*words("|a|.a.b|a.b.|a..b|1a.b|a.1b|a.b c|a.é|:1.|:1..2|::"), LONG + "x"],
    ),
    (names.is_unique_name, [":1.42", ":x.y"], ["a.b", "", "1.42"]),
    (names.is_well_known_name, ["a.b", "a-b.c"], [":1.42", "a", ""]),
    (names.is_namespace, ["a", "a.b", "com", ":1.5", "_"], ["", "a.", ".a", "1", "a..b", "a b"]),
    (
        names.is_interface,
        ["a.b", "_._", "org.freedesktop.DBus", "a1.b2", LONG],
        [*words("|a|a.|.a|a..b|a.1b|1a.b|a-b.c|:1.2|a.b\0|a.b\n"), LONG + "x"],
    ),
    (names.is_error_name, ["a.b", "org.freedesktop.DBus.Error.Failed"], ["a", "a.b-c", ""]),
    (
        names.is_member,
        ["a", "_", "Hello2", "x" * 255],
        ["", "a.b", "1a", "a-b", "é", "x" * 256, "a\0"],
    ),
    (
        names.is_object_path,
        ["/", "/a", "/a/b", "/_/1/Z", "/" + "a" * 100_000],
        ["", "a", "//", "/a/", "/a//b", "/a-b", "/a.b", "/é", "a/", "/\0"],
    ),
    (
        names.is_signature,
        ["", "s", "a{sv}", "(i(ss))", "aaay"],
        words(
            "a|()|(|)|{ss}|a{s}|a{vs}|a{sss}|a{(s)s}|a{ass}|a{a{ss}s}"
            "|a(i}|{i)|(a)|a{|a()|a{}|(i}|a{si)|aa{ss|r|e|z|é|\0|s\0"
        ),
    ),
    (
        names.is_signature,  # as the reference counts: arrays in a row, structs and dict entries
        ["a" * 32 + "y", "a" * 32 + "(" + "a" * 32 + "y)", "y" * 255, "(" * 32 + DICTS + ")" * 32],
        ["a" * 33 + "y", "(" * 33 + "y" + ")" * 33, "a{y" * 33 + "y" + "}" * 33, "y" * 256],
    ),
]

FUNCTIONS: list[tuple[Callable[[str], bool], str, str]] = [
    (names.is_bus_name, model.BUS_NAME, "dbus_validate_bus_name"),
    (names.is_interface, model.INTERFACE, "dbus_validate_interface"),
    (names.is_error_name, model.INTERFACE, "dbus_validate_error_name"),
    (names.is_member, model.MEMBER, "dbus_validate_member"),
    (names.is_object_path, model.PATH, "dbus_validate_path"),
]


@pytest.mark.parametrize(("judge", "good", "bad"), TABLE)
def test_what_is_a_name(judge: Callable[[str], bool], good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not judge(text)] == []
    assert [text for text in bad if judge(text)] == []


@settings(max_examples=300, deadline=None)
@given(st.text("ab1._-:/\n\0é", max_size=8))
def test_model_and_reference_agree_on_names(text: str) -> None:
    for judge, pattern, function in FUNCTIONS:
        valid = judge(text)
        assert valid == bool(re.fullmatch(pattern, text)), function
        assert reference.agrees_on(function, valid, text.encode()), function


@settings(max_examples=500, deadline=None)
@given(st.text("aaaysv(){}", max_size=12))
def test_model_and_reference_agree_on_signatures(text: str) -> None:
    valid = names.is_signature(text)
    try:
        model.split(text)
    except model.Bad:
        assert not valid
    else:
        assert valid
    assert reference.agrees_on("dbus_signature_validate", valid, text.encode())


def test_a_lone_surrogate_is_in_no_name() -> None:
    assert not names.is_bus_name("a.\ud800")
    assert not names.is_signature("\ud800")


def test_names_are_text() -> None:
    with pytest.raises(TypeError):
        names.is_member(b"a")  # type: ignore[arg-type]
    with pytest.raises((TypeError, AttributeError)):
        names.is_member(None)  # type: ignore[arg-type]
