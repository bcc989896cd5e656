"""Nodes and the handles to them: who may send where. It sends no messages.

A handle is in one of four states:

* held: in its holder's table, with an id;
* in a message: `holder` is the receiver's queue, no table yet;
* in hand: one that the node's owner has made only to send it (`hand`), and that counts for nothing
  yet; or the copy that a staged message promises, which counts for its node but which no notice
  reaches;
* dead: no holder, no table.

A node links the handles of the first two states, because they are told when it is destroyed. The
links go through the handles themselves, so that both ends come and go in constant time.
"""

from typing import Any

from bus1.message import Message
from bus1.queue import Queue


class Node:
    """Where messages are sent to. `tag` is whatever the owner wants to find here."""

    queue: Queue
    id: int
    tag: object
    gone: int
    notice: Message | None
    count: int
    first: "Handle | None"

    def __init__(self, queue: Queue, id: int, tag: object) -> None:
        self.queue = queue
        self.id = id
        self.tag = tag
        self.gone = 0  # the stamp of its destruction
        self.notice = None  # that no handles are left, while its owner has not taken it
        self.count = 0  # handles to it, one-shot ones left out: those have a notice of their own
        self.first = None

    def hush(self) -> None:
        """Its owner need not hear that no handles are left, if it has not yet."""
        message = self.notice
        if message is not None:
            self.notice = None
            self.queue.recall(message)


class Handle:
    """The right to send to one node; if `once`, a single time. `notice` says that the node is
    gone, while the holder has not taken it."""

    node: Node
    holder: Queue | None
    id: int
    once: bool
    cookie: int
    busy: bool
    hand: bool
    table: "dict[int, Handle] | None"
    previous: "Handle | None"
    following: "Handle | None"
    notice: Message | None

    def install(self, holder: Queue, table: "dict[int, Handle]", id: int) -> None:
        """Become held. The holder's account has been charged."""
        self.holder = holder
        self.id = id
        self.table = table
        table[id] = self

    def remove(self) -> None:
        """Leave the holder's table, if it is in one, and give the charge back."""
        table = self.table
        if table is None:
            return
        del table[self.id]
        self.table = None
        account = self.holder.account  # type: ignore[union-attr]
        account.give(account.own, 0, 0, 1, 0)

    def link(self) -> None:
        """Be among those who are told when the node is destroyed."""
        first = self.node.first
        self.following = first
        if first is not None:
            first.previous = self
        self.node.first = self

    def unlink(self) -> None:
        """No longer be among them. Nothing happens if it never was."""
        node, previous, following = self.node, self.previous, self.following
        if previous is not None:
            previous.following = following
        elif node.first is self:
            node.first = following
        else:
            return
        if following is not None:
            following.previous = previous
        self.previous = self.following = None

    def notify(self, message: Message) -> None:
        """Its holder has yet to read this, which says that the node is gone, and others perhaps."""
        self.notice = message

    def hush(self) -> None:
        """Its holder need not hear that the node is gone, if it has not yet."""
        message, holder = self.notice, self.holder
        if message is not None and holder is not None:
            self.notice = None
            holder.recall(message)


def heard(message: Message) -> None:
    """A message that nobody paid for has left its queue: what it is about need not recall it."""
    if message.kind == 1:  # NODE_GONE
        handle: Any = message.target
        handle.notice = None
    elif message.kind == 2:  # NO_HANDLES_LEFT
        node: Any = message.target
        node.notice = None
    elif message.kind == 4:  # ROLL
        for handle in message.handles or ():
            if handle.notice is message:
                handle.notice = None


def mint(node: Node, once: bool, cookie: int) -> Handle:
    """A new handle, in nobody's hands yet."""
    handle = Handle.__new__(Handle)
    handle.node = node
    handle.holder = None
    handle.id = 0
    handle.once = once
    handle.cookie = cookie
    handle.busy = handle.hand = False
    handle.table = None
    handle.previous = handle.following = None
    handle.notice = None
    if not once:
        node.count += 1
    return handle
