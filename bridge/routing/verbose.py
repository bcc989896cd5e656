"""A line in the log for each message, while somebody wants it: what a monitor would see, in short.

Meant for a bus on which no monitor can be started. What a message carries is not said.
"""

import logging
from typing import Final

from bridge.routing.client import Client
from bridge.wire.frame import Frame
from bridge.wire.protocol import CALL, DRIVER, ERROR, RETURN, SIGNAL

KINDS: Final = {CALL: "call", RETURN: "return", ERROR: "error", SIGNAL: "signal"}
LONGEST: Final = 256  # characters of a path, which may have millions; names have no more

logger = logging.getLogger("bus1")
log = logging.getLogger("bus1.traffic")


def enable(on: bool) -> None:
    """Log at level debug, or as usual."""
    logger.setLevel(logging.DEBUG if on else logging.NOTSET)


def note(sender: Client | None, receiver: Client | None, frame: Frame) -> None:
    """Log one message. Whoever sent it may have chosen all of the words."""
    source = DRIVER if sender is None else sender.unique or "somebody without a name"
    target = frame.destination() or "all"
    if receiver is not None and receiver.unique and receiver.unique != target:
        target += f" ({receiver.unique})"
    reply = f"to serial {frame.reply_serial}" if frame.reply_serial else None
    path = (frame.path() or "")[:LONGEST] or None
    about = [reply, path, frame.interface(), frame.member(), frame.error_name()]
    log.debug(
        "%s -> %s: %s %d %s (%s), %d bytes",
        source,
        target,
        KINDS.get(frame.kind, str(frame.kind)),
        frame.serial,
        " ".join(each for each in about if each is not None),
        frame.signature(),
        frame.size,
    )
