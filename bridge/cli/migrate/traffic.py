"""Who uses a service, and how: what a monitor has seen, counted. It reads no sockets.

It does not grow without end: so many pairs of a client and a member, and whatever comes beyond is
counted together.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, final

from bridge.cli.migrate.page import MANAGER, PROPERTIES
from bridge.cli.migrate.shape import Shape
from bridge.cli.monitor.names import Names
from bridge.cli.monitor.pairs import Event
from bridge.cli.monitor.tally import step
from bridge.cli.monitor.values import LARGE_FOR_PEOPLE, types
from bridge.wire.body import unpack
from bridge.wire.frame import Frame
from bridge.wire.protocol import CALL, ERROR, RETURN, SIGNAL

MOST: Final = 4096  # pairs of a client and a member
MOST_ERRORS: Final = 16  # kinds of errors of one of them
MOST_KEYS: Final = 256  # keys of dicts whose values' types are remembered
UNSURE: Final = ""  # the type of a key that has been seen with several

# What a call does: which is not said by its member where it is one about properties.
ACTS: Final = {"Get": "read", "Set": "write", "GetAll": "read all"}


class Use(NamedTuple):
    """A member, and what is done with it: "call", "read", "write" or "read all"."""

    interface: str
    member: str
    act: str


@final
@dataclass(slots=True)
class Count:
    """How often, with which errors, and how long it took (as in tally.py)."""

    calls: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)
    path: str = ""


@final
class Traffic:
    """Everything from and to one service."""

    def __init__(self, shape: Shape, names: Names) -> None:
        self.shape = shape
        self.names = names
        self.uses: dict[tuple[str, Use], Count] = {}
        self.signals: Counter[tuple[str, str]] = Counter()
        self.variants: dict[str, str] = {}  # of which type a variant is, by its key in a dict
        self.others = 0  # calls beyond MOST
        self.lost = 0  # messages that the bus had no room for

    def take(self, event: Event) -> None:
        """One message."""
        frame = event.seen.frame
        if frame.kind == CALL and self.names.same(frame.destination(), self.shape.name):
            if (count := self.count(frame)) is not None:
                count.calls += 1
            else:
                self.others += 1
        elif frame.kind in (RETURN, ERROR) and event.answers is not None:
            if self.names.same(event.answers.destination, self.shape.name):
                self.answered(event)
        elif frame.kind == SIGNAL and self.names.same(frame.sender(), self.shape.name):
            self.signalled(frame)

    def clients(self) -> list[str]:
        """Unique names, each once, in the order in which they came."""
        return list(dict.fromkeys(client for client, _ in self.uses))

    def of(self, client: str) -> dict[Use, Count]:
        """What this one does."""
        return {use: count for (who, use), count in self.uses.items() if who == client}

    # ----------------------------------------------------------------------- messages

    def count(self, call: Frame) -> Count | None:
        key = call.sender() or "", self.use(call)
        found = self.uses.get(key)
        if found is None and len(self.uses) < MOST:
            found = self.uses[key] = Count(path=call.path() or "")
        return found

    def use(self, call: Frame) -> Use:
        interface, member = call.interface(), call.member() or ""
        if interface == PROPERTIES and member in ACTS:
            said = [each[1] if each else "" for each in call.arguments(2)] + ["", ""]
            name = "*" if member == "GetAll" else said[1]
            return Use(said[0], name, ACTS[member])
        return Use(interface or self.guess(member), member, "call")

    def guess(self, member: str) -> str:
        """A call need not say its interface."""
        some = self.shape.interfaces.values()
        return next((each.name for each in some if each.has(member)), "")

    def answered(self, event: Event) -> None:
        asked, frame = event.answers, event.seen.frame
        if asked is None or asked.whole is None:
            return
        call = asked.whole.frame
        count = self.uses.get((call.sender() or "", self.use(call)))
        if count is None:
            return
        if frame.kind == ERROR:
            name = frame.error_name() or ""
            if name in count.errors or len(count.errors) < MOST_ERRORS:
                count.errors[name] += 1
            return
        count.latencies[step(event.latency() or 0.0)] += 1
        self.learn(call.interface() or self.guess(call.member() or ""), frame)

    def signalled(self, frame: Frame) -> None:
        key = frame.interface() or "", frame.member() or ""
        if key in self.signals or len(self.signals) < MOST:
            self.signals[key] += 1
        self.learn(key[0], frame)

    def learn(self, interface: str, frame: Frame) -> None:
        """Of which types the variants in dicts are: no description says that."""
        names = interface in (PROPERTIES, MANAGER)
        if not names and interface not in self.shape.interfaces:
            return
        signature = frame.signature()
        if "v" not in signature or len(frame.body()) > LARGE_FOR_PEOPLE:
            return
        for kind, value in zip(types(signature), unpack(frame), strict=True):
            for key, said in keyed(kind, value, names):
                self.remember(key, said)

    def remember(self, key: str, kind: str) -> None:
        if key in self.variants:
            if self.variants[key] != kind:
                self.variants[key] = UNSURE
        elif len(self.variants) < MOST_KEYS:
            self.variants[key] = kind


def keyed(kind: str, value: Any, names: bool = False) -> Iterator[tuple[str, str]]:
    """The keys of all dicts of variants in this, and the types of those. `names`: the outermost
    are the names of properties, whose types are described."""
    if "v" not in kind:
        return
    if kind == "v":
        yield from keyed(*value)
    elif kind[0] == "(":
        for of, each in zip(types(kind[1:-1]), value, strict=True):
            yield from keyed(of, each, names)
    elif kind[1] != "{":
        for each in value:
            yield from keyed(kind[1:], each, names)
    else:
        _, of = types(kind[2:-1])
        for key, each in value.items():
            if of == "v" and not names:
                yield str(key), each[0]
            yield from keyed(of, each, names and of != "v")
