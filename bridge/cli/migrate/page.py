"""One object's description of itself: introspection XML, which whoever wrote it may have chosen to
do harm. Knows no bus.

What is read is bounded in size, depth and number; entities are refused. What D-Bus cannot mean
is left out, and noted.
"""

from dataclasses import dataclass, field
from typing import Final, NoReturn, cast, final
from xml.parsers import expat

from bridge.cli.migrate.shape import Argument, Emits, Interface, Method, Property, Signal
from bridge.cli.monitor.values import types
from bridge.wire.names import is_interface, is_member, is_object_path, is_signature
from policy.text import escaped

LONGEST: Final = 1024 * 1024  # bytes of one description
DEEPEST: Final = 32
MOST: Final = 20_000  # elements of one description
MOST_NOTES: Final = 8
SHOWN: Final = 60  # characters of what others wrote
EMITS: Final = "org.freedesktop.DBus.Property.EmitsChangedSignal"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
# Whether a property can be read, and written.
ACCESS: Final = {"read": (True, False), "write": (False, True), "readwrite": (True, True)}
# dbus-fast has these for every object; nobody writes them.
STANDARD: Final = frozenset(
    f"org.freedesktop.DBus.{name}"
    for name in ("Introspectable", "Peer", "Properties", "ObjectManager")
)


class Refused(Exception):
    """This is no description of an object; the text says why."""


@final
@dataclass(slots=True)
class Page:
    """What one object says: its own interfaces, and the names of the objects below it."""

    interfaces: dict[str, Interface] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    has_properties: bool = False
    is_manager: bool = False

    def note(self, what: str, said: str) -> None:
        if len(self.notes) < MOST_NOTES:
            self.notes.append(f"{what} {escaped(said[:SHOWN])!r}")


def read(text: str) -> Page:
    """The description. Raises Refused."""
    data = text.encode()
    if len(data) > LONGEST:
        raise Refused(f"longer than {LONGEST} bytes")
    reading = Reading()
    parser = expat.ParserCreate("utf-8")  # whatever it says itself: that would name a codec
    parser.buffer_text = True
    parser.EntityDeclHandler = refuse_entities
    parser.StartElementHandler = reading.begin
    parser.EndElementHandler = reading.end
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise Refused(f"no XML: {error}") from None
    return reading.page


def refuse_entities(*_: object) -> NoReturn:
    raise Refused("it declares entities")


@final
class Reading:
    """A page, element by element. `stack` has the names of the elements that are open."""

    def __init__(self) -> None:
        self.page = Page()
        self.stack: list[str] = []
        self.count = 0
        self.interface: Interface | None = None
        self.member: Method | Property | Signal | None = None

    def begin(self, name: str, said: dict[str, str]) -> None:
        self.count += 1
        if self.count > MOST:
            raise Refused(f"more than {MOST} elements")
        if len(self.stack) >= DEEPEST:
            raise Refused(f"deeper than {DEEPEST}")
        where = (*self.stack, name)
        self.stack.append(name)
        match where:
            case ("node",):
                pass
            case ("node", "node"):
                self.child(said.get("name", ""))
            case ("node", "interface"):
                self.begin_interface(said.get("name", ""))
            case ("node", "interface", "method" | "signal" | "property") if self.interface:
                self.begin_member(name, said)
            case ("node", "interface", _, "arg") if self.member:
                self.argument(said)
            case ("node", "interface", "property", "annotation") if said.get("name") == EMITS:
                self.emits(said.get("value", ""))
            case (other,):
                raise Refused(f"it begins with <{escaped(other[:SHOWN])}>")

    def end(self, name: str) -> None:
        self.stack.pop()
        if self.stack == ["node", "interface"] and self.interface and self.member:
            self.interface.add(self.member)
            self.member = None

    # ------------------------------------------------------------------------ elements

    def child(self, name: str) -> None:
        if is_object_path(f"/{name}") and name:
            self.page.children.append(name)
        elif not is_object_path(name):  # an absolute path is allowed only for the object itself
            self.page.note("an object named", name)

    def begin_interface(self, name: str) -> None:
        self.interface = None
        if name in STANDARD:
            self.page.has_properties |= name == PROPERTIES
            self.page.is_manager |= name == MANAGER
            return
        if is_interface(name):
            self.interface = self.page.interfaces.setdefault(name, Interface(name))
        else:
            self.page.note("an interface named", name)

    def begin_member(self, kind: str, said: dict[str, str]) -> None:
        name = said.get("name", "")
        self.member = None
        if not is_member(name):
            self.page.note(f"a {kind} named", name)
        elif kind == "method":
            self.member = Method(name)
        elif kind == "signal":
            self.member = Signal(name)
        else:
            self.member = self.property(name, said)

    def property(self, name: str, said: dict[str, str]) -> Property | None:
        kind, access = said.get("type", ""), said.get("access", "")
        if not is_one_type(kind):
            self.page.note(f"the property {name} of type", kind)
            return None
        if access not in ACCESS:
            self.page.note(f"the property {name} with the access", access)
            return None
        return Property(name, kind, *ACCESS[access])

    def argument(self, said: dict[str, str]) -> None:
        member, kind = self.member, said.get("type", "")
        assert member is not None  # as `begin` has asked
        argument = Argument(said.get("name", ""), kind)
        if not is_one_type(kind):
            self.page.note(f"{member.name}, which has an argument of type", kind)
            self.member = None
        elif isinstance(member, Signal):
            self.member = Signal(member.name, (*member.carries, argument))
        elif isinstance(member, Method) and said.get("direction") == "out":
            self.member = Method(member.name, member.takes, (*member.gives, argument))
        elif isinstance(member, Method):
            self.member = Method(member.name, (*member.takes, argument), member.gives)

    def emits(self, value: str) -> None:
        member = self.member
        if isinstance(member, Property) and value in ("true", "invalidates", "const", "false"):
            self.member = Property(
                member.name, member.type, member.readable, member.writable, cast(Emits, value)
            )


def is_one_type(text: str) -> bool:
    return is_signature(text) and len(types(text)) == 1
