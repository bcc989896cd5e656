"""Who uses a service, counted from messages as a monitor sees them."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.cli.migrate import traffic as module
from bridge.cli.migrate.findings import Findings
from bridge.cli.migrate.page import PROPERTIES
from bridge.cli.migrate.report import report_text
from bridge.cli.migrate.said import seen
from bridge.cli.migrate.shape import Interface, Method, Shape
from bridge.cli.migrate.traffic import Traffic, Use
from bridge.cli.migrate.watching import Client, Watching
from bridge.cli.monitor.names import Names
from bridge.cli.monitor.pairs import Pairs
from bridge.cli.reading import Reader
from bridge.wire.build import build
from bridge.wire.protocol import CALL, DRIVER, ERROR, RETURN, SIGNAL

NAME, OWNER, CLIENT, OTHER = "com.example.S", ":1.1", ":1.2", ":1.3"
INTERFACE = "com.example.I"


class Bus:
    """Shows messages to a Traffic, as from a service with one method, M."""

    def __init__(self) -> None:
        shape = Shape(NAME)
        shape.interfaces[INTERFACE] = Interface(INTERFACE)
        shape.interfaces[INTERFACE].add(Method("M"))
        names = Names()
        names.settle(NAME, "", OWNER)
        self.traffic = Traffic(shape, names)
        self.pairs = Pairs(keep=True)
        self.reader = Reader()
        self.moment = 0.0

    def show(
        self,
        kind: int,
        member: str | None,
        signature: str = "",
        body: Sequence[object] = (),
        *,
        sender: str = CLIENT,
        to: str | None = NAME,
        interface: str | None = INTERFACE,
        serial: int = 1,
        answers: int = 0,
        error: str | None = None,
    ) -> None:
        self.moment += 0.001
        frame = build(
            kind, serial=serial, flags=0, path="/o" if member else None, interface=interface,
            member=member, destination=to, sender=sender, signature=signature, body=body,
            reply_serial=answers, error_name=error,
        )  # fmt: skip
        seen = self.reader.read(frame.raw(), (self.moment, self.moment))
        self.traffic.take(self.pairs.pair(seen))

    def call(self, member: str, signature: str = "", *body: object, **more: str | None) -> None:
        self.show(CALL, member, signature, body, **more)  # type: ignore[arg-type]

    def answer(self, signature: str = "", *body: object) -> None:
        self.show(RETURN, None, signature, body, sender=OWNER, to=CLIENT, interface=None, answers=1)

    def refuse(self, name: str) -> None:
        self.show(
            ERROR, None, sender=OWNER, to=CLIENT, interface=None, answers=1, error=name
        )  # fmt: skip


@pytest.fixture
def bus() -> Bus:
    return Bus()


def test_calls_by_whatever_name(bus: Bus) -> None:
    for to in (NAME, OWNER, "com.example.Other", OTHER):
        bus.call("M", to=to)
    (count,) = bus.traffic.of(CLIENT).values()
    assert count.calls == 2


def test_a_call_need_not_say_its_interface(bus: Bus) -> None:
    bus.call("M", interface=None)
    bus.call("Unknown", interface=None)
    assert list(bus.traffic.of(CLIENT)) == [Use(INTERFACE, "M", "call"), Use("", "Unknown", "call")]


def test_properties_are_told_by_their_names(bus: Bus) -> None:
    bus.call("Get", "ss", INTERFACE, "P", interface=PROPERTIES)
    bus.call("Set", "ssv", INTERFACE, "P", ("u", 1), interface=PROPERTIES)
    bus.call("GetAll", "s", INTERFACE, interface=PROPERTIES)
    bus.call("Get", interface=PROPERTIES)
    assert list(bus.traffic.of(CLIENT)) == [
        Use(INTERFACE, "P", "read"),
        Use(INTERFACE, "P", "write"),
        Use(INTERFACE, "*", "read all"),
        Use("", "", "read"),
    ]


def test_answers_are_counted_where_their_calls_are(bus: Bus) -> None:
    bus.call("M")
    bus.answer()
    bus.call("M")
    bus.refuse("x.Error")
    bus.answer()  # of nothing
    (count,) = bus.traffic.of(CLIENT).values()
    assert (count.calls, count.latencies.total(), count.errors) == (2, 1, {"x.Error": 1})


def test_signals_of_the_service_only(bus: Bus) -> None:
    bus.show(SIGNAL, "S", sender=OWNER, to=None)
    bus.show(SIGNAL, "S", sender=OTHER, to=None)
    assert bus.traffic.signals == {(INTERFACE, "S"): 1}


def test_types_of_variants_are_learned_unless_they_differ(bus: Bus) -> None:
    bus.call("M")
    bus.answer("a{sv}", {"a": ("u", 1), "b": ("as", ["x"])})
    bus.show(SIGNAL, "S", "a{sv}", ({"a": ("u", 2), "b": ("s", "x")},), sender=OWNER, to=None)
    assert bus.traffic.variants == {"a": "u", "b": ""}


def test_types_are_learned_at_any_depth(bus: Bus) -> None:
    inner = ("a{sv}", {"deep": ("y", 1)})
    bus.call("M", interface=None)
    bus.answer("aa{s(ia{sv})}", [{"no": (1, {"outer": inner})}])
    assert bus.traffic.variants == {"outer": "a{sv}", "deep": "y"}


def test_types_are_learned_from_properties_but_not_their_own(bus: Bus) -> None:
    """Metadata is a property, and described; what is in it is not."""

    def said(key: str) -> tuple[str, object]:
        return ("a{sv}", {key: ("o", "/")})

    bus.call("Get", "ss", INTERFACE, "Metadata", interface=PROPERTIES)
    bus.answer("v", said("one"))
    bus.call("GetAll", "s", INTERFACE, interface=PROPERTIES)
    bus.answer("a{sv}", {"Metadata": said("two"), "Size": ("u", 1)})
    bus.call("GetManagedObjects", interface="org.freedesktop.DBus.ObjectManager")
    bus.answer("a{oa{sa{sv}}}", {"/": {INTERFACE: {"Metadata": said("three")}}})
    changed = (INTERFACE, {"Metadata": said("four")}, ["Size"])
    bus.show(
        SIGNAL, "PropertiesChanged", "sa{sv}as", changed, sender=OWNER, to=None,
        interface=PROPERTIES,
    )  # fmt: skip
    bus.call("Other", interface="com.example.Unknown")
    bus.answer("a{sv}", {"five": ("u", 1)})
    assert bus.traffic.variants == dict.fromkeys(("one", "two", "three", "four"), "o")


def test_what_came_too_fast_is_said(bus: Bus) -> None:
    found = Findings(bus.traffic.shape, [], Client(OWNER), bus.traffic, watched=1.0)
    link: Any = SimpleNamespace(name=":1.9")
    watching = Watching(link, bus.traffic.names, bus.traffic, link)
    for count in (3, 4):
        lost = build(
            SIGNAL, serial=1, flags=0, path="/", interface="org.bus1.Monitor1", member="Lost",
            destination=":1.9", sender=DRIVER, signature="t", body=[count],
        )  # fmt: skip
        watching.take(bus.reader.read(lost.raw(), (0.0, 0.0)))
    assert seen(found).endswith(" 7 messages more came too fast to be seen.")


def test_other_names_of_the_service_are_reported(bus: Bus) -> None:
    """Rules and clients may know it by them."""
    service = Client(OWNER, (NAME, "com.example.Old"))
    report = report_text(Findings(bus.traffic.shape, [], service, bus.traffic), "s")
    assert "* It owns `com.example.Old`, too" in report


def test_it_does_not_grow_without_end(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST", "MOST_ERRORS", "MOST_KEYS"):
        monkeypatch.setattr(module, name, 3)
    for number in range(10):
        bus.call(f"M{number}")
        bus.refuse("x.Error")
        bus.call("M0")
        bus.refuse(f"x.E{number}")
        bus.call("M0")
        bus.answer("a{sv}", {f"k{number}": ("u", 1)})
        bus.show(SIGNAL, f"S{number}", sender=OWNER, to=None)
    seen = bus.traffic
    assert [len(each) for each in (seen.uses, seen.signals, seen.variants)] == [3, 3, 3]
    assert len(seen.uses[CLIENT, Use(INTERFACE, "M0", "call")].errors) == 3
    assert seen.others == 7
