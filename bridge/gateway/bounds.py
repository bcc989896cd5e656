"""Native peers that others have made, and what each of them may send to: only what it was given in
its seed. It sends nothing.
"""

from typing import Any

from bridge.routing.errors import ACCESS_DENIED, Refused
from bus1.node import Node
from bus1.peer import Peer

NOT_GIVEN = "Who made this peer has not given it that in its seed"


class Bound:
    """One peer: its user, and the nodes of the gateway that its seed leads to."""

    def __init__(self, uid: int | None) -> None:
        self.uid = uid
        self.nodes: frozenset[Node | None] = frozenset()


class Bounds:
    """All of them, by the numbers of their peers. Those who speak as the bridge allows anybody are
    not among them: whoever connected, and who has the bridge from one that may speak there."""

    def __init__(self, bridge: Node) -> None:
        self.bridge = bridge
        self.table: dict[int, Bound] = {}

    def begin(self, peer: Peer, uid: int | None) -> None:
        """It was made by another, and has no seed yet."""
        self.table[peer.number] = Bound(uid)

    def equip(self, peer: Peer, maker: Peer) -> None:
        """It has its seed: with the bridge in it, it may speak to the D-Bus in its maker's name. No
        handle that it gets later lets it do so: those could be from anybody, who would then pass
        for its maker's user."""
        seed: Any = peer.kept
        nodes = frozenset(seed.nodes())
        known = self.table.get(maker.number)
        if known is not None:
            nodes &= known.nodes
        bound = self.table.pop(peer.number)
        if self.bridge not in nodes:
            bound.nodes = nodes
            self.table[peer.number] = bound

    def check(self, number: int, node: Node) -> None:
        """May this peer send to that node? On a Right it may that was given to its own user first.
        Raises Refused."""
        bound = self.table.get(number)
        if bound is None or node in bound.nodes:
            return
        right: Any = node.tag
        if right is None or right.credentials.uid != bound.uid:
            raise Refused(ACCESS_DENIED, NOT_GIVEN)

    def end(self, peer: Peer) -> None:
        """It leaves."""
        self.table.pop(peer.number, None)
