"""A native peer on D-Bus for tests, and the object com.example.Thing that tests/clients call."""

# ruff: noqa: F722, F821 (dbus-fast reads signatures from annotations)

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from dbus_fast import DBusError, Message, PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

import bus1.client as bus1
from bridge.client import DBus
from tests.buses import ROOT, Bus

PATH, INTERFACE = "/com/example/Thing", "com.example.Thing"
ERROR = "org.freedesktop.DBus.Error."


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


@asynccontextmanager
async def attached(bus: Bus) -> AsyncIterator[DBus]:
    """A native peer of its own, on D-Bus."""
    async with (
        await bus1.connect(f"unix:path={bus.directory}/native") as peer,
        await DBus.attach(peer) as dbus,
    ):
        yield dbus


async def said(bus: Bus, *argv: str, status: int = 0, **more: str) -> str:
    """What a program wrote whose session bus this is."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=ROOT,
        env=bus.environment(**more),
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == status, output.decode()
    return output.decode()


def call(name: str, member: str, signature: str = "", *body: Any, **more: Any) -> Message:
    """A call to a Thing."""
    place = {"path": PATH, "interface": INTERFACE} | more
    return Message(name, member=member, signature=signature, body=list(body), **place)


class Thing(ServiceInterface):
    def __init__(self) -> None:
        super().__init__(INTERFACE)
        self.level = 7
        self.ended = asyncio.Event()

    @dbus_method()
    def Echo(self, value: "v") -> "v":
        return value

    @dbus_method()
    def Count(self, table: "a{sv}", texts: "as", pair: "(ib)") -> "u":
        return len(table) + len(texts) + len(pair)

    @dbus_method()
    def Refuse(self, text: "s") -> None:
        raise DBusError("com.example.Refused", text)

    @dbus_method()
    async def Read(self, fd: "h") -> "s":
        await asyncio.sleep(0)
        with os.fdopen(fd, "rb") as file:
            return file.read().decode()

    @dbus_method()
    def Open(self, text: "s") -> "h":
        read, write = os.pipe()
        os.write(write, text.encode())
        os.close(write)
        asyncio.get_running_loop().call_later(0.5, os.close, read)
        return read

    @dbus_method()
    async def Never(self) -> None:
        await asyncio.Event().wait()

    @dbus_method()
    def End(self) -> None:
        self.Changed("the end")
        self.ended.set()

    @dbus_signal()
    def Changed(self, text: str) -> "s":
        return text

    @dbus_property(access=PropertyAccess.READWRITE)
    def Level(self) -> "i":
        return self.level

    @Level.setter
    def Level(self, value: "i") -> None:
        self.level = value
        self.emit_properties_changed({"Level": value})
