"""org.freedesktop.DBus: every method, error, property, path rule (contract A.3, A.4, E.64 to E.68).

Not here: what needs service files (and what goes with them), monitors, statistics or a
configuration file.
"""

from __future__ import annotations

import os
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.buses import Bus
from tests.raw import DRIVER, DRIVER_PATH, ERROR, RETURN, SENDER, SIGNAL, Client, call_fields

ERRORS = "org.freedesktop.DBus.Error."
PEER = "org.freedesktop.DBus.Peer"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PROPERTIES = "org.freedesktop.DBus.Properties"
NOBODY = "com.example.Nobody"

# member -> (in, out)
METHODS = {
    "Hello": ("", "s"),
    "RequestName": ("su", "u"),
    "ReleaseName": ("s", "u"),
    "StartServiceByName": ("su", "u"),
    "NameHasOwner": ("s", "b"),
    "ListNames": ("", "as"),
    "ListActivatableNames": ("", "as"),
    "AddMatch": ("s", ""),
    "RemoveMatch": ("s", ""),
    "GetNameOwner": ("s", "s"),
    "ListQueuedOwners": ("s", "as"),
    "GetConnectionUnixUser": ("s", "u"),
    "GetConnectionUnixProcessID": ("s", "u"),
    "GetAdtAuditSessionData": ("s", "ay"),
    "GetConnectionSELinuxSecurityContext": ("s", "ay"),
    "ReloadConfig": ("", ""),
    "GetId": ("", "s"),
    "GetConnectionCredentials": ("s", "a{sv}"),
}
SIGNALS = {
    "NameOwnerChanged": "sss",
    "NameLost": "s",
    "NameAcquired": "s",
    "ActivatableServicesChanged": "",
}
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "RequestName": ("com.example.Driver", 0),
    "ReleaseName": ("com.example.Driver",),
    "NameHasOwner": (DRIVER,),
    "AddMatch": ("type=error",),
    "RemoveMatch": ("type=error",),
    "GetNameOwner": (DRIVER,),
    "ListQueuedOwners": (DRIVER,),
    "GetConnectionUnixUser": (DRIVER,),
    "GetConnectionUnixProcessID": (DRIVER,),
    "GetConnectionCredentials": (DRIVER,),
}
# not callable twice, or no answer without service files, Solaris or SELinux
SPECIAL = {
    "Hello",
    "StartServiceByName",
    "GetAdtAuditSessionData",
    "GetConnectionSELinuxSecurityContext",
}


@pytest.mark.parametrize("path", [DRIVER_PATH, "/", "/any/where"])
@pytest.mark.parametrize("interface", [DRIVER, None])
def test_every_method_works_at_any_path_and_without_interface(
    a: Client, path: str, interface: str | None
) -> None:
    for member in sorted(METHODS.keys() - SPECIAL):
        signature, out = METHODS[member]
        if member == "RemoveMatch":
            a.match("type=error")
        answer = a.ask(
            member, signature, *ARGUMENTS.get(member, ()), path=path, interface=interface
        )
        assert (answer.kind, answer.signature) == (RETURN, out), (member, answer.args)


@pytest.mark.parametrize("member", METHODS)
def test_wrong_arguments(a: Client, member: str) -> None:
    signature = METHODS[member][0]
    wrong = ("s", "x") if signature == "" else ("i", 3) if signature != "i" else ("s", "x")
    answer = a.ask(member, *wrong)
    assert answer.error == ERRORS + "InvalidArgs"
    text = f"Call to {member} has wrong args ({wrong[0]}, expected {signature})\n"
    assert answer.args == [text]


@pytest.mark.parametrize("member", [m for m, (s, _) in METHODS.items() if s])
def test_missing_arguments(a: Client, member: str) -> None:
    assert a.ask(member).error == ERRORS + "InvalidArgs"


