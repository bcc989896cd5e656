"""How a client leaves: in steps, of which each turn of the loop does as many as one may do. It
tells nobody: that is the driver's, and the core's.

As long as its names have not all gone it is there, as one that gives up one name after the other
and has not hung up yet. Then nothing can reach it, and what it has left goes piece by piece.
"""

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from bridge.routing.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.routing.hub import Hub

# Work (Hub.work) that is enough for one turn, before others are served: about a millisecond.
TURN: Final = 4096
PIECE: Final = 256  # messages or handles that go in one step
MESSAGE: Final = 1  # work to drop a message
HANDLE: Final = 8  # and a handle, whose owner may hear of it: it gets NoReply, if it waits


def go_on(hub: "Hub", left: "Iterator[None]") -> None:
    """Do some of the steps that are left, and the others in the next turn."""
    enough = hub.work + TURN
    for _ in left:
        if hub.work > enough:
            hub.later(partial(go_on, hub, left))
            return


def steps(hub: "Hub", client: Client) -> "Iterator[None]":
    """All of it. Between two of them anything may happen."""
    if client.active():
        yield from hub.driver.leaving(client)
        hub.quit(client)
    elif client.observing:
        hub.monitors.drop(client)
    disappear(hub, client)
    yield from read_out(hub, client)
    yield from let_go(hub, client)
    client.peer.close()


def disappear(hub: "Hub", client: Client) -> None:
    """Its node goes, and with it all that others could send to it."""
    hub.peer.release([client.handle])
    # Handles may still lead to the node: they need to know who it was, and no more.
    client.node.tag = client.number
    client.number = -1
    client.recent = client.right = None
    client.peer.destroy([client.node])


def read_out(hub: "Hub", client: Client) -> "Iterator[None]":
    """What waits for it is dropped, and the rights in that are then among those that it holds."""
    peer = client.peer
    while peer.queue.peek(0) is not None:
        for _ in range(PIECE):
            if peer.receive() is None:
                break
            hub.work += MESSAGE
        yield


def let_go(hub: "Hub", client: Client) -> "Iterator[None]":
    """Its rights go. Who waits for a reply to one of them hears that there will be none."""
    peer = client.peer
    while peer.handles:
        some = list(islice(peer.handles.values(), PIECE))
        peer.release(some)
        hub.work += HANDLE * len(some)
        yield
