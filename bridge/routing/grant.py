"""One right that a client granted another, and what the two are told of it. What there are of them
is in grants.py.
"""

from time import time
from typing import Final, final

from bridge.routing.client import Client
from bridge.wire.build import build
from bridge.wire.frame import Frame
from bridge.wire.protocol import DRIVER_PATH, SIGNAL
from bus1.node import Handle, Node
from policy.delegation import Extent

INTERFACE: Final = "org.bus1.Capability1"

Key = tuple[int, int, str | None, str | None, str | None]


@final
class Grant:
    """One right. `granter` and `grantee` are numbers of clients, so that none is kept alive; `uid`
    is the granter's user, `since` when it was granted, in seconds since 1970. `counts` is what the
    rules said of it when they were asked last, and `judged` which names its granter had then."""

    __slots__ = (
        "counts", "extent", "grantee", "granter", "handle", "id", "judged", "node", "since", "uid"
    )  # fmt: skip

    node: Node
    handle: Handle

    def __init__(self, id: int, granter: Client, grantee: Client, extent: Extent) -> None:
        self.id = id
        self.granter = granter.number
        self.grantee = grantee.number
        self.uid = granter.credentials.uid
        self.extent = extent
        self.since = time()
        self.judged = 0
        self.counts = False

    def lives(self) -> bool:
        """Is the node there, and in anybody's hands?"""
        return not self.node.gone and self.handle.holder is not None

    def key(self) -> Key:
        """What calls that pass by it are looked up by."""
        return (self.granter, self.grantee, *self.extent)


def signal(serial: int, client: Client, member: str, signature: str, *body: object) -> Frame:
    """What one client is to hear of a grant."""
    return build(
        SIGNAL,
        serial=serial,
        path=DRIVER_PATH,
        interface=INTERFACE,
        member=member,
        destination=client.unique,
        signature=signature,
        body=body,
    )
