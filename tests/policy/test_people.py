"""Names of users and groups become numbers as with dbus-daemon; who is unknown is left out."""

from __future__ import annotations

import grp
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from policy.people import People, find_group, find_user
from policy.policy import Policy
from policy.rule import Origin
from tests.configs import busconfig, daemon, loaded, written

HERE = Origin("here", 1)
ROOT = ("root", "0", "00", "0x0", "-0", "+0", " 0", "\n0")
NOBODY = (
    *("", "*", "nosuch", "root ", " root", "0 ", "0x", "-1", "123456", "2147483648", "1 2"),
    *("4294967294", "4294967295", "18446744073709551616", "9" * 100, "a\0b", "\ud800"),
)


@pytest.mark.parametrize("name", ROOT)
def test_root(name: str) -> None:
    assert (find_user(name), find_group(name)) == (0, 0)


@pytest.mark.parametrize("name", NOBODY)
def test_nobody(name: str) -> None:
    assert (find_user(name), find_group(name)) == (None, None)


def test_a_number_beyond_32_bits_is_not_cut_to_another_user() -> None:
    """dbus-daemon takes 4294967296 for root (as CVE-2018-19788)."""
    assert (find_user("4294967296"), find_group("4294967296")) == (None, None)


@pytest.mark.parametrize("uid", [2**31, 2**32 - 2])
def test_high_numbers(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    """Above INT_MAX, where other programs have seen -1, or root (CVE-2018-19788)."""
    monkeypatch.setattr(pwd, "getpwuid", lambda number: SimpleNamespace(pw_uid=number))
    monkeypatch.setattr(grp, "getgrgid", lambda number: SimpleNamespace(gr_gid=number))
    assert (find_user(str(uid)), find_group(str(uid))) == (uid, uid)


def test_each_is_looked_up_once_and_complained_of_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def getpwnam(name: str) -> SimpleNamespace:
        asked.append(name)
        if name == "nosuch":
            raise KeyError(name)
        return SimpleNamespace(pw_uid=7)

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    people = People()
    assert [people.user(name, HERE) for name in ("a", "nosuch", "a", "nosuch")] == [
        *(7, None),
        *(7, None),
    ]
    assert asked == ["a", "nosuch"]
    assert [str(each) for each in people.complaints] == ['here:1: unknown user "nosuch"'] * 2


def policy(directory: Path, inside: str) -> Policy:
    return Policy(loaded(directory, inside), People())


def test_rules_for_nobody_are_left_out(tmp_path: Path) -> None:
    rules = '<allow user="nosuch"/><allow group="nosuch"/><allow user=""/>'
    inside = f"""<policy context="default">{rules}</policy>
        <policy user="nosuch"><allow own="a.b"/></policy><policy group="*"/>"""
    made = policy(tmp_path, inside)
    assert not made.may_connect(1, [1], 0)
    assert not made.everybody
    assert not made.users
    assert [each.text for each in made.people.complaints] == [
        'unknown user "nosuch"',
        'unknown group "nosuch"',
        'unknown user ""',
        'unknown user "nosuch"',
        'unknown group "*"',
    ]
    _, said = daemon(written(tmp_path, {"again.conf": busconfig(inside)}))
    for each in made.people.complaints:
        assert each.text.replace("unknown user", "Unknown username").lower() in said.lower()


def test_several_names_of_one_user(tmp_path: Path) -> None:
    """CVE-2020-35512: their rules are one user's, in the order of the file."""
    names = ("root", "0", "0x0")
    inside = "".join(
        f'<policy user="{name}"><allow own="a.n{n}"/></policy>' for n, name in enumerate(names)
    )
    made = policy(tmp_path, inside)
    assert list(made.users) == [0]
    assert [rule.name for rule in made.access(0, [], False).own] == ["a.n0", "a.n1", "a.n2"]


@pytest.mark.parametrize(
    ("rules", "uid", "groups", "may"),
    [
        ("", 7, [7], True),
        ("", 8, [7], False),
        ("", 0, [0], False),
        ('<allow user="*"/>', 8, [], True),
        ('<allow user="*"/>', None, [], True),
        ('<allow group="*"/>', 8, [], True),
        ('<allow user="root"/>', 0, [], True),
        ('<allow user="root"/>', 8, [], False),
        ('<allow user="root"/>', None, [], False),
        ('<allow group="0"/>', 8, [9, 0], True),
        ('<allow group="0"/>', 0, [9], False),
        ('<allow user="*"/><deny user="0"/>', 0, [], False),
        ('<allow user="*"/><deny group="root"/>', 8, [0], False),
        ('<allow user="*"/><deny user="nosuch"/>', 8, [], True),
    ],
)
def test_who_may_connect_to_a_bus_of_user_7(
    tmp_path: Path, rules: str, uid: int | None, groups: list[int], may: bool
) -> None:
    made = policy(tmp_path, f'<policy context="default">{rules}</policy>')
    assert made.may_connect(uid, groups, 7) is may


def test_rules_about_connecting_count_in_default_and_mandatory_only(tmp_path: Path) -> None:
    made = policy(tmp_path, '<policy at_console="true"><allow user="*"/></policy>')
    assert not made.may_connect(1, [], 0)
    made = policy(tmp_path, '<policy context="mandatory"><allow user="*"/></policy>')
    assert made.may_connect(1, [], 0)
