"""Which object tells that others come and go: ObjectManager, where clients listen for it.

It knows what is exported only by its paths, and no peer.
"""

import logging
from collections.abc import Callable
from typing import Final, final

from dbus_fast import Message
from dbus_fast.service import ServiceInterface

OBJECT_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"

log = logging.getLogger("bridge.client")


@final
class Managers:
    """The object managers of one line. dbus-fast has each object tell of itself, which those who
    listen at a manager never hear."""

    def __init__(self, send: Callable[[Message], object]) -> None:
        self.send = send
        self.paths: set[str] = set()

    def added(self, path: str, interface: ServiceInterface) -> None:
        """With the properties that can be read, once they are known."""

        def known(_: ServiceInterface, values: object, __: object, error: Exception | None) -> None:
            if error is not None:
                log.warning("not every property of %s can be read: %s", interface.name, error)
            self.tell(path, "InterfacesAdded", "oa{sa{sv}}", {interface.name: values})

        ServiceInterface._get_all_property_values(interface, known)

    def removed(self, path: str, interfaces: list[str]) -> None:
        self.tell(path, "InterfacesRemoved", "oas", interfaces)

    def tell(self, path: str, member: str, signature: str, what: object) -> None:
        place = self.over(path)
        self.send(Message.new_signal(place, OBJECT_MANAGER, member, signature, [path, what]))

    def over(self, path: str) -> str:
        """The nearest manager above; the object itself if there is none."""
        above = path
        while above != "/":
            above = above.rpartition("/")[0] or "/"
            if above in self.paths:
                return above
        return path
