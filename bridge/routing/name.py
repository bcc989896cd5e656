"""One well-known name: who owns it and who waits for it, in their order. It knows no other names,
and asks nobody whether that is allowed.
"""

from bridge.routing.client import Client


class Place:
    """One client's place in a name's queue, with what it said about being replaced."""

    def __init__(self, client: Client, flags: int) -> None:
        self.client = client
        self.flags = flags


class Name:
    """One well-known name while somebody owns it; `owner` is None ever after.

    `waiting` are the places after the owner's, or None.
    """

    def __init__(self, text: str, owner: Client, flags: int) -> None:
        self.text = text
        self.owner: Client | None = owner
        self.flags = flags
        self.waiting: list[Place] | None = None

    def queue(self) -> list[Client]:
        """All who own it or wait for it, the owner first."""
        waiting = [place.client for place in self.waiting or ()]
        return waiting if self.owner is None else [self.owner, *waiting]

    def place(self, client: Client) -> Place | None:
        """The client's place among those who wait."""
        waiting = self.waiting
        if waiting is not None:
            for place in waiting:
                if place.client is client:
                    return place
        return None

    def insert(self, place: Place, first: bool) -> None:
        """Wait: at the end, or ahead of all others."""
        if self.waiting is None:
            self.waiting = []
        if first:
            self.waiting.insert(0, place)
        else:
            self.waiting.append(place)

    def remove(self, place: Place) -> None:
        """Wait no longer."""
        if self.waiting is not None:
            self.waiting.remove(place)
            if not self.waiting:
                self.waiting = None

    def promote(self, place: Place) -> None:
        """One of those who wait is the owner from now on."""
        self.remove(place)
        self.owner = place.client
        self.flags = place.flags


def owned(client: Client) -> list[str]:
    """The well-known names that the client owns, not those that it waits for."""
    texts: list[str] = []
    for name in client.names or ():
        if isinstance(name, Name) and name.owner is client:
            texts.append(name.text)
    return texts


def owns(client: Client, text: str) -> bool:
    """Is this one of the client's names, unique or well-known?"""
    return text == client.unique or text in owned(client)
