"""One native program's socket: packets in, its session's answers and its peer's queue out again.

It decides nothing about what is asked, and knows the event loop only through its server.
"""

import os
import struct
from errno import ETOOMANYREFS
from time import monotonic
from typing import TYPE_CHECKING

from bridge.routing.credentials import Credentials
from bridge.routing.hub import Hub
from bridge.routing.reader import Reader
from bridge.transport.connection import flush_ready
from bus1.fds import closing
from bus1.fds.closing import crowded
from bus1.native.packet import Broken, Packet
from bus1.native.session import Session
from bus1.native.socket import receive, send
from bus1.peer import Peer

if TYPE_CHECKING:
    from bridge.transport.natives import Natives

SIZE = struct.Struct("=I")
FDS_AT = 12  # in a record's header
# What one may do in one turn before others are served (Hub.work), and what a request or one more
# destination of it is worth.
TURN = 4096
EACH = 4
# Packets that are read in one go: who sends many without asking gets them done together. Where the
# last one came alone, another one is looked for only every so often: to look in vain costs a tenth
# of a call.
READS = 16
PROBE = 16
# Notices that may wait for one who does not read: then nothing more is read. Nobody pays for them,
# and one who gives away one-shot handles to itself gets one for each.
NOTICES = 16384
# Bytes of results that may wait for one who does not read them: then nothing more is read.
OWED = 64 * 1024


