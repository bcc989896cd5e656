"""bus1: a message bus in which the right to talk is a capability.

A `Bus` connects peers. A `Peer` owns nodes and holds handles; a `Handle` is the right to send to
one `Node`, and handles travel in messages. One operation reaches any number of nodes and is one
event in an order that all peers share. The core is one process's and one thread's; it never copies
or looks into payloads and does no input or output. One door skips the capability check:
`bus1.transaction.multicast`, for an embedding whose right to send is not a handle.

Where the proposal of 2016 and the rewrite of 2026 differ:

order           total (2016): two multicasts meet every common receiver in one order. Broadcasts
                of many senders then need no repair by their receivers; in one process it is free.
nodes           explicit create (2026): no operation makes one by accident.
handles         a new one for each transfer (2026), so no counts, and releasing is one plain event.
node ids        chosen by the bus (2026), for nodes and handles in one sequence, never reused.
release         many nodes and handles at once (2026); a node released is destroyed, and leaves its
                owner's table with that.
dead targets    an error (2016), since a sender that is not told cannot know (2026 skips them).
node gone       the handle stays its holder's until released (2016): its id keeps its meaning.
no handles left withdrawn if the owner makes a handle before it has read the notice (2016).
partial sends   `proceed` (2016's CONTINUE): leave out who cannot take it, and report who.
fds, seed,      kept (2016): D-Bus needs the first, programs started by others the second, and
flush, query    supervisors the rest.
one-shot        neither has it (2026 names the idea): a handle that its first use consumes.
quota           the rule of 2016 in two layers, users and peers: exact, with no logarithm.
errors          2016's numbers, under nouns: bus1.errors.
message types   named by what happened: NODE_GONE, NO_HANDLES_LEFT (NODE_RELEASE means one in 2016
                and the other in 2026).
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
