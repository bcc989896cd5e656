"""Match rules: what parses, and what matches (contract A.6, E.30 to E.32, H)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.raw import Client

VALID = [
    "", " ", "type=signal", "type='signal'", "type='signal',", " type='signal', member='S'",
    "type =signal", "type=method_call", "type=method_return", "type=error",
    "sender=a.b", "sender=:1.5", "sender=org.freedesktop.DBus", "destination=a.b",
    "destination=:1.5", "interface=a.b", "member=M", "path=/", "path=/a/b", "path_namespace=/",
    "path_namespace=/a", "arg0=", "arg0=x", "arg63=x", "arg0path=/", "arg0path=/a/",
    "arg0path=not a path", "arg5path=", "arg0namespace=a", "arg0namespace=a.b", "arg0=it\\'s",
    "arg0='a\\b'", "arg0='a,b=c'", "arg0=a'b'c", "arg00=x", "arg00path=/a", "arg0=\\\\",
    "eavesdrop=true", "eavesdrop=false", "eavesdrop='true'", "eavesdrop=true,eavesdrop=false",
    "arg0namespace=:1", "arg0namespace=:1.5", "arg0namespace=a-b", "\ttype=signal",
    "\ntype=signal", "arg0=x,arg1=y,arg2=z", "arg0path=/a,arg1path=/b", "arg0=a b",
    "sender='a.b'sender", "=x", "=", "==", "sender=:", "destination=:x", "arg0=x , arg1=y",
    "arg0=x\n", "arg0=" + "x" * 1019,
]  # fmt: skip

INVALID = [
    "type", "type=", "type='", "type=Signal", "type=foo", "type=signal,type=signal", "foo=bar",
    "member=", "member=a.b", "member=1", "interface=a", "interface=", "interface=a..b",
    "sender=", "sender=a", "sender=1.2", "destination=a", "destination=", "path=", "path=a",
    "path=/a/", "path_namespace=a", "path_namespace=/a/", "path_namespace=",
    "path=/a,path_namespace=/a", "path_namespace=/a,path=/a", "path=/a,path=/a",
    "path_namespace=/a,path_namespace=/a", "arg64=x", "arg100=x", "arg=x", "arg-1=x", "arg0foo=x",
    "argx=y", "arg0=x,arg0=y", "arg0path=/a,arg0=/a", "arg0=/a,arg0path=/a",
    "arg0=a,arg0namespace=a", "arg1namespace=a", "arg0namespace=", "arg0namespace=.a",
    "arg0namespace=a.", "arg0namespace=1a", "arg0namespace=/a", "arg00namespace=a", "arg0pathx=/a",
    "arg0namespace=" + "a" * 256, "arg 0=x", "eavesdrop=", "eavesdrop=yes", "eavesdrop=TRUE", ",",
    " ,type=signal", "type=signal,,member=S", "type= signal", "type=signal ",
    "type=signal ,member=S", "member=M\n", "member='M' ", "arg0='','", "arg0='a\\'b'",
    "path_namespace=/a//b", "interface=a." + "b" * 254, "sender=:1.5.", "sender=a.b,sender=a.b",
    "interface=a.b,interface=a.b", "member=M,member=M", "destination=a.b,destination=a.b",
    "arg0='unclosed", "type=signal,member", "TYPE=signal", "Type=signal",
]  # fmt: skip


@pytest.mark.parametrize("rule", VALID, ids=lambda rule: rule[:30] or "empty")
def test_a_valid_rule(a: Client, rule: str) -> None:
    added = a.ask("AddMatch", "s", rule)
    assert added.error is None, added.args
    assert a.ask("RemoveMatch", "s", rule).error is None


@pytest.mark.parametrize("rule", INVALID, ids=lambda rule: rule[:30])
def test_an_invalid_rule(a: Client, rule: str) -> None:
    for member in ("AddMatch", "RemoveMatch"):
        assert a.ask(member, "s", rule).error == "org.freedesktop.DBus.Error.MatchRuleInvalid"


def test_a_rule_has_at_most_1024_bytes(a: Client) -> None:
    for member in ("AddMatch", "RemoveMatch"):
        answer = a.ask(member, "s", "arg0=" + "x" * 1020)
        assert answer.error == "org.freedesktop.DBus.Error.LimitsExceeded"
        assert answer.args == ["Match rule text is 1025 bytes, maximum is 1024"]


# A signal S of interface t.T at path /t/u with these arguments: rule -> does it match?
MATCHES: list[tuple[str, str, tuple[Any, ...], bool]] = [
    ("", "", (), True),
    ("type=signal", "", (), True),
    ("type=method_call", "", (), False),
    ("type=error", "", (), False),
    ("member=S", "", (), True),
    ("member=s", "", (), False),
    ("interface=t.T", "", (), True),
    ("interface=t.t", "", (), False),
    ("interface=t.T.T", "", (), False),
    ("path=/t/u", "", (), True),
    ("path=/t", "", (), False),
    ("path=/t/u/v", "", (), False),
    ("path_namespace=/", "", (), True),
    ("path_namespace=/t", "", (), True),
    ("path_namespace=/t/u", "", (), True),
    ("path_namespace=/t/u/v", "", (), False),
    ("path_namespace=/t/uu", "", (), False),
    ("sender={sender}", "", (), True),
    ("sender=:1.99999", "", (), False),
    ("destination={receiver}", "", (), False),
    ("destination={sender}", "", (), False),
    ("member=S,path=/t/u,interface=t.T,type=signal,sender={sender}", "", (), True),
    ("member=S,path=/t/u,interface=t.X", "", (), False),
    # plain arguments: strings only
    ("arg0=x", "s", ("x",), True),
    ("arg0=x", "s", ("xx",), False),
    ("arg0=xx", "s", ("x",), False),
    ("arg0=", "s", ("",), True),
    ("arg0=", "s", ("x",), False),
    ("arg0=", "", (), False),
    ("arg0=x", "", (), False),
    ("arg1=x", "s", ("x",), False),
    ("arg1=x", "ss", ("y", "x"), True),
    ("arg1=x", "us", (7, "x"), True),
    ("arg1=x", "asvs", ([], ("s", "x"), "x"), False),
    ("arg2=x", "asvs", (["q"], ("s", "x"), "x"), True),
    ("arg0=/a", "o", ("/a",), False),
    ("arg0=s", "g", ("s",), False),
    ("arg0=x", "v", (("s", "x"),), False),
    ("arg0=x", "(s)", (("x",),), False),
    ("arg0=7", "u", (7,), False),
    ("arg0=x,arg1=y", "ss", ("x", "y"), True),
    ("arg0=x,arg1=y", "ss", ("x", "z"), False),
    ("arg0=ä", "s", ("ä",), True),
    ("arg0=it\\'s", "s", ("it's",), True),
    ("arg0='a,b=c'", "s", ("a,b=c",), True),
    ("arg0='a'b'c'", "s", ("abc",), True),
    ("arg0='a\\b'", "s", ("a\\b",), True),
    ("arg0=\\\\", "s", ("\\\\",), True),
    ("arg0= x", "s", (" x",), True),
    ("arg63=x", "s" * 64, (*["y"] * 63, "x"), True),
    ("arg63=x", "s" * 65, (*["y"] * 63, "x", "y"), True),
    ("arg63=x", "s" * 63, ("x",) * 63, False),
    # path arguments: strings and paths; equal, or one that ends in / is the start of the other
    ("arg0path=/a/b", "s", ("/a/b",), True),
    ("arg0path=/a/b", "o", ("/a/b",), True),
    ("arg0path=/a/b", "s", ("/a/b/",), False),
    ("arg0path=/a/b", "s", ("/a/b/c",), False),
    ("arg0path=/a/b", "s", ("/a/",), True),
    ("arg0path=/a/b", "s", ("/",), True),
    ("arg0path=/a/b", "o", ("/",), True),
    ("arg0path=/a/b", "s", ("/a",), False),
    ("arg0path=/a/b", "o", ("/a",), False),
    ("arg0path=/a/b/", "s", ("/a/b/",), True),
    ("arg0path=/a/b/", "s", ("/a/b/c",), True),
    ("arg0path=/a/b/", "o", ("/a/b/c",), True),
    ("arg0path=/a/b/", "s", ("/a/b",), False),
    ("arg0path=/a/b/", "s", ("/a/",), True),
    ("arg0path=/", "s", ("/a",), True),
    ("arg0path=/", "s", ("/",), True),
    ("arg0path=/", "s", ("a",), False),
    ("arg0path=/a/", "s", ("/ab/c",), False),
    ("arg0path=/aa/bb/", "s", ("/",), True),
    ("arg0path=/aa/bb/", "s", ("/aa/",), True),
    ("arg0path=/aa/bb/", "s", ("/aa/bb/cc/",), True),
    ("arg0path=/aa/bb/", "s", ("/aa",), False),
    ("arg0path=/aa/bb/", "s", ("/aa/b",), False),
    ("arg0path=foo/", "s", ("foo/bar",), True),
    ("arg1path=/a/", "so", ("/b", "/a/c"), True),
    ("arg0path=/a", "g", ("s",), False),
    ("arg0path=/a", "u", (1,), False),
    ("arg0path=/a", "", (), False),
    ("arg0path=/a", "as", (["/a"],), False),
    # name arguments: strings; equal or below
    ("arg0namespace=a.b", "s", ("a.b",), True),
    ("arg0namespace=a.b", "s", ("a.b.c",), True),
    ("arg0namespace=a.b", "s", ("a.bc",), False),
    ("arg0namespace=a.b", "s", ("a",), False),
    ("arg0namespace=a.b", "s", ("x.a.b",), False),
    ("arg0namespace=a", "s", ("a.b.c",), True),
    ("arg0namespace=a", "s", ("a",), True),
    ("arg0namespace=a.b", "s", ("",), False),
    ("arg0namespace=a", "o", ("/a",), False),
    ("arg0namespace=a", "ss", ("b", "a"), False),
    ("arg0namespace=a", "", (), False),
    ("arg0namespace=a,arg1=x", "ss", ("a.b", "x"), True),
    ("arg0namespace=a,arg1=x", "ss", ("a.b", "y"), False),
    # odd ones that parse
    ("=x", "", (), True),
    ("sender={sender},", "", (), True),
]


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_what_matches(a: Client, b: Client, order: str) -> None:
    """One rule after the other, the whole table in one test: it is quick that way."""
    wrong = []
    for rule, signature, args, wanted in MATCHES:
        text = rule.format(sender=a.name, receiver=b.name)
        b.match(text)
        b.take()
        a.signal("S", signature, *args, path="/t/u", order=order)
        a.take()
        if (len(b.take()) == 1) != wanted:
            wrong.append((rule, signature, args))
        assert b.ask("RemoveMatch", "s", text).error is None
    assert wrong == []


def test_rules_of_many_kinds_at_once(a: Client, b: Client) -> None:
    """With all rules of the table in place, a signal still comes once."""
    for rule, *_ in MATCHES:
        b.match(rule.format(sender=a.name, receiver=b.name))
    b.take()
    a.signal("S", "s", "x", path="/t/u")
    a.take()
    assert b.seen() == ["S(x)"]


def test_a_thousand_rules_that_do_not_match(a: Client, b: Client) -> None:
    for number in range(1000):
        b.call("AddMatch", "s", f"type=signal,interface=t.T,path=/p/{number},member=S")
    b.take()
    a.signal("S", path="/p/500")
    a.signal("S", path="/p/1000")
    a.take()
    assert [m.path for m in b.take()] == ["/p/500"]


@pytest.mark.parametrize("text", ["", "a", "/"])
def test_an_empty_argument_matches_no_path_rule(a: Client, b: Client, text: str) -> None:
    """The reference reads before the start of an empty string; no match is the safe meaning."""
    b.match("arg0path=/a/b")
    a.signal("S", "s", text)
    a.take()
    assert b.seen() == (["S(/)"] if text == "/" else [])
