"""org.freedesktop.DBus, called inline: the one place where a message becomes a call of a method.

It finds the method in the tables, checks that the caller may call it and with what, and sees
to exactly one answer: a return message here, or an error, which is raised as `Refused` and
becomes a message where the router catches it.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, final

from bridge.activation.systemd import is_failure
from bridge.driver import announce, peer
from bridge.driver.call import Call, Hub
from bridge.driver.interface import Directory, Interface, Method, directory, visible
from bridge.driver.tables import INTERFACES
from bridge.routing.client import Client
from bridge.routing.errors import (
    ACCESS_DENIED,
    INVALID_ARGS,
    UNKNOWN_INTERFACE,
    UNKNOWN_METHOD,
    Refused,
)
from bridge.wire.body import unpack
from bridge.wire.build import build
from bridge.wire.frame import Frame
from bridge.wire.protocol import CALL, DRIVER, DRIVER_PATH, ERROR, RETURN


class Tables(NamedTuple):
    """What a client is offered: at the driver's own path, and at any other."""

    interfaces: tuple[Interface, ...]
    home: Directory
    elsewhere: Directory


def tables(interfaces: tuple[Interface, ...]) -> Tables:
    """The same by names."""
    elsewhere = directory(visible(interfaces, home=False))
    return Tables(interfaces, directory(interfaces), elsewhere)


COMMON: Final = tables(INTERFACES)
RULE: Final = 16  # work (Hub.work) to forget a match rule


@final
class Driver:
    """One bus's driver. Names, rules and limits are the hub's; it knows only who is offered other
    interfaces than all others: those are `special`."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.special: dict[Client, Tables] = {}

    def call(self, client: Client, frame: Frame) -> None:
        """A message to the bus itself. Only method calls mean anything to it, and one signal."""
        if frame.kind != CALL:
            if is_failure(frame):
                self.hub.activation.systemd_failed(client, frame)
            return
        offered = self.special.get(client, COMMON)
        seen = offered.home if frame.path() == DRIVER_PATH else offered.elsewhere
        method = find(seen, client, frame)
        arguments = unpack(frame) if method.takes else ()
        call = Call(self.hub, offered.interfaces, method, client, frame, arguments)
        if method.trusted:
            call.check_trusted()
        body = method.function(call)
        if body is not None:
            call.answer(*body)

    def local(self, client: Client, frame: Frame) -> None:
        """A method call without a destination, so to whoever is at the other end of the wire.

        Only Peer answers. What answers is not a client of the bus: its messages have no sender,
        and the policy, which is about those of the bus, does not know them.
        """
        try:
            method = find_local(frame)
            body = method.function(Call(self.hub, INTERFACES, method, client, frame, ()))
            kind, error_name, signature = RETURN, None, method.gives
        except Refused as refused:
            kind, error_name, signature, body = ERROR, refused.name, "s", (refused.text,)
        reply = build(
            kind,
            serial=self.hub.serial(),
            reply_serial=frame.serial,
            error_name=error_name,
            sender=None,
            signature=signature,
            body=body or (),
        )
        self.hub.hand(client, reply)

    def leaving(self, client: Client) -> Iterator[None]:
        """An active client is gone. Its rules go first: the dead do not hear of their own end."""
        self.special.pop(client, None)
        self.hub.activation.left(client)
        for rules in self.hub.matches.dropping(client):
            self.hub.work += RULE * rules
            yield
        yield from announce.departure(self.hub, client)


def find(directory: Directory, client: Client, frame: Frame) -> Method:
    """The method that a call means, if this client may call it now, and with the right types."""
    interface, member = frame.interface(), frame.member()
    seen = directory.get(interface)
    method = None if seen is None or member is None else seen.get(member)
    if not client.active() and (method is None or method.needs_hello):
        raise Refused(
            ACCESS_DENIED,
            "Client tried to send a message other than Hello without being registered",
        )
    if method is None:
        error = UNKNOWN_INTERFACE if seen is None else UNKNOWN_METHOD
        raise Refused(error, f"{DRIVER} does not understand message {member}")
    if method.at_home and frame.path() != DRIVER_PATH:
        raise Refused(
            ACCESS_DENIED,
            f"Method '{member}' is only available at the canonical object path '{DRIVER_PATH}'",
        )
    if frame.signature() != method.takes:
        raise Refused(
            INVALID_ARGS,  # with the reference's line end, here and below
            f"Call to {member} has wrong args ({frame.signature()}, expected {method.takes})\n",
        )
    return method


def find_local(frame: Frame) -> Method:
    """A method of Peer; its arguments are not looked at."""
    interface, member = frame.interface(), frame.member()
    for method in peer.INTERFACE.methods if interface == peer.INTERFACE.name else ():
        if method.name == member:
            return method
    if interface == peer.INTERFACE.name:
        raise Refused(UNKNOWN_METHOD, f"Unknown method invoked on {interface} interface")
    raise Refused(
        UNKNOWN_METHOD,
        f'Method "{member}" with signature "{frame.signature()}" '
        f'on interface "{interface or "(null)"}" doesn\'t exist\n',
    )
