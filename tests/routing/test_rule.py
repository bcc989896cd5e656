"""Match rules: the grammar with its quirks, equality, canonical text."""

from contextlib import suppress
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.routing.errors import LIMITS_EXCEEDED, MATCH_RULE_INVALID, Refused
from bridge.routing.grammar import EXACT, NAMESPACE, PATH
from bridge.routing.rule import Rule

SAME = [
    ("", "  \t"),
    ("type='signal'", "type=signal"),
    ("type='signal',interface='foo.bar'", "interface='foo.bar',type='signal'"),
    ("type='signal',", "type='signal'"),
    ("type='signal', ", "\n\r\t type \t='signal'"),
    ("member=icecream", "member=ice'cream'"),
    ("sender='a.b'sender", "sender='a.bsender'"),
    ("interface='org.bar'''''", "interface='org.''bar'"),
    ("arg0='comma,type=comma',type=signal", "type=signal,arg0='comma,type=comma'"),
    ("arg0=escap\\e", "arg0='escap\\e'"),
    ("arg0=back\\,slash", "arg0='back\\,slash'"),
    ("arg0=two\\\\", "arg0='two\\\\'"),
    ("arg0=end\\", "arg0='end\\'"),
    ("arg0=Time: 8 o\\'clock", "arg0='Time: 8 o'\\''clock'"),
    ("arg00=", "arg0=''"),
    ("arg010='x'", "arg8=x"),
    ("arg0x3f='x'", "arg63=x"),
    ("arg+1='x'", "arg1=x"),
    ("arg0x1path='/'", "arg1path='/'"),
    ("arg-18446744073709551615='x'", "arg1='x'"),
    ("=x", ""),
    ("type=signal, =x,nonsense", "type='signal'"),
    ("eavesdrop='true',eavesdrop='false'", ""),
]

