"""The Rights that a gateway has given: a node for each, as long as somebody has a handle to it. It
asks no policy."""

from collections import Counter
from typing import TYPE_CHECKING, Any, final

from bridge.gateway.right import Right
from bridge.routing.client import Client
from bridge.routing.hub import Hub, payer
from bridge.routing.quotas import rights
from bus1.errors import Quota
from bus1.node import Handle, Node

if TYPE_CHECKING:
    from bridge.gateway.gateway import Gateway


@final
class Rights:
    """Those of one bus: how many there are of each user, to whom they were given first."""

    def __init__(self, hub: Hub, gateway: "Gateway") -> None:
        self.hub = hub
        self.gateway = gateway
        self.counts: Counter[int] = Counter()

    def give(self, right: Right, owner: Client | None) -> Handle:
        """A handle to a new node for it; if the name is a unique one, the node ends with that.
        Raises Quota."""
        peer = self.gateway.peer
        uid = payer(right.credentials)
        self.check_room(uid, right.credentials.uid)
        node = peer.create(right)
        self.counts[uid] += 1
        try:
            handle: Handle = peer.handle(node)
            if owner is not None and right.name.startswith(":"):
                right.guard = self.hub.peer.transfer(owner.handle, peer)
                self.gateway.guard(right.guard, lambda: self.revoke(node))
        except Quota:
            self.revoke(node)
            raise
        return handle

    def check_room(self, user: int, uid: int | None) -> None:
        """May this user have one more? Whoever leaves takes all that lead to it along, or all that
        it has, before anybody else is served. Raises Quota."""
        if self.counts[user] >= rights(self.hub.gate.policy.allowances.of_user(uid)):
            raise Quota("too many Rights")

    def revoke(self, node: Node) -> None:
        """The end of a Right: nobody has it any more, or there is nobody to be called."""
        right: Any = node.tag
        if right.over:
            return
        right.over = True
        uid = payer(right.credentials)
        self.counts[uid] -= 1
        if not self.counts[uid]:
            del self.counts[uid]
        self.gateway.drop([right.guard])
        self.gateway.peer.destroy([node])
