"""A multicast in steps: staged at one destination after the other, then committed at all of them.

Its order is that of sending.py, which does both in one step.
"""

from typing import Any

from bus1.cargo import land, may_carry, promise, spend
from bus1.errors import BusError, Closed, Duplicate, Gone
from bus1.message import Message, data
from bus1.node import Handle, Node, mint
from bus1.queue import Queue, after
from bus1.release import drop, release
from bus1.sending import charge, reach


class Transaction:
    """A multicast in steps: `stage` at each destination, then `commit` or `abort`.

    What is staged blocks its receivers, so end a transaction soon; its sender's closing or flushing
    aborts it. The rights are checked when staging: they hold even if the sender releases the handle
    meanwhile, and a node with a message staged for it does not count as without handles.
    """

    sender: Queue
    open: bool
    targets: list[Handle]
    messages: list[Message]
    nodes: set[Node]
    grips: list[Handle]

    def __init__(self, sender: Queue) -> None:
        self.sender = sender
        self.open = True
        self.targets = []
        self.messages = []
        self.nodes = set()
        self.grips = []

    def stage(
        self,
        handle: Handle,
        payload: object,
        size: int = 0,
        fds: object = None,
        fd_count: int = 0,
        handles: list[Handle] | None = None,
    ) -> None:
        """Reserve a place at one destination, and charge it. A refusal leaves the others staged."""
        if not self.open:
            raise Closed("the transaction has ended")
        node = reach(self.sender, handle, size, fd_count)
        if node in self.nodes:
            raise Duplicate("the transaction has this node already")
        carried = may_carry(self.sender, handle, handles) if handles else 0
        share = charge(node.queue, self.sender.account.user, size, carried, fd_count)
        message = data(node, payload, size, fds, fd_count, promise(handles), share)
        node.queue.stage(message)
        self.nodes.add(node)
        self.messages.append(message)
        self.targets.append(handle)
        if handle.once:
            handle.busy = True
        else:
            self.grips.append(mint(node, False, 0))
        if len(self.messages) == 1:
            self.sender.staging.append(self)

    def commit(self, proceed: bool = False) -> list[tuple[Handle, BusError]]:
        """Deliver all under one stamp. A node destroyed since it was staged fails the whole, which
        then never was; with `proceed` it is left out and reported."""
        if not self.open:
            raise Closed("the transaction has ended")
        refused = [handle for handle in self.targets if handle.node.gone]
        if refused and not proceed:
            self.abort()
            raise Gone("a destination was destroyed before the commit")
        stamp = self.order()
        for place, message in enumerate(self.messages):
            self.deliver(self.targets[place], message, stamp)
        self.sender.clock = stamp
        self.end()
        return [(handle, Gone("destroyed before the commit")) for handle in refused]

    def abort(self) -> None:
        """Undo all that is staged. Nothing happens if the transaction has ended."""
        if not self.open:
            return
        for handle in self.targets:
            handle.busy = False
        for message in self.messages:
            self.withdraw(message)
        self.end()

    def order(self) -> int:
        """The stamp of the whole: above all clocks, which are above all staged stamps."""
        clock = self.sender.clock
        for handle in self.targets:
            clock = max(clock, handle.node.queue.clock)
        return after(clock)

    def deliver(self, handle: Handle, message: Message, stamp: int) -> None:
        handle.busy = False
        if handle.node.gone:
            self.withdraw(message)
            return
        if message.handles is not None:
            land(message, handle.node.queue)
        handle.node.queue.commit(message, stamp, self.sender.number)
        if handle.once:
            spend(handle, message)

    def withdraw(self, message: Message) -> None:
        """Take a staged message back: one-shot handles stay where they were, copies die."""
        for handle in message.handles or ():
            if handle.once:
                handle.busy = False
            else:
                self.grips.append(handle)
        if message.share is not None:  # else its queue was closed and has dropped it
            node: Any = message.target
            node.queue.withdraw(message)
            drop([message])

    def end(self) -> None:
        self.open = False
        if self.messages:
            self.sender.staging.remove(self)
            grips = self.grips
            self.targets, self.messages, self.grips = [], [], []
            self.nodes.clear()
            if grips:
                release(self.sender, [], grips)