class NativeConnection(Reader):
    """A socket from the WELCOME to its end, and the reader of its peer's queue.

    `blocked` says that the kernel takes no more for now; `kept` is what it did not take. `deaf`
    says that it never will: what the program sent before is still to be read, and what it would get
    is thrown away. `rest` is the packet of which not all is done, `resting` that the next turn is
    waited for. `full`: so much waits for it that nothing more is read; what is charged to it in the
    meantime are the `held` descriptors of the rest. `ending`: it has left, and may still read the
    results that it is owed. `alone`: so many packets in a row were not followed by another one, as
    far as was looked.

    `inode` is that of our end; `given` that of the other one, if we made it ourselves, else 0.
    """

    def __init__(
        self,
        natives: "Natives",
        fd: int,
        session: Session,
        credentials: Credentials,
        given: int,
    ) -> None:
        self.natives = natives
        self.server = natives.server
        self.hub: Hub = natives.server.hub
        self.fd = fd
        self.session = session
        self.peer: Peer = session.peer
        self.credentials = credentials
        self.inode = os.fstat(fd).st_ino
        self.given = given
        self.turns = None if self.server.counting is None else self.server.counting.turns
        self.kept: Packet | None = None
        self.rest: Packet | None = None
        self.resting = False
        self.blocked = False
        self.deaf = False
        self.full = False
        self.held = 0
        self.ending = False
        self.alone = 0
        self.closed = False
        self.peer.queue.reader = self

    def __str__(self) -> str:
        return f"native peer {self.peer.queue.number} ({self.credentials})"

    # --------------------------------------------------------------------- reading

    def on_readable(self) -> None:
        """There is something to read, the end perhaps: all that is told of one that is `full`. It
        has hung up, then, and reads no results any more."""
        if self.closed or self.resting:
            return
        if self.full:
            self.go_on()
            self.deafen()
        self.attend()

    def resume(self) -> None:
        """The next turn has come."""
        self.resting = False
        if not self.closed:
            self.attend()

    def attend(self) -> None:
        """Take what there is; whatever goes wrong with it ends this connection and no other."""
        turns = self.turns
        began = 0.0 if turns is None else monotonic()
        try:
            self.read()
        except Broken as broken:
            self.server.drop(self, str(broken))
        except OSError:
            self.server.drop(self, None)  # it is gone, as by ECONNRESET
        except Exception:
            self.server.blame_self(self)
        flush_ready(self.hub.bus)  # first: whoever got something can go on meanwhile
        if self.session.owes or self.ending:
            self.flush()
            flush_ready(self.hub.bus)
        if turns is not None:
            turns.observe(monotonic() - began)

    def read(self) -> None:
        """Some packets, as much as one may do in one turn: for more the loop calls again."""
        hub, session = self.hub, self.session
        if self.blocked and self.is_crowded():
            self.stop()
            return
        enough = hub.work + TURN
        count = 0
        while count < READS:
            packet = self.rest
            if packet is None:
                if crowded(session.uid):
                    self.server.hold_back(self)
                    return
                packet = receive(self.fd, session.uid)
                if packet is None:
                    self.alone += count == 1
                    return
                if not packet.size:
                    self.end()
                    return
                packet.check()
            done = session.work
            more = session.go_on(packet, (enough - hub.work) // EACH)
            hub.work += 1 + EACH * (session.work - done)
            self.rest = packet if more else None
            if session.ended:
                self.end()
                return
            if session.owes and session.owes > OWED and not self.make_room():
                return
            if session.owes or hub.work > enough:  # who asks waits, and sends no more yet
                break
            count += 1
            if count > 1:
                self.alone = 0
            elif self.alone % PROBE:
                self.alone += 1
                break
        if self.rest is not None:
            self.wait_for_turn()

    def wait_for_turn(self) -> None:
        """There is more to do, of which nobody will tell."""
        self.resting = True
        self.server.soon(self)

    def make_room(self) -> bool:
        """Can it be answered more? Else it asks, and does not read what it is answered."""
        self.flush()
        if self.blocked and not self.closed:
            self.stop()
        return not self.full and not self.closed

    def is_crowded(self) -> bool:
        """Do very many notices wait for it?"""
        queue = self.peer.queue
        waiting: int = queue.held() - queue.account.messages
        return waiting > NOTICES

    def stop(self) -> None:
        """Read nothing more until it has read. The descriptors that it has sent are kept open for
        as long: it may have no more of them so than otherwise. Raises Broken."""
        self.full = True
        self.server.stop_reading(self)
        account = self.peer.queue.account
        count = 0 if self.rest is None else self.rest.unclaimed()
        if not account.take(account.own, 0, 0, 0, count):
            raise Broken("it does not read its results, and has sent many descriptors")
        self.held = count

    def go_on(self) -> None:
        """It has read, or will never read."""
        self.full = False
        self.give_back()

    def give_back(self) -> None:
        """What it had sent is about to be done, or to be closed."""
        account = self.peer.queue.account
        held, self.held = self.held, 0
        account.give(account.own, 0, 0, 0, held)

    def end(self) -> None:
        """It has left. The results that it is owed it may still read."""
        self.ending = True
        self.server.stop_reading(self)
        self.natives.leave(self)

    # --------------------------------------------------------------------- writing

    def flush(self) -> None:
        """Write the results, and what the peer's queue holds, until the kernel takes no more."""
        if self.closed or self.blocked:
            return
        try:
            while self.write():
                pass
        except OSError:
            self.server.drop(self, None)
        except Exception:
            self.server.blame_self(self)
        if self.ending and not self.blocked:
            self.server.drop(self, None)

    def write(self) -> bool:
        """One packet. True if it may be worth another one."""
        packet = self.kept
        if packet is None:
            packet = Packet.__new__(Packet)
            if not self.session.fill(packet):
                return False
        self.kept = None
        if self.deaf:
            return True
        size = packet.size
        try:
            taken = send(self.fd, packet)
        except (BrokenPipeError, ConnectionResetError):
            self.deaf = True  # not the end yet: see above
            return True
        except OSError as error:
            if error.errno != ETOOMANYREFS:
                raise
            self.kept = stripped(packet)
            return True
        if not taken:
            self.kept = packet
            self.blocked = True
            self.server.wait_writable(self)
            return False
        self.hub.tally.sent += size
        return self.session.has_more()

    def deafen(self) -> None:
        """It has hung up: it reads no more, and what it sent before is still to be read."""
        self.deaf = True
        self.kept = None
        if self.blocked:
            self.blocked = False
            self.server.stop_waiting(self)

    def on_writable(self) -> None:
        """The event loop says that the kernel takes more, or that something is wrong."""
        if self.closed:
            return
        self.blocked = False
        self.server.stop_waiting(self)
        self.flush()
        if self.full and not self.blocked and not self.closed:
            self.go_on()
            self.server.watch(self)
            if self.rest is not None:
                self.wait_for_turn()
        flush_ready(self.hub.bus)

    # ------------------------------------------------------------------------- end

    def hang_up(self) -> None:
        """Close the descriptor: all that is needed when the whole bus ends."""
        self.closed = True
        closing.hang_up(self.fd)

    def close(self) -> None:
        """Give everything back. Only the server calls this, once."""
        self.rest = None
        self.give_back()
        try:
            self.hang_up()
        finally:
            self.natives.forget(self)


def in_requests(work: int) -> int:
    """So much of Hub.work as a number of requests."""
    return work // EACH


def stripped(packet: Packet) -> Packet:
    """The same without its descriptors: the kernel holds too many on their way to take more, and
    that is no fault of who was to get these (CVE-2014-3532)."""
    data = bytearray(packet.raw())
    at = 0
    while at < len(data):
        (size,) = SIZE.unpack_from(data, at)
        SIZE.pack_into(data, at + FDS_AT, 0)
        at += (size + 7) & ~7
    return Packet(bytes(data))
