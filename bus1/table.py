"""A peer's own ids: the nodes it owns and the handles it holds, in one sequence, never reused.

Each of them is charged to the peer itself as one handle.
"""

from typing import Any

from bus1.errors import Gone, Quota, Stranger
from bus1.message import Message
from bus1.node import Handle, Node, mint
from bus1.queue import Queue
from bus1.release import release


class Table:
    """Its steps are those of the operations of `Peer`, which has made sure that it is open."""

    queue: Queue
    nodes: dict[int, Node]
    handles: dict[int, Handle]
    last: int

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.nodes = {}
        self.handles = {}
        self.last = 0

    def own(self, node: Node) -> None:
        """Raise unless this is a living node of the peer's own."""
        if node is None or node.queue is not self.queue:
            raise Stranger("not a node of this peer")
        if node.gone:
            raise Gone("the node is destroyed")

    def afford(self, count: int) -> None:
        """Charge places in the table, or raise."""
        account = self.queue.account
        if not account.take(account.own, 0, 0, count, 0):
            raise Quota("the peer's own quota")

    def create(self, tag: object) -> Node:
        """A new node in a place that has been charged."""
        self.last += 1
        node = Node(self.queue, self.last, tag)
        self.nodes[self.last] = node
        return node

    def copy(self, node: Node) -> Handle:
        """A new handle in a place that has been charged."""
        return self.hold(mint(node, False, 0))

    def hold(self, handle: Handle) -> Handle:
        """Put a handle into a place that has been charged."""
        self.last += 1
        handle.install(self.queue, self.handles, self.last)
        handle.link()
        return handle

    def accept(self, message: Message) -> None:
        """Put the handles of a message, already linked, where their senders have been charged."""
        count = 0
        handles: Any = message.handles
        for handle in handles:
            if handle is not None:
                count += 1
                self.last += 1
                handle.install(self.queue, self.handles, self.last)
        share: Any = message.share
        self.queue.account.adopt(share, count)

    def discard(self, nodes: list[Node], handles: list[Handle]) -> int:
        """Destroy nodes of the peer's own and let go of handles, as one event."""
        account = self.queue.account
        for node in nodes:
            del self.nodes[node.id]
        account.give(account.own, 0, 0, len(nodes), 0)
        return release(self.queue, nodes, handles)
