"""org.freedesktop.DBus.Peer: is anybody there, and on which machine? Needs no destination."""

import re
from typing import Final

from bridge.driver.call import Call
from bridge.driver.interface import Body, Interface, Method
from bridge.routing.errors import FAILED, Refused

# Where a machine's id is: as libdbus looks, its own file first (machine-id(5), dbus-uuidgen(1)).
FILES: Final = ("/var/lib/dbus/machine-id", "/etc/machine-id")
MACHINE_ID: Final = re.compile(rb"[0-9a-fA-F]{32}\n?")


def ping(_call: Call) -> Body:
    return ()


def get_machine_id(_call: Call) -> Body:
    for file in FILES:
        try:
            with open(file, "rb") as stream:
                content = stream.read(64)
        except OSError:
            continue
        if MACHINE_ID.fullmatch(content):
            return (content[:32].decode("ascii"),)
    raise Refused(FAILED, f"No machine id in {' or '.join(FILES)}")


INTERFACE: Final = Interface(
    "org.freedesktop.DBus.Peer",
    any_path=True,
    methods=(
        Method("GetMachineId", "", "s", get_machine_id),
        Method("Ping", "", "", ping),
    ),
)
