"""Methods that others call by name: `Service` and `call`. They know messages, and no sockets.

    class Greeter(Service):
        @method
        def greet(self, name: str) -> str:
            return f"hello, {name}"

    node = await Greeter().export(peer)          # whoever gets a handle to the node can call it
    await call(handle, "greet", "world")         # there: "hello, world"

Arguments and results are JSON; handles, nodes and descriptors (`Fd`, open files) may stand in them
anywhere. What a caller sends is checked against the annotations that are plain classes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from bus1.client import aio, calls
from bus1.client.methods import Methods, failed, method
from bus1.client.objects import DATA, Handle

__all__ = ["Service", "call", "method"]

RUNNING_MOST = 64  # coroutines of one service: then requests wait, and at last their senders


class Service(Methods):
    """Subclass it, and mark what others may call with `@method`: functions or coroutines."""

    async def export(self, peer: aio.Peer) -> aio.Node:
        """A new node that answers calls, as long as somebody refers to it."""
        node = await peer.create()
        Desk(self, peer, node)
        return node


class Desk:
    """Where the requests to one node are answered, at most RUNNING_MOST at a time."""

    def __init__(self, service: Service, peer: aio.Peer, node: aio.Node) -> None:
        self.service = service
        self.peer = peer
        self.inbox = peer.link.holdings.claim(node)
        self.running: set[asyncio.Task[None]] = set()
        node.on_message = self.take

    def take(self, message: aio.Message) -> None:
        if message.kind != DATA:
            self.service.dropped(message.node)
        elif len(self.running) >= RUNNING_MOST:
            self.peer.link.holdings.store(message)
        else:
            target, outcome = self.service.begin(message)
            if hasattr(outcome, "__await__"):
                self.start(target, outcome)
            else:
                self.answer(target, outcome)

    def start(self, target: Handle | None, outcome: Awaitable[Any]) -> None:
        task = self.peer.loop.create_task(self.finish(target, outcome))
        self.running.add(task)
        task.add_done_callback(self.done)

    async def finish(self, target: Handle | None, outcome: Awaitable[Any]) -> None:
        try:
            value = await outcome
        except Exception as error:
            value = failed(error)
        self.answer(target, value)

    def done(self, task: asyncio.Task[None]) -> None:
        self.running.discard(task)
        while self.inbox and len(self.running) < RUNNING_MOST:
            self.take(self.peer.link.holdings.take(self.inbox))
        self.peer.listen()

    def answer(self, target: Handle | None, outcome: Any) -> None:
        if target is None or target.spent or self.peer.link.ended:
            return  # nobody to tell, or told already
        try:
            self.peer.answer_nowait(target, *calls.reply(outcome))
        except Exception as error:  # no JSON, a handle that is spent, a closed file
            self.peer.answer_nowait(target, *calls.reply(failed(error)))


async def call(handle: Handle, name: str, *args: Any, timeout: float | None = None) -> Any:
    """Call a method of the service whose handle this is, and return its result.

    Raises CallError (the service's own by name, UnknownMethod, InvalidArgs; Dropped as soon as the
    service has gone without an answer), TimeoutError, BusError if the request cannot be sent (Gone:
    there is no such service any more; Quota), ConnectionError, TypeError for what cannot travel.
    """
    peer: aio.Peer = handle.link.owner
    return calls.result(await peer.call(handle, *calls.request(name, args), timeout=timeout))
