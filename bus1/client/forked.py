"""A forked child lets go of its parent's peers, and the bus hears nothing. It knows no operations.

The child has copies of all objects. As it drops them, or ends, it would release handles that the
parent still has: on the parent's own socket.
"""

import os
import weakref
from typing import Protocol

WHY = "the peer is that of the process that forked this one"


class Left(Protocol):
    """A peer, as a child leaves it to its parent."""

    def part(self, why: str) -> None: ...


peers: weakref.WeakSet[Left] = weakref.WeakSet()


def part() -> None:
    for peer in list(peers):
        peer.part(WHY)
    peers.clear()


os.register_at_fork(after_in_child=part)
