"""org.freedesktop.DBus.Properties of the driver, and the two properties that it has."""

from typing import Final

from bridge.driver.call import Call
from bridge.driver.interface import Body, Interface, Method, Property, Signal
from bridge.routing.errors import (
    PROPERTY_READ_ONLY,
    UNKNOWN_INTERFACE,
    UNKNOWN_PROPERTY,
    Refused,
)
from bridge.wire.protocol import DRIVER

# What every bus has, and `Interfaces` therefore leaves out (D-Bus Specification,
# "Message Bus Properties").
COMMON: Final = (DRIVER, DRIVER + ".Introspectable", DRIVER + ".Peer", DRIVER + ".Properties")

# dbus-daemon has this only in builds for its developers; elsewhere its own tests must not see it
# announced (test-dbus-daemon, /properties/interfaces). It answers all the same.
UNTOLD: Final = (DRIVER + ".Verbose",)


def features(call: Call) -> object:
    """HeaderFiltering: no client sees a header field that this bus does not know."""
    systemd = ["SystemdActivation"] if call.hub.activation.by_systemd else []
    return ["ActivatableServicesChanged", "HeaderFiltering", *systemd]


def interfaces(call: Call) -> object:
    """What there is beyond the common ones: read from the tables, so it cannot be wrong."""
    return [each.name for each in call.interfaces if each.name not in COMMON + UNTOLD]


FEATURES: Final = Property("Features", "as", features)
INTERFACES: Final = Property("Interfaces", "as", interfaces)


def get(call: Call) -> Body:
    interface, name = call.arguments
    found = find(call, interface, name)
    return ((found.type, found.value(call)),)


def get_all(call: Call) -> Body:
    (interface,) = call.arguments
    found = find_all(call, interface)
    return ({each.name: (each.type, each.value(call)) for each in found},)


def refuse_set(call: Call) -> Body:
    interface, name, _value = call.arguments
    find(call, interface, name)
    raise Refused(PROPERTY_READ_ONLY, f"Property '{interface}.{name}' cannot be set")


def find(call: Call, interface: str, name: str) -> Property:
    for each in find_all(call, interface):
        if each.name == name:
            return each
    raise Refused(UNKNOWN_PROPERTY, f'Property "{interface}.{name}" not found')


def find_all(call: Call, interface: str) -> tuple[Property, ...]:
    for each in call.interfaces:
        if each.name == interface:
            return each.properties
    raise Refused(UNKNOWN_INTERFACE, f'Interface "{interface}" not found')


INTERFACE: Final = Interface(
    DRIVER + ".Properties",
    any_path=False,
    methods=(
        Method("Get", "ss", "v", get),
        Method("GetAll", "s", "a{sv}", get_all),
        Method("Set", "ssv", "", refuse_set),
    ),
    # Never sent: what is constant does not change. But it belongs to the interface.
    signals=(
        Signal(
            "PropertiesChanged",
            "sa{sv}as",
            ("interface_name", "changed_properties", "invalidated_properties"),
        ),
    ),
)
