"""Who owns which name: the signals that tell of a change, and their order.

One choke point: whoever changes a name hands the change to `handover`. The old owner hears
first, then everybody, then the new owner; the reply to the request comes after all three.
"""

from typing import Final

from bridge.driver.call import Router
from bridge.driver.interface import Signal
from bridge.routing.client import Client
from bridge.routing.names import Change
from bridge.wire.build import build
from bridge.wire.frame import Frame
from bridge.wire.protocol import DRIVER, DRIVER_PATH, SIGNAL

NAME_OWNER_CHANGED: Final = Signal("NameOwnerChanged", "sss")
NAME_LOST: Final = Signal("NameLost", "s")
NAME_ACQUIRED: Final = Signal("NameAcquired", "s")


def handover(router: Router, change: Change) -> None:
    """A well-known name has another owner, or got or lost its only one."""
    name, old, new = change
    for client in (old, new):
        if client is not None:
            router.allot(client)
    if old is not None:
        tell(router, old, NAME_LOST, name)
    owner_changed(router, name, unique(old), unique(new))
    if new is not None:
        tell(router, new, NAME_ACQUIRED, name)


def arrival(router: Router, client: Client) -> None:
    """A client got its unique name."""
    owner_changed(router, client.unique, "", client.unique)
    tell(router, client, NAME_ACQUIRED, client.unique)


def departure(router: Router, client: Client, changes: list[Change]) -> None:
    """A client is gone; `changes` are those of its names that had it as their owner.

    It hears nothing of it itself: it cannot read any more.
    """
    for name, old, new in changes:
        owner_changed(router, name, unique(old), unique(new))
        if new is not None:
            router.allot(new)
            tell(router, new, NAME_ACQUIRED, name)
    owner_changed(router, client.unique, client.unique, "")


def unique(client: Client | None) -> str:
    """How NameOwnerChanged names an owner."""
    return "" if client is None else client.unique


def owner_changed(router: Router, name: str, old: str, new: str) -> None:
    """Tell all whose match rules want it."""
    router.announce(frame(router, None, NAME_OWNER_CHANGED, name, old, new))


def tell(router: Router, client: Client, signal: Signal, name: str) -> None:
    """Tell the one whom it concerns, match rule or not."""
    router.tell(client, frame(router, client.unique, signal, name))


def frame(router: Router, destination: str | None, signal: Signal, *body: str) -> Frame:
    """One signal of the driver."""
    return build(
        SIGNAL,
        serial=router.serial(),
        path=DRIVER_PATH,
        interface=DRIVER,
        member=signal.name,
        destination=destination,
        signature=signal.gives,
        body=body,
    )
