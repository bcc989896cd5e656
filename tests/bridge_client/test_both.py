"""One service in both worlds: what a native caller gets, a D-Bus client gets, too."""

import asyncio
import os
from typing import Any

import pytest
from dbus_fast import DBusError, Message, PropertyAccess, Variant
from dbus_fast.annotations import DBusStr, DBusUInt32
from dbus_fast.service import dbus_property, dbus_signal

import bus1.client as bus1
from bridge.client import DBus, OnDBus, on_dbus, serve
from bus1.client import CallError, Fd, Handle, InvalidArgs, Service, method
from tests.bridge_client.thing import ERROR, attached, run, said
from tests.buses import Bus, need

NAME, PATH = "com.example.Library", "/com/example/Library"


class NoSuchBook(CallError):
    name = "NoSuchBook"


class Library(Service):
    def __init__(self) -> None:
        self.books = {"one": ["Anna", "Ben"]}

    @method
    def authors(self, title: str) -> list[str]:
        if title not in self.books:
            raise NoSuchBook(title)
        return self.books[title]

    @method
    async def add_book(self, title: str, details: dict[str, Any]) -> DBusUInt32:
        await asyncio.sleep(0)
        if not details:
            raise InvalidArgs("a book has details")
        self.books[title] = [str(each) for each in details["authors"]]
        return len(self.books)

    @method
    def read(self, book: Fd) -> Fd:
        """What is in the book, in a new one."""
        read, write = os.pipe()
        os.write(write, os.read(book.fileno(), 100).upper())
        os.close(write)
        return Fd(read)

    @method
    def fail(self) -> None:
        raise ZeroDivisionError("secret")

    @method
    def door(self) -> Handle:
        raise CallError("closed", "Closed")

    @method
    def who(self, *, message: bus1.Message) -> int:
        return message.uid


class Announced(on_dbus(Library, NAME)):  # type: ignore[misc] # made as the program starts
    """With a signal and a property for D-Bus clients."""

    @dbus_signal()
    def Arrived(self, title: str) -> DBusStr:
        return title

    @dbus_property(access=PropertyAccess.READ)
    def Count(self) -> DBusUInt32:
        return len(self.service.books)


async def proxy(dbus: DBus) -> Any:
    return (await dbus.proxy(NAME, PATH)).get_interface(NAME)


def test_both_get_the_same(native_bus: Bus) -> None:
    details = {"authors": ["Cleo", 7], "new": True}

    async def scenario() -> None:
        async with attached(native_bus) as dbus, attached(native_bus) as other:
            node = await serve(Library(), dbus, NAME, PATH)
            handle, old = await other.find(NAME), await proxy(other)
            assert await bus1.call(handle, "authors", "one") == ["Anna", "Ben"]
            assert await old.call_authors("one") == ["Anna", "Ben"]
            assert await bus1.call(handle, "add_book", "two", details) == 2
            told = {"authors": Variant("as", ["Dora"])}
            assert await old.call_add_book("three", told) == 3
            assert await bus1.call(handle, "authors", "three") == ["Dora"]
            assert await old.call_authors("two") == ["Cleo", "7"]
            assert node.id

    run(scenario())


def test_errors(native_bus: Bus) -> None:
    async def scenario() -> None:
        async with attached(native_bus) as dbus, attached(native_bus) as other:
            node = await serve(Library(), dbus, NAME, PATH)
            handle, old = await other.find(NAME), await proxy(other)
            for native, name, calling in (
                (bus1.call(handle, "authors", "none"), NAME + ".Error.NoSuchBook",
                 old.call_authors("none")),
                (bus1.call(handle, "add_book", "x", {}), ERROR + "InvalidArgs",
                 old.call_add_book("x", {})),
                (bus1.call(handle, "fail"), ERROR + "Failed", old.call_fail()),
            ):  # fmt: skip
                with pytest.raises(CallError) as told:
                    await native
                with pytest.raises(DBusError) as error:
                    await calling
                assert error.value.type == name
                assert error.value.text == told.value.text
                assert "secret" not in error.value.text
            node.release()

    run(scenario())


