"""How much waits for services: of each client, of each user, of the bus itself. Knows no services.

What waits is charged to its sender like what waits for the sender itself: who fills memory so has
less to receive in, and the limits of its user hold. Beyond that it is counted.
"""

from collections import Counter
from typing import final

from bridge.activation import failures
from bridge.activation.pending import Waiting
from bridge.routing.client import Client


@final
class Room:
    """Who has messages that wait. The reference has one count for everybody, so that one user
    can keep all others from starting anything; here each user has its own."""

    def __init__(self) -> None:
        self.clients: Counter[Client] = Counter()
        self.users: Counter[int | None] = Counter()

    def check(self, sender: Client, name: str) -> None:
        """May one more of this client's wait, for this name? Raises Refused."""
        limit = sender.limits.max_pending_service_starts
        if self.users[sender.credentials.uid] >= limit:
            raise failures.too_many(name, limit)

    def take(self, waiting: Waiting, name: str) -> None:
        """It waits from now on. Raises Refused."""
        sender, frame = waiting.sender, waiting.frame
        if sender is None:
            return
        account = sender.peer.queue.account
        if not account.take(account.own, frame.size, 1, 0, frame.fd_count):
            raise failures.too_much(name)
        self.clients[sender] += 1
        self.users[sender.credentials.uid] += 1

    def give(self, waiting: Waiting) -> None:
        """It waits no longer."""
        sender, frame = waiting.sender, waiting.frame
        if sender is None:
            return
        account, uid = sender.peer.queue.account, sender.credentials.uid
        account.give(account.own, frame.size, 1, 0, frame.fd_count)
        self.clients[sender] -= 1
        self.users[uid] -= 1
        if not self.clients[sender]:
            del self.clients[sender]
        if not self.users[uid]:
            del self.users[uid]
