"""A peer for programs without an event loop: calls wait, and any thread may make them.

One thread at a time waits at the socket and reads for all; the others wait for it. Callbacks
(`on_message`, `on_gone`, `on_error`, the methods of a Service) are called by whichever thread
waits, with no lock held. A `timeout` is in seconds, and ends in TimeoutError.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from types import CoroutineType
from typing import Any, Self, cast

from bus1.client import calls, objects, requests
from bus1.client.address import locate
from bus1.client.intake import Welcome
from bus1.client.methods import Methods, failed
from bus1.client.objects import DATA, Handle, Limits, Seed, Usage
from bus1.client.payload import Buffer, Fd, Sealed, duplicate
from bus1.client.pending import Quiet
from bus1.client.records import Carry
from bus1.client.requests import Refused
from bus1.client.sharing import Shared
from bus1.client.socket import dial, fresh, inherited, limit
from bus1.errors import Unknown
from bus1.native.words import DESTROY, QUIET, RELEASE, VERSION


class Node(objects.Node):
    """One's own node."""

    __slots__ = ()

    @property
    def peer(self) -> Peer:
        """The Peer that owns it."""
        return cast(Peer, self.link.owner)

    def handle(self, timeout: float | None = None) -> Handle:
        """A handle to it. Raises BusError (Quota), ConnectionError."""
        return self.peer.ask(lambda: requests.handle(self.peer.link, self), timeout)

    def destroy(self, timeout: float | None = None) -> int:
        """Nobody can send to it any more; whoever holds a handle is told. Returns the stamp."""
        return self.peer.destroy([self], timeout)

    def receive(self, timeout: float | None = None) -> Message:
        """Its next message. From the first time on they do not come to `Peer.receive`. Raises
        Unknown if it is destroyed and all have been taken, ConnectionError."""
        return self.peer.next_of(self, timeout)

    def __iter__(self) -> Iterator[Message]:
        """Until it is destroyed."""
        while True:
            try:
                yield self.receive()
            except Unknown:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


Message = objects.Message[Node]


