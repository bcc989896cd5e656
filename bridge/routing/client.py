"""One connection as the router sees it: a peer of the core with a unique name. No socket here."""

from collections import deque
from typing import TYPE_CHECKING

from bridge.routing.credentials import Credentials
from bus1.node import Handle, Node
from bus1.peer import Peer
from policy.verdict import Access, Standing, Verdict

if TYPE_CHECKING:
    from policy.limits import Limits


class Client:
    """What the bus knows of one connection.

    `node` stands for its unique name; `handle` is the driver's right to send to it.
    `number` is the 42 of `:1.42`, -1 before Hello; `unique` is "" until then.
    `names` are the well-known names that it owns or waits for, in the order of asking,
    `rules` its match rules, in the order of adding, and how often it has each; `subscriptions`
    is how many that are together.
    `routes` is its own table of rights: by number, the handles to those it has talked to.
    `owed` holds the reply handles of the calls it has not answered (routing/replies.py).
    `recent` is the one it talked to last, and `right` the handle to it, if it has one: most
    talk to one at a time.
    `access` are the rules that hold for it, from Hello on; `standing` is what follows from them
    and its names, None after those changed; `verdict` is what it may send those who stand where
    `judged` does, whom it sent to last (routing/gate.py).
    The four tables are None while empty: empty lists were most of an idle connection's memory.
    `limits` are its own; `most_awaited` is one of them.
    `late` counts, by serial, the calls that were not answered in time, and whose reply handles
    are still to die; `stale` are such handles that come with calls it has not read, in order.
    `awaited` counts the calls it waits for, `dropped` the messages it was too slow for,
    `denied` what it had no right to do;
    `observing`: it is a monitor, and `missed` counts what it was too slow for since it last
    was told (routing/monitors.py);
    `mark` is the match index's note of whom it has already found;
    `most_names`, its unique one included, and `most_rules` are the most that it ever had.
    """

    def __init__(
        self,
        peer: Peer,
        driver: Peer,
        credentials: Credentials,
        takes_fds: bool,
        limits: "Limits",
    ) -> None:
        self.peer = peer
        self.begin(driver)
        self.credentials = credentials
        self.takes_fds = takes_fds
        self.number = -1
        self.unique = ""
        self.names: list[object] | None = None
        self.rules: dict[object, int] | None = None
        self.subscriptions = 0
        self.routes: dict[int, Handle] | None = None
        self.owed: dict[int, Handle] | None = None
        self.late: dict[int, int] | None = None
        self.stale: deque[Handle] | None = None
        self.recent: Client | None = None
        self.right: Handle | None = None
        self.access: Access | None = None
        self.standing: Standing | None = None
        self.judged: Standing | None = None
        self.verdict: Verdict | None = None
        self.allot(limits)
        self.awaited = 0
        self.mark = 0
        self.most_names = 0
        self.most_rules = 0
        self.dropped = 0
        self.denied = 0
        self.observing = False
        self.missed = 0
        self.known: str | None = None

    def begin(self, driver: Peer) -> None:
        """Get a node, to which only the driver has a handle."""
        self.node: Node = self.peer.create(self)
        own = self.peer.handle(self.node)
        self.handle: Handle = self.peer.transfer(own, driver)
        self.peer.release([own])

    def active(self) -> bool:
        """Has it said Hello?"""
        return self.number >= 0

    def who(self) -> str:
        """Who it is, for errors and the log: its process is asked for its name once."""
        if self.known is None:
            self.known = str(self.credentials)
        return self.known

    def gone(self) -> bool:
        """Has its connection ended?"""
        return self.node.gone > 0

    def unsettle(self) -> None:
        """Its names changed, or its access: where it stands is to be found out anew."""
        self.standing = None
        self.judged = None
        self.verdict = None

    def allot(self, limits: "Limits") -> None:
        """It has these limits from now on."""
        self.limits = limits
        self.most_awaited = limits.max_replies_per_connection
