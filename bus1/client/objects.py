"""What a program holds: nodes, handles, messages. Their lifetimes are those of the objects.

It knows no records and no sockets: a link takes what is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

from bus1.client.payload import Fd, unmap
from bus1.errors import Invalid, Unknown
from bus1.native.words import DATA, MORE, NO_HANDLES_LEFT, NODE_GONE, ONCE, ONCE_DROPPED

__all__ = ["DATA", "NODE_GONE", "NO_HANDLES_LEFT", "ONCE_DROPPED"]


class Keeper(Protocol):
    """What an object asks of the link that it belongs to."""

    owner: Any  # the Peer

    def drop(self, id: int) -> None: ...


class Thing:
    """What has an id on the bus and is released with its last reference, from whatever thread."""

    __slots__ = ("__weakref__", "id", "link", "spent")

    def __init__(self, link: Keeper, id: int) -> None:
        self.link = link
        self.id = id
        self.spent = False  # released, destroyed or used up: the id is not ours any more

    def release(self) -> None:
        """Give it back to the bus, with the next packet. A second time does nothing."""
        if not self.spent:
            self.spent = True
            self.link.drop(self.id)

    def held(self) -> int:
        """The id. Raises Unknown if it has been released, or used up."""
        if self.spent:
            raise Unknown(f"{self!r} is not held any more")
        return self.id

    def __del__(self) -> None:
        try:
            if not self.spent:
                self.link.drop(self.id)
        except AttributeError:  # not made completely, or the interpreter is on its way out
            return

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}{' (spent)' if self.spent else ''}>"


class Handle(Thing):
    """The right to send to one node. A handle that came twice is two objects.

    `once`: good for one message. `gone`: the stamp of the node's end once that has come, else 0;
    `on_gone` is then called with the handle. The handle stays until it is released.
    """

    __slots__ = ("gone", "on_gone", "once")

    def __init__(self, link: Keeper, id: int, once: bool = False) -> None:
        self.link = link
        self.id = id
        self.spent = False
        self.once = once
        self.gone = 0
        self.on_gone: Callable[[Handle], None] | None = None

    @property
    def peer(self) -> Any:
        """The Peer that holds it."""
        return self.link.owner

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Node(Thing):
    """Where messages are sent to. Released is destroyed: nobody can send there any more.

    Its messages go to `on_message` if that is set (do so before a handle is given away); else to
    whoever iterates over the node, from the first time on; else they are among what the peer
    receives.
    """

    __slots__ = ("inbox", "on_message")

    def __init__(self, link: Keeper, id: int) -> None:
        super().__init__(link, id)
        self.inbox: Any = None  # its own Inbox, once it has been asked for its messages
        self.on_message: Callable[[Any], None] | None = None

    def once(self, cookie: int = 0) -> Once:
        """For `handles=`: the receiver gets a handle good for one message, which will have this
        cookie. If it dies unused, an ONCE_DROPPED with the cookie comes. Raises Invalid."""
        if not 0 <= cookie < 1 << 64:
            raise Invalid(f"a cookie is a number of 64 bits, and not {cookie}")
        return Once(self, cookie)


class Once:
    """A one-shot handle to be made as the message is sent."""

    __slots__ = ("cookie", "node")

    def __init__(self, node: Node, cookie: int) -> None:
        self.node = node
        self.cookie = cookie


N = TypeVar("N", bound=Node)


class Message(Generic[N]):
    """What came to a node.

    `kind` is DATA; or NO_HANDLES_LEFT: nobody has a handle to the node any more; or ONCE_DROPPED:
    the one-shot handle with this `cookie` died unused. `payload`: bytes, or for a large one a view
    of memory that the sender cannot change. `handles` and `fds` are the receiver's, and go with
    the message unless they are kept; None stands for a handle whose node is gone. (`stamp`,
    `sender`) is the place in the order of the bus; `uid` and `pid` are the sender's. `once`: it
    came on the one-shot handle with this `cookie`. `more`: the same operation sent another
    message, which is the next.
    """

    __slots__ = (
        "cookie", "fds", "handles", "kind", "more", "node", "once", "payload", "pid", "sender",
        "stamp", "uid",
    )  # fmt: skip

    def __init__(
        self,
        kind: int,
        node: N,
        stamp: int,
        sender: int,
        cookie: int,
        payload: bytes | memoryview = b"",
        uid: int = 0,
        pid: int = 0,
        handles: list[Handle | None] | None = None,
        fds: list[Fd] | None = None,
        flags: int = 0,
    ) -> None:
        self.kind = kind
        self.node = node
        self.stamp = stamp
        self.sender = sender
        self.cookie = cookie
        self.payload = payload
        self.uid = uid
        self.pid = pid
        self.handles = [] if handles is None else handles
        self.fds = [] if fds is None else fds
        self.more = flags & MORE != 0
        self.once = flags & ONCE != 0

    def close(self) -> None:
        """Let go of all that came: handles, descriptors, the memory of the payload."""
        for handle in self.handles:
            if handle is not None:
                handle.release()
        for fd in self.fds:
            fd.close()
        if isinstance(self.payload, memoryview):
            unmap(self.payload)
        self.handles, self.fds, self.payload = [], [], b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Message {self.kind} at {self.stamp} for {self.node!r}: {len(self.payload)} bytes>"


class Seed(NamedTuple):
    """What a peer was given on its way: a payload, and new handles each time it is asked for."""

    payload: bytes | memoryview
    handles: list[Handle | None]
    fds: list[Fd]


class Limits(NamedTuple):
    """The most that a peer may hold."""

    bytes: int
    messages: int
    handles: int
    fds: int


class Usage(NamedTuple):
    """What a peer holds: `handles` counts its nodes, too; `queued` messages wait at the bus."""

    limits: Limits
    bytes: int
    messages: int
    handles: int
    fds: int
    nodes: int
    queued: int
