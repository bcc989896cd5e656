"""The match index judged by dbus-daemon: random rules, random messages, who gets which."""

import random
from collections.abc import Iterator

import pytest

from bridge.routing.client import Client as Member
from bridge.routing.credentials import Credentials
from bridge.routing.match import Index
from bridge.routing.names import Names
from bridge.routing.rule import Rule
from bridge.wire.frame import Frame, Framer
from bus1.bus import Bus as Core
from policy.limits import Limits
from tests.buses import Bus, start
from tests.raw import SIGNAL, Client, build, call_fields

ROUNDS = 60
MESSAGES = 12

PATHS = ["/", "/a", "/a/b", "/a/bc", "/a/b/c"]
TEXTS = ["", "/", "/a", "/a/", "/a/b", "/a/b/c", "n", "n.o", "n.o.p", "n.op"]
NAMES = [":1.0", ":1.1", ":1.2", "n.o", "n.p", "org.freedesktop.DBus"]
VALUES = {
    "type": ["signal", "signal", "signal", "method_call"],
    "interface": ["i.A", "i.A", "i.B"],
    "member": ["M", "N"],
    "path": PATHS,
    "path_namespace": PATHS,
    "sender": NAMES,
    "destination": NAMES,
    "eavesdrop": ["true", "true", "false"],
    "arg0": TEXTS,
    "arg0path": TEXTS[1:],  # dbus-daemon reads before the start of an empty text
    "arg0namespace": ["n", "n.o", "n.o.p"],
    "arg1": TEXTS,
    "arg1path": TEXTS[1:],
    "arg6": TEXTS,
    "arg7path": TEXTS[1:],
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    bus = start("dbus-daemon", tmp_path_factory.mktemp("match"))
    yield bus
    bus.stop()


def random_rule(chance: random.Random) -> str:
    keys = chance.sample(list(VALUES), chance.choice([0, 1, 1, 2, 2, 3]))
    if "path" in keys and "path_namespace" in keys:
        keys.remove("path")
    for number in "01":
        same = [key for key in keys if key.startswith(f"arg{number}")]
        keys = [key for key in keys if key not in same[1:]]
    return ",".join(f"{key}='{chance.choice(VALUES[key])}'" for key in keys)


def random_arguments(chance: random.Random) -> tuple[str, list[object]]:
    types = "".join(chance.choice("ssssou") for _ in range(chance.choice([0, 1, 1, 2, 2, 8])))
    values: list[object] = [
        {"s": chance.choice(TEXTS[1:]), "o": chance.choice(PATHS), "u": 7}[kind] for kind in types
    ]
    return types, values


def frame_of(data: bytes, sender: str) -> Frame:
    framer = Framer(1 << 20, 0)
    framer.stamp(sender)
    framer.feed(data)
    frame = framer.take()
    assert frame is not None
    return frame


def test_messages_go_where_dbus_daemon_sends_them(daemon: Bus) -> None:
    chance = random.Random(3)
    core, names, index = Core(), Names(), Index()
    driver = core.connect(0)
    clients = [daemon.connect() for _ in range(3)]
    members = [
        Member(core.connect(1000), driver, Credentials(1000, 1), True, Limits()) for _ in clients
    ]
    for client, member in zip(clients, members, strict=True):
        names.join(member)
        assert member.unique == client.name
    delivered = 0
    for _ in range(ROUNDS):
        exchange_names(chance, clients, members, names)
        rules = [(chance.randrange(3), random_rule(chance)) for _ in range(chance.randrange(1, 9))]
        for who, text in rules:
            clients[who].match(text)
            index.add(Rule.parse(text), members[who])
        for client in clients:
            client.take()
        for _ in range(MESSAGES):
            delivered += exchange(chance, clients, members, names, index)
        chance.shuffle(rules)
        for who, text in rules:
            assert index.remove(Rule.parse(text), members[who])
            clients[who].ask("RemoveMatch", "s", text)
    assert not index.shapes
    assert not index.overhearing
    assert delivered > ROUNDS * MESSAGES // 4, "too few rules match to prove much"


def exchange_names(
    chance: random.Random, clients: list[Client], members: list[Member], names: Names
) -> None:
    who, name = chance.randrange(3), chance.choice(["n.o", "n.p"])
    flags = chance.randrange(8)
    assert clients[who].own(name, flags) == names.request(members[who], name, flags, 1000)[0]


def exchange(
    chance: random.Random,
    clients: list[Client],
    members: list[Member],
    names: Names,
    index: Index,
) -> int:
    """One message, to all or to one: who got it?"""
    who = chance.randrange(3)
    sender, source = clients[who], members[who]
    to = chance.choice([None, None, ":1.0", ":1.1", "n.o"])
    sink = None if to is None else names.owner(to)
    if sink is None:
        to = None
    types, values = random_arguments(chance)
    fields = call_fields(to, chance.choice(PATHS), chance.choice(["i.A", "i.B"]), "M")
    data = build(SIGNAL, sender.next_serial(), fields, types, values)
    frame = frame_of(data, sender.name)
    if sink is None:
        expected = index.broadcast(frame, source)
    else:
        expected = [*index.eavesdrop(frame, source, sink), sink]
    sender.write(data)
    sender.ask("GetId")  # the bus has done with the message
    got = [
        member
        for client, member in zip(clients, members, strict=True)
        for message in client.take()
        if message.kind == SIGNAL and message.interface in ("i.A", "i.B")
    ]
    assert sorted(member.unique for member in got) == sorted(
        member.unique for member in expected
    ), (frame.raw(), [list(map(str, member.rules or ())) for member in members])
    return len(got)


@pytest.mark.parametrize("had_rules", [True, False])
def test_a_rule_goes_with_the_unique_name_in_it(daemon: Bus, had_rules: bool) -> None:
    core, names, index = Core(), Names(), Index()
    driver = core.connect(0)
    clients = gone, client = daemon.connect(), daemon.connect()
    members = [
        Member(core.connect(1000), driver, Credentials(1000, 1), True, Limits()) for _ in clients
    ]
    for member in members:
        names.join(member)
    if had_rules:
        gone.match("member='M'")
        index.add(Rule.parse("member='M'"), members[0])
    for key in ("sender", "destination", "arg0"):
        client.match(f"{key}='{gone.name}'")
        index.add(Rule.parse(f"{key}='{members[0].unique}'"), members[1])
    gone.close()
    client.until_gone(gone.name)
    index.drop(members[0])
    for key in ("sender", "destination", "arg0"):
        answer = client.ask("RemoveMatch", "s", f"{key}='{gone.name}'")
        there = index.remove(Rule.parse(f"{key}='{members[0].unique}'"), members[1])
        assert (answer.error is None) == there == (key == "arg0" or not had_rules)
    client.close()
