"""The bus for programs: peers, nodes and handles over a socket, with asyncio.

    import bus1.client as bus1

    async with await bus1.connect() as peer:
        node = await peer.create()
        ...

The same without await is `bus1.client.blocking`. It needs the standard library only, and none of
the daemon's compiled modules. docs/native.md tells the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bus1.client.calls import CallError, Dropped, InvalidArgs, UnknownMethod
from bus1.client.intake import Welcome
from bus1.client.methods import method
from bus1.client.objects import (
    DATA,
    NO_HANDLES_LEFT,
    ONCE_DROPPED,
    Handle,
    Limits,
    Once,
    Seed,
    Usage,
)
from bus1.client.payload import Fd, Sealed
from bus1.errors import (
    BusError,
    Closed,
    Duplicate,
    Foreign,
    Gone,
    Invalid,
    Quota,
    Stranger,
    TooLong,
    Unknown,
)

if TYPE_CHECKING:
    from bus1.client.aio import Message, Node, Peer, connect
    from bus1.client.service import Service, call
    from bus1.client.signals import Signal, Signalling, heard

# What needs asyncio, which takes longer to import than all else: not for `blocking`.
LATER = {
    "Message": "aio", "Node": "aio", "Peer": "aio", "connect": "aio",
    "Service": "service", "call": "service",
    "Signal": "signals", "Signalling": "signals", "heard": "signals",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{LATER[name]}")
    globals()[name] = getattr(module, name)
    return globals()[name]


__all__ = [
    "DATA",
    "NO_HANDLES_LEFT",
    "ONCE_DROPPED",
    "BusError",
    "CallError",
    "Closed",
    "Dropped",
    "Duplicate",
    "Fd",
    "Foreign",
    "Gone",
    "Handle",
    "Invalid",
    "InvalidArgs",
    "Limits",
    "Message",
    "Node",
    "Once",
    "Peer",
    "Quota",
    "Sealed",
    "Seed",
    "Service",
    "Signal",
    "Signalling",
    "Stranger",
    "TooLong",
    "Unknown",
    "UnknownMethod",
    "Usage",
    "Welcome",
    "call",
    "connect",
    "heard",
    "method",
]
