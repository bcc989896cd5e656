"""Who has which name: unique names, well-known names (name.py), and the queues for them. Sends
nothing.

Every operation answers with the change that others must hear of; telling them is the driver's.
"""

from typing import Final, NamedTuple

from bridge.routing.client import Client
from bridge.routing.errors import INVALID_ARGS, LIMITS_EXCEEDED, Refused
from bridge.routing.name import Name, Place, owned
from bridge.wire.names import is_bus_name

DRIVER: Final = "org.freedesktop.DBus"

# D-Bus Specification, "org.freedesktop.DBus.RequestName": flags and replies; unknown flags pass.
ALLOW_REPLACEMENT: Final = 1
REPLACE_EXISTING: Final = 2
DO_NOT_QUEUE: Final = 4

PRIMARY_OWNER: Final = 1
IN_QUEUE: Final = 2
EXISTS: Final = 3
ALREADY_OWNER: Final = 4

# "org.freedesktop.DBus.ReleaseName"
RELEASED: Final = 1
NON_EXISTENT: Final = 2
NOT_OWNER: Final = 3


class Change(NamedTuple):
    """A name went from one owner to another; None: from or to nobody."""

    name: str
    old: Client | None
    new: Client | None


class Names:
    """The registry of one bus: its clients by number, its well-known names by text.

    `places` counts the unique names and all places in queues, the owners' among them; `most` is
    the highest that was, `most_of_one` that of one client.
    """

    def __init__(self) -> None:
        self.clients: dict[int, Client] = {}
        self.table: dict[str, Name] = {}
        self.joined = 0
        self.places = self.most = self.most_of_one = 0

    # --------------------------------------------------------------- unique names

    def join(self, client: Client) -> None:
        """Give the client its number and its unique name: never used before, the first :1.0."""
        client.number = self.joined
        client.unique = f":1.{self.joined}"
        self.clients[self.joined] = client
        self.joined += 1
        self._count(client)

    def leave(self, client: Client) -> None:
        """Its unique name is nobody's any more. Its well-known names are gone before (`drop`)."""
        del self.clients[client.number]
        self.places -= 1

    # -------------------------------------------------------------------- look-ups

    def client(self, number: int) -> Client | None:
        """The client of the unique name `:1.number`."""
        return self.clients.get(number)

    def owner(self, text: str) -> Client | None:
        """Whom a unique or well-known name means."""
        name = self.table.get(text)
        if name is not None:
            return name.owner
        digits = text[3:]
        if digits.isascii() and digits.isdecimal() and len(digits) < 19:
            client = self.clients.get(int(digits))
            if client is not None and client.unique == text:
                return client
        return None

    def queue(self, text: str) -> list[Client]:
        """All who own the name or wait for it, the owner first."""
        name = self.table.get(text)
        if name is not None:
            return name.queue()
        owner = self.owner(text)
        return [] if owner is None else [owner]

    def owned(self, client: Client) -> list[str]:
        """The well-known names that the client owns, not those that it waits for."""
        return owned(client)

    def listing(self) -> list[str]:
        """All names with an owner: unique ones in order of joining, then the well-known ones."""
        return [client.unique for client in self.clients.values()] + list(self.table)

    def count(self) -> int:
        """How many names have an owner."""
        return len(self.clients) + len(self.table)

    # ---------------------------------------------------------- asking and giving up

    def check(self, client: Client, text: str) -> None:
        """May any client ask for this name? Raises Refused."""
        if not is_bus_name(text):
            raise Refused(INVALID_ARGS, f'Requested bus name "{text}" is not valid')
        if text.startswith(":"):
            raise Refused(
                INVALID_ARGS, f"Cannot acquire a service starting with ':' such as \"{text}\""
            )
        if text == DRIVER:  # the missing space is the reference's
            raise Refused(
                INVALID_ARGS,
                f'Connection "{client.unique}" is not allowed to own the service "{text}"because '
                "it is reserved for D-Bus' use only",
            )

    def request(
        self, client: Client, text: str, flags: int, limit: int
    ) -> tuple[int, Change | None]:
        """RequestName, of a name that may be asked for (`check`): its reply, and the change of
        owner if there is one. Raises Refused.

        The limit counts the unique name and the places in queues, and holds even for a
        client that owns the name already: the reference asks it first.
        """
        held = 1 if client.names is None else 1 + len(client.names)
        if held >= limit:
            raise Refused(
                LIMITS_EXCEEDED,
                f'Connection "{client.unique}" is not allowed to own more services (increase '
                f"limits in configuration file if required; max_names_per_connection={limit})",
            )
        name = self.table.get(text)
        if name is None:
            name = Name(text, client, flags)
            self.table[text] = name
            self._enter(client, name)
            return PRIMARY_OWNER, Change(text, None, client)
        if name.owner is client:
            name.flags = flags
            return ALREADY_OWNER, None
        replaces = flags & REPLACE_EXISTING and name.flags & ALLOW_REPLACEMENT
        if flags & DO_NOT_QUEUE and not replaces:
            self._withdraw(name, client)
            return EXISTS, None
        place = self._wait(name, client, flags)
        if not replaces:
            return IN_QUEUE, None
        return PRIMARY_OWNER, self._replace(name, place)

    def release(self, client: Client, text: str) -> tuple[int, Change | None]:
        """ReleaseName: its reply, and the change of owner if there is one. Raises Refused."""
        if not is_bus_name(text):
            raise Refused(INVALID_ARGS, f'Given bus name "{text}" is not valid')
        if text.startswith(":"):
            raise Refused(
                INVALID_ARGS, f"Cannot release a service starting with ':' such as \"{text}\""
            )
        if text == DRIVER:
            raise Refused(
                INVALID_ARGS, f"Cannot release the {text} service because it is owned by the bus"
            )
        name = self.table.get(text)
        if name is None:
            return NON_EXISTENT, None
        if name.owner is client:
            return RELEASED, self._pass_on(name)
        if self._withdraw(name, client):
            return RELEASED, None
        return NOT_OWNER, None

    def drop(self, client: Client) -> list[Change]:
        """The client gives up all its names, the newest first; places in queues vanish silently."""
        changes: list[Change] = []
        while client.names:
            change = self.drop_newest(client)
            if change is not None:
                changes.append(change)
        return changes

    def drop_newest(self, client: Client) -> Change | None:
        """The client gives up the newest of its names, or its place in the queue for that."""
        assert client.names is not None
        name = client.names[-1]
        assert isinstance(name, Name)
        if name.owner is client:
            return self._pass_on(name)
        self._withdraw(name, client)
        return None

    # --------------------------------------------------------------- the queue moves

    def _wait(self, name: Name, client: Client, flags: int) -> Place:
        """Enter the queue, or update the place there. REPLACE_EXISTING jumps the queue,
        even where the owner does not let itself be replaced."""
        place = name.place(client)
        if place is None:
            place = Place(client, flags)
            name.insert(place, bool(flags & REPLACE_EXISTING))
            self._enter(client, name)
            return place
        place.flags = flags
        if flags & REPLACE_EXISTING:
            name.remove(place)
            name.insert(place, True)
        return place

    def _withdraw(self, name: Name, client: Client) -> bool:
        """Leave the queue. False: it was not waiting."""
        place = name.place(client)
        if place is None:
            return False
        name.remove(place)
        self._strike(client, name)
        return True

    def _replace(self, name: Name, place: Place) -> Change:
        """Take the name from its owner, who waits first in line unless it does not queue."""
        old, flags = name.owner, name.flags
        name.promote(place)
        assert old is not None
        if flags & DO_NOT_QUEUE:
            self._strike(old, name)
        else:
            name.insert(Place(old, flags), True)
        return Change(name.text, old, place.client)

    def _pass_on(self, name: Name) -> Change:
        """The owner lets go: the next in line owns the name, or nobody."""
        old = name.owner
        assert old is not None
        self._strike(old, name)
        if name.waiting is None:
            name.owner = None
            del self.table[name.text]
        else:
            name.promote(name.waiting[0])
        return Change(name.text, old, name.owner)

    # --------------------------------------------------------- the names of a client

    def _enter(self, client: Client, name: Name) -> None:
        """The name, owned or waited for, counts among the client's."""
        if client.names is None:
            client.names = []
        client.names.append(name)
        client.unsettle()
        self._count(client)

    def _strike(self, client: Client, name: Name) -> None:
        """The name is none of the client's any more."""
        names = client.names
        if names is None:
            return
        client.unsettle()
        if names[-1] is name:
            names.pop()
        else:
            names.remove(name)
        if not names:
            client.names = None
        self.places -= 1

    def _count(self, client: Client) -> None:
        """The client has one more."""
        held = 1 if client.names is None else 1 + len(client.names)
        self.places += 1
        client.most_names = max(client.most_names, held)
        self.most_of_one = max(self.most_of_one, held)
        self.most = max(self.most, self.places)
