"""Who is called what: the well-known names on the bus and who owns them. Sends nothing."""

from collections.abc import Sequence
from typing import Final, final

from bridge.cli.link import Link
from bridge.wire.body import unpack
from bridge.wire.frame import Frame
from bridge.wire.names import is_bus_name
from bridge.wire.protocol import DRIVER, ERROR, SIGNAL

CHANGED: Final = "NameOwnerChanged"
CHANGES: Final = (
    f"type='signal',sender='{DRIVER}',interface='{DRIVER}',member='{CHANGED}',"
    "path='/org/freedesktop/DBus'"
)
MOST: Final = 65_536  # names; what comes beyond is shown by its unique name


def is_change(frame: Frame) -> bool:
    """Does the bus say that a name has another owner?"""
    return (
        frame.kind == SIGNAL
        and frame.member() == CHANGED
        and frame.interface() == DRIVER
        and frame.sender() == DRIVER
        and frame.signature() == "sss"
    )


@final
class Names:
    """The names of one bus, as far as we were told."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}
        self.owned: dict[str, list[str]] = {}

    def ask(self, link: Link) -> None:
        """What is there now. From here on changes are heard of. Raises NoBus, BusError."""
        (_, (listed,)) = link.ask(("AddMatch", "s", (CHANGES,)), ("ListNames", "", ()))
        assert isinstance(listed, list)
        names = [name for name in listed if not name.startswith(":") and name != DRIVER][:MOST]
        answers = link.answers([("GetNameOwner", "s", (name,)) for name in names])
        for name, answer in zip(names, answers, strict=True):
            if answer.frame.kind != ERROR:  # else it has gone since
                self.settle(name, "", str(unpack(answer.frame)[0]))

    def catch_up(self, link: Link) -> None:
        """Changes that were heard of while we asked: they count, whatever the answers said."""
        for seen in link.aside:
            self.hear(seen.frame)
        link.aside.clear()

    def hear(self, frame: Frame) -> None:
        """Maybe the bus speaks of a change."""
        if is_change(frame):
            name, _, owner = (str(word) for word in unpack(frame))
            if not name.startswith(":"):
                self.settle(name, self.owners.get(name, ""), owner)

    def settle(self, name: str, before: str, owner: str) -> None:
        """The name has another owner, or none."""
        if before:
            names = self.owned[before]
            names.remove(name)
            if not names:
                del self.owned[before]
            del self.owners[name]
        # What is no name, and no bus says, could do anything to a terminal.
        if len(self.owners) < MOST and is_bus_name(name) and is_bus_name(owner):
            self.owners[name] = owner
            self.owned.setdefault(owner, []).append(name)

    def of(self, unique: str | None) -> Sequence[str]:
        """The well-known names of a connection, the oldest first."""
        return self.owned.get(unique or "", ())

    def owner(self, name: str | None) -> str | None:
        """Whose name it is; of a unique name, itself."""
        if name is None or name.startswith(":"):
            return name
        return self.owners.get(name)

    def same(self, one: str | None, other: str) -> bool:
        """Do two names mean the same connection now?"""
        if one is None:
            return False
        return one == other or (self.owner(one) or one) == (self.owner(other) or other)
