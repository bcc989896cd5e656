"""What one peer holds: ids to objects, and the messages that nobody has taken yet.

It knows no records. Objects are found by weak references: who drops the last one has released it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar
from weakref import ref

from bus1.client.objects import Handle, Keeper, Message, N
from bus1.client.pending import Waiting
from bus1.errors import Unknown

T = TypeVar("T")

INBOX_MOST = 1024  # messages that nobody takes: then nothing is read unless a result is awaited


class Inbox(deque[T]):
    """Messages that wait; `bell`, if there is one, is rung for each."""

    __slots__ = ("bell",)

    def __init__(self, some: Iterable[T] = ()) -> None:
        super().__init__(some)
        self.bell: Callable[[], None] | None = None

    def ring(self) -> None:
        if self.bell is not None:
            self.bell()


class Holdings(Generic[N]):
    """`make` makes the face's nodes."""

    def __init__(self, keeper: Keeper, make: Callable[[Keeper, int], N]) -> None:
        self.keeper = keeper
        self.make = make
        self.nodes: dict[int, ref[N]] = {}
        self.handles: dict[int, ref[Handle]] = {}
        self.watchers: dict[int, list[Waiting[int]]] = {}  # of handles: until the node is gone
        self.inbox: Inbox[Message[N]] = Inbox()
        self.stored = 0  # messages in all inboxes

    # Objects.

    def hold(self, id: int, once: bool = False) -> Handle:
        """A new handle of ours."""
        handle = Handle(self.keeper, id, once)
        self.handles[id] = ref(handle)
        return handle

    def own(self, id: int) -> N:
        """A new node of ours."""
        node = self.make(self.keeper, id)
        self.nodes[id] = ref(node)
        return node

    def node(self, id: int) -> N | None:
        reference = self.nodes.get(id)
        return None if reference is None else reference()

    def handle(self, id: int) -> Handle | None:
        reference = self.handles.get(id)
        return None if reference is None else reference()

    def spend(self, handle: Handle) -> None:
        """A request uses it up."""
        handle.spent = True
        self.handles.pop(handle.id, None)
        if handle.id in self.watchers:
            self.blind(handle.id)

    def restore(self, handle: Handle) -> None:
        """That request was refused."""
        handle.spent = False
        self.handles[handle.id] = ref(handle)

    def lose(self, id: int) -> None:
        """This id is released, or about to be."""
        if id in self.watchers:
            self.blind(id)
        if self.handles.pop(id, None) is None:
            reference = self.nodes.pop(id, None)
            node = None if reference is None else reference()
            if node is not None and node.inbox is not None:
                node.inbox.ring()  # nothing more will come

    # Nodes that are gone.

    def watch(self, handle: Handle) -> Waiting[int]:
        """The stamp of the end of the handle's node, once it has come."""
        waiting: Waiting[int] = Waiting(None)
        if handle.gone:
            waiting.finish(handle.gone)
        else:
            self.watchers.setdefault(handle.held(), []).append(waiting)
        return waiting

    def unwatch(self, handle: Handle, waiting: Waiting[int]) -> None:
        some = self.watchers.get(handle.id, [])
        if waiting in some:
            some.remove(waiting)
        if not some:
            self.watchers.pop(handle.id, None)

    def blind(self, id: int) -> None:
        """Who watches this handle will hear nothing, as it is not ours any more."""
        for waiting in self.watchers.pop(id, ()):
            waiting.fail(Unknown("the handle is not held any more"))

    def mark_gone(self, id: int, stamp: int) -> Handle | None:
        """The handle whose node has gone, if it is still held."""
        handle = self.handle(id)
        if handle is not None:
            handle.gone = stamp
            for waiting in self.watchers.pop(id, ()):
                waiting.finish(stamp)
        return handle

    # Messages.

    def store(self, message: Message[N]) -> None:
        inbox: Inbox[Message[N]] | None = message.node.inbox
        if inbox is None:
            inbox = self.inbox
        inbox.append(message)
        self.stored += 1
        inbox.ring()

    def claim(self, node: N) -> Inbox[Message[N]]:
        """The node's own inbox, with what has come for it so far."""
        inbox: Inbox[Message[N]] | None = node.inbox
        if inbox is None:
            inbox = node.inbox = Inbox(each for each in self.inbox if each.node is node)
            rest = [each for each in self.inbox if each.node is not node]
            self.inbox.clear()  # and not a new one: somebody may wait on this one
            self.inbox.extend(rest)
        return inbox

    def inboxes(self) -> list[Inbox[Message[N]]]:
        nodes = [reference() for reference in list(self.nodes.values())]
        own = [node.inbox for node in nodes if node is not None and node.inbox is not None]
        return [self.inbox, *own]

    def take(self, inbox: Inbox[Message[N]]) -> Message[N]:
        self.stored -= 1
        return inbox.popleft()

    def flush(self) -> None:
        """All messages and handles from before this are dropped."""
        for inbox in self.inboxes():
            inbox.clear()
        self.stored = 0
        for id, reference in list(self.handles.items()):
            handle = reference()
            if handle is not None:
                handle.spent = True
            self.lose(id)
