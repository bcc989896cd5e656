"""The environment variables of services. Knows no processes, and not how they are started."""

import os
from collections.abc import Mapping
from typing import Final, final

# systemd's, about the bus's own process and its sockets (sd_notify(3), sd_listen_fds(3)): to a
# service they would be lies.
NOT_FOR_SERVICES: Final = frozenset(
    (
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
    )
)
LOCALE: Final = "LC_CTYPE"
# By the type of bus, the variable by which clients find it (D-Bus Specification, "Well-known
# Message Bus Instances").
ADDRESSES: Final = {
    "session": "DBUS_SESSION_BUS_ADDRESS",
    "system": "DBUS_SYSTEM_BUS_ADDRESS",
}
NATIVE: Final = "BUS1_ADDRESS"  # by which native programs find it


def inherited(found: Mapping[str, str]) -> dict[str, str]:
    """The environment with which this process was started: Python may have put in a locale of
    its own (PEP 538)."""
    try:
        with open("/proc/self/environ", "rb") as file:
            first = {line.partition(b"=")[0] for line in file.read().split(b"\0")}
    except OSError:
        return dict(found)
    return {
        key: value for key, value in found.items() if key != LOCALE or os.fsencode(key) in first
    }


@final
class Environment:
    """The bus's own environment at its start, what clients set since, and above both how to
    reach the bus."""

    def __init__(self, own: Mapping[str, str], address: str, native: str = "") -> None:
        self.variables = {key: own[key] for key in own if key not in NOT_FOR_SERVICES}
        self.address = address
        self.native = native

    def update(self, more: Mapping[str, str]) -> None:
        """Services that are started from now on get these, too."""
        self.variables.update(more)

    def of_services(self, bus_type: str) -> dict[str, str]:
        """All variables of a service on a bus of this type ("" for a bus without one)."""
        found = self.variables | {"DBUS_STARTER_ADDRESS": self.address}
        if bus_type:
            found["DBUS_STARTER_BUS_TYPE"] = bus_type
        if bus_type in ADDRESSES:
            found[ADDRESSES[bus_type]] = self.address
        if self.native:
            found[NATIVE] = self.native
        return found
