"""What the router refuses, in the words of dbus-daemon, which tools and people search for."""

from bridge.routing.client import Client
from bridge.routing.errors import (
    ACCESS_DENIED,
    LIMITS_EXCEEDED,
    NAME_HAS_NO_OWNER,
    NOT_SUPPORTED,
    SERVICE_UNKNOWN,
    Refused,
)
from bridge.wire.frame import Frame
from bridge.wire.protocol import NO_AUTO_START, TYPES


def nobody(frame: Frame) -> Refused:
    """There is no such name. Signals and calls without reply get the error, too, as the
    reference does; NO_AUTO_START decides its name."""
    destination = frame.destination()
    if frame.flags & NO_AUTO_START:
        return Refused(NAME_HAS_NO_OWNER, f'Name "{destination}" does not exist')
    return Refused(
        SERVICE_UNKNOWN, f"The name {destination} was not provided by any .service files"
    )


def unknown_type() -> Refused:
    """The types 5 to 255 mean nothing yet."""
    return Refused(ACCESS_DENIED, "Message bus will not accept messages of unknown type\n")


def no_fds() -> Refused:
    """File descriptors go only to those who negotiated them."""
    return Refused(
        NOT_SUPPORTED,
        "Tried to send message with Unix file descriptors to a client that doesn't support that.",
    )


def full(sender: Client, receiver: Client, frame: Frame) -> Refused:
    """The receiver's queue holds all that this sender may put there."""
    what = "Rejected: destination has a full message queue"
    return Refused(LIMITS_EXCEEDED, complaint(what, sender, receiver, frame))


def denied(sender: Client, receiver: Client | None, frame: Frame) -> Refused:
    """The sender has no right to send this."""
    return Refused(ACCESS_DENIED, complaint("Rejected send message", sender, receiver, frame))


def complaint(what: str, sender: Client, receiver: Client | None, frame: Frame) -> str:
    """Who wanted to send what to whom."""
    to = f" ({receiver.credentials})" if receiver is not None else ""
    return (
        f'{what}, 0 matched rules; type="{TYPES[frame.kind]}", sender="{sender.unique}" '
        f'({sender.credentials}) interface="{frame.interface() or "(unset)"}" '
        f'member="{frame.member() or "(unset)"}" '
        f'error name="{frame.error_name() or "(unset)"}" requested_reply="0" '
        f'destination="{frame.destination() or "(unset)"}"{to}'
    )
