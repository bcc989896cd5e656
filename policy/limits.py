"""How much of everything one bus, one user or one connection may hold.

The names are those of dbus-daemon(1), "limit"; the last three are this project's own.
"""

from dataclasses import dataclass, fields
from typing import Final, final

HIGHEST: Final = 2**31 - 1  # a limit is a signed 32-bit number, as in dbus-daemon

# What dbus-daemon knows and this bus has no use for: it has no containers (Containers1).
WITHOUT_EFFECT: Final = frozenset(
    (
        "max_containers",
        "max_containers_per_user",
        "max_container_metadata_bytes",
        "max_connections_per_container",
    )
)


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """The defaults are dbus-daemon's for a bus whose configuration sets none.

    Bytes, counts and milliseconds; a timeout of None is never.
    """

    max_incoming_bytes: int = 127 * 1024 * 1024
    max_incoming_unix_fds: int = 64
    max_outgoing_bytes: int = 127 * 1024 * 1024
    max_outgoing_unix_fds: int = 64
    max_message_size: int = 32 * 1024 * 1024
    max_message_unix_fds: int = 16
    service_start_timeout: int = 25_000
    auth_timeout: int = 30_000
    pending_fd_timeout: int = 150_000
    reply_timeout: int | None = None
    max_completed_connections: int = 2048
    max_incomplete_connections: int = 64
    max_connections_per_user: int = 256
    max_pending_service_starts: int = 512
    max_names_per_connection: int = 512
    max_match_rules_per_connection: int = 512
    max_replies_per_connection: int = 128
    max_outgoing_messages: int = 1_000_000
    max_handles_per_connection: int = 1_000_000
    max_grants_per_connection: int = 512


NAMES: Final = frozenset(field.name for field in fields(Limits))
# Of these, what nothing in the bus asks for: what comes in is handed on at once, so that the two
# hold by themselves.
HELD_ANYWAY: Final = frozenset(("max_incoming_bytes", "max_incoming_unix_fds"))
OWN: Final = frozenset(
    ("max_outgoing_messages", "max_handles_per_connection", "max_grants_per_connection")
)


def limits(settings: dict[str, object]) -> Limits:
    """Limits from a table of settings. Raises ValueError that names the wrong one."""
    for name, value in settings.items():
        if name not in NAMES:
            raise ValueError(f"there is no limit named {name!r}")
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= HIGHEST:
            raise ValueError(f"limit {name} is {value!r}, not a number from 0 to {HIGHEST}")
    return Limits(**settings)  # type: ignore[arg-type]
