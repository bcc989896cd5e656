"""The bus: where peers come from. It knows users and the queues to be read, no peers."""

from bus1.errors import Invalid
from bus1.peer import Peer
from bus1.queue import Queue
from bus1.quota import Limits, User


class Bus:
    """Peers of one bus can talk to each other once somebody has given them handles.

    `users` holds whoever has an open peer or anything charged. `limits` are those of each new user,
    `peer_limits` those of each new peer (the same, if not given).
    """

    users: dict[int, User]
    ready: list[Queue]
    limits: Limits
    peer_limits: Limits
    count: int

    def __init__(self, limits: Limits | None = None, peer_limits: Limits | None = None) -> None:
        self.users = {}
        self.ready = []
        self.limits = limits if limits is not None else Limits()
        self.peer_limits = peer_limits if peer_limits is not None else self.limits
        self.count = 0

    def connect(self, uid: int) -> Peer:
        """A new peer, for which this user pays."""
        if uid < 0:
            raise Invalid(f"a uid of {uid}")
        user = self.users.get(uid)
        if user is None:
            user = User(uid, self.limits, self.users)
            self.users[uid] = user
        self.count += 1
        return Peer(user, self.peer_limits, self.count, self.ready)

    def take_ready(self) -> list[Queue]:
        """The queues that became deliverable since the last call. Each may be put there again from
        now on; see bus1.queue for the rule. One that was closed meanwhile is among them."""
        queues = self.ready.copy()
        self.ready.clear()
        for queue in queues:
            queue.woken = False
        return queues
