"""A peer's seed: a message to itself that can be read any number of times, and survives a flush.

Whoever sets up a peer leaves in it what the program that takes over needs first.
"""

from bus1.cargo import at_hand, copy
from bus1.errors import Invalid, Quota
from bus1.node import Handle, Node
from bus1.queue import Queue
from bus1.release import release


class Seed:
    """Charged to the peer itself, as one message. Its copies of handles, which `giver` has at hand,
    count for their nodes."""

    queue: Queue
    payload: object
    size: int
    fds: object
    fd_count: int
    copies: list[Handle]

    def __init__(
        self,
        queue: Queue,
        giver: Queue,
        payload: object,
        size: int,
        fds: object,
        fd_count: int,
        handles: list[Handle],
    ) -> None:
        for handle in handles:
            at_hand(giver, handle)
            if handle.once:
                raise Invalid("a one-shot handle in a seed")
        account = queue.account
        if not account.take(account.own, size, 1, len(handles), fd_count):
            raise Quota("the peer's own quota")
        self.queue = queue
        self.payload = payload
        self.size = size
        self.fds = fds
        self.fd_count = fd_count
        self.copies = [copy(handle) for handle in handles]

    def nodes(self) -> list[Node | None]:
        """The living nodes it leads to, None for each that is gone."""
        return [None if copy.node.gone else copy.node for copy in self.copies]

    def drop(self) -> None:
        """Pay it back and let its handles go."""
        account = self.queue.account
        account.give(account.own, self.size, 1, len(self.copies), self.fd_count)
        copies, self.copies = self.copies, []
        if copies:
            release(self.queue, [], copies)
