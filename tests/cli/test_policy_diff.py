"""`bus1 policy diff`: what changes for whom, and its status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Bus1 = Callable[..., tuple[object, str, str]]


def write(path: Path, *rules: str, more: str = "") -> str:
    inside = "\n".join(rules)
    path.write_text(
        f'<busconfig>{more}\n<policy context="default">\n{inside}\n</policy></busconfig>'
    )
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    rules = ('<allow own="a.b"/>', '<allow send_destination="a.b"/>')
    deny = '<deny send_destination="a.b" send_type="method_call" send_interface="i.i"/>'
    limit = '<limit name="max_message_size">99999</limit>'
    one = write(tmp_path / "one.conf", *rules)
    return one, write(tmp_path / "other.conf", *rules, deny, more=limit)


def test_the_same_in_other_words(bus1: Bus1, tmp_path: Path, files: tuple[str, str]) -> None:
    other = write(
        tmp_path / "a.conf",
        '<allow send_destination="a.b"/>',
        '<allow own="a.b"/>',
        '<deny own="x"/>',
    )
    assert bus1("policy", "diff", files[0], other) == (0, "Both allow and set the same.\n", "")
    status, out, _ = bus1("policy", "diff", files[0], other, "--json")
    assert (status, json.loads(out)) == (0, {"changes": [], "settings": []})


def test_what_changed(bus1: Bus1, files: tuple[str, str]) -> None:
    one, other = files
    status, out, err = bus1("policy", "diff", one, other)
    assert (status, err) == (1, "")
    assert out.replace(one, "ONE").replace(other, "OTHER") == (
        "- now denied: everybody: send to a.b\n"
        "    method call i.i\n"
        "    any other call without interface\n"
        '      was allowed by <allow send_destination="a.b"/>  ONE:4\n'
        '      now denied by <deny send_destination="a.b" send_type="method_call" '
        'send_interface="i.i"/>  OTHER:5\n'
        "\n"
        "~ max_message_size: 33554432 -> 99999\n"
    )


def test_for_programs(bus1: Bus1, files: tuple[str, str]) -> None:
    status, out, _ = bus1("policy", "diff", *reversed(files), "--json")
    found = json.loads(out)
    assert status == 1
    assert found["settings"] == [
        {"name": "max_message_size", "before": 99999, "after": 2**25},
    ]
    (change,) = found["changes"]
    assert (change["about"], change["names"], change["people"]) == ("send", ["a.b"], ["everybody"])
    assert (change["before"]["outcome"], change["after"]["outcome"]) == ("denied", "allowed")
    assert change["before"]["rule"]["line"] == 5


def test_what_is_installed(bus1: Bus1) -> None:
    assert bus1("policy", "diff", "system", "system")[0] == 0
    status, out, _ = bus1("policy", "diff", "system", "session")
    assert status == 1
    assert "~ type: system -> session\n" in out


def test_what_the_same_rule_decides_now_is_shown_together(bus1: Bus1, tmp_path: Path) -> None:
    rules = [
        f'<allow send_destination="a.b{name:02}" send_type="method_call" send_interface="i.i" '
        f'send_member="M{member}"/>'
        for name in range(12)
        for member in range(8)
    ]
    one = write(tmp_path / "one.conf", "<deny send_type='method_call'/>", *rules)
    other = write(tmp_path / "other.conf", "<deny send_type='method_call'/>")
    _, out, _ = bus1("policy", "diff", one, other)
    shown = out.replace(one, "ONE").replace(other, "OTHER").split("\n\n")
    assert shown[0] == (
        "- now denied: everybody: send to a.b00\n"
        + "".join(f"    method call i.i.M{number}\n" for number in range(6))
        + "    ... and 2 more (--json has all)\n"
        '      was allowed by <allow send_destination="a.b00" send_type="method_call" '
        'send_interface="i.i" send_member="M0"/>  ONE:4 (and 7 more)\n'
        '      now denied by <deny send_type="method_call"/>  OTHER:3'
    )
    assert shown[10:] == ["... and 2 more (--json has all)", ""]
    assert len(json.loads(bus1("policy", "diff", one, other, "--json")[1])["changes"]) == 96


def test_settings_that_are_no_text(bus1: Bus1, tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text('listen = ["unix:path=/x"]\n')
    other.write_text(
        'listen = ["unix:path=/x", "unix:path=/y"]\n'
        "fork = true\n"
        "connection_rate = { per_second = 5, burst = 20 }\n"
        "[selinux]\n"
        '"a.b" = "x_t"\n'
        '[[quota]]\nuser = "daemon"\nmax_outgoing_bytes = 1000\n'
        '[[quota]]\nname = "a.b"\nmax_names_per_connection = 2\n'
    )
    assert bus1("policy", "diff", str(one), str(other))[1] == (
        "~ listen: unix:path=/x -> unix:path=/x, unix:path=/y\n"
        "~ fork: off -> on\n"
        "~ selinux: - -> a.b x_t\n"
        "~ quotas: - -> user daemon: max_outgoing_bytes 1000, a.b: max_names_per_connection 2\n"
        "~ connection_rate: - -> 5 per second, 20 at once\n"
    )
    found = json.loads(bus1("policy", "diff", str(one), str(other), "--json")[1])["settings"]
    after = {each["name"]: each["after"] for each in found}
    assert after["selinux"] == [["a.b", "x_t"]]
    assert after["connection_rate"] == {"per_second": 5, "burst": 20}
    assert after["quotas"][1] == {
        "user": None,
        "name": "a.b",
        "limits": {"max_names_per_connection": 2},
    }