class Peer(Shared[Node]):
    """One peer of the bus. Made by `connect`.

    `on_error` is called with the errors that nobody waits for: of `send_nowait`, and of messages
    that this process has no room for.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, Node)
        self.welcome = Welcome(0, 0, 0, "")

    # The peer.

    def fileno(self) -> int:
        """To wait for what comes together with others: then `run(0)` or `receive(0)`."""
        return self.sock.fileno()

    def create(self, timeout: float | None = None) -> Node:
        """A new node. Raises BusError (Quota), ConnectionError."""
        return self.ask(lambda: requests.create(self.link), timeout)

    def release(self, things: Sequence[Node | Handle], timeout: float | None = None) -> int:
        """Release handles and destroy nodes, as one event. Returns its stamp."""
        return self.ask(lambda: requests.release(self.link, RELEASE, things), timeout)

    def destroy(self, nodes: Sequence[Node], timeout: float | None = None) -> int:
        """Destroy nodes, as one event. Returns its stamp."""
        return self.ask(lambda: requests.release(self.link, DESTROY, nodes), timeout)

    def copy(self, handle: Handle, timeout: float | None = None) -> Handle:
        """Another handle to the same node; a one-shot handle moves into the new object."""
        return self.ask(lambda: requests.transfer(self.link, handle), timeout)

    def bestow(self, handle: Handle, peer: int | Fd, timeout: float | None = None) -> int:
        """Give a handle to the peer whose socket this is. Returns the id that it has there."""
        other = duplicate(peer if isinstance(peer, int) else peer.fileno())
        return self.ask(lambda: requests.bestow(self.link, handle, other), timeout)

    def until_gone(self, handle: Handle, timeout: float | None = None) -> int:
        """Wait until the handle's node is gone. Returns the stamp of its end. Raises Unknown if
        the handle is released or used up before, ConnectionError."""
        with self.shield:
            waiting = self.link.holdings.watch(handle)
        try:
            return self.ask(lambda: waiting, timeout)
        finally:
            with self.shield:
                self.link.holdings.unwatch(handle, waiting)

    # Messages.

    def send(
        self,
        handle: Handle,
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
        timeout: float | None = None,
    ) -> int:
        """One message to one node; returns its stamp. The descriptors stay the caller's.

        Raises BusError (Gone: the node is destroyed; Quota: the receiver may not hold more), which
        means that nothing was sent; ConnectionError; TimeoutError: it may yet be sent.
        """
        return self.ask(lambda: requests.send(self.link, handle, payload, handles, fds), timeout)

    def multicast(
        self,
        targets: Sequence[Handle],
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
        proceed: bool = False,
        timeout: float | None = None,
    ) -> Refused:
        """One message to all of these nodes under one stamp, or to none. With `proceed` those that
        cannot take it are left out, and returned with the reason. Raises as `send` does."""
        return self.ask(
            lambda: requests.multicast(self.link, targets, payload, handles, fds, proceed), timeout
        )

    def send_nowait(
        self,
        handle: Handle,
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
    ) -> None:
        """One message; if the bus refuses it, `on_error` hears of that. Raises BlockingIOError if
        too much waits to be written."""
        with self.shield:
            if self.link.outbox.crowded():
                raise BlockingIOError("too much waits to be written")
            self.link.send([handle], payload, handles, fds, Quiet(trouble=self.trouble), QUIET)
            self.flush()

    def answer_nowait(
        self,
        handle: Handle,
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
    ) -> None:
        """The answer on a one-shot handle. If the bus refuses it (who asked has left, or holds too
        much), the handle dies, and who asked hears of that."""
        with self.shield:
            self.link.answer(handle, payload, handles, fds)
            self.flush()

    def call(
        self,
        handle: Handle,
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
        timeout: float | None = None,
    ) -> Message:
        """One message with a one-shot handle to answer on (the first of its handles), and the
        answer: a message of kind DATA, or ONCE_DROPPED if nobody will answer.

        Raises as `send` does; an answer that comes after its timeout is dropped."""
        if self.link.replies is None:
            timeout = self.begin_calls(timeout)
        return self.ask(lambda: self.link.call(handle, payload, handles, fds), timeout)

    def begin_calls(self, timeout: float | None) -> float | None:
        """The node where replies come: one for all calls, made before the first. Returns what is
        left of the timeout."""
        began = time.monotonic()
        node = self.create(timeout)
        with self.shield:
            if self.link.replies is None:
                self.link.replies = node
        return None if timeout is None else timeout + began - time.monotonic()

    def receive(self, timeout: float | None = None) -> Message:
        """The next message to any node that has no reader of its own. Raises ConnectionError."""
        return self.next_of(None, timeout)

    def run(self, timeout: float | None = None) -> None:
        """Call the callbacks for what comes, for this long or until the peer is closed. Raises
        ConnectionError if the bus ends first."""
        try:
            self.wait(lambda: self.link.closing, timeout)
        except TimeoutError:
            return
        if not self.leaving:
            raise ConnectionResetError(self.link.ended)

    # The peer as a whole.

    def seed(self, timeout: float | None = None) -> Seed:
        """What was left for this peer; of a peer that connected, the handle to the bridge."""
        return self.ask(lambda: requests.seed(self.link), timeout)

    def set_seed(
        self,
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
        timeout: float | None = None,
    ) -> None:
        """Replace the seed. It survives `reset(flush=True)`, with the nodes that it leads to."""
        self.ask(lambda: requests.set_seed(self.link, payload, handles, fds), timeout)

    def spawn(
        self,
        payload: Buffer | Sealed = b"",
        handles: Sequence[Carry] = (),
        fds: Sequence[Any] = (),
        timeout: float | None = None,
    ) -> Fd:
        """A new peer of the same user, for another process: its socket, for `connect(fd=…)` there.
        All that it has is this seed."""
        return self.ask(lambda: requests.spawn(self.link, payload, handles, fds), timeout)

    def query(self, timeout: float | None = None) -> Usage:
        """What this peer holds, and may hold."""
        return self.ask(lambda: requests.query(self.link), timeout)

    def reset(
        self,
        limits: Limits | None = None,
        flush: bool = False,
        flush_seed: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Set limits (-1: as it is); `flush`: drop all messages, handles and nodes but what the
        seed leads to; `flush_seed`: drop the seed."""
        self.ask(lambda: requests.reset(self.link, limits, flush, flush_seed), timeout)

    def disconnect(self, timeout: float | None = None) -> None:
        """End the peer, in all processes that have its socket."""
        self.leaving = True
        self.ask(lambda: requests.disconnect(self.link), timeout)
        self.end("the peer has disconnected")

    def close(self) -> None:
        """Write what waits, and close this process's end. The peer ends with the last one."""
        try:
            self.until(lambda: not self.link.wants(), None)
        finally:
            self.end("the peer is closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Service(Methods):
    """Subclass it, and mark what others may call with `@method`."""

    def export(self, peer: Peer) -> Node:
        """A new node that answers calls while a thread waits on its peer, in `run` for one; as
        long as somebody refers to it."""
        node = peer.create()
        node.on_message = self.take
        return node

    def take(self, message: Message) -> None:
        if message.kind != DATA:
            self.dropped(message.node)
            return
        target, outcome = self.begin(message)
        if isinstance(outcome, CoroutineType):
            outcome.close()
            outcome = failed(TypeError("a coroutine in a service without an event loop"))
        self.answer(message.node.link.owner, target, outcome)

    def answer(self, peer: Peer, target: Handle | None, outcome: Any) -> None:
        if target is None or target.spent or peer.link.ended:
            return  # nobody to tell, or told already
        try:
            peer.answer_nowait(target, *calls.reply(outcome))
        except ConnectionError:
            return
        except Exception as error:  # no JSON, a handle that is spent, a closed file
            peer.answer_nowait(target, *calls.reply(failed(error)))


def call(handle: Handle, name: str, *args: Any, timeout: float | None = None) -> Any:
    """Call a method of the service whose handle this is, and return its result.

    Raises CallError (the service's own by name, UnknownMethod, InvalidArgs; Dropped as soon as the
    service has gone without an answer), TimeoutError, BusError if the request cannot be sent (Gone:
    there is no such service any more; Quota), ConnectionError, TypeError for what cannot travel.
    """
    peer: Peer = handle.link.owner
    return calls.result(peer.call(handle, *calls.request(name, args), timeout=timeout))


def connect(
    address: str | None = None, fd: int | Fd | None = None, timeout: float | None = None
) -> Peer:
    """A new peer on the bus at this address, or the one whose socket `fd` is (which then belongs
    to it). See `bus1.client.address.locate` for addresses.

    Raises OSError if nobody is there, ConnectionError if it is no such bus, TimeoutError, and what
    `locate` does.
    """
    where = locate(address) if fd is None else fd
    if isinstance(where, str):
        sock = fresh()
        try:
            if timeout is not None:
                limit(sock, timeout)
            dial(sock, where)
        except BlockingIOError:
            sock.close()
            raise TimeoutError("the bus accepts nobody in time") from None
        except BaseException:
            sock.close()
            raise
    else:
        sock = inherited(where if isinstance(where, int) else where.detach())
    peer = Peer(sock)
    try:
        peer.welcome = peer.ask(lambda: peer.link.opening, timeout)
        if peer.welcome.version != VERSION:
            raise ConnectionError(f"the bus speaks version {peer.welcome.version}")
    except BaseException:
        peer.end("not connected")
        raise
    return peer
