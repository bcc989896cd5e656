"""dbus-fast: methods, properties, signals, fds; a big message; 200 clients at once."""

# ruff: noqa: F821 (dbus-fast reads signatures from annotations)

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from dbus_fast import (
    DBusError,
    Message,
    MessageType,
    NameFlag,
    PropertyAccess,
    ReleaseNameReply,
    RequestNameReply,
    Variant,
)
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from tests.buses import Bus

INTERFACE, PATH = "com.example.Fast", "/com/example/Fast"


class Fast(ServiceInterface):
    def __init__(self) -> None:
        super().__init__(INTERFACE)
        self.level = 7
        self.hold = asyncio.Event()

    @dbus_method()
    def Echo(self, value: "v") -> "v":
        return value

    @dbus_method()
    def Size(self, value: "ay") -> "u":
        return len(value)

    @dbus_method()
    def Refuse(self, text: "s") -> None:
        raise DBusError("com.example.Refused", text)

    @dbus_method()
    async def Wait(self) -> "s":
        await self.hold.wait()
        return "waited"

    @dbus_method()
    def Read(self, fd: "h") -> "s":
        with os.fdopen(fd, "rb") as file:
            return file.read().decode()

    @dbus_signal()
    def Changed(self, number: int) -> "u":
        return number

    @dbus_property(access=PropertyAccess.READWRITE)
    def Level(self) -> "i":
        return self.level

    @Level.setter
    def Level(self, value: "i") -> None:
        self.level = value
        self.emit_properties_changed({"Level": value})


@asynccontextmanager
async def client(bus: Bus) -> AsyncIterator[MessageBus]:
    connection = await MessageBus(bus_address=bus.address, negotiate_unix_fd=True).connect()
    try:
        yield connection
    finally:
        connection.disconnect()


@asynccontextmanager
async def service(bus: Bus, name: str) -> AsyncIterator[Fast]:
    async with client(bus) as connection:
        fast = Fast()
        connection.export(PATH, fast)
        assert await connection.request_name(name) is RequestNameReply.PRIMARY_OWNER
        yield fast


async def proxy(connection: MessageBus, name: str) -> Any:
    description = await connection.introspect(name, PATH)
    return connection.get_proxy_object(name, PATH, description).get_interface(INTERFACE)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def test_methods_errors_properties_and_signals(bus: Bus, name: str) -> None:
    async def scenario() -> None:
        async with service(bus, name) as fast, client(bus) as connection:
            thing = await proxy(connection, name)
            for value in (Variant("s", "x"), Variant("a{sv}", {"k": Variant("t", 2**63)})):
                assert await thing.call_echo(value) == value
            with pytest.raises(DBusError, match="no") as error:
                await thing.call_refuse("no")
            assert error.value.type == "com.example.Refused"
            assert await thing.get_level() == 7
            heard: asyncio.Queue[int] = asyncio.Queue()
            changed: asyncio.Queue[Any] = asyncio.Queue()
            properties = connection.get_proxy_object(
                name, PATH, await connection.introspect(name, PATH)
            ).get_interface("org.freedesktop.DBus.Properties")
            properties.on_properties_changed(lambda *args: changed.put_nowait(args))
            thing.on_changed(heard.put_nowait)
            await thing.set_level(9)
            for number in range(100):
                fast.Changed(number)
            assert [await heard.get() for _ in range(100)] == list(range(100))
            assert await thing.get_level() == 9
            assert (await changed.get())[1] == {"Level": Variant("i", 9)}

    run(scenario())


def test_fds(bus: Bus, name: str) -> None:
    async def scenario() -> None:
        async with service(bus, name), client(bus) as connection:
            read, write = os.pipe()
            os.write(write, b"through a pipe")
            os.close(write)
            call = Message(name, PATH, INTERFACE, "Read", signature="h", body=[0], unix_fds=[read])
            reply = await connection.call(call)
            assert reply is not None
            assert reply.body == ["through a pipe"]
            os.close(read)

    run(scenario())


def test_a_message_of_ten_megabytes(bus: Bus, name: str) -> None:
    async def scenario() -> None:
        async with service(bus, name), client(bus) as connection:
            thing = await proxy(connection, name)
            data = os.urandom(1 << 20) * 10
            assert await thing.call_size(data) == len(data)
            assert (await thing.call_echo(Variant("ay", data))).value == data

    run(scenario())


def test_names(bus: Bus, name: str) -> None:
    async def scenario() -> None:
        async with client(bus) as one, client(bus) as two:
            assert (
                await one.request_name(name, NameFlag.ALLOW_REPLACEMENT)
                is RequestNameReply.PRIMARY_OWNER
            )
            assert await two.request_name(name, NameFlag.DO_NOT_QUEUE) is RequestNameReply.EXISTS
            assert await two.request_name(name) is RequestNameReply.IN_QUEUE
            assert (
                await two.request_name(name, NameFlag.REPLACE_EXISTING)
                is RequestNameReply.PRIMARY_OWNER
            )
            assert await one.release_name(name) is ReleaseNameReply.RELEASED
            assert await one.release_name(name) is ReleaseNameReply.NOT_OWNER

    run(scenario())


def test_the_service_dies_in_a_call(bus: Bus, name: str) -> None:
    async def scenario() -> None:
        async with client(bus) as connection:
            async with service(bus, name):
                call = Message(name, PATH, INTERFACE, "Wait")
                waiting = asyncio.ensure_future(connection.call(call))
                await connection.introspect(name, PATH)
            reply = await waiting
            assert reply is not None
            assert reply.message_type is MessageType.ERROR
            assert reply.error_name == "org.freedesktop.DBus.Error.NoReply"

    run(scenario())


def test_two_hundred_clients_at_once(bus: Bus, name: str) -> None:
    async def one(number: int) -> None:
        async with client(bus) as connection:
            for turn in range(3):
                value = Variant("s", f"{number} {turn}")
                call = Message(name, PATH, INTERFACE, "Echo", signature="v", body=[value])
                reply = await connection.call(call)
                assert reply is not None
                assert reply.body == [value]

    async def scenario() -> None:
        async with service(bus, name):
            await asyncio.gather(*(one(number) for number in range(200)))

    run(scenario())


def test_two_hundred_clients_hear_one_signal(bus: Bus, name: str) -> None:
    async def scenario() -> None:
        async with service(bus, name) as fast:
            crowd = [await MessageBus(bus_address=bus.address).connect() for _ in range(200)]
            heard: list[list[int]] = [[] for _ in crowd]
            done = asyncio.Event()

            def listen(at: int) -> Any:
                def handle(message: Message) -> None:
                    if message.member == "Changed":
                        heard[at].append(message.body[0])
                        if all(len(each) == 5 for each in heard):
                            done.set()

                return handle

            rule = f"type='signal',sender='{name}',interface='{INTERFACE}'"
            for at, each in enumerate(crowd):
                each.add_message_handler(listen(at))
                call = Message(
                    "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                    "AddMatch",
                    signature="s", body=[rule],
                )  # fmt: skip
                await each.call(call)
            for number in range(5):
                fast.Changed(number)
            await done.wait()
            assert heard == [list(range(5))] * 200
            for each in crowd:
                each.disconnect()

    run(scenario())
