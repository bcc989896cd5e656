"""The one order holds for native peers and D-Bus clients together, each in its own process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.buses import Bus
from tests.native.elsewhere import Elsewhere
from tests.native.peer import ONCE, QUIET, SEND, Peer, node, once, parcel
from tests.raw import CALL, SIGNAL, Client, Message, build, call_fields, parse

DRIVER = "org.freedesktop.DBus"
RULE = "type='signal',interface='com.example.Order'"
NO_REPLY = 1

Join = Callable[..., Elsewhere]


def call(peer: Peer, member: str, signature: str, args: list[Any], interface: str = DRIVER) -> Any:
    """What the driver answers to a native peer."""
    data = build(
        CALL, 1, call_fields(DRIVER, "/org/freedesktop/DBus", interface, member), signature, args
    )
    carry = [once(peer.answers, 1), *([node(peer.here)] if member == "Attach" else [])]  # type: ignore[attr-defined]
    peer.send(peer.bridge, data, carry)  # type: ignore[attr-defined]
    while not (arrival := peer.take()).flags & ONCE:
        continue
    answer = parse(arrival.payload)
    assert not answer.error, answer.args
    return answer.args


def attach(peer: Peer) -> str:
    """It is on D-Bus, and hears the signals; its unique name."""
    peer.bridge = peer.seed().values[0]  # type: ignore[attr-defined]
    peer.answers, peer.here = peer.create(), peer.create()  # type: ignore[attr-defined]
    (name,) = call(peer, "Attach", "", [], "org.bus1.Native1")
    call(peer, "AddMatch", "s", [RULE])
    return str(name)


def subscribe(client: Client) -> str:
    client.match(RULE)
    return str(client.name)


def signal(peer: Peer | Client, text: str) -> None:
    fields = call_fields(None, "/order", "com.example.Order", "Tick")
    if isinstance(peer, Client):
        peer.send(SIGNAL, fields, "s", [text])
    else:
        data = build(SIGNAL, 1, fields, "s", [text])
        peer.post(SEND, parcel([peer.bridge], data), QUIET)  # type: ignore[attr-defined]


def calls(peer: Peer | Client, to: str, text: str) -> None:
    fields = call_fields(to, "/order", "com.example.Order", "Call")
    if isinstance(peer, Client):
        peer.send(CALL, fields, "s", [text], flags=NO_REPLY)
    else:
        data = build(CALL, 1, fields, "s", [text], flags=NO_REPLY)
        peer.send(peer.bridge, data)  # type: ignore[attr-defined]


def signals(peer: Peer | Client, count: int) -> None:
    for number in range(count):
        signal(peer, f"{os.getpid()}:{number}")


def hears(peer: Peer | Client) -> str:
    """The next signal or call."""
    while True:
        message: Message = peer.next() if isinstance(peer, Client) else parse(peer.take().payload)
        if message.interface == "com.example.Order":
            return str(message.args[0])


def hears_so_many(peer: Peer | Client, count: int) -> list[str]:
    return [hears(peer) for _ in range(count)]


@pytest.fixture
def come(native_bus: Bus, native: str, join: Join) -> Callable[[str], Elsewhere]:
    """A process, either native or a D-Bus client, that hears the signals. `name` is its name."""

    def one(kind: str) -> Elsewhere:
        client = kind == "client"
        found = join(native_bus.address, kind=Client) if client else join(native)
        found.__dict__["name"] = found.run(subscribe if client else attach)
        return found

    return one


@pytest.mark.parametrize("kinds", ["NCN", "CNC", "NNC", "CCN", "NCC", "CNN"])
def test_a_call_that_follows_from_a_signal_comes_behind_it(
    come: Callable[[str], Elsewhere], kinds: str
) -> None:
    """A signals B and C; B, having heard, calls C; C has the signal first."""
    a, b, c = [come({"N": "native", "C": "client"}[each]) for each in kinds]
    for number in range(50):
        a.run(signal, f"signal {number}")
        assert b.run(hears) == f"signal {number}"
        b.run(calls, c.name, f"call {number}")
    heard = c.run(hears_so_many, 100)
    for number in range(50):
        assert heard.index(f"signal {number}") < heard.index(f"call {number}")


def test_all_hear_all_signals_in_one_order(come: Callable[[str], Elsewhere]) -> None:
    """Of three native peers and three D-Bus clients at the same time; each hears its own, too."""
    party = [come(kind) for kind in ["native", "client"] * 3]
    for each in party:
        each.start(signals, 100)
    for each in party:
        each.finish()
    heard = [each.run(hears_so_many, 600) for each in party]
    assert all(each == heard[0] for each in heard)
    assert len(set(heard[0])) == 600
