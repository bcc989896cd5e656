"""dbus-fast in a loop: `client LOOP DBUS NATIVE`, which starts `serve LOOP DBUS`."""

from __future__ import annotations

import sys

from dbus_fast import Message
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusStr
from dbus_fast.service import ServiceInterface, method

from tests.bench.pairs import timing
from tests.bench.pairs.aio import runner

HERE = "tests.bench.pairs.fast"
NAME, PATH = "org.bus1.Bench", "/org/bus1/Bench"


class Echo(ServiceInterface):
    def __init__(self) -> None:
        super().__init__(NAME)

    @method()
    def Echo(self, text: DBusStr) -> DBusStr:
        return text


async def serve(address: str) -> None:
    bus = await MessageBus(bus_address=address).connect()
    bus.export(PATH, Echo())
    await bus.request_name(NAME)
    timing.ready()
    await bus.wait_for_disconnect()


async def client(loop: str, address: str) -> None:
    bus = await MessageBus(bus_address=address).connect()

    async def call() -> object:
        question = Message(NAME, PATH, NAME, "Echo", signature="s", body=[timing.WORD])
        reply = await bus.call(question)
        return reply and reply.body[0]

    with timing.service(HERE, "serve", loop, address):
        for many in timing.orders():
            timing.tell(await timing.awaited(call, many))


if __name__ == "__main__":
    role, loop, *rest = sys.argv[1:]
    runner(loop)(serve(rest[0]) if role == "serve" else client(loop, rest[0]))
