"""Who owns which name: the signals that tell of a change, and their order.

One choke point: whoever changes a name hands the change to `handover`. The old owner hears
first, then everybody, then who asked for the service to be started, then the new owner, which
gets what has waited for it; the reply to the request comes after all that.
"""

from collections.abc import Iterator
from typing import Final

from bridge.driver.call import Hub
from bridge.driver.interface import Signal
from bridge.routing.client import Client
from bridge.routing.names import Change
from bridge.wire.build import build
from bridge.wire.frame import Frame
from bridge.wire.protocol import DRIVER, DRIVER_PATH, SIGNAL

NAME_OWNER_CHANGED: Final = Signal("NameOwnerChanged", "sss")
NAME_LOST: Final = Signal("NameLost", "s")
NAME_ACQUIRED: Final = Signal("NameAcquired", "s")
ACTIVATABLE_SERVICES_CHANGED: Final = Signal("ActivatableServicesChanged", "")

NAME: Final = 16  # work (Hub.work) to give up a name


def handover(hub: Hub, change: Change) -> None:
    """A well-known name has another owner, or got or lost its only one."""
    name, old, new = change
    for client in (old, new):
        if client is not None:
            hub.allot(client)
    if old is not None:
        tell(hub, old, NAME_LOST, name)
    owner_changed(hub, name, unique(old), unique(new))
    if old is None:
        hub.activation.created(name)
    if new is not None:
        tell(hub, new, NAME_ACQUIRED, name)
    if old is None:
        hub.activation.arrived(name, new)


def arrival(hub: Hub, client: Client) -> None:
    """A client got its unique name."""
    owner_changed(hub, client.unique, "", client.unique)
    tell(hub, client, NAME_ACQUIRED, client.unique)


def departure(hub: Hub, client: Client) -> Iterator[None]:
    """A client is gone, and gives up its names, the newest first, each in a step of its own.

    It hears nothing of it itself: it cannot read any more. Monitors see what it would.
    """
    while client.names:
        hub.work += NAME
        change = hub.names.drop_newest(client)
        if change is not None:
            inheritance(hub, client, change)
        yield
    show_loss(hub, client, client.unique)
    owner_changed(hub, client.unique, client.unique, "")


def inheritance(hub: Hub, client: Client, change: Change) -> None:
    """Another has the name of a client that is gone, or nobody."""
    name, old, new = change
    show_loss(hub, client, name)
    owner_changed(hub, name, unique(old), unique(new))
    if new is not None:
        hub.allot(new)
        tell(hub, new, NAME_ACQUIRED, name)


def show_loss(hub: Hub, client: Client, name: str) -> None:
    """What a client that is gone would have heard of its name."""
    if hub.monitors.watching:
        hub.show(None, client, frame(hub, client.unique, NAME_LOST, name))


def withdrawal(hub: Hub, client: Client, changes: list[Change]) -> None:
    """A client that stays has given up all its names. It hears of them as dbus-daemon tells it:
    of the unique one, then of the others from the oldest to the newest."""
    tell(hub, client, NAME_LOST, client.unique)
    owner_changed(hub, client.unique, client.unique, "")
    for change in reversed(changes):
        handover(hub, change)


def unique(client: Client | None) -> str:
    """How NameOwnerChanged names an owner."""
    return "" if client is None else client.unique


def owner_changed(hub: Hub, name: str, old: str, new: str) -> None:
    """Tell all whose match rules want it."""
    hub.announce(frame(hub, None, NAME_OWNER_CHANGED, name, old, new))


def services_changed(hub: Hub) -> None:
    """All files were read again. As with the reference that is told whether or not any service
    is another now, and even when they were broken."""
    hub.announce(frame(hub, None, ACTIVATABLE_SERVICES_CHANGED))


def tell(hub: Hub, client: Client, signal: Signal, name: str) -> None:
    """Tell the one whom it concerns, match rule or not."""
    hub.tell(client, frame(hub, client.unique, signal, name))


def frame(hub: Hub, destination: str | None, signal: Signal, *body: str) -> Frame:
    """One signal of the driver."""
    return build(
        SIGNAL,
        serial=hub.serial(),
        path=DRIVER_PATH,
        interface=DRIVER,
        member=signal.name,
        destination=destination,
        signature=signal.gives,
        body=body,
    )
