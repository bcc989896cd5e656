"""All that the driver offers, in the order in which a method without interface is looked for."""

from typing import Final

from bridge.driver import (
    bus,
    capability,
    introspect,
    monitoring,
    peer,
    policy,
    properties,
    stats,
    status,
    verbose,
)
from bridge.driver.interface import Interface
from bridge.wire.protocol import DRIVER_PATH

INTERFACES: Final[tuple[Interface, ...]] = (
    bus.INTERFACE,
    properties.INTERFACE,
    introspect.INTERFACE,
    monitoring.INTERFACE,
    stats.INTERFACE,
    peer.INTERFACE,
    verbose.INTERFACE,
    policy.INTERFACE,
    status.INTERFACE,
    capability.INTERFACE,
)


def document() -> str:
    """The introspection of the driver's own object."""
    return introspect.document(INTERFACES, DRIVER_PATH)
