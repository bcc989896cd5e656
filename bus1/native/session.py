"""One process's peer: its requests become operations of the core, and what its queue holds becomes
packets. It knows no sockets and no D-Bus.
"""

from typing import Protocol

from bus1.errors import BusError, Closed, Foreign, Invalid, Quota
from bus1.native import words
from bus1.native.delivery import deliver
from bus1.native.letter import Letter
from bus1.native.packet import Malformed, Packet
from bus1.native.requests import REQUESTS
from bus1.native.result import Result, failure, sent, success
from bus1.peer import Peer
from bus1.queue import Queue
from bus1.quota import Limits


class House(Protocol):
    """What a session asks of those above."""

    guid: bytes  # the bus's id: 16 bytes
    bridge: Queue | None  # of the peer that acts at once on what is sent to it

    def peer_of(self, fd: int) -> Peer | None:
        """The open peer of this bus whose socket this is a descriptor of."""

    def spawn(self, session: "Session") -> tuple[Peer, int]:
        """A new peer of the same process, and the descriptor of its other end. Raises OSError."""

    def equip(self, session: "Session", peer: Peer) -> None:
        """A peer that was spawned has got its seed."""

    def settle(self) -> int:
        """Something lies in the bridge's queue. How many requests more it was worth to do it."""


class Session:
    """`owes` is how many bytes of results wait; `work` grows with each request and destination, and
    whoever shares the time out sets it back. `ended`: the process has asked for the end, so close
    the peer, write what `fill` still gives, and hang up.
    """

    peer: Peer
    uid: int
    pid: int
    house: House
    bridge: Queue | None
    most: Limits
    owes: int
    work: int
    ended: bool
    greeted: bool
    results: list[Result]
    given: int  # results before this place have been written
    gifts: int  # descriptors in results that wait

    def __init__(self, peer: Peer, uid: int, pid: int, house: House) -> None:
        self.peer = peer
        self.uid = uid
        self.pid = pid
        self.house = house
        self.bridge = house.bridge
        self.most = peer.queue.account.limits
        self.owes = self.work = 0
        self.ended = self.greeted = False
        self.results = []
        self.given = self.gifts = 0

    # In: requests.

    def go_on(self, packet: Packet, most: int) -> bool:
        """Do the next requests of a packet that was checked, until that was so much work. True:
        there may be more."""
        enough = self.work + most
        while not self.ended and packet.step():
            self.serve(packet)
            if self.bridge is not None and self.bridge.peek(0) is not None:
                self.work += self.house.settle()
            if self.work >= enough:
                return True
        return False

    def serve(self, packet: Packet) -> None:
        """The request at hand, and its result."""
        self.work += 1
        flags = packet.flags & 0x7FFF
        try:
            if self.peer.queue.closed:
                raise Closed("the peer has ended")
            if packet.kind == 6:  # words.SEND, which is what there is most of
                result = self.send(packet, flags)
            else:
                result = self.other(packet, flags)
        except BusError as error:
            result = failure(packet.cookie, error.errno, str(error))
        except Malformed as error:
            result = failure(packet.cookie, Invalid.errno, str(error))
        except OSError as error:
            result = failure(packet.cookie, error.errno or Quota.errno, error.strerror or "")
        if result is not None:
            self.owe(result)

    def owe(self, result: Result) -> None:
        self.results.append(result)
        self.owes += 16 + result.body()
        self.gifts += result.fd_count

    def other(self, packet: Packet, flags: int) -> Result | None:
        """Any request but SEND. None, here as there: it is done, and nobody wants to hear so."""
        request = REQUESTS.get(packet.kind)
        if request is None:
            raise Foreign("no such request")
        if flags & ~request.flags:
            raise Invalid("flags that this request does not have")
        if request.body >= 0 and packet.left() != request.body:
            raise Invalid("a request of another length")
        if packet.fds > request.fds:
            raise Invalid("descriptors that this request does not take")
        result = success(packet.cookie)
        request.operation(self, packet, flags, result)
        return None if packet.flags & 0x8000 else result  # words.QUIET

    def send(self, packet: Packet, flags: int) -> Result | None:
        letter = Letter(self.peer)
        if flags & ~3:
            raise Invalid("flags that this request does not have")
        letter.read(packet, flags & 2 != 0, self.uid, self.pid)
        if letter.handles is not None:
            self.work += len(letter.handles) * len(letter.targets)
        refused: list[tuple[int, BusError]] | None = [] if flags & 1 else None
        stamp = self.cast(letter, refused)
        return None if packet.flags & 0x8000 else sent(packet.cookie, stamp, refused)

    def cast(self, letter: Letter, refused: list[tuple[int, BusError]] | None) -> int:
        """To all its destinations, under the stamp that this returns. Who cannot take it is put
        into the list, or, if there is none, fails the whole."""
        targets = letter.targets
        if len(targets) == 1 and refused is None:
            return self.peer.send(
                targets[0], letter.parcel, letter.cost, letter.fds, letter.fd_count, letter.handles
            )
        if not targets:
            raise Invalid("no destination")
        self.work += len(targets) - 1
        return self.peer.cast(
            targets, letter.parcel, letter.cost, letter.fds, letter.fd_count, letter.handles,
            refused
        )  # fmt: skip

    # Out: results, messages, notices.

    def fill(self, packet: Packet) -> bool:
        """Results first, then what the queue holds, as far as one packet takes it. False: there is
        nothing to write."""
        if not self.greeted:
            self.greet(packet)
        if self.owes:
            self.answer(packet)
        if not self.owes:
            deliver(self.peer, packet)
        return packet.size > 0

    def has_more(self) -> bool:
        """Is there more to write?"""
        return self.owes > 0 or self.peer.queue.peek(0) is not None

    def greet(self, packet: Packet) -> None:
        self.greeted = True
        packet.begin(words.WELCOME, 0, 0, 32)
        packet.put32(words.VERSION)
        packet.put32(self.uid)
        packet.put64(self.peer.number)
        packet.put(self.house.guid)

    def answer(self, packet: Packet) -> None:
        """Write results only."""
        while self.given < len(self.results):
            result = self.results[self.given]
            if not packet.room(result.body(), result.fd_count):
                break
            result.write(packet)
            self.given += 1
            self.owes -= 16 + result.body()
            self.gifts -= result.fd_count
        if 2 * self.given >= len(self.results):
            del self.results[: self.given]
            self.given = 0
