"""`bus1 policy explain` about grants: what may be granted, and by which grant a call passes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.buses import Bus, start
from tests.raw import Client

Bus1 = Callable[..., tuple[object, str, str]]
NAME, PATH = "org.example.Foo", "/org/example/Foo"
CAPABILITY = "org.bus1.Capability1"
RULES = """\
type = "session"
listen = ["unix:path={}/bus"]

[[policy]]
for = "default"
rules = [
    {{ allow = "connect", user = "*" }},
    {{ allow = "own", name = "*" }},
    {{ allow = "receive", from = "*" }},
    {{ allow = "send", to = "*" }},
    {{ deny = "send", to = "org.example.Foo", type = "method_call" }},
    {{ allow = "delegate", name = "org.example.Foo" }},
    {{ deny = "delegate", name = "org.example.Foo", interface = "x.Admin" }},
]
"""
MAY = f'<allow delegate="{NAME}"/>'
KEPT = f'<deny delegate="{NAME}" delegate_interface="x.Admin"/>'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bus.toml"
    path.write_text(RULES.format(tmp_path))
    return path


@pytest.fixture
def bus(tmp_path: Path, file: Path) -> Iterator[Bus]:
    bus = start("ours", tmp_path, argv=(f"--config-file={file}",))
    yield bus
    bus.stop()


@pytest.fixture
def ask_bus(bus1: Bus1, bus: Bus) -> Bus1:
    def ask(*words: str) -> tuple[object, str, str]:
        return bus1("policy", "explain", "--address", bus.address, *words)

    return ask


def granted(bus: Bus) -> tuple[Client, Client, int]:
    foo, a = bus.connect(), bus.connect()
    foo.own(NAME)
    answer = foo.ask("Grant", "soss", a.name, PATH, "x.Y", "", interface=CAPABILITY)
    return foo, a, answer.args[0]


# ------------------------------------------------------------------------ from files


@pytest.mark.parametrize(
    ("words", "status", "rule"),
    [
        (("x.Y.M", PATH), 0, MAY),
        (("--interface", "x.Y"), 0, MAY),
        (("x.Admin.Halt", PATH), 1, KEPT),
        (("--interface", "x.Admin", "--member", ""), 1, KEPT),
        (("--interface", "", "--member", ""), 1, KEPT),
        ((), 1, KEPT),
    ],
)
def test_what_the_owner_of_a_name_may_grant(
    bus1: Bus1, file: Path, words: tuple[str, ...], status: int, rule: str
) -> None:
    found, out, err = bus1("policy", "explain", "-f", str(file), "delegate", NAME, *words)
    assert (found, err) == (status, "")
    assert out.startswith("Denied for" if status else "Allowed for")
    assert f"to delegate, as the owner of {NAME}: " in out
    assert f"  -> {rule}\n" in out


def test_of_a_call_that_is_denied_it_says_that_it_may_be_granted(bus1: Bus1, file: Path) -> None:
    words = ("policy", "explain", "-f", str(file), "send", NAME)
    status, out, _ = bus1(*words, "x.Y.M", PATH)
    assert status == 1
    _, _, more = out.partition("A grant of the receiver's would stand above that, and it may")
    assert f"  -> {MAY}\n" in more
    assert "would stand above" not in bus1(*words, "x.Admin.Halt", PATH)[1]
    assert "would stand above" not in bus1(*words, "--type", "signal")[1]
    found = json.loads(bus1(*words, "x.Y.M", PATH, "--json")[1])
    assert found["verdict"] == "denied"
    assert [each["text"] for each in found["delegation"]["rules"]] == [MAY]


def test_no_name_is_no_question(bus1: Bus1, file: Path) -> None:
    status, out, err = bus1("policy", "explain", "-f", str(file), "delegate")
    assert (status, out) == (2, "")
    assert "delegate NAME [INTERFACE.MEMBER] [/PATH]" in err


# -------------------------------------------------------------------- from a running bus


def test_a_call_passes_by_a_grant(bus: Bus, ask_bus: Bus1) -> None:
    foo, a, number = granted(bus)
    status, out, err = ask_bus("--sender", a.name, "send", NAME, "x.Y.M", PATH)
    assert (status, err) == (0, "")
    assert out.startswith(f"Allowed for {a.name}: to send {NAME}: method call x.Y.M at {PATH}\n")
    said = f"Grant {number} by {foo.name} to {a.name}, since DATE: x.Y at {PATH}\n"
    assert said in re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE", out)
    _, _, more = out.partition("It stands above these rules:")
    assert f"  -> {MAY}\n" in more


def test_what_it_says_to_programs(bus: Bus, ask_bus: Bus1) -> None:
    foo, a, number = granted(bus)
    answer = ask_bus("--sender", a.name, "send", foo.name, "x.Y.M", PATH, "--json")
    found: dict[str, Any] = json.loads(answer[1])
    (grant,) = found["grants"]
    assert found["verdict"] == "allowed"
    assert [each["allowed"] for each in found["findings"]] == [False, True]
    assert (grant["id"], grant["by"], grant["to"]) == (number, foo.name, a.name)
    assert (grant["path"], grant["interface"], grant["member"]) == (PATH, "x.Y", None)
    assert grant["counts"] is True
    assert [each["text"] for each in grant["delegation"]["rules"]] == [MAY]


def test_a_grant_whose_rule_is_gone_is_there_and_does_not_count(
    bus: Bus, ask_bus: Bus1, file: Path
) -> None:
    foo, a, _ = granted(bus)
    kept = [line for line in file.read_text().splitlines() if 'allow = "delegate"' not in line]
    file.write_text("\n".join(kept))
    assert foo.ask("ReloadConfig").error is None
    status, out, _ = ask_bus("--sender", a.name, "send", NAME, "x.Y.M", PATH)
    assert status == 1
    assert "It does not count any more:" in out
    assert "No rule matches: then it is denied." in out


@pytest.mark.parametrize("what", ["other", "interface", "signal", "nobody"])
def test_other_calls_do_not_pass_by_it(bus: Bus, ask_bus: Bus1, what: str) -> None:
    foo, a, _ = granted(bus)
    sender = foo.name if what == "other" else a.name
    who = () if what == "nobody" else ("--sender", sender)
    member = "x.Z.M" if what == "interface" else "x.Y.M"
    kind = ("--type", "signal") if what == "signal" else ()
    answer = ask_bus(*who, "send", NAME, member, PATH, *kind, "--json")
    found = json.loads(answer[1])
    assert "grants" not in found
    assert ("delegation" in found) == (what != "signal")


def test_a_running_bus_knows_who_may_delegate(bus: Bus, ask_bus: Bus1) -> None:
    assert ask_bus("delegate", NAME, "x.Y.M", PATH)[0] == 0
    assert ask_bus("delegate", NAME, "x.Admin.Halt", PATH)[0] == 1
    assert ask_bus("delegate", "org.example.Bar", "x.Y.M", PATH)[0] == 1


def test_a_denied_grant_is_asked_about_and_learnt_from(
    bus: Bus, bus1: Bus1, file: Path, tmp_path: Path
) -> None:
    foo, a, _ = granted(bus)
    answer = foo.ask("Grant", "soss", a.name, PATH, "x.Admin", "Halt", interface=CAPABILITY)
    assert answer.error == "org.freedesktop.DBus.Error.AccessDenied"
    (line,) = (each for each in bus.log().splitlines() if "is not allowed to grant" in each)
    status, out, err = bus1("policy", "explain", "-f", str(file), "--denial", line)
    assert (status, err) == (1, "")
    assert f"as the owner of {NAME}: x.Admin.Halt at {PATH}\n" in out
    assert f"  -> {KEPT}\n" in out
    log = tmp_path / "lines"
    log.write_text(line)
    learnt = bus1("policy", "learn", str(log))[1]
    said = f'{{ allow = "delegate", name = "{NAME}", path = "{PATH}", interface = "x.Admin"'
    assert said in learnt
