"""What the router refuses, in the words of dbus-daemon, which tools and people search for."""

from typing import Final

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

IN_THE_FILES: Final = "security policies in the configuration file"


def nobody(frame: Frame) -> Refused:
    """There is no such name. Signals and calls without reply get the error, too, as the
    reference does; NO_AUTO_START decides its name."""
    destination = frame.destination()
    if frame.flags & NO_AUTO_START:
        return Refused(NAME_HAS_NO_OWNER, f'Name "{destination}" does not exist')
    return not_provided(destination)


def not_provided(name: str | None) -> Refused:
    """Nobody has it, and no service would get it."""
    return Refused(SERVICE_UNKNOWN, f"The name {name} was not provided by any .service files")


def unknown_type() -> Refused:
    """The types 5 to 255 mean nothing yet."""
    return Refused(ACCESS_DENIED, "Message bus will not accept messages of unknown type\n")


def no_fds() -> Refused:
    """File descriptors go only to those who negotiated them."""
    return Refused(
        NOT_SUPPORTED,
        "Tried to send message with Unix file descriptors to a client that doesn't support that.",
    )


def not_to_own(client: Client, name: str, why: str = IN_THE_FILES) -> str:
    """Some policy says that this client may not own this name."""
    who = f'Connection "{client.unique}"'
    return f'{who} is not allowed to own the service "{name}" due to {why}'


def full(sender: Client, receiver: Client, frame: Frame) -> Refused:
    """The receiver's queue holds all that this sender may put there."""
    what = "Rejected: destination has a full message queue"
    return Refused(LIMITS_EXCEEDED, complaint(what, 0, sender, receiver, frame, False))


def complaint(
    what: str,
    rules: int,
    sender: Client | None,
    receiver: Client | None,
    frame: Frame,
    requested: bool,
) -> str:
    """Who (None: the bus) wanted to send what to whom, and how many rules matched it."""
    return f"{what}, {rules} matched rules; {described(sender, receiver, frame, requested)}"


def described(sender: Client | None, receiver: Client | None, frame: Frame, requested: bool) -> str:
    """A message with both its ends."""
    source = "bus" if sender is None else sender.who()
    target = "bus" if receiver is None else receiver.who()
    return (
        f'type="{TYPES[frame.kind]}", '
        f'sender="{frame.sender() if sender is None else sender.unique}" ({source}) '
        f'interface="{frame.interface() or "(unset)"}" member="{frame.member() or "(unset)"}" '
        f'error name="{frame.error_name() or "(unset)"}" requested_reply="{requested:d}" '
        f'destination="{frame.destination() or "(unset)"}" ({target})'
    )


def with_path(text: str, frame: Frame) -> str:
    """The complaint with the one field that the reference leaves out, for the log."""
    path = frame.path()
    head, interface, tail = text.partition(' interface="')
    return text if path is None else f'{head} path="{path}"{interface}{tail}'
