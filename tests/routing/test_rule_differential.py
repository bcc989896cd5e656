"""Match rules judged by dbus-daemon: what it takes, what it refuses and why, how it prints them."""

import random
from collections.abc import Iterator

import pytest

from bridge.routing.errors import Refused
from bridge.routing.rule import Rule
from tests.buses import start
from tests.raw import RETURN, Client

BATCH = 40
COUNT = 2000

NAMES = [
    "a.b",
    ":1.0",
    ":",
    ":a",
    ":1..2",
    "a",
    "a..b",
    ".a",
    "a.",
    "a.1",
    "a-b.c",
    "",
    "é.b",
    "a.b",
]
PATHS = ["/", "/a/b", "/a/", "//", "a", "", "/a//b", "/é", "/a_1/B", "/a-b"]
VALUES = {
    "type": ["signal", "method_call", "method_return", "error", "invalid", "", "Signal", "signal"],
    "sender": NAMES,
    "destination": NAMES,
    "interface": [*NAMES, "a_b.c", "a" + ".b" * 126, "a" + ".b" * 128],
    "member": ["M", "m_1", "1m", "", "a.b", "M" * 255, "M" * 256],
    "path": PATHS,
    "path_namespace": PATHS,
    "eavesdrop": ["true", "false", "", "1"],
    "arg0namespace": NAMES,
}
NUMBERS = [
    "0", "1", "3", "63", "64", "00", "010", "08", "0x10", "0X1f", "0x", "+1", "-1", "-0", "", "a",
    "99999999999999999999", "-18446744073709551615", "\v2", "\f+2", "1.", "é",
]  # fmt: skip
TEXTS = ["", "x", "/", "/a", "a b", "a,b", "it's", "\\", "\\'", "=", "é", "a\\b", "''"]


def quoted(chance: random.Random, value: str) -> str:
    """A value as a client may write it; now and then not as it should."""
    style = chance.randrange(8)
    if style < 3:
        return "'" + value.replace("'", "'\\''") + "'"
    if style < 5:
        return value.replace("'", "\\'")
    if style == 5:
        cut = chance.randrange(len(value) + 1)
        return f"'{value[:cut]}'{value[cut:]}"
    if style == 6:
        return f"'{value}'''"
    return chance.choice([" ", "'", "\\", ",", ""]) + value + chance.choice([" ", "'", "\\", ""])


def pair(chance: random.Random) -> str:
    kind = chance.randrange(20)
    if kind < 12:
        key = chance.choice(list(VALUES))
        values = VALUES[key]
        value = values[0] if chance.random() < 0.6 else chance.choice(values)
    elif kind < 18:
        number = str(chance.randrange(5)) if chance.random() < 0.5 else chance.choice(NUMBERS)
        key = f"arg{number}{chance.choice(['', '', '', 'path', 'path', 'namespace', 'x'])}"
        value = chance.choice(TEXTS)
    else:
        return chance.choice(
            ["=", "=x", "x", "", " ", "key=value", "type", "\xa0=", "a =b", "a b=c"]
        )
    space = chance.choice(["", "", "", "", " ", "\t", "\n\r"])
    return f"{space}{key}{chance.choice(['', '', '', '', ' '])}={quoted(chance, value)}"


def rule(chance: random.Random) -> str:
    count = chance.choice([0, 1, 1, 1, 2, 2, 2, 3, 4, 6, 17])
    if count == 17:  # more pairs than are read
        pairs = [f"arg{n}='{n}'" for n in range(chance.choice([14, 15, 16]))]
        pairs += [pair(chance), pair(chance)]
    else:
        pairs = [pair(chance) for _ in range(count)]
    text = ",".join(pairs)
    if chance.random() < 0.02:
        text += ",arg40=" + "x" * (1014 + chance.randrange(4) - len(text.encode()))
    return text + chance.choice(["", "", "", "", ",", " ", ", ", ",,"])


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    bus = start("dbus-daemon", tmp_path_factory.mktemp("rules"))
    yield bus.connect()
    bus.stop()


def judge(client: Client, texts: list[str], member: str) -> list[tuple[str, str] | None]:
    """What dbus-daemon says to each: None, or the error's name and text."""
    serials = [client.call(member, "s", text) for text in texts]
    answers = [client.answer(serial) for serial in serials]
    return [None if answer.kind == RETURN else (answer.error, answer.args[0]) for answer in answers]


def ours(text: str) -> Rule | tuple[str, str]:
    try:
        return Rule.parse(text)
    except Refused as refused:
        return refused.name, refused.text


def printed(client: Client) -> list[str]:
    stats = client.ask("GetAllMatchRules", interface="org.freedesktop.DBus.Debug.Stats")
    rules: list[str] = stats.args[0][client.name]
    return sorted(rules)


def test_rules_as_dbus_daemon_takes_them(daemon: Client) -> None:
    chance = random.Random(1)
    accepted = 0
    for _ in range(COUNT // BATCH):
        texts = [rule(chance) for _ in range(BATCH)]
        said = [ours(text) for text in texts]
        expected = [None if isinstance(one, Rule) else one for one in said]
        for text, one, other in zip(texts, judge(daemon, texts, "AddMatch"), expected, strict=True):
            assert one == other, repr(text)
        rules = [str(one) for one in said if isinstance(one, Rule)]
        kept = [text for text, one in zip(texts, said, strict=True) if isinstance(one, Rule)]
        assert printed(daemon) == sorted(rules)
        equal = [
            one if len(one.encode()) <= 1024 else text
            for one, text in zip(rules, kept, strict=True)
        ]
        assert judge(daemon, equal, "RemoveMatch") == [None] * len(rules)
        accepted += len(rules)
    assert printed(daemon) == []
    assert COUNT // 5 < accepted < COUNT * 4 // 5, "the grammar should hit both sides"
