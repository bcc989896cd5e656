"""What a process can ask for, but SEND: one short function a request. It knows no packets but as
numbers to be read.

Each is called when the request has been found to be as long as it should be, and raises, having
changed nothing, or puts into the result what there is to say.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from bus1.errors import Foreign, Invalid, Quota, Unknown
from bus1.fds.descriptors import Descriptors
from bus1.native import words
from bus1.native.letter import Letter, own
from bus1.native.packet import Packet
from bus1.native.result import Result
from bus1.peer import Peer
from bus1.quota import Limits

if TYPE_CHECKING:
    from bus1.native.session import Session


# What takes longer than other requests is worth so many of them (Session.work): to ask the kernel
# whose socket a descriptor is of, and to make a peer.
ASKING = 16
MAKING = 128


def create(session: "Session", packet: Packet, flags: int, result: Result) -> None:
    peer = session.peer
    node = peer.create()
    result.values.append(node.id)
    if flags & words.WITH_HANDLE:
        try:
            result.values.append(peer.handle(node).id)
        except Quota:
            peer.destroy([node])
            raise


def handle(session: "Session", packet: Packet, flags: int, result: Result) -> None:
    node = own(session.peer, packet.u64())
    result.values.append(session.peer.handle(node).id)


def transfer(session: "Session", packet: Packet, flags: int, result: Result) -> None:
    held = session.peer.handles.get(packet.u64())
    if held is None:
        raise Unknown("no such handle here")
    to: Peer | None = session.peer
    if packet.fds:
        session.work += ASKING
        to = session.house.peer_of(packet.descriptor(0))
    if to is None:
        raise Foreign("not the socket of a peer of this bus")
    result.values.append(session.peer.transfer(held, to).id)


def release(session: "Session", packet: Packet, flags: int, result: Result) -> None:
    peer = session.peer
    things: list[Any] = []
    while packet.left():
        id = packet.u64()
        thing = peer.handles.get(id) or peer.nodes.get(id)
        if thing is None:
            raise Unknown("no such node or handle here")
        things.append(thing)
    session.work += len(things)
    result.stamp = peer.release(things)


def destroy(session: "Session", packet: Packet, flags: int, result: Result) -> None:
    nodes = []
    while packet.left():
        nodes.append(own(session.peer, packet.u64()))
    session.work += len(nodes)
    result.stamp = session.peer.destroy(nodes)


def seed(session: "Session", packet: Packet, flags: int, result: Result) -> None:
    message = session.peer.seed()
    if message is None:
        return
    parcel: Any = message.payload
    session.work += len(message.handles or ())
    result.values += [0 if held is None else held.id for held in message.handles or ()]
    result.payload = parcel.data or b""
    result.size = parcel.size
    result.memfd = parcel.memfd
    result.fds = message.fds
    result.fd_count = message.fd_count


def set_seed(session: "Session", packet: Packet, flags: int, result: Result) -> None:
    sow(session, packet, flags, session.peer)


def query(session: "Session", packet: Packet, flags: int, result: Result) -> None:
    usage = session.peer.query()
    result.values += [*numbers(usage.limits), *usage[1:]]


def reset(session: "Session", packet: Packet, flags: int, result: Result) -> None:
    limits = []
    now = session.peer.queue.account.limits
    for old, most in zip(numbers(now), numbers(session.most), strict=True):
        limit = packet.i64()
        if limit > most:
            raise Invalid("a limit beyond what the bus allows")
        limits.append(old if limit == -1 else limit)
    if flags & words.FLUSH:
        session.work += session.peer.queue.account.handles
    flush, flush_seed = bool(flags & words.FLUSH), bool(flags & words.FLUSH_SEED)
    session.peer.reset(Limits(*limits), flush, flush_seed)


def spawn(session: "Session", packet: Packet, flags: int, result: Result) -> None:
    if session.gifts >= words.FDS_MOST:
        raise Quota("many new peers whose sockets have not been fetched")
    session.work += MAKING
    peer, fd = session.house.spawn(session)
    result.fds = Descriptors(
        [fd], None, session.uid
    )  # if it has no seed after all, it has lost its other end
    sow(session, packet, flags, peer)
    session.house.equip(session, peer)
    result.fd_count = 1


def disconnect(session: "Session", packet: Packet, flags: int, result: Result) -> None:
    session.ended = True


def sow(session: "Session", packet: Packet, flags: int, to: Peer) -> None:
    """A seed: the rest of the request is a letter without an address."""
    letter = Letter(session.peer)
    letter.read(packet, bool(flags & words.MEMFD), session.uid, session.pid)
    if letter.targets:
        raise Invalid("a seed has no destinations")
    session.work += len(letter.handles or ()) + ASKING * letter.fd_count
    if letter.fds is not None and any(map(session.house.peer_of, letter.fds.numbers)):
        raise Invalid("a seed would keep this peer's socket open, perhaps its own, for ever")
    to.set_seed(
        letter.parcel, letter.cost, letter.fds, letter.fd_count, letter.handles, session.peer
    )


def numbers(limits: Limits) -> tuple[int, int, int, int]:
    return limits.bytes, limits.messages, limits.handles, limits.fds


class Request(NamedTuple):
    """`flags` it may have, `body` how long it is (-1: as long as it says), `fds` at most how many
    come with it."""

    operation: Callable[["Session", Packet, int, Result], None]
    flags: int
    body: int
    fds: int


REQUESTS = {
    words.CREATE: Request(create, words.WITH_HANDLE, 0, 0),
    words.HANDLE: Request(handle, 0, 8, 0),
    words.TRANSFER: Request(transfer, 0, 8, 1),
    words.RELEASE: Request(release, 0, -1, 0),
    words.DESTROY: Request(destroy, 0, -1, 0),
    words.SEED: Request(seed, 0, 0, 0),
    words.SET_SEED: Request(set_seed, words.MEMFD, -1, words.FDS_MOST),
    words.QUERY: Request(query, 0, 0, 0),
    words.RESET: Request(reset, words.FLUSH | words.FLUSH_SEED, 32, 0),
    words.PEER: Request(spawn, words.MEMFD, -1, words.FDS_MOST),
    words.DISCONNECT: Request(disconnect, 0, 0, 0),
}
