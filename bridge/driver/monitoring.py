"""org.freedesktop.DBus.Monitoring: a client becomes a monitor, and stays one to its end.

What a monitor is shown is not decided here (routing/monitors.py).
"""

from typing import Final

from bridge.driver import announce
from bridge.driver.call import Call
from bridge.driver.interface import Body, Interface, Method
from bridge.routing.errors import INVALID_ARGS, Refused
from bridge.routing.rule import Rule
from bridge.wire.protocol import DRIVER


def become_monitor(call: Call) -> Body:
    """The reply comes first: after it the client is nobody on the bus (D-Bus Specification,
    "org.freedesktop.DBus.Monitoring.BecomeMonitor")."""
    texts, flags = call.arguments
    if flags:
        raise Refused(INVALID_ARGS, "BecomeMonitor does not support any flags yet")
    rules = [Rule.parse(text) for text in texts]
    hub, client = call.hub, call.client
    hub.gate.check_eavesdropping(client)
    call.answer()
    hub.activation.left(client)
    hub.matches.drop(client)
    announce.withdrawal(hub, client, hub.names.drop(client))
    hub.observe(client, rules)
    return None


INTERFACE: Final = Interface(
    DRIVER + ".Monitoring",
    any_path=False,
    methods=(Method("BecomeMonitor", "asu", "", become_monitor, trusted=True),),
)
