"""A bus whose kernel has a say: it is asked about all that is not the bus's own, and only then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.routing.client import Client
from bridge.wire.frame import Frame
from tests.raw import DRIVER, NO_REPLY
from tests.routing.world import Party, World

MONITORING = f"{DRIVER}.Monitoring"


class Kernel:
    """Asked what it is asked; it denies what is in `no`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.no: set[str] = set()

    def answer(self, question: str) -> str | None:
        self.asked.append(question)
        return f"denied: {question}" if question in self.no else None

    def refuses_sending(
        self, sender: Client, receiver: Client | None, frame: Frame, requested: bool
    ) -> str | None:
        to = "bus" if receiver is None else receiver.unique
        return self.answer(f"{sender.unique} {frame.member()} {to}{' reply' * requested}")

    def refuses_starting(self, sender: Client, frame: Frame, label: str | None) -> str | None:
        return self.answer(f"{sender.unique} starts {frame.destination()} {label}")

    def refuses_owning(self, client: Client, name: str) -> str | None:
        return self.answer(f"{client.unique} owns {name}")

    def refuses_eavesdropping(self, client: Client) -> str | None:
        return self.answer(f"{client.unique} eavesdrops")


@pytest.fixture
def kernel(world: World, a: Party, b: Party, c: Party) -> Iterator[Kernel]:
    """It has its say when the three are there."""
    kernel = Kernel()
    world.hub.gate.mediator = kernel
    yield kernel
    world.hub.gate.mediator = None


def denial(party: Party) -> str:
    (answer,) = party.take()
    assert answer.error == f"{DRIVER}.Error.AccessDenied"
    return str(answer.args[0])


def test_each_message_is_asked_about(kernel: Kernel, a: Party, b: Party) -> None:
    """What they say depends on the message: that one passed says nothing of the next."""
    for member in ("M", "M", "N"):
        a.call(member, to=b.name)
    (call, *_) = b.take()
    b.reply(call)
    assert kernel.asked == [
        *(f"{a.name} {member} {b.name}" for member in "MMN"),
        f"{b.name} None {a.name} reply",
    ]
    kernel.no.add(f"{a.name} N {b.name}")
    a.take()
    a.call("N", to=b.name)
    assert denial(a) == f"denied: {a.name} N {b.name}"
    a.call("M", to=b.name, flags=NO_REPLY)
    assert b.seen() == ["M()"]


def test_calls_of_the_bus(kernel: Kernel, a: Party) -> None:
    kernel.no.add(f"{a.name} GetId bus")
    a.call("GetId")
    assert denial(a) == f"denied: {a.name} GetId bus"


def test_a_denied_call_leaves_nothing(kernel: Kernel, a: Party, b: Party) -> None:
    kernel.no.add(f"{a.name} M {b.name}")
    a.call("M", to=b.name)
    assert (a.client.awaited, a.client.routes, b.client.owed) == (0, None, None)
    assert b.take() == []


def test_of_a_broadcast_each_receiver(kernel: Kernel, a: Party, b: Party, c: Party) -> None:
    """They stand alike before the policy, and not before the kernel."""
    for each in (b, c):
        each.match("member=S")
    kernel.no.add(f"{a.name} S {b.name}")
    a.signal("S")
    assert (a.seen(), b.seen(), c.seen()) == ([], [], ["S()"])


def test_the_bus_needs_nobody(kernel: Kernel, a: Party, b: Party) -> None:
    a.match("type=signal")
    kernel.asked.clear()
    b.own("x.y")
    assert [str(each) for each in a.take()] == [f"NameOwnerChanged(x.y,,{b.name})"]
    assert kernel.asked == [f"{b.name} RequestName bus", f"{b.name} owns x.y"]


def test_names(kernel: Kernel, a: Party, caplog: pytest.LogCaptureFixture) -> None:
    kernel.no.add(f"{a.name} owns x.y")
    assert a.ask("RequestName", "su", "x.y", 0).args == [f"denied: {a.name} owns x.y"]
    said = caplog.records[-1].getMessage()
    assert said.endswith("; a security module of the kernel denies it")
    assert a.ask("RequestName", "su", "x.z", 0).args == [1]


def test_a_permissive_bus_changes_nothing_of_it(kernel: Kernel, world: World, a: Party) -> None:
    world.hub.gate.set_permissive(True, a.client)
    kernel.no.add(f"{a.name} owns x.y")
    assert str(a.ask("RequestName", "su", "x.y", 0)) == "!AccessDenied"


def test_monitors(kernel: Kernel, a: Party) -> None:
    kernel.no.add(f"{a.name} eavesdrops")
    answer = a.ask("BecomeMonitor", "asu", [], 0, interface=MONITORING)
    assert answer.args == [f"denied: {a.name} eavesdrops"]
    assert a.client.active()


def test_without_it_the_last_verdict_is_at_hand(world: World, a: Party, b: Party) -> None:
    """What it costs where there is none: nothing."""
    a.call("M", to=b.name)
    assert a.client.verdict is not None
    kernel = Kernel()
    world.hub.gate.mediator = kernel
    a.client.unsettle()
    a.call("M", to=b.name)
    assert a.client.verdict is None
