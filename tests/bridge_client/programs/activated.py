"""A native service that the bus starts: BUS1_ADDRESS is in its environment."""

import asyncio
import contextlib

import bus1.client as bus1
from bridge.client import DBus, serve
from bus1.client import Service, method

NAME, PATH = "com.example.Activated", "/com/example/Activated"


class Activated(Service):
    @method
    def twice(self, text: str) -> str:
        return 2 * text


async def main() -> None:
    async with await bus1.connect() as peer, await DBus.attach(peer) as dbus:
        node = await serve(Activated(), dbus, NAME, PATH)
        await dbus.bus.wait_for_disconnect()
        node.release()


with contextlib.suppress(ConnectionError):  # it lives as long as the bus
    asyncio.run(main())
