"""bus1.client in a loop: `client LOOP DBUS NATIVE`, which starts `serve LOOP FD`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import bus1.client as bus1
from tests.bench.pairs import timing

HERE = "tests.bench.pairs.aio"


class Echo(bus1.Service):
    @bus1.method
    def echo(self, text: str) -> str:
        return text


def runner(loop: str) -> Callable[[Coroutine[Any, Any, None]], None]:
    if loop == "uvloop":
        import uvloop

        return uvloop.run
    return asyncio.run


async def serve(fd: str) -> None:
    async with await bus1.connect(fd=int(fd)) as peer:
        node = await Echo().export(peer)
        [back] = (await peer.seed()).handles
        await peer.send(back, b"", [node])
        timing.ready()
        await peer.receive()


async def client(loop: str, native: str) -> None:
    async with await bus1.connect(native) as peer:
        inbox = await peer.create()
        with (
            await peer.spawn(b"", [inbox]) as socket,
            timing.service(HERE, "serve", loop, fd=socket.fileno()),
        ):
            [echo] = (await inbox.receive()).handles

            async def call() -> object:
                return await bus1.call(echo, "echo", timing.WORD)

            for many in timing.orders():
                timing.tell(await timing.awaited(call, many))


if __name__ == "__main__":
    role, loop, *rest = sys.argv[1:]
    runner(loop)(serve(rest[0]) if role == "serve" else client(loop, rest[1]))
