"""What a D-Bus service is, as far as it describes itself: objects, interfaces, members. Knows no
bus, and no XML.
"""

from dataclasses import dataclass, field
from typing import Literal, final

# org.freedesktop.DBus.Property.EmitsChangedSignal
Emits = Literal["true", "invalidates", "const", "false"]


@final
@dataclass(frozen=True, slots=True)
class Argument:
    """`name` is what the service says, which may be anything; `type` is one complete type."""

    name: str
    type: str


Arguments = tuple[Argument, ...]


def signature(arguments: Arguments) -> str:
    return "".join(each.type for each in arguments)


@final
@dataclass(frozen=True, slots=True)
class Method:
    name: str
    takes: Arguments = ()
    gives: Arguments = ()


@final
@dataclass(frozen=True, slots=True)
class Property:
    name: str
    type: str
    readable: bool = True
    writable: bool = False
    emits: Emits = "true"


@final
@dataclass(frozen=True, slots=True)
class Signal:
    name: str
    carries: Arguments = ()


@final
@dataclass(slots=True)
class Interface:
    """Members by name. A method may be there twice, if what it takes tells the two apart."""

    name: str
    methods: dict[tuple[str, str], Method] = field(default_factory=dict)
    properties: dict[str, Property] = field(default_factory=dict)
    signals: dict[str, Signal] = field(default_factory=dict)

    def add(self, member: Method | Property | Signal) -> None:
        """One more. What was there before stays."""
        if isinstance(member, Method):
            self.methods.setdefault((member.name, signature(member.takes)), member)
        elif isinstance(member, Property):
            self.properties.setdefault(member.name, member)
        else:
            self.signals.setdefault(member.name, member)

    def add_all(self, other: "Interface") -> None:
        """What another object says of the same interface."""
        for some in (other.methods, other.properties, other.signals):
            for member in some.values():
                self.add(member)

    def has(self, member: str) -> bool:
        return any(name == member for name, _ in self.methods)


@final
@dataclass(slots=True)
class Shape:
    """A whole service. `objects` are the interfaces at each path, `managers` the paths of object
    managers, `notes` what is not whole."""

    name: str
    objects: dict[str, tuple[str, ...]] = field(default_factory=dict)
    interfaces: dict[str, Interface] = field(default_factory=dict)
    managers: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def paths(self, interface: str) -> list[str]:
        """The objects that have it."""
        return [path for path, names in self.objects.items() if interface in names]
