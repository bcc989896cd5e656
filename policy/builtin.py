"""The session bus's configuration that is part of the program: it needs no file of the system."""

import tomllib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import final

from policy.limits import Limits, limits

CONNECT = ("bus-user", "anyone")


@final
@dataclass(frozen=True, slots=True)
class Configuration:
    """What one bus is told: its type, where it listens, who may connect, and its limits."""

    type: str
    listen: tuple[str, ...]
    auth: tuple[str, ...]
    connect: str
    limits: Limits

    def may_connect(self, uid: int | None, bus_uid: int) -> bool:
        """May this user (None: anonymous) connect to a bus that runs as `bus_uid`?

        A bus without other rules admits its own user and nobody else, not even root
        (dbus-daemon(1), "policy").
        """
        return self.connect == "anyone" or uid == bus_uid


def session() -> Configuration:
    """The session bus, from the conf/session.toml that was installed with the program."""
    # Not by importlib.resources: it takes longer to import than all of this to run.
    folder = import_module("policy.conf").__path__[0]
    return read(Path(folder, "session.toml").read_text(encoding="utf-8"))


def read(text: str) -> Configuration:
    """A configuration from its text. Raises ValueError that says what is wrong."""
    table = tomllib.loads(text)
    missing = {"type", "listen", "auth", "connect", "limits"} ^ table.keys()
    if missing:
        raise ValueError(f"missing or unknown: {', '.join(sorted(missing))}")
    if table["connect"] not in CONNECT:
        raise ValueError(f"connect is {table['connect']!r}, not one of {', '.join(CONNECT)}")
    return Configuration(
        type=str(table["type"]),
        listen=tuple(table["listen"]),
        auth=tuple(table["auth"]),
        connect=table["connect"],
        limits=limits(table["limits"]),
    )
