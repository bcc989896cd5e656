"""bus1.client in a loop: `methods LOOP DBUS NATIVE` or `messages …`, which start `serve LOOP FD` or
`answer …`.
"""

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
    """By a method of a service."""
    async with await bus1.connect(fd=int(fd)) as peer:
        node = await Echo().export(peer)
        await introduce(peer, node)
        await peer.receive()


async def answer(fd: str) -> None:
    """By messages."""
    async with await bus1.connect(fd=int(fd)) as peer:
        node = await peer.create()
        node.on_message = lambda question: peer.answer_nowait(question.handles[0], question.payload)
        await introduce(peer, node)
        await peer.receive()


async def introduce(peer: bus1.Peer, node: bus1.Node) -> None:
    """Give the client, who made this peer, the right to call."""
    [back] = (await peer.seed()).handles
    await peer.send(back, b"", [node])
    timing.ready()


async def client(kind: str, loop: str, native: str) -> None:
    async with await bus1.connect(native) as peer:
        inbox = await peer.create()
        with (
            await peer.spawn(b"", [inbox]) as socket,
            timing.service(HERE, SERVICES[kind], loop, fd=socket.fileno()),
        ):
            [echo] = (await inbox.receive()).handles

            async def method() -> object:
                return await bus1.call(echo, "echo", timing.WORD)

            async def message() -> object:
                return (await peer.call(echo, timing.WORD.encode())).payload.decode()

            call = method if kind == "methods" else message
            for many in timing.orders():
                timing.tell(await timing.awaited(call, many))


SERVICES = {"methods": "serve", "messages": "answer"}


def main(role: str, loop: str, *rest: str) -> None:
    if role in SERVICES:
        runner(loop)(client(role, loop, rest[1]))
    else:
        runner(loop)((serve if role == "serve" else answer)(rest[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
