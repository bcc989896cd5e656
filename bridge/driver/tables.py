"""All that the driver offers, in the order in which a method without interface is looked for."""

from typing import Final

from bridge.driver import bus, introspect, peer, policy, properties
from bridge.driver.interface import Interface
from bridge.wire.protocol import DRIVER_PATH

INTERFACES: Final[tuple[Interface, ...]] = (
    bus.INTERFACE,
    properties.INTERFACE,
    introspect.INTERFACE,
    peer.INTERFACE,
    policy.INTERFACE,
)


def document() -> str:
    """The introspection of the driver's own object."""
    return introspect.document(INTERFACES, DRIVER_PATH)
