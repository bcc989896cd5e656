"""org.bus1.Status1: the state of the bus for people, as `bus1 status` prints it. For root and the
bus's own user.

The answer is JSON: what is in it may grow, and no program should have to know its types before. It
is made elsewhere (state.py), for what it takes is not needed to start.
"""

from typing import Final

from bridge.driver.call import Call
from bridge.driver.interface import Body, Interface, Method
from bridge.driver.policy import fitting


def get_status(call: Call) -> Body:
    from bridge.driver.state import state

    return fitting(call, state(call.hub))


INTERFACE: Final = Interface(
    "org.bus1.Status1",
    any_path=False,
    methods=(Method("GetStatus", "", "s", get_status, trusted=True),),
)
