"""Properties of the driver: read-only, and truthful."""

from __future__ import annotations

import pytest

from bridge.driver.tables import INTERFACES
from tests import raw
from tests.driver.desk import Caller, text
from tests.raw import DRIVER, Client

PROPERTIES = DRIVER + ".Properties"
COMMON = {DRIVER, PROPERTIES, DRIVER + ".Introspectable", DRIVER + ".Peer"}


def test_features_are_those_of_this_bus(caller: Caller) -> None:
    assert caller.ask("Get", "ss", DRIVER, "Features", interface=PROPERTIES).args == [
        ["ActivatableServicesChanged", "HeaderFiltering"]
    ]


def test_interfaces_are_those_of_the_tables(caller: Caller) -> None:
    listed = caller.ask("Get", "ss", DRIVER, "Interfaces", interface=PROPERTIES).args[0]
    told = [each.name for each in INTERFACES if each.name not in COMMON]
    told.remove(f"{DRIVER}.Verbose")  # as on a dbus-daemon that is not its developers'
    assert listed == told


def test_get_all_is_every_get(a: Client) -> None:
    everything = a.ask("GetAll", "s", DRIVER, interface=PROPERTIES).args[0]
    assert set(everything) == {"Features", "Interfaces"}
    for name, value in everything.items():
        answer = a.ask("Get", "ss", DRIVER, name, interface=PROPERTIES)
        assert (answer.signature, answer.args) == ("v", [value])
        assert raw.take(answer.body, 0, "g", answer.order)[0] == "as"


@pytest.mark.parametrize("interface", sorted(COMMON - {DRIVER}))
def test_other_interfaces_have_none(a: Client, interface: str) -> None:
    assert a.ask("GetAll", "s", interface, interface=PROPERTIES).args == [{}]


@pytest.mark.parametrize("interface", ["", "a.b", "no interface at all"])
def test_unknown_interface(a: Client, interface: str) -> None:
    error = f'!UnknownInterface Interface "{interface}" not found'
    for member, signature, arguments in (
        ("Get", "ss", [interface, "Features"]),
        ("GetAll", "s", [interface]),
        ("Set", "ssv", [interface, "Features", ("s", "x")]),
    ):
        assert text(a.ask(member, signature, *arguments, interface=PROPERTIES)) == error


@pytest.mark.parametrize(
    ("interface", "name"), [(DRIVER, "Nope"), (DRIVER, ""), (PROPERTIES, "Features")]
)
def test_unknown_property(a: Client, interface: str, name: str) -> None:
    error = f'!UnknownProperty Property "{interface}.{name}" not found'
    assert text(a.ask("Get", "ss", interface, name, interface=PROPERTIES)) == error
    value = ("s", "x")
    assert text(a.ask("Set", "ssv", interface, name, value, interface=PROPERTIES)) == error


@pytest.mark.parametrize("name", ["Features", "Interfaces"])
def test_nothing_can_be_set(a: Client, name: str) -> None:
    error = f"!PropertyReadOnly Property 'org.freedesktop.DBus.{name}' cannot be set"
    value = ("as", ["x"])
    assert text(a.ask("Set", "ssv", DRIVER, name, value, interface=PROPERTIES)) == error
