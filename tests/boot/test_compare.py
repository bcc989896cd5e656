"""The comparison of two machines sees what is different. (tests/boot/run boots them.)"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.boot.compare import differences, entries, in_the_journal

SAYS = {"question": "a b C()", "reply": "s", "values": '["x"]', "compare": True}
REFUSES = {"question": "a b C()", "error": "org.freedesktop.DBus.Error.AccessDenied", "text": "no"}
FAILS = {"question": "a b C()", "error": "org.example.Error", "text": "at 12:00"}
BUS = {"shown": {"MainPID": "7"}, "status": {"Uid": ["1"], "Gid": ["1"]}}
FOUND = {
    "steps": {},
    "settled": {"state": "running"},
    "bus": BUS,
    "bus at the end": BUS,
    "answers of root": [SAYS, REFUSES, FAILS],
    "tools of root": [{"command": "true", "status": 0, "err": ""}],
    "late": {"root": [SAYS], "anna": [REFUSES]},
    "names": ["a.b", "c.d"],
    "failed": {"root": ["old.service"], "anna": []},
}

Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, Change] = {
    "step 'x' failed: why": lambda found: found["steps"].update(x="why"),
    "the machine is degraded, not running": lambda found: found["settled"].update(state="degraded"),
    "the bus at the end is not": lambda found: found["bus at the end"]["shown"].update(MainPID="8"),
    "the bus has Uid ['0'], not ['1']": lambda found: found["bus"]["status"].update(Uid=["0"]),
    'root asks a b C(): s ["y"]; on': lambda found: found["answers of root"][0].update(
        values='["y"]'
    ),
    'root asks a b C(): u ["x"]; on': lambda found: found["answers of root"][0].update(reply="u"),
    "AccessDenied: yes; on": lambda found: found["answers of root"][1].update(text="yes"),
    "org.example.Other: at 12:00; on": lambda found: found["answers of root"][2].update(
        error="org.example.Other"
    ),
    "anna, later, asks a b C(): s": lambda found: found["late"].update(anna=[SAYS]),
    "root runs true: exit 1 (why)": lambda found: found["tools of root"][0].update(
        status=1, err="why"
    ),
    "names on the bus, missing: c.d": lambda found: found["names"].remove("c.d"),
    "names on the bus, more: e.f": lambda found: found["names"].append("e.f"),
    "unit new.service of anna failed": lambda found: found["failed"]["anna"].append("new.service"),
}


def found() -> dict[str, Any]:
    """A copy in which nothing is shared."""
    copied: dict[str, Any] = json.loads(json.dumps(FOUND))
    return copied


def test_what_is_the_same() -> None:
    assert differences(FOUND, found()) == []


@pytest.mark.parametrize("expected", CHANGES)
def test_what_is_different(expected: str) -> None:
    ours = found()
    CHANGES[expected](ours)
    (said,) = differences(FOUND, ours)
    assert expected in said


def test_what_may_be_different() -> None:
    """Texts of services, values that are not to be compared, services that end when idle, units
    that fail on the reference alone."""
    theirs, ours = found(), found()
    ours["answers of root"][2]["text"] = "at 13:00"
    theirs["answers of root"][0]["compare"] = False
    ours["answers of root"][0].update(compare=False, values='["z"]')
    ours["names"].append("org.freedesktop.nm_dispatcher")
    ours["failed"]["root"] = []
    assert differences(theirs, ours) == []


def journal(*lines: dict[str, Any]) -> list[dict[str, Any]]:
    return entries("\n".join(json.dumps(line) for line in lines))


def test_an_error_of_the_bus() -> None:
    said = {"_SYSTEMD_UNIT": "bus1.service", "PRIORITY": "3", "MESSAGE": "oh"}
    assert "the bus writes as an error: oh" in in_the_journal([], journal(said), [])
    assert in_the_journal([], journal(said | {"PRIORITY": "4"}), []) == []
    assert "the bus writes as an error: oh" in in_the_journal(journal(said), journal(said), [])
    of_a_user = {"SYSLOG_IDENTIFIER": "bus1-daemon", "PRIORITY": "3", "MESSAGE": [111, 104]}
    assert "the bus writes as an error: oh" in in_the_journal([], journal(of_a_user), [])


def test_errors_of_others() -> None:
    said = {"_SYSTEMD_UNIT": "a.service", "PRIORITY": "3", "MESSAGE": "failed after 12 ms"}
    later = said | {"MESSAGE": "failed after 7 ms"}
    assert in_the_journal(journal(said), journal(later), []) == []
    assert in_the_journal([], journal(later), []) == [
        "a.service writes as an error: failed after 7 ms"
    ]
    of_systemd = {"_SYSTEMD_UNIT": "init.scope", "UNIT": "a.service", **later}
    assert in_the_journal([], journal(of_systemd), ["a.service"]) == []


def test_what_was_denied() -> None:
    line = 'Rejected send message; interface="a.b" member="C" x="" destination="d.e" (bus)'
    denial = {"SYSLOG_IDENTIFIER": "bus1-daemon", "PRIORITY": "4", "MESSAGE": line}
    assert in_the_journal(journal(denial), journal(denial), []) == []
    assert in_the_journal(journal(denial), [], []) == ["denied, missing: a.b.C at d.e"]
    assert in_the_journal([], journal(denial), []) == ["denied, more: a.b.C at d.e"]