def test_descriptors(native_bus: Bus) -> None:
    async def scenario() -> None:
        async with attached(native_bus) as dbus, attached(native_bus) as other:
            node = await serve(Library(), dbus, NAME, PATH)
            handle, old = await other.find(NAME), await proxy(other)
            for reading in (
                lambda fd: bus1.call(handle, "read", Fd(os.dup(fd))),
                old.call_read,
            ):
                read, write = os.pipe()
                os.write(write, b"text")
                os.close(write)
                got = await reading(read)
                os.close(read)
                found = got if isinstance(got, int) else got.detach()
                with os.fdopen(found, "rb") as file:
                    assert file.read() == b"TEXT"
            assert node

    run(scenario())


def test_old_clients_see_an_ordinary_interface(native_bus: Bus) -> None:
    """With signals and properties that it has for them only; what gives handles is not there."""
    busctl = [need("busctl"), f"--address={native_bus.address}"]

    async def scenario() -> None:
        async with attached(native_bus) as dbus, attached(native_bus) as other:
            library = Library()
            face: OnDBus = Announced(library)
            node = await serve(library, dbus, NAME, PATH, face)
            lines = (await said(native_bus, *busctl, "introspect", NAME, PATH, NAME)).splitlines()
            members = {tuple(line.split()[:4]) for line in lines[1:]}
            assert members == {
                (".AddBook", "method", "sa{sv}", "u"),
                (".Authors", "method", "s", "as"),
                (".Fail", "method", "-", "-"),
                (".Read", "method", "h", "h"),
                (".Count", "property", "u", "1"),
                (".Arrived", "signal", "s", "-"),
            }
            answer = await said(
                native_bus, *busctl, "call", NAME, PATH, NAME, "AddBook", "sa{sv}", "two", "1",
                "authors", "as", "1", "Dora",
            )  # fmt: skip
            assert answer == "u 2\n"
            assert library.books["two"] == ["Dora"]
            heard: asyncio.Queue[str] = asyncio.Queue()
            (await proxy(other)).on_arrived(heard.put_nowait)
            await other.owner(NAME)
            face.Arrived("two")  # type: ignore[attr-defined]
            assert await heard.get() == "two"
            assert await bus1.call(await other.find(NAME), "who") == os.getuid()
            with pytest.raises(CallError, match="closed"):
                await bus1.call(await other.find(NAME), "door")
            assert node

    run(scenario())


def test_a_name_that_another_has(native_bus: Bus) -> None:
    async def scenario() -> None:
        async with attached(native_bus) as dbus, attached(native_bus) as other:
            await other.own(NAME)
            with pytest.raises(DBusError, match="another owner"):
                await serve(Library(), dbus, NAME, PATH)

    run(scenario())


def test_who_could_not_serve_shows_nothing(native_bus: Bus) -> None:
    """Neither the object nor a claim to the name; later it can."""

    async def scenario() -> None:
        async with attached(native_bus) as dbus, attached(native_bus) as other:
            await other.own(NAME)
            with pytest.raises(DBusError, match="another owner"):
                await serve(Library(), dbus, NAME, PATH)
            with pytest.raises(DBusError):
                await other.call(Message(dbus.unique_name, PATH, NAME, "Fail"), timeout=5)
            assert not dbus.names
            assert not dbus.bus._path_exports
            await other.disown(NAME)
            node = await serve(Library(), dbus, NAME, PATH)
            assert await bus1.call(await other.find(NAME), "authors", "one") == ["Anna", "Ben"]
            assert node.id

    run(scenario())


def test_handles_inside_of_types_are_for_native_peers(native_bus: Bus) -> None:
    class Doors(Service):
        @method
        def some(self) -> list[Handle]:
            return []

        @method
        def maybe(self, door: Handle | None) -> None:
            """None is no handle."""

        @method
        def count(self) -> int:
            return 2

    face = on_dbus(Doors, "com.example.Doors")(Doors())
    assert [each.name for each in face.introspect().methods] == ["Count"]


def test_names_that_d_bus_cannot_tell_apart() -> None:
    class Twins(Service):
        @method
        def look_up(self) -> None:
            """LookUp."""

        @method
        def lookUp(self) -> None:
            """LookUp, too."""

    with pytest.raises(ValueError, match="are both LookUp in D-Bus"):
        on_dbus(Twins, NAME)


def test_types_that_d_bus_has_not() -> None:
    class Odd(Service):
        @method
        def odd(self, some: set[str]) -> None:
            """Neither in JSON."""

    with pytest.raises(TypeError, match="no type for"):
        on_dbus(Odd, NAME)