# (member, signature, arguments) -> (error, part of its text)
FAILURES: list[tuple[str, str, tuple[Any, ...], str, str]] = [
    ("GetNameOwner", "s", (NOBODY,), "NameHasNoOwner", "no such name"),
    ("GetNameOwner", "s", ("bad",), "NameHasNoOwner", "no such name"),
    ("GetNameOwner", "s", (":1.9999",), "NameHasNoOwner", "no such name"),
    ("ListQueuedOwners", "s", (NOBODY,), "NameHasNoOwner", "no such name"),
    ("GetConnectionUnixUser", "s", (NOBODY,), "NameHasNoOwner", "no such name"),
    ("GetConnectionUnixProcessID", "s", (NOBODY,), "NameHasNoOwner", "no such name"),
    ("GetConnectionCredentials", "s", (NOBODY,), "NameHasNoOwner", "no such name"),
    ("GetConnectionCredentials", "s", ("",), "NameHasNoOwner", "no such name"),
    ("GetAdtAuditSessionData", "s", (NOBODY,), "NameHasNoOwner", "no such name"),
    ("GetAdtAuditSessionData", "s", (DRIVER,), "AdtAuditDataUnknown", "Could not determine"),
    ("GetConnectionSELinuxSecurityContext", "s", (NOBODY,), "NameHasNoOwner", "no such name"),
    (
        "GetConnectionSELinuxSecurityContext", "s", (DRIVER,), "SELinuxSecurityContextUnknown",
        "Could not determine",
    ),
    (
        "StartServiceByName", "su", (NOBODY, 0), "ServiceUnknown",
        f"The name {NOBODY} was not provided by any .service files",
    ),
    ("StartServiceByName", "su", ("bad", 0), "ServiceUnknown", "The name bad was not provided"),
    ("StartServiceByName", "su", (":1.9999", 0), "ServiceUnknown", "was not provided"),
    ("AddMatch", "s", ("foo",), "MatchRuleInvalid", "subsequent '='"),
    ("RemoveMatch", "s", ("foo",), "MatchRuleInvalid", "subsequent '='"),
    ("RemoveMatch", "s", ("member='NotAdded'",), "MatchRuleNotFound", "wasn't found"),
    ("NoSuchMethod", "", (), "UnknownMethod", f"{DRIVER} does not understand message NoSuchMethod"),
    ("Ping", "", (), "UnknownMethod", f"{DRIVER} does not understand message Ping"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("member", "signature", "args", "error", "text"), FAILURES, ids=lambda value: str(value)[:40]
)
def test_failures(
    a: Client, member: str, signature: str, args: tuple[Any, ...], error: str, text: str
) -> None:
    answer = a.ask(member, signature, *args)
    assert answer.error == ERRORS + error
    assert answer.signature == "s"
    assert text in answer.args[0]
    assert (answer.sender, answer.destination) == (DRIVER, a.name)


# (interface, member, signature, arguments, path) -> error, '' for none
ELSEWHERE: list[tuple[str | None, str, str, tuple[Any, ...], str, str]] = [
    ("no.such", "GetId", "", (), DRIVER_PATH, "UnknownInterface"),
    ("no.such", "GetId", "", (), "/", "UnknownInterface"),
    (PEER, "GetId", "", (), DRIVER_PATH, "UnknownMethod"),
    (PEER, "Ping", "", (), DRIVER_PATH, ""),
    (PEER, "Ping", "", (), "/any", ""),
    (PEER, "Ping", "s", ("x",), "/any", "InvalidArgs"),
    (PEER, "GetMachineId", "", (), "/any", ""),
    (INTROSPECTABLE, "Introspect", "", (), "/any", ""),
    (INTROSPECTABLE, "Introspect", "s", ("x",), "/any", "InvalidArgs"),
    (None, "Ping", "", (), "/any", ""),
    (None, "GetMachineId", "", (), "/any", ""),
    (None, "Introspect", "", (), "/any", ""),
    (PROPERTIES, "Get", "ss", (DRIVER, "Features"), DRIVER_PATH, ""),
    (None, "Get", "ss", (DRIVER, "Features"), DRIVER_PATH, ""),
    (PROPERTIES, "Get", "ss", (DRIVER, "Features"), "/", "UnknownInterface"),
    (PROPERTIES, "GetAll", "s", (DRIVER,), "/", "UnknownInterface"),
    (PROPERTIES, "Set", "ssv", (DRIVER, "Features", ("s", "")), "/", "UnknownInterface"),
    (None, "Get", "ss", (DRIVER, "Features"), "/", "UnknownMethod"),
    (None, "NoSuchMethod", "", (), DRIVER_PATH, "UnknownMethod"),
    (PROPERTIES, "Get", "s", (DRIVER,), DRIVER_PATH, "InvalidArgs"),
    (PROPERTIES, "Get", "ss", (DRIVER, "Nope"), DRIVER_PATH, "UnknownProperty"),
    (PROPERTIES, "Get", "ss", ("no.such", "Features"), DRIVER_PATH, "UnknownInterface"),
    (PROPERTIES, "Get", "ss", ("", "Features"), DRIVER_PATH, "UnknownInterface"),
    (PROPERTIES, "GetAll", "s", ("no.such",), DRIVER_PATH, "UnknownInterface"),
    (PROPERTIES, "GetAll", "s", (PEER,), DRIVER_PATH, ""),
    (PROPERTIES, "Set", "ssv", (DRIVER, "Features", ("s", "")), DRIVER_PATH, "PropertyReadOnly"),
    (PROPERTIES, "Set", "ssv", (DRIVER, "Nope", ("s", "")), DRIVER_PATH, "UnknownProperty"),
    (PROPERTIES, "Set", "ssv", ("no.such", "Nope", ("s", "")), DRIVER_PATH, "UnknownInterface"),
]


@pytest.mark.parametrize(
    ("interface", "member", "signature", "args", "path", "error"),
    ELSEWHERE,
    ids=lambda value: str(value)[:30],
)
def test_interfaces_and_paths(
    a: Client,
    interface: str | None,
    member: str,
    signature: str,
    args: tuple[Any, ...],
    path: str,
    error: str,
) -> None:
    answer = a.ask(member, signature, *args, interface=interface, path=path)
    assert (answer.error or "") == (ERRORS + error if error else "")


def test_get_id_is_32_hex_digits_and_stays(a: Client, b: Client) -> None:
    mine = a.ask("GetId").args[0]
    assert re.fullmatch("[0-9a-f]{32}", mine)
    assert b.ask("GetId").args == [mine]


def test_the_guid_of_the_address_is_the_one_of_the_handshake(bus: Bus, a: Client) -> None:
    assert f"guid={a.guid}" in bus.address
    assert re.fullmatch("[0-9a-f]{32}", a.guid)
    assert a.guid != a.ask("GetId").args[0]


def test_machine_id(a: Client) -> None:
    answer = a.ask("GetMachineId", interface=PEER)
    assert re.fullmatch("[0-9a-f]{32}", answer.args[0])
    for place in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        if os.path.exists(place):
            with open(place) as file:
                assert answer.args == [file.read().strip()]
            break


@pytest.mark.parametrize("whose", ["own", "bus"])
def test_credentials(bus: Bus, a: Client, whose: str) -> None:
    name, pid = (a.name, os.getpid()) if whose == "own" else (DRIVER, bus.pid)
    assert a.ask("GetConnectionUnixUser", "s", name).args == [os.geteuid()]
    assert a.ask("GetConnectionUnixProcessID", "s", name).args == [pid]
    found = a.ask("GetConnectionCredentials", "s", name).args[0]
    assert found["UnixUserID"] == os.geteuid()
    assert found["ProcessID"] == pid
    if whose == "own":
        assert sorted(found["UnixGroupIDs"]) == sorted({os.getegid(), *os.getgroups()})


def test_credentials_of_a_well_known_name(a: Client, b: Client, name: str) -> None:
    b.own(name)
    assert a.ask("GetConnectionUnixProcessID", "s", name).args == [os.getpid()]
    assert a.ask("GetConnectionCredentials", "s", name).kind == RETURN


def test_no_process_fd_for_who_cannot_take_it(bus: Bus) -> None:
    plain = bus.connect(fds=False)
    assert "ProcessFD" not in plain.ask("GetConnectionCredentials", "s", plain.name).args[0]
    assert plain.is_open()


def test_credentials_of_the_departed_are_no_defaults(a: Client, b: Client) -> None:
    b.close()
    a.until_gone(b.name)
    for member in (
        "GetConnectionUnixUser",
        "GetConnectionUnixProcessID",
        "GetConnectionCredentials",
    ):
        assert a.ask(member, "s", b.name).error == ERRORS + "NameHasNoOwner"


def test_names_without_service_files(bus: Bus, a: Client) -> None:
    assert DRIVER in a.ask("ListActivatableNames").args[0]
    names = a.ask("ListNames").args[0]
    assert {DRIVER, a.name} <= set(names)
    assert len(names) == len(set(names))


def test_start_service_by_name_of_a_name_that_has_no_service_file(a: Client, name: str) -> None:
    """Owned or not: the service file is looked for first."""
    a.own(name)
    for each in (name, a.name, DRIVER):
        assert a.ask("StartServiceByName", "su", each, 0).error == ERRORS + "ServiceUnknown"


def test_features_and_interfaces(bus: Bus, a: Client) -> None:
    everything = a.ask("GetAll", "s", DRIVER, interface=PROPERTIES)
    assert everything.signature == "a{sv}"
    assert set(everything.args[0]) == {"Features", "Interfaces"}
    for each, value in everything.args[0].items():
        answer = a.ask("Get", "ss", DRIVER, each, interface=PROPERTIES)
        assert answer.signature == "v"
        assert answer.args == [value]
        assert answer.body[:4] == b"\2as\0"
    assert "HeaderFiltering" in everything.args[0]["Features"]
    xml = a.ask("Introspect", interface=INTROSPECTABLE).args[0]
    for interface in everything.args[0]["Interfaces"]:
        assert f'"{interface}"' in xml


def test_reload_config_is_answered(a: Client) -> None:
    assert a.ask("ReloadConfig").kind == RETURN


def test_signals_and_replies_to_the_driver_are_ignored(a: Client) -> None:
    a.signal(
        "NameOwnerChanged", "sss", "a.b", "", ":1.1", to=DRIVER, path=DRIVER_PATH, interface=DRIVER
    )
    a.send(RETURN, [(5, 3), (6, DRIVER)])
    a.send(ERROR, [(5, 3), (6, DRIVER), (4, "t.E")])
    assert a.seen() == []


def test_a_forged_driver_signal_carries_its_true_sender(a: Client, b: Client) -> None:
    fields = [*call_fields(a.name, DRIVER_PATH, DRIVER, "NameLost"), (SENDER, DRIVER)]
    b.send(SIGNAL, fields, "s", [a.name])
    assert a.receive("NameLost").sender == b.name


@pytest.mark.parametrize("member", ["GetId", "NoSuchMethod"])
def test_a_driver_call_that_wants_no_reply_is_answered_all_the_same(a: Client, member: str) -> None:
    serial = a.call(member, flags=1)
    assert [m.reply_to for m in a.take()] == [serial]


# ---------------------------------------------------------------- introspection


def described(xml: str) -> dict[str, ElementTree.Element]:
    return {node.attrib["name"]: node for node in ElementTree.fromstring(xml).findall("interface")}


def arguments(node: ElementTree.Element, direction: str) -> str:
    return "".join(
        arg.attrib["type"]
        for arg in node.findall("arg")
        if arg.attrib.get("direction", "in") == direction
    )


def test_introspection_describes_every_method_signal_and_property(a: Client) -> None:
    interfaces = described(a.ask("Introspect", interface=INTROSPECTABLE).args[0])
    assert {DRIVER, PEER, INTROSPECTABLE, PROPERTIES} <= set(interfaces)
    driver = interfaces[DRIVER]
    methods = {
        m.attrib["name"]: (arguments(m, "in"), arguments(m, "out"))
        for m in driver.findall("method")
    }
    assert METHODS.items() <= methods.items()
    signals = {s.attrib["name"]: arguments(s, "in") for s in driver.findall("signal")}
    assert signals == SIGNALS
    properties = {
        (p.attrib["name"], p.attrib["type"], p.attrib["access"]) for p in driver.findall("property")
    }
    assert properties == {("Features", "as", "read"), ("Interfaces", "as", "read")}


@pytest.mark.parametrize(
    ("path", "children", "properties"),
    [
        ("/", ["org/freedesktop/DBus"], False),
        ("/org", ["freedesktop/DBus"], False),
        ("/org/freedesktop", ["DBus"], False),
        (DRIVER_PATH, [], True),
        ("/any/where", [], False),
    ],
)
def test_introspection_of_every_path(
    a: Client, path: str, children: list[str], properties: bool
) -> None:
    xml = a.ask("Introspect", interface=INTROSPECTABLE, path=path).args[0]
    assert xml.startswith("<!DOCTYPE node PUBLIC ")
    assert [n.attrib["name"] for n in ElementTree.fromstring(xml).findall("node")] == children
    assert DRIVER in described(xml)
    assert (PROPERTIES in described(xml)) == properties
