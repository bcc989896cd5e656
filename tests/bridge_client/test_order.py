"""One order in both worlds: A signals B and C; B, having heard, calls C; C has had the signal."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusInt32
from dbus_fast.service import ServiceInterface, dbus_method, dbus_signal

from tests.bridge_client.thing import attached, run
from tests.buses import Bus

INTERFACE, ROUNDS = "com.example.Order", 100
KINDS = list(itertools.product(["native", "D-Bus"], repeat=3))
RULE = f"type='signal',interface='{INTERFACE}',member='Round'"


class Part(ServiceInterface):
    """Each of the three: signals, and notes in which order it hears and is called."""

    def __init__(self) -> None:
        super().__init__(INTERFACE)
        self.notes: list[tuple[str, int]] = []
        self.heard: asyncio.Queue[int] = asyncio.Queue()

    @dbus_signal()
    def Round(self, number: int) -> DBusInt32:
        return number

    @dbus_method()
    def Call(self, number: DBusInt32) -> None:
        self.notes.append(("called", number))

    def take(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.member == "Round":
            self.notes.append(("heard", message.body[0]))
            self.heard.put_nowait(message.body[0])


@asynccontextmanager
async def joined(bus: Bus, kind: str, part: Part) -> AsyncIterator[Any]:
    """A dbus-fast MessageBus: over a D-Bus socket, or a native one."""
    async with AsyncExitStack() as stack:
        if kind == "native":
            connection: Any = (await stack.enter_async_context(attached(bus))).bus
        else:
            connection = await MessageBus(bus_address=bus.address).connect()
            stack.callback(connection.disconnect)
        connection.export("/", part)
        connection.add_message_handler(part.take)
        call = Message(
            "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "AddMatch",
            signature="s", body=[RULE],
        )  # fmt: skip
        await connection.call(call)
        yield connection


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
def test_who_is_called_after_a_signal_has_heard_it(native_bus: Bus, kinds: tuple[str, ...]) -> None:
    async def scenario() -> None:
        first, second, third = parts = [Part() for _ in kinds]
        async with AsyncExitStack() as stack:
            _, caller, called = [
                await stack.enter_async_context(joined(native_bus, kind, part))
                for kind, part in zip(kinds, parts, strict=True)
            ]
            to = called.unique_name
            for number in range(ROUNDS):
                first.Round(number)
                assert await second.heard.get() == number
                call = Message(to, "/", INTERFACE, "Call", signature="i", body=[number])
                await caller.call(call)
        assert third.notes == [
            (what, number) for number in range(ROUNDS) for what in ("heard", "called")
        ]

    run(scenario())
