"""What the log says of services that are being started: each entry with its kind and its fields
(docs/journal.md). It decides nothing.
"""

import logging

from bridge.activation.pending import Pending
from bridge.routing.client import Client
from bridge.routing.entry import Kind, connection, entry
from bridge.routing.errors import Refused

log = logging.getLogger("bus1.activation")


def starting(pending: Pending, asker: Client | None, text: str, how: str = "") -> None:
    """It is being started, and who wants that."""
    if asker is not None:
        text = f"{text} requested by '{asker.unique}' ({asker.who()}){how}"
    known = {} if asker is None else connection(asker)
    log.info("%s", text, extra=entry(Kind.STARTING, known, service=pending.name))


def failed(pending: Pending, refused: Refused) -> None:
    """It could not be started, or ended too soon."""
    extra = entry(Kind.NOT_STARTED, service=pending.name, reason=refused.text)
    log.info("Activated service '%s' failed: %s", pending.name, refused.text, extra=extra)


def started(pending: Pending, seconds: float) -> None:
    """Its name has an owner."""
    extra = entry(Kind.STARTED, service=pending.name, seconds=round(seconds, 3))
    log.info("Successfully activated service '%s'", pending.name, extra=extra)


def slow(pending: Pending) -> None:
    """Half of its time is over: somebody may want to know why."""
    text = f"{pending.state()}, {len(pending.waiting)} messages wait"
    extra = entry(Kind.SLOW_START, service=pending.name)
    log.warning("Service '%s' is slow: %s", pending.name, text, extra=extra)


def too_slow(pending: Pending, refused: Refused) -> None:
    """All of its time is over."""
    extra = entry(Kind.NOT_STARTED, service=pending.name, reason=refused.text)
    log.warning("%s", refused.text, extra=extra)


def forged(client: Client) -> None:
    """Somebody else speaks for systemd."""
    text = f"connection {client.unique} ({client.who()})"
    extra = entry(Kind.FORGED, connection(client))
    log.warning("Ignoring forged ActivationFailure message from %s", text, extra=extra)
