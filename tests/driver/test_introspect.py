"""The introspection lists exactly the tables, and all of dbus-daemon's."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from bridge.driver.introspect import document as document_at
from bridge.driver.introspect import types
from bridge.driver.tables import INTERFACES, document
from tests import raw
from tests.buses import Bus
from tests.driver.desk import Caller
from tests.raw import DRIVER, Client

HOME = "/org/freedesktop/DBus"
INTROSPECTABLE = DRIVER + ".Introspectable"
# Of dbus-daemon's: what needs activation, monitors or statistics.
ABSENT_INTERFACES: set[str] = set()
OUR_OWN = {
    "org.bus1.Policy1",
    "org.bus1.Status1",
    "org.bus1.Capability1",
    DRIVER + ".Verbose",
}
ABSENT_MEMBERS = {"UpdateActivationEnvironment"}

Arguments = tuple[tuple[str, str | None, str | None], ...]
Face = dict[str, dict[tuple[str, str], tuple[Arguments, str | None]]]


def argument(item: ET.Element) -> tuple[str, str | None, str | None]:
    return item.attrib["type"], item.get("direction"), item.get("name")


def face(xml: str) -> Face:
    """By interface, each member with its kind and its arguments (type, direction, name)."""
    return {
        interface.attrib["name"]: {
            (member.tag, member.attrib["name"]): (
                tuple(map(argument, member.iter("arg"))),
                member.get("type"),
            )
            for member in interface
        }
        for interface in ET.fromstring(xml).findall("interface")
    }


def ask(client: Client, path: str) -> str:
    answer = client.ask("Introspect", interface=INTROSPECTABLE, path=path)
    assert answer.signature == "s"
    return str(answer.args[0])


def test_it_lists_exactly_the_tables() -> None:
    seen = face(document())
    assert list(seen) == [interface.name for interface in INTERFACES]
    for interface in INTERFACES:
        members = seen[interface.name]
        assert list(members) == [
            *(("method", method.name) for method in interface.methods),
            *(("property", item.name) for item in interface.properties),
            *(("signal", signal.name) for signal in interface.signals),
        ]
        for method in interface.methods:
            arguments, _ = members["method", method.name]
            assert "".join(t for t, way, _ in arguments if way == "in") == method.takes
            assert "".join(t for t, way, _ in arguments if way == "out") == method.gives
        for item in interface.properties:
            assert members["property", item.name] == ((), item.type)
        for signal in interface.signals:
            arguments, _ = members["signal", signal.name]
            assert "".join(t for t, _, _ in arguments) == signal.gives


@pytest.mark.parametrize("path", [HOME, HOME + "/x", "/", "/org", "/org/freedesktop", "/org/free"])
def test_it_is_dbus_daemons(reference: Bus, caller: Caller, path: str) -> None:
    theirs = face(ask(reference.connect(), path))
    reference.hang_up()
    ours = face(ask(caller, path))
    for name in OUR_OWN if path == HOME else ():
        del ours[name]
    assert list(ours) == list(theirs)
    for name, members in ours.items():
        assert members == theirs[name]
        assert list(members) == list(theirs[name])


@pytest.mark.parametrize(
    ("path", "children"),
    [
        ("/", ["org/freedesktop/DBus"]),
        ("/org", ["freedesktop/DBus"]),
        ("/org/freedesktop", ["DBus"]),
        ("/org/free", []),
        ("/x", []),
        (HOME, []),
        (HOME + "/x", []),
    ],
)
def test_the_way_to_the_driver(a: Client, path: str, children: list[str]) -> None:
    assert [node.get("name") for node in ET.fromstring(ask(a, path)).findall("node")] == children


def test_the_program_prints_what_the_bus_answers(caller: Caller) -> None:
    assert document() == ask(caller, HOME) == document_at(INTERFACES, HOME)


def test_everything_listed_can_be_called(caller: Caller) -> None:
    for name, members in face(ask(caller, HOME)).items():
        for kind, member in members:
            if kind == "method":
                answer = caller.ask(member, "ay", b"", interface=name)
                assert (answer.kind, str(answer)) == (raw.ERROR, "!InvalidArgs")


@pytest.mark.parametrize(
    ("signature", "parts"),
    [
        ("", []),
        ("s", ["s"]),
        ("sa{sv}as", ["s", "a{sv}", "as"]),
        ("aa(s(iu))v", ["aa(s(iu))", "v"]),
    ],
)
def test_complete_types(signature: str, parts: list[str]) -> None:
    assert list(types(signature)) == parts
