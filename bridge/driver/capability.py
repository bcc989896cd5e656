"""org.bus1.Capability1: a client lets another one call an object of its own, whatever the rules say
of messages, if those about delegation let it. The rights themselves are in routing/grants.py.
"""

from typing import Final

from bridge.driver.call import Call
from bridge.driver.interface import Body, Interface, Method, Signal
from bridge.routing import granting
from bridge.routing.client import Client
from bridge.routing.errors import INVALID_ARGS, NAME_HAS_NO_OWNER, Refused
from bridge.routing.grant import INTERFACE as CAPABILITY
from bridge.routing.grant import Grant, signal
from bridge.wire.names import is_interface, is_member, is_unique_name
from policy.delegation import Extent

RIGHT_ACQUIRED: Final = Signal(
    "RightAcquired", "tsoss", ("id", "granter", "path", "interface", "member")
)
RIGHT_LOST: Final = Signal("RightLost", "t", ("id",))
GRANT_RELEASED: Final = Signal("GrantReleased", "t", ("id",))


def grant(call: Call) -> Body:
    """The grantee hears of it first; so it knows before anybody can tell it."""
    to, path, interface, member = call.arguments
    hub, granter = call.hub, call.client
    grantee = find(call, to)
    extent = extent_of(path, interface, member)
    granting.check(hub.gate, granter, extent)
    made = hub.grants.make(granter, grantee, extent)
    signature, said = RIGHT_ACQUIRED.gives, record(made, granter.unique)
    frame = signal(hub.serial(), grantee, RIGHT_ACQUIRED.name, signature, *said)
    hub.tell(grantee, frame, granter)
    return (made.id,)


def find(call: Call, name: str) -> Client:
    """The grantee: a right is for one client, and not for whoever will have a name."""
    if not is_unique_name(name):
        raise Refused(
            INVALID_ARGS, f'A right is granted to a unique name such as :1.42, not to "{name}"'
        )
    client = call.hub.names.owner(name)
    if client is None:
        raise Refused(NAME_HAS_NO_OWNER, f"Could not grant a right to '{name}': no such name")
    if client is call.client:
        raise Refused(INVALID_ARGS, "Nobody can grant a right to itself")
    return client


def extent_of(path: str, interface: str, member: str) -> Extent:
    """What a grant is to be about; "" is any. Raises Refused."""
    if interface and not is_interface(interface):
        raise Refused(INVALID_ARGS, f'"{interface}" is no interface')
    if member and not is_member(member):
        raise Refused(INVALID_ARGS, f'"{member}" is no member of an interface')
    if member and not interface:
        raise Refused(INVALID_ARGS, "A right to one member names its interface, too")
    return Extent(path, interface or None, member or None)


def destroy(call: Call) -> Body:
    """By the granter. The grantee hears RightLost."""
    (number,) = call.arguments
    call.hub.grants.destroy(call.client, number)
    return ()


def release(call: Call) -> Body:
    """By the grantee. The granter hears GrantReleased."""
    (number,) = call.arguments
    call.hub.grants.release(call.client, number)
    return ()


def list_grants(call: Call) -> Body:
    """What the caller has granted, and to whom."""
    return ([record(each, unique(each.grantee)) for each in call.hub.grants.of(call.client)],)


def list_rights(call: Call) -> Body:
    """What the caller was granted, and by whom."""
    return ([record(each, unique(each.granter)) for each in call.hub.grants.to(call.client)],)


def record(grant: Grant, other: str) -> tuple[object, ...]:
    """One grant, with the one at its other end."""
    path, interface, member = (each or "" for each in grant.extent)
    return grant.id, other, path, interface, member


def unique(number: int) -> str:
    """The name of the client with this number, who may be gone."""
    return f":1.{number}"


INTERFACE: Final = Interface(
    CAPABILITY,
    any_path=False,
    methods=(
        Method("Grant", "soss", "t", grant),
        Method("Destroy", "t", "", destroy),
        Method("Release", "t", "", release),
        Method("ListGrants", "", "a(tsoss)", list_grants),
        Method("ListRights", "", "a(tsoss)", list_rights),
    ),
    signals=(RIGHT_ACQUIRED, RIGHT_LOST, GRANT_RELEASED),
)
