"""All that was found out about one service, to be written down. It asks and writes nothing."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, final

from bridge.cli.migrate.page import MANAGER
from bridge.cli.migrate.plan import PlannedClass
from bridge.cli.migrate.rules import Rules
from bridge.cli.migrate.shape import Shape
from bridge.cli.migrate.traffic import Count, Traffic, Use
from bridge.cli.migrate.watching import Client
from bridge.routing.errors import PREFIX

MANAGED: Final = Use(MANAGER, "GetManagedObjects", "call")


@final
@dataclass(slots=True)
class Party:
    """All clients that are one program of one user: what they have done, together."""

    uid: int | None
    program: str
    names: dict[str, None] = field(default_factory=dict)
    uses: dict[Use, Count] = field(default_factory=dict)

    def add(self, client: Client, uses: dict[Use, Count]) -> None:
        self.names.update(dict.fromkeys(client.names or (client.unique,)))
        for use, count in uses.items():
            mine = self.uses.setdefault(use, Count(path=count.path))
            mine.calls += count.calls
            mine.errors.update(count.errors)
            mine.latencies.update(count.latencies)


@final
@dataclass(slots=True)
class Findings:
    """`watched`: so many seconds; 0: not at all. `rules`: None if it is not known which files the
    bus has read. `startable`: the bus can start the service."""

    shape: Shape
    classes: list[PlannedClass]
    service: Client
    traffic: Traffic
    watched: float = 0.0
    clients: list[Client] = field(default_factory=list)
    rules: Rules | None = None
    startable: bool = False

    def native(self, use: Use) -> list[str]:
        """What a native client calls for this, as `Class.method`. Who asks an object manager gets
        all properties of all objects."""
        if use == MANAGED:
            classes, use = self.classes, Use("", "*", "read all")
        else:
            classes = [each for each in self.classes if each.interface == use.interface]
        return [f"{planned.name}.{name}" for planned in classes for name in names(planned, use)]

    def parties(self, only: list[str] | None = None) -> list[Party]:
        """Who uses it, or who of these clients does, those who do so most first."""
        found: dict[tuple[int | None, str], Party] = {}
        for client in self.clients:
            if only is None or client.unique in only:
                whose = client.uid, client.program
                party = found.setdefault(whose, Party(*whose))
                party.add(client, self.traffic.of(client.unique))
        return sorted(found.values(), key=lambda each: -calls(each.uses))

    def errors(self) -> Counter[str]:
        """Those that clients got, but for those that any bus or library may return."""
        found: Counter[str] = Counter()
        for count in self.traffic.uses.values():
            found.update({name: times for name, times in count.errors.items() if is_own(name)})
        return found


def is_own(error: str) -> bool:
    return not error.startswith(PREFIX)


def calls(uses: dict[Use, Count]) -> int:
    return sum(each.calls for each in uses.values())


def names(planned: PlannedClass, use: Use) -> list[str]:
    if use.act == "call":
        return [each.name for each in planned.methods if each.member.name == use.member][:1]
    found = [each for each in planned.properties if use.member in ("*", each.member.name)]
    if use.act == "write":
        return [each.setter for each in found if each.setter]
    return [each.getter for each in found if each.getter]
