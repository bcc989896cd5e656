"""Asking a service on a bus for all that it is. Everything that it may answer is bounded.

It knows no Python that is to be written.
"""

import select
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, final

from bridge.cli.link import BusError, Link, good
from bridge.cli.migrate.page import PROPERTIES, Page, Refused, read
from bridge.cli.migrate.shape import Interface, Property, Shape
from bridge.cli.monitor.values import LARGE
from bridge.cli.reading import Seen
from bridge.routing.errors import ACCESS_DENIED, NAME_HAS_NO_OWNER
from bridge.wire.build import build
from bridge.wire.names import is_member, is_object_path, is_unique_name
from bridge.wire.protocol import CALL, DRIVER, ERROR, NO_AUTO_START
from policy.text import printable

INTROSPECTABLE: Final = "org.freedesktop.DBus.Introspectable"
PATIENCE: Final = 10.0  # seconds for one answer
SECONDS: Final = 60.0  # for the whole service
OBJECTS: Final = 1000
DEEPEST: Final = 32  # elements of a path


NAMED: Final = 20  # properties of one interface in the report
GUESS: Final = "does not describe these properties, and that they can be written is a guess"
Body = Sequence[object]


@final
class Trouble(Exception):
    """What keeps the command from being done: one line for who called it."""


@final
class Visit:
    """One service, by the unique name of its owner: a new owner would be another service."""

    def __init__(self, link: Link, name: str, owner: str) -> None:
        self.link = link
        self.name = name
        self.owner = owner
        self.end = time.monotonic() + SECONDS
        self.with_properties: set[str] = set()

    def shape(self) -> Shape:
        """All of its objects. Raises Trouble, NoBus."""
        shape = Shape(self.name)
        waiting, known = deque(["/"]), {"/"}
        while waiting:
            path = waiting.popleft()
            if len(shape.objects) >= OBJECTS or self.is_late():
                shape.notes.append(f"only the first {len(shape.objects)} objects were looked at")
                break
            for name in self.page(path, shape).children:
                child = below(path, name)
                if child and child not in known and len(waiting) <= OBJECTS:
                    known.add(child)
                    waiting.append(child)
        shape.objects = {path: names for path, names in shape.objects.items() if names}
        for interface in shape.interfaces.values():
            self.undescribed(interface, shape)
        if not shape.objects:
            raise Trouble(f"{self.name} describes no object with an interface of its own")
        return shape

    def page(self, path: str, shape: Shape) -> Page:
        """One object. One that is gone by now has nothing; at the root that is another matter."""
        try:
            text = self.ask(path, INTROSPECTABLE, "Introspect")
            page = read(text)
        except Refused as error:
            raise Trouble(
                f"{self.name} describes {path} in a way that is refused: {error}"
            ) from None
        except BusError as error:
            page = self.other_root(path, error)
        take(shape, path, page)
        if page.has_properties:
            self.with_properties.add(path)
        return page

    def other_root(self, path: str, error: BusError) -> Page:
        """Some do not describe their root, but the object whose path is their name."""
        if path != "/":
            return Page(notes=[f"its description: {error}"])
        if error.name == ACCESS_DENIED:
            raise Trouble(f"{self.name} may not be asked what it is: {error}")
        return Page(children=[self.name.replace(".", "/").replace("-", "_")])

    def undescribed(self, interface: Interface, shape: Shape) -> None:
        """Properties that it has, and does not describe: libdbus's bindings have no words for
        them."""
        path = shape.paths(interface.name)[0]
        if path not in self.with_properties or self.is_late():
            return
        try:
            answer = self.call(path, PROPERTIES, "GetAll", "s", (interface.name,))
            table = good(answer)[0] if is_table(answer) else {}
        except BusError:  # none of this interface
            return
        assert isinstance(table, dict)
        names = [name for name in table if name not in interface.properties and is_member(name)]
        for name in names:
            interface.add(Property(name, table[name][0], writable=True))
        if names:
            some = ", ".join([*names[:NAMED], "..."] if len(names) > NAMED else names)
            shape.notes.append(f"{interface.name} {GUESS}: {some}")

    def ask(self, path: str, interface: str, member: str) -> str:
        """A call without arguments that returns a text. Raises BusError, Trouble, NoBus."""
        answer = self.call(path, interface, member)
        if answer.frame.kind != ERROR and answer.frame.signature() != "s":
            raise Trouble(f"{self.name} answers {member} with something else than a text")
        return str(good(answer)[0])

    def call(
        self, path: str, interface: str, member: str, signature: str = "", body: Body = ()
    ) -> Seen:
        """The answer, be it good or an error. Raises Trouble, NoBus."""
        self.link.serial += 1
        serial = self.link.serial
        call = build(
            CALL,
            serial=serial,
            flags=NO_AUTO_START,
            path=path,
            interface=interface,
            member=member,
            destination=self.owner,
            sender=None,
            signature=signature,
            body=body,
        )
        self.link.write(call.raw())
        return self.wait(serial)

    def wait(self, serial: int) -> Seen:
        """The answer to this call; whatever else comes is not for us."""
        end = time.monotonic() + PATIENCE
        while True:
            while self.link.unread:
                seen = self.link.unread.popleft()
                if seen.frame.reply_serial == serial and self.may_answer(seen):
                    return seen
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.link.socket], [], [], left)[0]:
                raise Trouble(f"{self.name} does not answer")
            self.link.unread.extend(self.link.receive())

    def is_late(self) -> bool:
        return time.monotonic() > self.end

    def may_answer(self, seen: Seen) -> bool:
        return seen.frame.sender() in (self.owner, DRIVER)


