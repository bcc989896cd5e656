"""org.bus1.Policy1: what it says of a question, to whom, and what it refuses to read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from policy.configuration import Configuration
from policy.limits import Limits
from policy.rule import Argument, Rule
from tests import policies
from tests.policies import rule
from tests.raw import DRIVER
from tests.routing.world import UID, Party, World

POLICY = "org.bus1.Policy1"


@pytest.fixture
def world() -> Iterator[World]:
    rules: tuple[Rule, ...] = (
        rule(False, "send", 3, name="x.y", member="No"),
        rule(False, "own", 4, name="x.n"),
        rule(False, "receive", 5, name="x.loud", type="signal"),
        rule(False, "send", 6, name="x.y", type="signal", broadcast=False),
    )
    world = World(configuration=policies.rules(*rules))
    yield world
    world.end()


@pytest.fixture
def root(world: World) -> Party:
    return world.connect()


def explain(party: Party, **question: tuple[str, Any]) -> Any:
    answer = party.ask("Explain", "a{sv}", question, interface=POLICY)
    return answer.error or json.loads(answer.args[0])


def adopt(world: World, configuration: Configuration) -> None:
    world.hub.adopt(configuration, policies.policy(configuration))


def permissive(party: Party) -> Any:
    properties = "org.freedesktop.DBus.Properties"
    return party.ask("Get", "ss", POLICY, "Permissive", interface=properties).args[0]


def deciding(report: Any) -> list[tuple[str, bool, int]]:
    """What was asked, the answer, and the line of the rule that decided."""
    return [(e["about"], e["allowed"], e["rules"][-1]["line"]) for e in report["findings"]]


def test_a_question_is_about_a_client_and_a_name(world: World, root: Party) -> None:
    service = world.connect()
    service.own("x.y")
    said = explain(root, sender=("s", root.name), destination=("s", "x.y"), member=("s", "No"))
    assert (said["verdict"], said["permissive"]) == ("denied", False)
    assert deciding(said) == [("send", False, 3), ("receive", True, 1)]
    (first, last) = said["findings"][0]["rules"]
    assert last == {
        "about": "send",
        "allow": False,
        "text": '<deny send_destination="x.y" send_member="No"/>',
        "file": "test",
        "line": 3,
        "context": "default",
        "via": [],
    }
    assert first["line"] == 1
    said = explain(root, sender=("s", root.name), destination=("s", "x.y"), member=("s", "Yes"))
    assert said["verdict"] == "allowed"


def test_a_name_that_nobody_has_stands_for_itself(root: Party) -> None:
    said = explain(root, user=("u", 5), destination=("s", "x.y"), member=("s", "No"))
    assert deciding(said)[0] == ("send", False, 3)


def test_owning_is_asked_by_name(root: Party) -> None:
    assert deciding(explain(root, user=("u", 5), own=("s", "x.n"))) == [("own", False, 4)]
    assert explain(root, sender=("s", root.name), own=("s", "x.m"))["verdict"] == "allowed"


def test_names_of_who_asks_count(root: Party) -> None:
    question = {"user": ("u", 5), "names": ("as", ["x.loud"]), "broadcast": ("b", True)}
    assert deciding(explain(root, **question)) == [("send", True, 1), ("receive", False, 5)]


def test_arguments_are_those_that_are_said(world: World, root: Party) -> None:
    about = rule(False, "send", 9, name="x.y", arguments=(Argument(0, "", prefix=True),))
    adopt(world, policies.rules(about))
    question = {"user": ("u", 5), "destination": ("s", "x.y")}
    said = explain(root, **question, arguments=("a{us}", {2: "z"}))
    assert said["verdict"] == "allowed"
    said = explain(root, **question, arguments=("a{us}", {0: "y", 2: "z"}))
    assert deciding(said)[0] == ("send", False, 9)


def test_the_bus_itself_is_not_judged(root: Party) -> None:
    said = explain(root, user=("u", 5), destination=("s", DRIVER), member=("s", "No"))
    assert [(each["about"], each["judged"]) for each in said["findings"]] == [
        ("send", True),
        ("receive", False),
    ]


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"user": ("u", 5)},
        {"user": ("u", 5), "sender": ("s", ":1.0"), "own": ("s", "x.y")},
        {"user": ("s", "5"), "own": ("s", "x.y")},
        {"user": ("u", 5), "own": ("s", "x.y"), "destination": ("s", "x.y")},
        {"user": ("u", 5), "own": ("s", "x.y"), "cow": ("s", "moo")},
        {"user": ("u", 5), "destination": ("s", "x.y"), "type": ("s", "letter")},
        {"user": ("u", 5), "destination": ("s", "x.y"), "arguments": ("a{us}", {64: "x"})},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(root: Party, question: dict[str, Any]) -> None:
    assert explain(root, **question) == "org.freedesktop.DBus.Error.InvalidArgs"


def test_nobody_is_not_explained(root: Party) -> None:
    nobody = explain(root, sender=("s", ":1.99"), own=("s", "x.y"))
    assert nobody == "org.freedesktop.DBus.Error.NameHasNoOwner"


def test_rules_are_listed_in_their_sections(root: Party) -> None:
    answer = root.ask("ListRules", interface=POLICY)
    (section,) = json.loads(answer.args[0])
    assert (section["context"], section["who"]) == ("default", "")
    assert [each["line"] for each in section["rules"]] == [1, 1, 1, 1, 3, 4, 5, 6]


def test_permissive_is_switched_on_and_off(world: World, root: Party) -> None:
    assert not permissive(root)
    root.ask("SetPermissive", "b", True, interface=POLICY)
    assert permissive(root)
    assert root.own("x.n") == 1
    root.ask("SetPermissive", "b", False, interface=POLICY)
    other = world.connect()
    assert "not allowed to own" in other.asked("RequestName", "su", "x.n", 0)


@pytest.mark.parametrize("uid", [UID, 0])
def test_root_and_the_buss_own_user_may_ask(world: World, uid: int) -> None:
    assert world.connect(uid=uid).ask("ListRules", interface=POLICY).error is None


@pytest.mark.parametrize(
    ("member", "arguments"),
    [("ListRules", ()), ("SetPermissive", ("b", True)), ("Explain", ("a{sv}", {}))],
)
def test_nobody_else_may(world: World, member: str, arguments: tuple[Any, ...]) -> None:
    answer = world.connect(uid=UID + 1).ask(member, *arguments, interface=POLICY)
    assert answer.error == "org.freedesktop.DBus.Error.AccessDenied"
    assert not world.hub.gate.permissive


def test_an_answer_that_is_too_long_to_be_sent_is_refused() -> None:
    """Else the caller would wait for it, and be taken for one that does not read."""
    many = policies.rules(*[rule(False, "own", line, name="a.b") for line in range(100)])
    world = World(configuration=replace(many, limits=Limits(max_outgoing_bytes=10_000)))
    party = world.connect()
    for answer in (
        party.ask("ListRules", interface=POLICY),
        party.ask("Explain", "a{sv}", {"user": ("u", 5), "own": ("s", "a.b")}, interface=POLICY),
    ):
        assert str(answer) == "!LimitsExceeded"
        assert str(answer.args[0]).endswith(" bytes, and may have 5000")
    world.end()
