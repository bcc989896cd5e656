"""What it means that a bus does not answer a command, in words that say what to do."""

from typing import Final

from bridge.cli.link import BusError
from bridge.routing.errors import ACCESS_DENIED, PREFIX, UNKNOWN_INTERFACE, UNKNOWN_METHOD
from bridge.wire.protocol import DRIVER
from policy.report import rule_text
from policy.rule import Rule

# How buses say that they do not have such an interface.
UNKNOWN: Final = (UNKNOWN_METHOD, UNKNOWN_INTERFACE, PREFIX + "UnknownObject")


def is_by_policy(error: BusError) -> bool:
    """Do the rules forbid to ask? Else the bus itself does not answer everybody."""
    return error.name == ACCESS_DENIED and error.text.startswith("Rejected")


def refusal(error: BusError, interface: str) -> str:
    """Why the bus did not answer a call of its own interface."""
    if is_by_policy(error):
        needed = rule_text(Rule(allow=True, about="send", name=DRIVER, interface=interface))
        return f"this bus's policy does not let you ask it; it needs, for your user: {needed}"
    return f"the bus says {error}"
