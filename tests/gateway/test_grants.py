"""Grants (org.bus1.Capability1) between D-Bus clients and native peers, in both directions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import raw
from tests.gateway.house import Guest, House, Native
from tests.policies import rule, rules
from tests.raw import DRIVER

CAPABILITY = "org.bus1.Capability1"
PATH = "/p"
I = "com.example.I"  # noqa: E741
AT = {"path": PATH, "interface": I}


@pytest.fixture
def house() -> Iterator[House]:
    calls = rule(False, "send", type="method_call"), rule(True, "send", name=DRIVER)
    house = House(configuration=rules(*calls, rule(True, "delegate")))
    yield house
    house.end()
    assert house.hub.grants.count == 0


def test_a_dbus_client_grants_to_a_native_peer(a: Guest, n: Native) -> None:
    n.attach()
    a.take()
    assert n.asked("M", to=a.name, **AT).startswith("!AccessDenied")
    answer = a.ask("Grant", "soss", n.name, PATH, I, "", interface=CAPABILITY)
    heard = [each for each in n.seen() if "Right" in each]
    assert heard == [f"RightAcquired(1,{a.name},/p,{I},)"]
    cookie = n.call("M", to=a.name, **AT)
    (call,) = (each for each in a.take() if each.kind == raw.CALL)
    a.reply(call, "i", 5)
    assert str(n.answer(cookie)) == "=(5)"
    a.ask("Destroy", "t", answer.args[0], interface=CAPABILITY)
    assert "RightLost(1)" in n.seen()
    assert n.asked("M", to=a.name, **AT).startswith("!AccessDenied")


def test_a_native_peer_grants_to_a_dbus_client(a: Guest, n: Native) -> None:
    n.attach()
    n.take()
    assert str(a.answer(a.call("M", to=n.name, **AT))) == "!AccessDenied"
    assert n.asked("Grant", "soss", a.name, PATH, I, "M", interface=CAPABILITY) == "=(1)"
    serial = a.call("M", to=n.name, **AT)
    (call,) = n.take()
    n.reply(call, "i", 5)
    assert str(a.answer(serial)) == "=(5)"
    n.close()
    assert [str(each) for each in a.take() if each.member == "RightLost"] == ["RightLost(1)"]


def test_the_native_grantee_leaves(a: Guest, n: Native) -> None:
    n.attach()
    a.ask("Grant", "soss", n.name, PATH, I, "", interface=CAPABILITY)
    n.close()
    assert a.ask("ListGrants", interface=CAPABILITY).args == [[]]
    assert [str(each) for each in a.take() if each.member == "GrantReleased"] == [
        "GrantReleased(1)"
    ]
