"""What a security module of the kernel is asked about traffic, where there is one that has a say.

The gate asks it beside the policy, and knows no more of it than this.
"""

from typing import Protocol

from bridge.routing.client import Client
from bridge.wire.frame import Frame


class Mediator(Protocol):
    """Each question is answered with None, or with the words of the denial; what was to be
    recorded of it has been recorded then."""

    def refuses_sending(
        self, sender: Client, receiver: Client | None, frame: Frame, requested: bool
    ) -> str | None:
        """A message to one client, one of those that a broadcast is for, or the bus itself
        (None). `requested`: it is the reply to a call that was let through."""

    def refuses_starting(self, sender: Client, frame: Frame, label: str | None) -> str | None:
        """A message to a service that is not there yet, and is assumed to have this label."""

    def refuses_owning(self, client: Client, name: str) -> str | None:
        """A name for a client, which may have asked for it in any way."""

    def refuses_eavesdropping(self, client: Client) -> str | None:
        """To see what is addressed to others, as a monitor or by its match rules."""
