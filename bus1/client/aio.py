"""A peer for asyncio (and uvloop): all that it can do on the bus.

Any await here may be cancelled: what was asked is then done all the same, its result is dropped,
and what the result would have owned is released.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Self, TypeVar, cast

from bus1.client import objects, requests
from bus1.client.address import locate
from bus1.client.intake import Welcome
from bus1.client.objects import Handle, Limits, Seed, Usage
from bus1.client.outbox import OUT_MOST
from bus1.client.payload import Buffer, Fd, Sealed, duplicate
from bus1.client.pending import Quiet
from bus1.client.pump import Pump, ring
from bus1.client.records import Carry
from bus1.client.requests import Refused
from bus1.client.socket import dial, fresh, inherited
from bus1.errors import Unknown
from bus1.native.words import DESTROY, QUIET, RELEASE, VERSION

T = TypeVar("T")

BACKLOG_PAUSE = 0.01  # seconds


class Node(objects.Node):
    """One's own node."""

    __slots__ = ()

    @property
    def peer(self) -> Peer:
        """The Peer that owns it."""
        return cast(Peer, self.link.owner)

    async def handle(self) -> Handle:
        """A handle to it. Raises BusError (Quota), ConnectionError."""
        return await self.peer.ask(requests.handle(self.peer.link, self))

    async def destroy(self) -> int:
        """Nobody can send to it any more; whoever holds a handle is told. Returns the stamp."""
        return await self.peer.destroy([self])

    async def receive(self) -> Message:
        """Its next message. From the first time on they do not come to `Peer.receive`. Raises
        Unknown if it is destroyed and all have been taken, ConnectionError."""
        return await self.peer.next_of(self.peer.link.holdings.claim(self), self)

    def __aiter__(self) -> AsyncIterator[Message]:
        self.peer.link.holdings.claim(self)
        return self.messages()

    async def messages(self) -> AsyncIterator[Message]:
        """Until it is destroyed."""
        with contextlib.suppress(Unknown):
            while True:
                yield await self.receive()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()


Message = objects.Message[Node]


