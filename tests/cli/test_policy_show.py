"""`bus1 policy show`: the rules that hold, in their order, for whom and about what is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Bus1 = Callable[..., tuple[object, str, str]]
POLICY = """\
<busconfig>
<policy context="mandatory"><deny own="a.c"/></policy>
<policy user="daemon"><allow own="a.b"/></policy>
<policy group="nogroup"><allow send_destination="a.b"/></policy>
<policy context="default"><deny own="*"/>
<allow send_type="signal"/>
<allow user="daemon"/>
<deny user="root"/>
<allow own_prefix="a.d"/>
</policy>
</busconfig>
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "bus.conf").write_text(POLICY)
    return str(tmp_path / "bus.conf")


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("", [5, 6, 7, 8, 9, 4, 3, 2]),
        ("--user daemon", [5, 6, 7, 9, 3, 2]),
        ("--user nobody", [5, 6, 9, 4, 2]),
        ("--service a.b", [5, 6, 4, 3]),
        ("--service a.d.e", [5, 6, 9]),
        ("--service a.b --user daemon", [5, 6, 3]),
    ],
)
def test_what_is_shown(bus1: Bus1, path: str, words: str, lines: list[int]) -> None:
    status, out, err = bus1("policy", "show", path, *words.split(), "--json")
    assert (status, err) == (0, "")
    assert [each["line"] for each in json.loads(out)["rules"]] == lines
    _, text, _ = bus1("policy", "show", path, *words.split())
    assert sorted(lines) == sorted(
        int(line.split(":")[1].split()[0]) for line in text.splitlines() if path in line
    )


def test_for_people(bus1: Bus1, path: str) -> None:
    _, out, _ = bus1("policy", "show", path, "--service", "a.b", "--user", "daemon")
    assert out.replace(path, "FILE") == (
        "Rules for daemon (uid 1) about a.b; the last that matches decides\n"
        "It may be owned by: daemon (uid 1)\n"
        "\n"
        "To own names (2)\n"
        '     <deny own="*"/>\n'
        "         FILE:5 (default)\n"
        '     <allow own="a.b"/>\n'
        "         FILE:3 (user daemon)\n"
        "\n"
        "To send (1)\n"
        '     <allow send_type="signal"/>\n'
        "         FILE:6 (default)\n"
    )


@pytest.mark.parametrize(
    ("name", "words", "owners"),
    [
        ("x.y", "nobody", (False, [], [])),
        ("a.d.e", "anybody", (True, [0, 1], [65534])),
        ("a.b", "daemon (uid 1)", (False, [1], [])),
        ("a.e", "root (uid 0), daemon (uid 1)", (False, [0, 1], [])),
        ("a.f", "group nogroup (gid 65534)", (False, [], [65534])),
    ],
)
def test_who_may_own_it(
    bus1: Bus1, path: str, name: str, words: str, owners: tuple[bool, list[int], list[int]]
) -> None:
    Path(path).write_text(
        POLICY.replace('<allow own="a.b"/>', '<allow own="a.b"/><allow own="a.e"/>')
        .replace('<policy group="nogroup">', '<policy group="nogroup"><allow own="a.f"/>')
        .replace("</busconfig>", '<policy user="root"><allow own="a.e"/></policy></busconfig>')
    )
    assert f"owned by: {words}\n" in bus1("policy", "show", path, "-s", name)[1]
    found = json.loads(bus1("policy", "show", path, "-s", name, "--json")[1])["owners"]
    assert tuple(found.values()) == owners


def test_the_standard_configuration(bus1: Bus1) -> None:
    for bus in ("--system", "--session"):
        status, out, err = bus1("policy", "show", bus)
        assert (status, err) == (0, "")
        assert "To send" in out


def test_a_file_after_those_of_a_bus(bus1: Bus1, path: str) -> None:
    places = [
        each["file"] == path
        for each in json.loads(bus1("policy", "show", "--session", path, "--json")[1])["rules"]
    ]
    assert sorted(places) != [True] * len(places)
    assert any(places)
