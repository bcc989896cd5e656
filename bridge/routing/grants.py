"""Rights that clients grant each other: to call an object, an interface of it, or a member of that.

A grant is a capability of the core: a node of the granter's peer, tagged with the grant, and a
handle to it in the grantee's. Whichever of the two goes takes it along, and the core tells the
other. What may be granted the policy says (policy/delegation.py), again with each call.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, final

from bridge.routing.client import Client
from bridge.routing.errors import INVALID_ARGS, LIMITS_EXCEEDED, Refused
from bridge.routing.grant import Grant, Key, signal
from bridge.routing.granting import delegates
from bridge.routing.name import owned
from bridge.wire.frame import Frame
from bus1.errors import Quota
from bus1.node import Handle, Node
from policy.delegation import Extent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.routing.hub import Hub

WORK: Final = 16  # Hub.work of a call that passes by a grant, and of that many names of the granter


@final
class Grants:
    """All grants of one bus. `made` are those of each granter, as long as it has not heard of their
    end, and `held` those of each grantee, by their ids; `rights` are those that calls pass by.
    `count` is how many have not ended. `shares` are, of each grantee and by user, how many it has
    been given and has not heard the end of: so long it has the handle. `names` are those of each
    granter when a call to it last came here, with a number for each change."""

    def __init__(self, hub: "Hub") -> None:
        self.hub = hub
        self.made: dict[int, dict[int, Grant]] = {}
        self.held: dict[int, dict[int, Grant]] = {}
        self.rights: dict[Key, dict[int, Grant]] = {}
        self.shares: dict[int, Counter[int | None]] = {}
        self.names: dict[int, tuple[int, list[str]]] = {}
        self.count = 0
        self.last = 0
        self.changes = 0

    # ------------------------------------------------------------------ by the granter

    def make(self, granter: Client, grantee: Client, extent: Extent) -> Grant:
        """Grant it, whatever the rules say. Raises Refused if one of the two has too many."""
        self.check_room(granter, grantee)
        self.last += 1
        grant = Grant(self.last, granter, grantee, extent)
        peer = granter.peer
        made: list[Node | Handle] = []
        try:
            made.append(node := peer.create(grant))
            made.append(own := peer.handle(node))
            handle = peer.transfer(own, grantee.peer)
        except Quota:
            if made:
                peer.release(made)
            raise Refused(LIMITS_EXCEEDED, "One of the two may not have more handles") from None
        peer.release([own])
        grant.node, grant.handle = node, handle
        self.enter(grant)
        return grant

    def check_room(self, granter: Client, grantee: Client) -> None:
        """May they have one more? What a client is given it has not asked for, so none of those who
        give can use up what it may have from others. Raises Refused."""
        most = granter.limits.max_grants_per_connection
        if len(self.made.get(granter.number, ())) >= most:
            raise Refused(
                LIMITS_EXCEEDED,
                f'Connection "{granter.unique}" is not allowed to grant more rights (increase '
                "limits in configuration file if required; "
                f"max_grants_per_connection={most})",
            )
        shares = self.shares.get(grantee.number)
        held = 0 if shares is None else shares[granter.credentials.uid]
        if held >= grantee.limits.max_grants_per_connection:
            raise Refused(LIMITS_EXCEEDED, f"{grantee.unique} has as many from you as it may have")

    def destroy(self, granter: Client, id: int) -> None:
        """End what this client has granted; the grantee hears of it. Raises Refused."""
        grant = self.made.get(granter.number, {}).get(id)
        if grant is None or not grant.lives():
            raise unknown(id)
        self.strike(grant)
        granter.peer.destroy([grant.node])

    def of(self, granter: Client) -> list[Grant]:
        """What it has granted."""
        return [each for each in self.made.get(granter.number, {}).values() if each.lives()]

    # ------------------------------------------------------------------ by the grantee

    def release(self, grantee: Client, id: int) -> None:
        """Give up what this client was granted; the granter hears of it. Raises Refused."""
        grant = self.held.get(grantee.number, {}).get(id)
        if grant is None:
            raise unknown(id)
        self.withdraw(grant)
        self.give_back(grant)
        grantee.peer.release([grant.handle])

    def to(self, grantee: Client) -> list[Grant]:
        """What it was granted."""
        return list(self.held.get(grantee.number, {}).values())

    # ------------------------------------------------------------------------- at work

    def pass_by(self, sender: Client, receiver: Client, frame: Frame) -> bool:
        """May this call of the one to the other pass by a grant that still counts?"""
        called = Extent(frame.path(), frame.interface(), frame.member())
        return any(
            self.still_counts(receiver, grant) for grant in self.find(sender, receiver, called)
        )

    def still_counts(self, granter: Client, grant: Grant) -> bool:
        """Do the rules let it? Nothing but its names and another policy can change that."""
        self.hub.work += WORK + len(granter.names or ()) // WORK
        names = owned(granter)
        change, known = self.names.get(granter.number, (0, None))
        if known != names:
            self.changes += 1
            change = self.changes
            self.names[granter.number] = change, names
        if grant.judged != change:
            grant.judged = change
            grant.counts = delegates(granter, grant.extent)
        return grant.counts

    def reconsider(self) -> None:
        """There are other rules."""
        self.names.clear()

    def find(self, sender: Client, receiver: Client, called: Extent) -> "Iterator[Grant]":
        """The grants that such a call could pass by, one of each extent. A call without interface
        may mean any, so only what is granted with all interfaces is for it."""
        extents = [Extent(called.path)]
        if called.interface is not None:
            extents += [Extent(called.path, called.interface), called]
        for extent in extents:
            rights = self.rights.get((receiver.number, sender.number, *extent))
            if rights:
                yield next(iter(rights.values()))

    # -------------------------------------------------------------------------- ends

    def hear(self, client: Client, thing: Node | Handle) -> None:
        """The core tells the grantee that the node is gone, or the granter that the handle is."""
        if isinstance(thing, Handle):
            self.tell(client, "RightLost", thing.node.tag)
            self.give_back(thing.node.tag)
            client.peer.release([thing])
        else:
            self.tell(client, "GrantReleased", thing.tag)
            self.forget(thing.tag)
            client.peer.destroy([thing])

    def leave(self, client: Client) -> None:
        """It takes no part in the bus any more: what it granted ends, and it holds nothing."""
        self.names.pop(client.number, None)
        self.shares.pop(client.number, None)
        for grant in self.to(client):
            self.withdraw(grant)
        made = list(self.made.get(client.number, {}).values())
        for grant in made:
            self.strike(grant)
        if made:
            client.peer.destroy([grant.node for grant in made])

    def tell(self, client: Client, member: str, grant: object) -> None:
        """One of the two hears that it has ended."""
        assert isinstance(grant, Grant)
        if client.active():
            self.hub.tell(client, signal(self.hub.serial(), client, member, "t", grant.id))

    # -------------------------------------------------------------------------- books

    def enter(self, grant: Grant) -> None:
        self.made.setdefault(grant.granter, {})[grant.id] = grant
        self.held.setdefault(grant.grantee, {})[grant.id] = grant
        self.rights.setdefault(grant.key(), {})[grant.id] = grant
        self.shares.setdefault(grant.grantee, Counter())[grant.uid] += 1
        self.count += 1

    def strike(self, grant: Grant) -> None:
        """It is over, and both know it, or will hear it of the core."""
        self.withdraw(grant)
        self.forget(grant)

    def withdraw(self, grant: Grant) -> None:
        """Nothing passes by it any more."""
        if remove(self.held, grant.grantee, grant.id):
            remove(self.rights, grant.key(), grant.id)
            self.count -= 1

    def give_back(self, grant: object) -> None:
        """Its grantee has no handle any more."""
        assert isinstance(grant, Grant)
        shares = self.shares.get(grant.grantee)
        if shares is None:
            return
        shares[grant.uid] -= 1
        if not shares[grant.uid]:
            del shares[grant.uid]
        if not shares:
            del self.shares[grant.grantee]

    def forget(self, grant: object) -> None:
        """Its granter has heard that it is over."""
        assert isinstance(grant, Grant)
        remove(self.made, grant.granter, grant.id)


def remove(table: dict[Any, dict[int, Grant]], key: object, id: int) -> bool:
    """Take a grant out of one of the tables; False if it is not there."""
    grants = table.get(key)
    if grants is None or grants.pop(id, None) is None:
        return False
    if not grants:
        del table[key]
    return True


def unknown(id: int) -> Refused:
    """Of others' grants nobody learns whether they are there."""
    return Refused(INVALID_ARGS, f"You have no grant {id}")