class Peer(Pump[Node]):
    """One peer of the bus. Made by `connect`; used from one loop's thread only.

    `on_error` is called with the errors that nobody waits for: of `send_nowait`, and of messages
    that this process has no room for.
    """

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(sock, loop, Node)
        self.beginning: asyncio.Task[None] | None = None  # of calls
        self.welcome = Welcome(0, 0, 0, "")

    # The peer.

    def fileno(self) -> int:
        return self.sock.fileno()

    async def create(self) -> Node:
        """A new node. Raises BusError (Quota), ConnectionError."""
        return await self.ask(requests.create(self.link))

    async def release(self, things: Sequence[Node | Handle]) -> int:
        """Release handles and destroy nodes, as one event. Returns its stamp."""
        return await self.ask(requests.release(self.link, RELEASE, things))

    async def destroy(self, nodes: Sequence[Node]) -> int:
        """Destroy nodes, as one event. Returns its stamp."""
        return await self.ask(requests.release(self.link, DESTROY, nodes))

    async def copy(self, handle: Handle) -> Handle:
        """Another handle to the same node; a one-shot handle moves into the new object."""
        return await self.ask(requests.transfer(self.link, handle))

    async def bestow(self, handle: Handle, peer: int | Fd) -> int:
        """Give a handle to the peer whose socket this is. Returns the id that it has there."""
        number = peer if isinstance(peer, int) else peer.fileno()
        return await self.ask(requests.bestow(self.link, handle, duplicate(number)))

    async def until_gone(self, handle: Handle) -> int:
        """Wait until the handle's node is gone. Returns the stamp of its end. Raises Unknown if
        the handle is released or used up before, ConnectionError."""
        if self.link.ended:
            raise ConnectionResetError(self.link.ended)
        waiting = self.link.holdings.watch(handle)
        try:
            return await self.done(waiting)
        finally:
            self.link.holdings.unwatch(handle, waiting)

    # Messages.

    async def send(
        self,
        handle: Handle,
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
    ) -> int:
        """One message to one node; returns its stamp. The descriptors stay the caller's.

        Raises BusError (Gone: the node is destroyed; Quota: the receiver may not hold more) and
        ConnectionError. An error means that nothing was sent.
        """
        await self.room()
        return await self.ask(requests.send(self.link, handle, payload, handles, fds))

    async def multicast(
        self,
        targets: Sequence[Handle],
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
        proceed: bool = False,
    ) -> Refused:
        """One message to all of these nodes under one stamp, or to none. With `proceed` those that
        cannot take it are left out, and returned with the reason. Raises as `send` does."""
        await self.room()
        asked = requests.multicast(self.link, targets, payload, handles, fds, proceed)
        return await self.ask(asked)

    def send_nowait(
        self,
        handle: Handle,
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
    ) -> None:
        """One message; if the bus refuses it, `on_error` hears of that. Raises BlockingIOError if
        too much waits to be written."""
        if self.link.outbox.crowded():
            raise BlockingIOError("too much waits to be written")
        self.link.send([handle], payload, handles, fds, Quiet(trouble=self.trouble), QUIET)
        self.push()

    def answer_nowait(
        self,
        handle: Handle,
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
    ) -> None:
        """The answer on a one-shot handle. If the bus refuses it (who asked has left, or holds too
        much), the handle dies, and who asked hears of that."""
        self.link.answer(handle, payload, handles, fds)
        self.push()

    async def call(
        self,
        handle: Handle,
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
        timeout: float | None = None,
    ) -> Message:
        """One message with a one-shot handle to answer on (the first of its handles), and the
        answer: a message of kind DATA, or ONCE_DROPPED if nobody will answer.

        Raises as `send` does, and TimeoutError; an answer that comes later is dropped."""
        link = self.link
        if link.replies is None or link.outbox.size > OUT_MOST:
            timeout = await self.begin_call(timeout)
        call = link.call(handle, payload, handles, fds)
        turn = self.loop.create_future()
        call.wake = partial(ring, turn)
        self.push()
        timer = None
        if timeout is not None:
            timer = self.loop.call_later(timeout, call.fail, TimeoutError("no answer in time"))
        try:
            await turn
        finally:
            if call.cookie in link.calls:
                link.forget(call)
            if timer is not None:
                timer.cancel()
        return call.take()

    async def receive(self) -> Message:
        """The next message to any node that has no reader of its own. Raises ConnectionError."""
        return await self.next_of(self.link.holdings.inbox)

    # The peer as a whole.

    async def seed(self) -> Seed:
        """What was left for this peer; of a peer that connected, the handle to the bridge."""
        return await self.ask(requests.seed(self.link))

    async def set_seed(
        self,
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
    ) -> None:
        """Replace the seed. It survives `reset(flush=True)`, with the nodes that it leads to."""
        await self.ask(requests.set_seed(self.link, payload, handles, fds))

    async def spawn(
        self,
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
    ) -> Fd:
        """A new peer of the same user, for another process: its socket, for `connect(fd=…)` there.
        All that it has is this seed."""
        return await self.ask(requests.spawn(self.link, payload, handles, fds))

    async def query(self) -> Usage:
        """What this peer holds, and may hold."""
        return await self.ask(requests.query(self.link))

    async def reset(
        self, limits: Limits | None = None, flush: bool = False, flush_seed: bool = False
    ) -> None:
        """Set limits (-1: as it is); `flush`: drop all messages, handles and nodes but what the
        seed leads to; `flush_seed`: drop the seed."""
        await self.ask(requests.reset(self.link, limits, flush, flush_seed))

    async def disconnect(self) -> None:
        """End the peer, in all processes that have its socket."""
        await self.ask(requests.disconnect(self.link))
        self.end("the peer has disconnected")

    async def close(self) -> None:
        """Write what waits, and close this process's end. The peer ends with the last one."""
        try:
            self.flush()
            while self.link.wants():
                await self.senders.wait()
                self.flush()
        finally:
            self.end("the peer is closed")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def begin_call(self, timeout: float | None) -> float | None:
        """Until a call can be made. Returns what is left of the timeout, or raises TimeoutError."""
        began = self.loop.time()
        async with asyncio.timeout(timeout):
            if self.link.replies is None:
                self.beginning = self.beginning or self.loop.create_task(self.begin_replies())
                await asyncio.shield(self.beginning)
            await self.room()
        return None if timeout is None else timeout + began - self.loop.time()

    async def begin_replies(self) -> None:
        """The node where replies come: one for all calls, made before the first."""
        try:
            self.link.replies = await self.create()
        finally:
            self.beginning = None


async def connect(address: str | None = None, fd: int | Fd | None = None) -> Peer:
    """A new peer on the bus at this address, or the one whose socket `fd` is (which then belongs
    to it). See `bus1.client.address.locate` for addresses.

    Raises OSError if nobody is there, ConnectionError if it is no such bus, and what `locate` does.
    """
    loop = asyncio.get_running_loop()
    where = locate(address) if fd is None else fd
    if isinstance(where, str):
        sock = await dialled(where)
    else:
        sock = inherited(where if isinstance(where, int) else where.detach())
    peer = Peer(sock, loop)
    peer.listen()
    try:
        peer.welcome = await peer.done(peer.link.opening)
        if peer.welcome.version != VERSION:
            raise ConnectionError(f"the bus speaks version {peer.welcome.version}")
    except BaseException:
        peer.end("not connected")
        raise
    return peer


async def dialled(path: str) -> socket.socket:
    """A connection. The kernel does not tell when a full backlog has room again: ask."""
    sock = fresh()
    sock.setblocking(False)
    try:
        while True:
            try:
                dial(sock, path)
                return sock
            except BlockingIOError:
                await asyncio.sleep(BACKLOG_PAUSE)
    except BaseException:
        sock.close()
        raise
