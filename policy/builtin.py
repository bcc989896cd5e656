"""The session bus's configuration that is part of the program: it needs no file of the system."""

import tomllib
from importlib import import_module
from pathlib import Path

from policy.configuration import Configuration
from policy.limits import limits

CONNECT = ("bus-user", "anyone")


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
