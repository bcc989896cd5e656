"""What SEND, SET_SEED and PEER have in common: a payload, and what goes along with it, out of a
request. It knows the sender's nodes and handles, and makes nothing happen.

Whatever no packet could bring to its receivers is refused here.
"""

from errno import EBADF, EMSGSIZE

from bus1.errors import BusError, Invalid, Stranger, Unknown
from bus1.fds.descriptors import Descriptors
from bus1.native.memfd import sealed
from bus1.native.packet import Packet
from bus1.native.parcel import Parcel, inline, mapped
from bus1.node import Handle, Node
from bus1.peer import Peer


class Letter:
    """`cost` is what its receivers are charged: at least the size of the payload."""

    peer: Peer
    targets: list[Handle]
    handles: list[Handle] | None
    parcel: Parcel
    cost: int
    fds: Descriptors | None
    fd_count: int

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.targets = []
        self.handles = None

    def read(self, packet: Packet, memfd: bool, uid: int, pid: int) -> None:
        """The rest of the request at hand."""
        destinations = packet.u32()
        transfers = packet.u32()
        size = packet.i64()
        if destinations > 4096 or transfers > 1024 or (size > 65536 and not memfd):
            raise refusal(EMSGSIZE, "more than one message takes")  # words: …_MOST
        if destinations * transfers > 16384:  # words.COPIES_MOST: no operation is cut in two
            raise refusal(EMSGSIZE, "more handles than one operation makes")
        if size < 0:
            raise refusal(EMSGSIZE, "more than any message takes")
        inside = 0 if memfd else size
        if packet.left() != 8 * destinations + 24 * transfers + inside:
            raise Invalid("a request that is not as long as what it says is in it")
        for _ in range(destinations):
            self.aim(packet.u64())
        if transfers:
            self.load(packet, transfers)
        if memfd:
            self.map(packet, size, uid, pid)
        else:
            self.parcel = inline(packet.payload(size), uid, pid)
            self.cost = size
        self.fd_count = packet.fds
        self.fds = packet.descriptors()

    def aim(self, id: int) -> None:
        """One more destination."""
        handle = self.peer.handles.get(id)
        if handle is None:
            raise Unknown("no such handle here")
        self.targets.append(handle)

    def load(self, packet: Packet, count: int) -> None:
        """What goes along."""
        self.handles = []
        for _ in range(count):
            self.handles.append(self.transfer(packet))

    def transfer(self, packet: Packet) -> Handle:
        """One thing that goes along: held, or in hand of one's own node. If the request fails after
        all, what is in hand was never there."""
        what = packet.u32()
        zero = packet.u32()
        id = packet.u64()
        cookie = packet.u64()
        if zero or what > 2:
            raise Invalid("a transfer of no kind")
        if what == 0:  # words.CARRY_HANDLE
            held = self.peer.handles.get(id)
            if held is None:
                raise Unknown("no such handle here")
            return held
        node = own(self.peer, id)
        return self.peer.offer(node) if what == 1 else self.peer.once(node, None, cookie)

    def map(self, packet: Packet, size: int, uid: int, pid: int) -> None:
        """The payload is in the first descriptor. All that this keeps in memory is charged."""
        if not packet.fds:
            raise refusal(EBADF, "no descriptor with the payload")
        there = sealed(packet.descriptor(0))
        if there < size:
            raise Invalid("no sealed memfd of this size")
        self.parcel = mapped(size, uid, pid)
        self.cost = there


def refusal(number: int, text: str) -> BusError:
    """An error of the protocol that the core has no class for."""
    error = BusError(text)
    error.errno = number
    return error


def own(peer: Peer, id: int) -> Node:
    """A node of the peer's own."""
    node = peer.nodes.get(id)
    if node is None:
        handle = peer.handles.get(id)
        if handle is not None and handle.node.queue is not peer.queue:
            raise Stranger("the node belongs to another peer")
        raise Unknown("no such node here")
    return node