INVALID = [
    ("type", "Match rule has a key with no subsequent '=' character"),
    ("type='signal", "Unbalanced quotation marks in match rule"),
    ("type=''", "Invalid message type () in match rule\n"),
    ("type=' signal'", "Invalid message type ( signal) in match rule\n"),
    ("type='signal' ,", "Invalid message type (signal ) in match rule\n"),
    (",type='signal'", 'Unknown key ",type" in match rule'),
    ("blah='x'", 'Unknown key "blah" in match rule'),
    ("Type='signal'", 'Unknown key "Type" in match rule'),
    ("type='signal',type='error'", "Key type specified twice in match rule\n"),
    ("path='/a',path_namespace='/a'", "path or path_namespace specified twice in match rule\n"),
    ("path_namespace='/a/'", "Path '/a/' is invalid\n"),
    ("sender='nodot'", "Sender name 'nodot' is invalid\n"),
    ("destination='a..b'", "Destination name 'a..b' is invalid\n"),
    ("interface='abc@def++'", "Interface name 'abc@def++' is invalid\n"),
    ("member='a.b'", "Member name 'a.b' is invalid\n"),
    ("eavesdrop='yes'", "eavesdrop='yes' is invalid, it should be 'true' or 'false'\n"),
    ("arg0=a,arg00=b", "Argument arg00 matched more than once in match rule\n"),
    ("arg0path=/,arg0=b", "Argument arg0 matched more than once in match rule\n"),
    ("arg64=x", "Key 'arg64' in match rule has arg number 64 but the maximum is 63.\n"),
    (
        "arg=x",
        "Key 'arg' in match rule starts with 'arg' but lacks an arg number."
        " Should be 'arg0' or 'arg7' for example.\n",
    ),
    (
        "argument=x",
        "Key 'argument' in match rule starts with 'arg' but could not parse arg number."
        " Should be 'arg0' or 'arg7' for example.\n",
    ),
    (
        "arg1namespace=a.b",
        "Key 'arg1namespace' in match rule contains junk after argument number (1)."
        " Only 'arg1path' (for example) or 'arg0namespace' are valid",
    ),
    ("arg0namespace=''", "arg0namespace='' is not a valid prefix of a bus name"),
    ("arg0namespace='a.'", "arg0namespace='a.' is not a valid prefix of a bus name"),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_same_meaning_is_equal(left: str, right: str) -> None:
    assert Rule.parse(left) == Rule.parse(right)
    assert hash(Rule.parse(left)) == hash(Rule.parse(right))


@pytest.mark.parametrize(("text", "complaint"), INVALID)
def test_invalid_rules_get_the_references_words(text: str, complaint: str) -> None:
    with pytest.raises(Refused) as caught:
        Rule.parse(text)
    assert (caught.value.name, caught.value.text) == (MATCH_RULE_INVALID, complaint)


def test_different_meanings_differ() -> None:
    texts = [
        "",
        "type='signal'",
        "type='error'",
        "eavesdrop='true'",
        "path='/'",
        "path_namespace='/'",
        "arg0path='/'",
        "arg0='a.b'",
        "arg1='a.b'",
        "arg0path='a.b'",
        "arg0namespace='a.b'",
        "sender='a.b'",
        "destination='a.b'",
        "interface='a.b'",
        "interface='a.b',sender='a.b'",
    ]
    for at, text in enumerate(texts):
        assert all(Rule.parse(text) != Rule.parse(other) for other in texts[:at])
        assert Rule.parse(text) != text


def test_attributes() -> None:
    rule = Rule.parse(
        "arg12path='/c/',type='method_call',sender=':1.2',destination='a.b',interface='c.d',"
        "member='M',path_namespace='/x',eavesdrop=true,arg1='one',arg0namespace=n"
    )
    assert (rule.kind, rule.interface, rule.member) == (1, "c.d", "M")
    assert (rule.path, rule.namespace) == ("/x", True)
    assert (rule.sender, rule.destination, rule.eavesdrop) == (":1.2", "a.b", True)
    assert rule.places == (0 << 2 | NAMESPACE, 1 << 2 | EXACT, 12 << 2 | PATH)
    assert rule.values == ("n", "one", "/c/")


def test_canonical_text() -> None:
    rule = Rule.parse(
        "arg12path='/c/',arg1=it\\'s,eavesdrop=true,destination=d.e,sender=s.e,"
        "path_namespace='/x',member='M',interface='c.d',type='error',arg0namespace=n"
    )
    assert str(rule) == (
        "type='error',interface='c.d',member='M',path_namespace='/x',sender='s.e',"
        "destination='d.e',eavesdrop='true',arg0namespace='n',arg1='it'\\''s',arg12path='/c/'"
    )


def test_only_sixteen_pairs_are_read() -> None:
    sixteen = ",".join(f"arg{n}=x" for n in range(16))
    assert Rule.parse(sixteen + ",nonsense") == Rule.parse(sixteen)
    with pytest.raises(Refused):
        Rule.parse(sixteen.replace("arg15", "nonsense"))


def test_length_is_counted_in_bytes() -> None:
    text = "arg0=" + "é" * 509 + "x"
    assert Rule.parse(text).values == ("é" * 509 + "x",)
    with pytest.raises(Refused) as caught:
        Rule.parse(text + "y")
    assert caught.value.name == LIMITS_EXCEEDED
    assert caught.value.text == "Match rule text is 1025 bytes, maximum is 1024"


VALUES = st.dictionaries(
    st.integers(0, 63),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    max_size=6,
)


@given(VALUES)
def test_text_of_a_rule_parses_to_the_rule(values: dict[int, str]) -> None:
    rule = Rule(
        4,
        places=tuple(number << 2 for number in sorted(values)),
        values=tuple(values[number] for number in sorted(values)),
    )
    assert Rule.parse(str(rule)) == rule


@given(st.text(st.sampled_from("=,'\\ \targ0pthnmescei19xé"), max_size=40))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    with suppress(Refused):
        rule = Rule.parse(text)
        assert Rule.parse(str(rule)) == rule


def test_distinct_rules_have_distinct_hashes() -> None:
    """One rule for each kind, way to eavesdrop, path key, and argument; and for each way to put
    the same few texts under several keys."""
    texts = ("", "type='signal'", "type='method_call'", "eavesdrop='true'")
    names = ("", "interface='a.b'", "sender='a.b'", "destination='a.b'", "interface='a.c'")
    paths = ("", "path='/a'", "path_namespace='/a'")
    arguments = ["", "arg0namespace='a.b'", "arg0='a.b',arg1='a.b'", "arg0='a.b',arg2='a.b'"]
    arguments += [f"arg{number}{mode}='a.b'" for number in range(64) for mode in ("", "path")]
    parts = product(texts, names, paths, arguments)
    rules = [Rule.parse(",".join(filter(None, each))) for each in parts]
    rules += [Rule.parse(f"eavesdrop='true',destination='a.b{number}'") for number in range(5000)]
    assert len(set(map(str, rules))) == len(rules)
    assert len(set(map(hash, rules))) == len(rules)
