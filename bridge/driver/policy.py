"""org.bus1.Policy1: why the bus allows and denies what it does. For root and the bus's own user.

Answers are JSON: what policy/report.py makes of rules, for people's programs to print. They
are made elsewhere (question.py): what it takes for them is seldom needed, and slow to import.
"""

from typing import Final, cast

from bridge.driver.call import Call
from bridge.driver.interface import Body, Interface, Method, Property
from bridge.routing.errors import LIMITS_EXCEEDED, Refused

MOST: Final = 2**26  # bytes of an answer, half of what a message can have


def explain(call: Call) -> Body:
    """What the rules say of a question, whoever asks it of whom."""
    from bridge.driver.question import answer

    (table,) = call.arguments
    return fitting(call, answer(call, table))


def list_rules(call: Call) -> Body:
    """All sections with their rules, in the order of reading."""
    from bridge.driver.question import listing

    return fitting(call, listing(call.hub.configuration))


def fitting(call: Call, text: str) -> Body:
    """An answer, if it can be sent: there are any number of rules, and nobody is to wait for
    what cannot come."""
    most = min(MOST, call.client.limits.max_outgoing_bytes // 2)
    if len(text) > most:
        raise Refused(LIMITS_EXCEEDED, f"The answer has {len(text)} bytes, and may have {most}")
    return (text,)


def set_permissive(call: Call) -> Body:
    """Until the next reload that says otherwise: what is denied passes, and is logged."""
    (on,) = call.arguments
    call.hub.gate.set_permissive(cast(bool, on), call.client)
    return ()


def is_permissive(call: Call) -> object:
    return call.hub.gate.permissive


INTERFACE: Final = Interface(
    "org.bus1.Policy1",
    any_path=False,
    methods=(
        Method("Explain", "a{sv}", "s", explain, trusted=True),
        Method("ListRules", "", "s", list_rules, trusted=True),
        Method("SetPermissive", "b", "", set_permissive, trusted=True),
    ),
    properties=(Property("Permissive", "b", is_permissive),),
)
