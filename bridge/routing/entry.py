"""What an entry of the log says beside its text: an id of its kind, and fields, for programs that
ask the journal (docs/journal.md lists both). It knows nothing of where the log goes.

A name that begins with BUS1_ is never one of journald's own (systemd.journal-fields(7)).
"""

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from bridge.routing.credentials import Credentials, command
from bridge.routing.name import owned

if TYPE_CHECKING:
    from bridge.routing.client import Client


# The logger of what a bus does all its life and whoever started it knows: not for stderr, which
# harnesses expect to be empty, as dbus-daemon leaves it.
LIFECYCLE: Final = "bus1.lifecycle"


class Kind(Enum):
    """Kinds of entries, with their MESSAGE_ID: random ones, and never another for the same."""

    SERVING = "6dcde46d191b4c779eb4872ccd82da5d"
    ENDING = "01dd19c2e8704281b517f1391f2f0d1f"
    RELOADED = "42a47bd750fb4292bc8f071b52d8a33c"
    NOT_RELOADED = "2482e8673df44ee2a79e3fc521cafbfe"
    DENIED = "dab0056048064968a073706b115f9bac"
    WOULD_DENY = "13e281bededa48b4b3c49313b1aedca6"
    DROPPED = "82972968a8114a42bd3fcd5acbffce72"
    DISCONNECTED = "adf19bd8e52f4c81a84f8415d49c4408"
    TURNED_AWAY = "baa8c1b9ff1d4e1bb453218c94adf07f"
    STARTING = "db750345417744af9556f1574f4de656"
    STARTED = "c030a42b23d04efeaf225f1f1ef4805e"
    NOT_STARTED = "f21cfaf1e20a4f7ebea49e9d1b8c245a"
    SLOW_START = "da738a2d9ca64b73acee4e19354ff66f"
    FORGED = "b6bbbf0e56f74d87925e33298d9899f6"


def entry(kind: Kind, *parts: dict[str, object], **fields: object) -> dict[str, Any]:
    """The `extra` of a log call. What is None is not known, and not said."""
    said: dict[str, object] = {"MESSAGE_ID": kind.value}
    for part in (*parts, {f"BUS1_{name.upper()}": value for name, value in fields.items()}):
        said |= {name: value for name, value in part.items() if value is not None}
    return {"journal": said}


def process(credentials: Credentials) -> dict[str, object]:
    """Who is at the other end of a socket. The label is text in every security module."""
    label, pid = credentials.label, credentials.pid
    return {
        "BUS1_UID": credentials.uid,
        "BUS1_PID": pid,
        "BUS1_COMM": None if pid is None else command(pid),
        "BUS1_LABEL": None if label is None else label.rstrip(b"\0").decode(errors="replace"),
    }


def connection(client: "Client") -> dict[str, object]:
    """The same of a client, with its names."""
    return {
        "BUS1_UNIQUE_NAME": client.unique or None,
        "BUS1_NAMES": " ".join(owned(client)) or None,
        **process(client.credentials),
    }
