"""Who owns which name: the signals that tell of a change, and their order.

One choke point: whoever changes a name hands the change to `handover`. The old owner hears
first, then everybody, then the new owner; the reply to the request comes after all three.
"""

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


def handover(hub: Hub, change: Change) -> None:
    """A well-known name has another owner, or got or lost its only one."""
    name, old, new = change
    for client in (old, new):
        if client is not None:
            hub.allot(client)
    if old is not None:
        tell(hub, old, NAME_LOST, name)
    owner_changed(hub, name, unique(old), unique(new))
    if new is not None:
        tell(hub, new, NAME_ACQUIRED, name)


def arrival(hub: Hub, client: Client) -> None:
    """A client got its unique name."""
    owner_changed(hub, client.unique, "", client.unique)
    tell(hub, client, NAME_ACQUIRED, client.unique)


def departure(hub: Hub, client: Client, changes: list[Change]) -> None:
    """A client is gone; `changes` are those of its names that had it as their owner.

    It hears nothing of it itself: it cannot read any more.
    """
    for name, old, new in changes:
        owner_changed(hub, name, unique(old), unique(new))
        if new is not None:
            hub.allot(new)
            tell(hub, new, NAME_ACQUIRED, name)
    owner_changed(hub, client.unique, client.unique, "")


def unique(client: Client | None) -> str:
    """How NameOwnerChanged names an owner."""
    return "" if client is None else client.unique


def owner_changed(hub: Hub, name: str, old: str, new: str) -> None:
    """Tell all whose match rules want it."""
    hub.announce(frame(hub, None, NAME_OWNER_CHANGED, name, old, new))


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
