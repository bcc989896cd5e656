"""A peer: the owner of nodes and the holder of handles. All rights of a program on the bus.

Each public operation is one event in the order of the bus. It raises one of `bus1.errors` and
changes nothing, or it is done when it returns. Objects are the currency inside a process; `nodes`
and `handles` resolve the peer's own ids for clients that speak in numbers.
"""

from typing import Any, NamedTuple

from bus1.cargo import held
from bus1.errors import (
    BusError,
    Busy,
    Duplicate,
    Foreign,
    Gone,
    Invalid,
    TooLong,
    Unknown,
)
from bus1.message import Message, data
from bus1.node import Handle, Node, heard, mint
from bus1.queue import Queue
from bus1.quota import Account, Limits, User
from bus1.release import drop, release
from bus1.seed import Seed
from bus1.sending import cast, check, unicast
from bus1.table import Table
from bus1.transaction import Transaction


class Usage(NamedTuple):
    """What a peer holds, and the most it may hold."""

    limits: Limits
    bytes: int
    messages: int
    handles: int
    fds: int
    nodes: int
    queued: int


class Peer:
    """Made by `Bus.connect`. A node is charged as one handle to its owner."""

    user: User
    queue: Queue
    number: int
    nodes: dict[int, Node]
    handles: dict[int, Handle]
    table: Table
    kept: Seed | None

    def __init__(self, user: User, limits: Limits, number: int, ready: list[Queue]) -> None:
        self.user = user
        self.queue = Queue(Account(user, limits), self, number, ready)
        self.number = number
        self.table = Table(self.queue)
        self.nodes = self.table.nodes
        self.handles = self.table.handles
        self.kept = None
        user.join()

    # Nodes and handles.

    def create(self, tag: object = None) -> Node:
        """A new node. Nobody can send to it before the owner gives a handle away."""
        check(self.queue, 0, 0)
        self.table.afford(1)
        return self.table.create(tag)

    def handle(self, node: Node) -> Handle:
        """A handle for the owner itself, to be sent or transferred."""
        check(self.queue, 0, 0)
        self.table.own(node)
        self.table.afford(1)
        node.hush()
        return self.table.copy(node)

    def once(self, node: Node, holder: "Peer | None", cookie: int) -> Handle:
        """A handle good for one message. If it dies unused, its owner gets ONCE_DROPPED with the
        cookie. Without a holder it is in hand: send it in a message, or release it."""
        check(self.queue, 0, 0)
        self.table.own(node)
        if holder is None:
            handle = mint(node, True, cookie)
            handle.hand = True
            return handle
        self.meet(holder)
        holder.table.afford(1)
        return holder.table.hold(mint(node, True, cookie))

    def offer(self, node: Node) -> Handle:
        """A handle in hand, only to be sent, any number of times: each receiver gets a new handle
        to one's own node. As long as it has not been sent, nobody notices it."""
        check(self.queue, 0, 0)
        self.table.own(node)
        handle = mint(node, True, 0)  # since a one-shot handle does not count for its node
        handle.once = False
        handle.hand = True
        return handle

    def transfer(self, handle: Handle, to: "Peer") -> Handle:
        """A new handle to the same node for another peer; a one-shot handle itself moves there."""
        check(self.queue, 0, 0)
        held(self.queue, handle)
        if handle.node.gone:
            raise Gone("the node is destroyed")
        self.meet(to)
        to.table.afford(1)
        if not handle.once:
            return to.table.copy(handle.node)
        handle.remove()
        handle.unlink()
        return to.table.hold(handle)

    def release(self, things: list[Any]) -> int:
        """Let go of any mix of handles and nodes, as one event; a node released is destroyed."""
        check(self.queue, 0, 0)
        if len(set(things)) != len(things):
            raise Duplicate("released twice")
        nodes: list[Node] = []
        handles: list[Handle] = []
        for thing in things:
            if isinstance(thing, Node):
                self.table.own(thing)
                nodes.append(thing)
            elif isinstance(thing, Handle):
                self.may_release(thing)
                handles.append(thing)
            else:
                raise Invalid("neither a node nor a handle")
        return self.table.discard(nodes, handles)

    def destroy(self, nodes: list[Node]) -> int:
        """Destroy all of these nodes, as one event. What is queued for them is still delivered."""
        for node in nodes:
            if not isinstance(node, Node):
                raise Invalid("not a node")
        return self.release(nodes)

    # Messages.

    def send(
        self,
        handle: Handle,
        payload: object,
        size: int = 0,
        fds: object = None,
        fd_count: int = 0,
        handles: list[Handle] | None = None,
    ) -> int:
        """One message to one node; returns its stamp."""
        return unicast(self.queue, self.user, handle, payload, size, fds, fd_count, handles)

    def multicast(
        self,
        targets: list[Handle],
        payload: object,
        size: int = 0,
        fds: object = None,
        fd_count: int = 0,
        handles: list[Handle] | None = None,
        proceed: bool = False,
    ) -> list[tuple[Handle, BusError]]:
        """One message to many nodes under one stamp. Who cannot take it fails the whole; with
        `proceed` it is left out and reported, and what it would have got stays with the sender."""
        refused: list[tuple[int, BusError]] = []
        self.cast(targets, payload, size, fds, fd_count, handles, refused if proceed else None)
        return [(targets[place], error) for place, error in refused]

    def cast(
        self,
        targets: list[Handle],
        payload: object,
        size: int,
        fds: object,
        fd_count: int,
        handles: list[Handle] | None,
        refused: list[tuple[int, BusError]] | None,
    ) -> int:
        """A multicast that returns its stamp. Who cannot take it is put into the list, with its
        place among the targets, or, if there is none, fails the whole."""
        if handles and len(targets) > 1:
            for handle in handles:
                if handle is not None and handle.once:
                    raise Duplicate("a one-shot handle for several receivers")
        return cast(self.queue, targets, payload, size, fds, fd_count, handles, refused)

    def transaction(self) -> Transaction:
        """A multicast in steps."""
        check(self.queue, 0, 0)
        return Transaction(self.queue)

    def receive(self, room: int = -1) -> Message | None:
        """The next message, or None. Its handles are then held here. Its charges are given back,
        but for those handles. One larger than `room` (if not negative) stays where it is."""
        queue = self.queue
        check(queue, 0, 0)
        if room >= 0:
            self.may_receive(room)
        message = queue.take()
        if message is None:
            return None
        if message.share is None:
            heard(message)
            return message
        if message.handles is not None:
            self.table.accept(message)
        queue.account.give(message.share, message.size, 1, 0, message.fd_count)
        message.share = None
        return message

    def set_seed(
        self,
        payload: object,
        size: int = 0,
        fds: object = None,
        fd_count: int = 0,
        handles: list[Handle] | None = None,
        giver: "Peer | None" = None,
    ) -> None:
        """Replace the seed. It pins the peer's own nodes that its handles lead to. These are the
        peer's, or those of the giver that sets the peer up."""
        check(self.queue, size, fd_count)
        if giver is None:
            giver = self
        self.meet(giver)
        seed = Seed(self.queue, giver.queue, payload, size, fds, fd_count, handles or [])
        self.drop_seed()
        self.kept = seed

    def seed(self) -> Message | None:
        """The seed as a message, with new handles in it, or None."""
        check(self.queue, 0, 0)
        seed = self.kept
        if seed is None:
            return None
        nodes = seed.nodes()
        self.table.afford(len(nodes) - nodes.count(None))
        handles = [None if node is None else self.table.copy(node) for node in nodes]
        return data(None, seed.payload, seed.size, seed.fds, seed.fd_count, handles, None)

    # The peer as a whole.

    def query(self) -> Usage:
        """What it holds now, and its limits."""
        a = self.queue.account
        queued = self.queue.held()
        return Usage(a.limits, a.bytes, a.messages, a.handles, a.fds, len(self.nodes), queued)

    def reset(
        self, limits: Limits | None = None, flush: bool = False, flush_seed: bool = False
    ) -> None:
        """Set limits, drop the seed, or flush: at this point of the order drop all that is queued,
        every handle, every node the seed does not pin, and what this peer has staged elsewhere."""
        check(self.queue, 0, 0)
        if limits is not None:
            self.queue.account.limits = limits
        if flush_seed:
            self.drop_seed()
        if flush:
            self.abort()
            pinned = self.kept.nodes() if self.kept is not None else []
            nodes = list(set(self.nodes.values()).difference(pinned))
            self.table.discard(nodes, drop(self.queue.drain()) + list(self.handles.values()))

    def close(self) -> None:
        """End: nodes first, then what is queued here, then handles. What it sent stays on its way;
        what it staged is aborted."""
        check(self.queue, 0, 0)
        self.abort()
        self.table.discard(list(self.nodes.values()), [])
        queued = drop(self.queue.seal())
        if queued:
            release(self.queue, [], queued)
        if self.handles:
            release(self.queue, [], list(self.handles.values()))
        self.drop_seed()
        self.user.leave()

    # Below: the steps of the operations above.

    def meet(self, other: "Peer") -> None:
        """Raise unless the other peer is open and on the same bus."""
        if other is None:
            raise Invalid("no peer")
        check(other.queue, 0, 0)
        if other.queue.ready is not self.queue.ready:
            raise Foreign("a peer of another bus")

    def may_release(self, handle: Handle) -> None:
        if not handle.hand:
            held(self.queue, handle)
        elif handle.node.queue is not self.queue:
            raise Unknown("in somebody else's hand")
        elif handle.busy:
            raise Busy("a staged transaction is about to use this handle")

    def may_receive(self, room: int) -> None:
        message = self.queue.peek(0)
        if message is not None and message.size > room:
            raise TooLong(f"a message of {message.size}")

    def abort(self) -> None:
        for transaction in list(self.queue.staging):
            transaction.abort()

    def drop_seed(self) -> None:
        seed, self.kept = self.kept, None
        if seed is not None:
            seed.drop()
