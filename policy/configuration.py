"""What one bus is told, from whatever file it came. Knows no file formats."""

from dataclasses import dataclass
from typing import final

from policy.limits import Limits


@final
@dataclass(frozen=True, slots=True)
class Configuration:
    """A bus's type, where it listens, how and who may connect, and its limits.

    `connect` is "bus-user" or "anyone". Among those who are connected all is allowed.
    `service_directories` says whether any were named; what for is for later releases.
    """

    type: str
    listen: tuple[str, ...]
    auth: tuple[str, ...]
    connect: str
    limits: Limits
    service_directories: bool = False

    def may_connect(self, uid: int | None, bus_uid: int) -> bool:
        """May this user (None: anonymous) connect to a bus that runs as `bus_uid`?

        A bus without other rules admits its own user and nobody else, not even root
        (dbus-daemon(1), "policy").
        """
        return self.connect == "anyone" or uid == bus_uid
