"""Who reads a peer's queue: what is told of it when there is something to read, and no more."""


class Reader:
    """A connection of either kind, the bus's own peer for native ones, or the face of one of those.
    It puts itself into its queue (bus1/queue.py)."""

    def flush(self) -> None:
        """There is something in the queue: pass it on, as far as that goes now."""
