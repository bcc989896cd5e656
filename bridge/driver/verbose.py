"""org.freedesktop.DBus.Verbose: the log says of each message that it passed, until it is told not
to. For root and the bus's own user; what is logged is written in routing/verbose.py.
"""

from typing import Final

from bridge.driver.call import Call
from bridge.driver.interface import Body, Interface, Method
from bridge.wire.protocol import DRIVER


def enable_verbose(call: Call) -> Body:
    call.hub.monitors.log(True)
    return ()


def disable_verbose(call: Call) -> Body:
    call.hub.monitors.log(False)
    return ()


INTERFACE: Final = Interface(
    DRIVER + ".Verbose",
    any_path=False,
    methods=(
        Method("EnableVerbose", "", "", enable_verbose, trusted=True),
        Method("DisableVerbose", "", "", disable_verbose, trusted=True),
    ),
)
