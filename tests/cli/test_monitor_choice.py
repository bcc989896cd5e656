"""What `bus1 monitor` leaves to the bus: its filters as match rules."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.cli.monitor.choice import BadChoice, Choice
from bridge.cli.monitor.names import CHANGES
from bridge.routing.rule import Rule
from bridge.wire.protocol import CALL, ERROR, RETURN, SIGNAL

A_CALL, A_RETURN, AN_ERROR, A_SIGNAL = (
    f"type='{kind}'" for kind in ("method_call", "method_return", "error", "signal")
)
BUS = ",sender='org.freedesktop.DBus'"


@pytest.mark.parametrize(
    ("choice", "rules"),
    [
        ({"member": "M"}, [f"{A_CALL},member='M'", A_RETURN, AN_ERROR, f"{A_SIGNAL},member='M'"]),
        ({"kinds": {SIGNAL}, "interface": "t.T", "path": "/p"},
         [f"{A_SIGNAL},interface='t.T',path='/p'"]),
        ({"kinds": {CALL}}, [A_CALL]),
        ({"kinds": {RETURN}}, [A_CALL, A_RETURN]),
        ({"errors": True}, [A_CALL, AN_ERROR]),
        ({"denied": True, "name": "x.Y"},
         [f"{A_CALL},sender='x.Y'", f"{A_CALL},destination='x.Y'", AN_ERROR + BUS]),
        ({"kinds": {ERROR}, "name": ":1.5"},
         [f"{A_CALL},sender=':1.5'", f"{A_CALL},destination=':1.5'", f"{AN_ERROR},sender=':1.5'",
          f"{AN_ERROR},destination=':1.5'", AN_ERROR + BUS]),
        ({"rules": ("type='error'",), "member": "M"}, ["type='error'"]),
    ],
)  # fmt: skip
def test_match_rules(choice: dict[str, Any], rules: list[str]) -> None:
    if "kinds" in choice:
        choice["kinds"] = frozenset(choice["kinds"])
    made = Choice(**choice)
    made.check()
    assert made.match_rules() == [*rules, CHANGES]
    for rule in made.match_rules():
        Rule.parse(rule)


def test_everything_needs_no_rules() -> None:
    assert Choice().match_rules() == []


@pytest.mark.parametrize(
    "choice",
    [{"name": "x"}, {"interface": ""}, {"member": "a b"}, {"path": "/x/"}, {"rules": ("x",)}],
)
def test_what_cannot_be(choice: dict[str, Any]) -> None:
    with pytest.raises(BadChoice):
        Choice(**choice).check()
