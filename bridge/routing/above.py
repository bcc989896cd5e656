"""What a bus asks of those who stand above it: who answers for it, who starts services, who reads
its configuration, and the process that it is. It knows none of them.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.wire.frame import Frame
from bus1.peer import Peer


class Driver(Protocol):
    """What is asked of org.freedesktop.DBus, which stands above."""

    def call(self, client: Client, frame: Frame) -> None:
        """A message to org.freedesktop.DBus."""

    def local(self, client: Client, frame: Frame) -> None:
        """A method call without a destination."""

    def leaving(self, client: Client) -> Iterator[None]:
        """Give up what a client leaves behind, and tell the others, step by step."""


class Activation(Protocol):
    """What is asked of those who start services."""

    def take(self, sender: Client, frame: Frame) -> bool:
        """Have a message wait for its receiver, which is being started. False: there is no
        such service. Raises Refused."""


class Native(NamedTuple):
    """A native peer, for those who count. `face` is what it is on the D-Bus, if it is there."""

    peer: Peer
    credentials: Credentials
    face: Client | None


class Process(Protocol):
    """What is asked of the process that serves the bus, for those who count."""

    def incomplete(self) -> int:
        """How many have connected and not said Hello."""

    def natives(self) -> list[Native]:
        """All native peers."""

    def waiting(self, client: Client) -> tuple[int, int, int, int]:
        """Bytes and descriptors that came from it and wait for the rest of their message, and
        the most that did."""

    def report(self) -> dict[str, object]:
        """What people want to know of it."""


class Reloader(Protocol):
    """What is asked of whoever reads the configuration again."""

    def request(self, done: Callable[[str | None], None], asker: object) -> None:
        """Read it, beginning after this; `done` is called then, with what is wrong if it is."""
