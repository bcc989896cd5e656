"""Messages and notices out of a peer's queue and into a packet. It knows no requests."""

from typing import Any

from bus1.message import Message
from bus1.native.packet import Broken, Packet
from bus1.peer import Peer


def deliver(peer: Peer, packet: Packet) -> None:
    """Receive what the queue holds, as far as the packet has room for it."""
    queue = peer.queue
    message = queue.peek(0)
    while message is not None and packet.room(body(message), message.fd_count):
        peer.receive()
        if message.kind == 0:  # DATA: a literal, since this runs once a message
            data(message, packet)
        else:
            notice(message, packet)
        message = queue.peek(0)
    if message is not None and not packet.size:
        raise Broken("a message that no packet takes")


def body(message: Message) -> int:
    """How long the body of its record is."""
    if message.kind:
        return 32  # words.NOTICE_FORMAT
    parcel: Any = message.payload
    size = 56  # words.DATA_FORMAT, and then the handles, each as words.CARRIED_FORMAT
    if not parcel.memfd:
        size += parcel.size
    handles = message.handles
    if handles is not None:
        size += 16 * len(handles)
    return size


def data(message: Message, packet: Packet) -> None:
    """A payload. The flags are words.MORE, MEMFD and ONCE."""
    parcel: Any = message.payload
    node: Any = message.target
    handles: Any = message.handles
    flags = message.more | parcel.memfd << 1 | message.once << 2
    count = len(handles) if handles is not None else 0
    packet.data_on(
        flags, message.stamp, message.tie, node.id, message.cookie, parcel.uid, parcel.pid, count,
        parcel.size
    )  # fmt: skip
    if handles is not None:
        for handle in handles:
            if handle is None:  # the node was gone
                packet.handle(0, 0)
            else:
                packet.handle(handle.id, handle.once)
    if not parcel.memfd:
        packet.put(parcel.data)
    if message.fd_count:
        packet.attach(message.fds, message.fds.numbers)  # type: ignore[attr-defined]


def notice(message: Message, packet: Packet) -> None:
    """One of the three: its kind is 66 (words.DATA) and what it is in the core."""
    if message.kind == 1:  # NODE_GONE
        handle: Any = message.target
        about = handle.id
    else:
        node: Any = message.target
        about = node.id
    packet.notice(66 + message.kind, message.stamp, message.tie, about, message.cookie)
