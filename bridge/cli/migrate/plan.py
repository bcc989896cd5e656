"""What is to be written: every name in it, for both files alike. Knows no text of either.

Whatever is said twice, of the service and of its D-Bus side, is decided here once.
"""

from dataclasses import dataclass
from typing import Final, final

from bridge.cli.migrate.python import ANNOTATIONS, BUILTINS, HINTS, Scope, capitals, hint, snake
from bridge.cli.migrate.shape import Arguments, Interface, Method, Property, Shape, Signal
from bus1.client.signals import Signalling

MOST_PATHS: Final = 8  # objects of one class that are written down; the author makes the others
# What the files import, or stands around the classes.
IMPORTED: Final = (
    "Annotated", "Any", "CallError", "DBus", "Fd", "NotYet", "Objects", "OnDBus", "PropertyAccess",
    "Service", "Signal", "Signalling", "DBusSignature", "DBusError", "ErrorType", "Node", "Nodes",
    "NAME", "NameFlag", "RequestNameReply", "VARIANTS", *ANNOTATIONS.values(),
)  # fmt: skip
WORDS: Final = (
    "method",
    "self",
    "message",
    "incoming",
    "outgoing",
    "told",
    "service",
    "run",
    "show",
)
LOCAL: Final = (
    *WORDS, "peer", "dbus", "node", "nodes", "bus1", "asyncio", "os", "sys", "reply", "address",
)  # fmt: skip


@final
@dataclass(frozen=True, slots=True)
class Parameter:
    """`name` is Python's."""

    name: str
    type: str

    @property
    def hint(self) -> str:
        return hint(self.type)


@final
@dataclass(frozen=True, slots=True)
class PlannedMethod:
    member: Method
    name: str
    parameters: tuple[Parameter, ...]


@final
@dataclass(frozen=True, slots=True)
class PlannedProperty:
    """`getter`, `setter` and `changed` are "" where there is none."""

    member: Property
    name: str
    getter: str
    setter: str
    changed: str


@final
@dataclass(frozen=True, slots=True)
class PlannedSignal:
    member: Signal
    name: str
    parameters: tuple[Parameter, ...]


@final
@dataclass(frozen=True, slots=True)
class PlannedClass:
    """One interface."""

    interface: str
    name: str
    variable: str
    paths: tuple[str, ...]
    methods: tuple[PlannedMethod, ...]
    properties: tuple[PlannedProperty, ...]
    signals: tuple[PlannedSignal, ...]

    @property
    def has_signals(self) -> bool:
        return bool(self.signals) or any(each.changed for each in self.properties)


def plan(shape: Shape) -> list[PlannedClass]:
    """All classes, in the order of their interfaces' names."""
    classes, variables = Scope((*IMPORTED, *BUILTINS)), Scope((*LOCAL, *BUILTINS))
    found = []
    for name in sorted(shape.interfaces):
        named = classes.first(capitals(name))
        paths = tuple(sorted(shape.paths(name)))
        found.append(planned(shape.interfaces[name], named, variables.name(snake(named)), paths))
    return found


def planned(interface: Interface, name: str, variable: str, paths: tuple[str, ...]) -> PlannedClass:
    scope, names = Scope((*dir(Signalling), *HINTS, *WORDS)), Scope()
    methods = [interface.methods[key] for key in sorted(interface.methods)]
    properties = [interface.properties[key] for key in sorted(interface.properties)]
    signals = [interface.signals[key] for key in sorted(interface.signals)]
    return PlannedClass(
        interface.name,
        name,
        variable,
        paths,
        tuple(
            PlannedMethod(each, scope.name(snake(each.name)), parameters(each.takes))
            for each in methods
        ),
        tuple(planned_property(each, scope, names) for each in properties),
        tuple(
            PlannedSignal(each, scope.name(snake(each.name)), parameters(each.carries))
            for each in signals
        ),
    )


def planned_property(member: Property, scope: Scope, names: Scope) -> PlannedProperty:
    name = snake(member.name)
    tells = member.readable and member.emits in ("true", "invalidates")
    return PlannedProperty(
        member,
        names.name(name),
        scope.name(f"get_{name}") if member.readable else "",
        scope.name(f"set_{name}") if member.writable else "",
        scope.name(f"{name}_changed") if tells else "",
    )


def parameters(arguments: Arguments) -> tuple[Parameter, ...]:
    """With names for those that have none."""
    scope = Scope((*WORDS, "result", *BUILTINS))
    return tuple(
        Parameter(scope.name(snake(each.name) if each.name else f"arg{place}"), each.type)
        for place, each in enumerate(arguments)
    )