def is_table(answer: Seen) -> bool:
    """An error, or an a{sv} that can be taken apart."""
    frame = answer.frame
    return frame.kind == ERROR or (frame.signature() == "a{sv}" and len(frame.body()) <= LARGE)


def below(path: str, name: str) -> str:
    """The path of a child; "" if there are no such objects."""
    found = f"{path.rstrip('/')}/{name}"
    return found if is_object_path(found) and found.count("/") <= DEEPEST else ""


def take(shape: Shape, path: str, page: Page) -> None:
    """What an object says of itself."""
    shape.objects[path] = tuple(sorted(page.interfaces))
    if page.is_manager:
        shape.managers.append(path)
    shape.notes += [printable(f"{path}: left out {note}") for note in page.notes]
    for name, interface in page.interfaces.items():
        shape.interfaces.setdefault(name, Interface(name)).add_all(interface)


def find(link: Link, name: str, start: bool) -> str:
    """The unique name of whoever has this name. Raises Trouble, BusError, NoBus."""
    if start:
        begin(link, name)
    try:
        ((owner,),) = link.ask(("GetNameOwner", "s", (name,)))
    except BusError as error:
        if error.name != NAME_HAS_NO_OWNER:
            raise
        raise Trouble(f"{name} is not running{hint(link, name, start)}") from None
    if not is_unique_name(str(owner)):
        raise Trouble(f"{link.place} says that something that is no client owns {name}")
    return str(owner)


def begin(link: Link, name: str) -> None:
    """Have the bus start it, if it is not running. Raises Trouble, NoBus."""
    answer = link.answers([("StartServiceByName", "su", (name, 0))])[0]
    try:
        good(answer)
    except BusError as error:
        raise Trouble(f"{name} cannot be started: {error}") from None


def hint(link: Link, name: str, started: bool) -> str:
    can = not started and name in activatable(link)
    return ", but can be started: say --activate" if can else ""


def activatable(link: Link) -> Sequence[str]:
    """The names that the bus can start. Raises NoBus, BusError."""
    ((names,),) = link.ask(("ListActivatableNames", "", ()))
    assert isinstance(names, list)
    return names
