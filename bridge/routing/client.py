"""One connection as the router sees it: a peer of the core with a unique name. No socket here."""

from bridge.routing.credentials import Credentials
from bus1.node import Handle, Node
from bus1.peer import Peer


class Client:
    """What the bus knows of one connection.

    `node` stands for its unique name; `handle` is the driver's right to send to it.
    `number` is the 42 of `:1.42`, -1 before Hello; `unique` is "" until then.
    `names` are the well-known names that it owns or waits for, in the order of asking,
    `rules` its match rules, in the order of adding.
    `routes` is its own table of rights: by number, the handles to those it has talked to.
    `owed` holds the reply handles of the calls it has not answered (routing/replies.py).
    `recent` is the one it talked to last, and `right` the handle to it, if it has one: most
    talk to one at a time.
    The four tables are None while empty: empty lists were most of an idle connection's memory.
    `awaited` counts the calls it waits for, `dropped` the messages it was too slow for,
    `denied` the replies it had no right to send;
    `mark` is the match index's note of whom it has already found.
    """

    def __init__(self, peer: Peer, driver: Peer, credentials: Credentials, takes_fds: bool) -> None:
        self.peer = peer
        self.node: Node = peer.create(self)
        own = peer.handle(self.node)
        self.handle: Handle = peer.transfer(own, driver)
        peer.release([own])
        self.credentials = credentials
        self.takes_fds = takes_fds
        self.number = -1
        self.unique = ""
        self.names: list[object] | None = None
        self.rules: list[object] | None = None
        self.routes: dict[int, Handle] | None = None
        self.owed: dict[int, Handle] | None = None
        self.recent: Client | None = None
        self.right: Handle | None = None
        self.awaited = 0
        self.mark = 0
        self.dropped = 0
        self.denied = 0

    def active(self) -> bool:
        """Has it said Hello?"""
        return self.number >= 0
