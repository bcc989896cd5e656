"""bus1: a message bus in which the right to talk is a capability.

A `Bus` connects peers. A `Peer` owns nodes and holds handles; a `Handle` is the right to send to
one `Node`, and handles travel in messages. One operation reaches any number of nodes and is one
event in an order that all peers share. The core is one process's and one thread's; it never copies
or looks into payloads and does no input or output. One door skips the capability check:
`bus1.sending.multicast`, for an embedding whose right to send is not a handle.

It follows the proposal of 2016 and its rewrite of 2026. docs/native.md says what it has chosen
where they differ, and why.
"""

from bus1.bus import Bus
from bus1.errors import (
    BusError,
    Busy,
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
from bus1.message import DATA, NO_HANDLES_LEFT, NODE_GONE, ONCE_DROPPED, Message
from bus1.node import Handle, Node
from bus1.peer import Peer, Usage
from bus1.queue import Queue
from bus1.quota import Limits, User
from bus1.transaction import Transaction

__all__ = [
    "DATA",
    "NODE_GONE",
    "NO_HANDLES_LEFT",
    "ONCE_DROPPED",
    "Bus",
    "BusError",
    "Busy",
    "Closed",
    "Duplicate",
    "Foreign",
    "Gone",
    "Handle",
    "Invalid",
    "Limits",
    "Message",
    "Node",
    "Peer",
    "Queue",
    "Quota",
    "Stranger",
    "TooLong",
    "Transaction",
    "Unknown",
    "Usage",
    "User",
]
