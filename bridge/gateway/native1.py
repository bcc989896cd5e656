"""org.bus1.Native1: what the driver offers to native peers beside all that it offers to others. Its
methods take and give handles, which go beside their arguments.
"""

from functools import partial
from typing import TYPE_CHECKING, Final

from bridge.driver import monitoring
from bridge.driver.call import Call, unowned
from bridge.driver.driver import Tables, tables
from bridge.driver.interface import Body, Interface, Method
from bridge.driver.tables import INTERFACES
from bridge.gateway.right import Right, asked, check
from bridge.routing.errors import (
    INVALID_ARGS,
    LIMITS_EXCEEDED,
    NOT_SUPPORTED,
    SERVICE_UNKNOWN,
    Refused,
)
from bridge.wire.protocol import NO_AUTO_START
from bus1.errors import Quota

if TYPE_CHECKING:
    from bridge.gateway.face import Face
    from bridge.routing.client import Client
    from bus1.node import Handle

NAME: Final = "org.bus1.Native1"


def attach(call: Call) -> Body:
    """From now on all that is for it comes there."""
    face, handle = face_of(call), taken(call)
    if handle.node.queue is not face.native.queue:
        face.gateway.drop([handle])
        raise Refused(INVALID_ARGS, "Only a node of one's own can be attached")
    face.attach(handle)
    return (call.client.unique,)


def right(call: Call) -> Body:
    """A handle: whoever has it may call that name. Raises Refused."""
    face = face_of(call)
    made = asked(call.client.credentials, call.arguments)
    owner = call.hub.names.owner(made.name)
    if owner is None and made.name.startswith(":"):
        raise unowned("a Right", made.name)
    check(call.hub.gate, call.client, made.standing(call.hub.gate.policy), owner, made)
    if face.calls.get(call.frame.serial) is None:
        return ()  # nobody is there to get it
    try:
        face.gifts[call.frame.serial] = face.gateway.rights.give(made, owner)
    except Quota:
        raise Refused(LIMITS_EXCEEDED, "There are as many Rights as there may be") from None
    return ()


def offer(call: Call) -> Body:
    """Those who look for this name find this handle, whenever the caller owns it. A service that is
    started offers first: whoever waits for the name then finds it at once."""
    (name,) = call.arguments
    face = face_of(call)
    check_offering(call, face, name)
    face.offer(name, taken(call))
    return ()


def check_offering(call: Call, face: "Face", name: str) -> None:
    """May it offer something under this name? As many as it may own. Raises Refused."""
    hub, client = call.hub, call.client
    if hub.names.owner(name) is not client:
        hub.names.check(client, name)
        hub.gate.check_owning(client, name)
    if name not in face.offers and len(face.offers) >= client.limits.max_names_per_connection:
        raise Refused(LIMITS_EXCEEDED, f"{client.unique} offers as much as it may own names")


def find(call: Call) -> Body:
    """What the owner of a name has offered; if nobody owns it, a service is started."""
    (name,) = call.arguments
    hub = call.hub
    owner = hub.names.owner(name)
    if owner is None and not is_startable(call, name):
        raise unowned("a handle", name)
    check(hub.gate, call.client, hub.gate.standing(call.client), owner, wanted(call, name))
    if owner is None:
        hub.activation.start(call.client, call.frame, name, partial(find_started, call, name))
        return None
    give_found(call, name, owner)
    return ()


def is_startable(call: Call, name: str) -> bool:
    """Does calling it start a service? Raises Refused: it may not wait for one more."""
    if name.startswith(":") or call.frame.flags & NO_AUTO_START:
        return False
    return call.hub.activation.find(call.client, name) is not None


def find_started(call: Call, name: str, _how: int) -> None:
    """The name has an owner now."""
    try:
        give_found(call, name, call.hub.names.owner(name))
        call.answer()
    except Refused as refused:
        call.refuse(refused)


def give_found(call: Call, name: str, owner: "Client | None") -> None:
    """What the owner has offered goes along with the answer. Raises Refused."""
    face = face_of(call)
    other = None if owner is None else face.gateway.face_of(owner)
    found = None if other is None else other.offers.get(name)
    if found is None or found.node.gone:
        raise Refused(SERVICE_UNKNOWN, f'The owner of "{name}" offers no handle')
    if face.calls.get(call.frame.serial) is not None:
        try:
            face.gifts[call.frame.serial] = face.gateway.peer.transfer(found, face.gateway.peer)
        except Quota:
            raise Refused(LIMITS_EXCEEDED, "The bus holds as many handles as it may") from None


def wanted(call: Call, name: str) -> Right:
    """All calls to a name, as the policy is asked about them."""
    return Right(call.client.credentials, name)


def refuse_monitoring(_call: Call) -> Body:
    """A monitor gives up all that it is on the bus, and its queue is its connection's."""
    raise Refused(NOT_SUPPORTED, "A native peer cannot become a monitor: connect as a D-Bus client")


def face_of(call: Call) -> "Face":
    """The face that calls. Only faces are offered this interface."""
    face: Face = call.client.peer.queue.reader  # type: ignore[assignment]
    return face


def taken(call: Call) -> "Handle":
    """The handle that came with a call. Raises Refused."""
    carried = face_of(call).carried
    handle = carried[0] if carried else None
    if handle is None or handle.node.gone:
        raise Refused(INVALID_ARGS, f"{call.method.name} takes a handle, after that to answer on")
    if handle.once:
        raise Refused(INVALID_ARGS, f"{call.method.name} takes no one-shot handle")
    carried[0] = None
    return handle


INTERFACE: Final = Interface(
    NAME,
    any_path=False,
    methods=(
        Method("Attach", "", "s", attach),
        Method("Right", "ssss", "", right),
        Method("Offer", "s", "", offer),
        Method("Find", "s", "", find),
    ),
)
MONITORING: Final = monitoring.INTERFACE._replace(
    methods=tuple(
        each._replace(function=refuse_monitoring, trusted=False)
        for each in monitoring.INTERFACE.methods
    )
)
OFFERED: Final[Tables] = tables(
    (*(MONITORING if each is monitoring.INTERFACE else each for each in INTERFACES), INTERFACE)
)
