"""Nobody makes the bus wait by what it sends a descriptor of.

Invariant: whatever happens to a message with descriptors, and to the connection that it comes by,
others are served meanwhile; and in the end the bus has none of those descriptors. A connection here
lingers for a thousand seconds, and tests.raw waits for an answer for ten.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.buses import Bus, start
from tests.native.peer import QUIET, SEND, Peer, parcel, record
from tests.raw import CALL, NO_REPLY, UNIX_FDS, Client, build, call_fields, socket_to
from tests.transport.hanging import Lingering, Stuck

CONFIGURATION = """<busconfig>
  <type>custom</type>
  <listen>unix:path={directory}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""
FEW = 10


@pytest.fixture(scope="module")
def bus() -> Iterator[Bus]:
    """For all users, D-Bus and native."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o711)
        (directory / "conf").write_text(CONFIGURATION.format(directory=directory))
        native = f"--native=unix:path={directory}/native"
        bus = start("ours", directory, native, argv=(f"--config-file={directory}/conf",))
        until(lambda: "anon_inode:inotify" in files(bus))  # it watches its files: the last it opens
        yield bus
        bus.stop()


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[Stuck]:
    stuck = Stuck(tmp_path / "stuck")
    yield stuck
    stuck.end()


def connect(bus: Bus, uid: int) -> Client:
    """A client of this user's."""
    os.seteuid(uid)
    try:
        return Client(bus.address)
    finally:
        os.seteuid(0)


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def files(bus: Bus) -> list[str]:
    """What it has open."""
    found = []
    for each in Path(f"/proc/{bus.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(each.readlink()))
    return found


def quick(bus: Bus) -> None:
    """Somebody else is served: who comes now, and who comes natively."""
    for _ in range(3):
        with Client(bus.address) as other:
            other.ask("GetId")
    peer = Peer(str(bus.directory / "native"))
    peer.create()
    peer.close()


Give = Callable[[socket.socket, bytes], None]


def call(count: int = 1, to: str = "t.Nobody", flags: int = 0) -> bytes:
    """A message that says that it has so many descriptors."""
    fields = [*call_fields(to, "/x", "t.T", "M"), (UNIX_FDS, count)]
    return build(CALL, 7, fields, flags=flags)


def post(handle: int, count: int) -> bytes:
    """The same of a native program."""
    return record(SEND, 7, parcel([handle], b""), QUIET, count)


@contextmanager
def native(bus: Bus) -> Iterator[Peer]:
    peer = Peer(str(bus.directory / "native"))
    yield peer
    peer.close()


def to_nobody(bus: Bus, give: Give) -> None:
    """A call that cannot be delivered."""
    with Client(bus.address) as a:
        give(a.sock, call(FEW))
        assert a.answer(7).error is not None


def unagreed(bus: Bus, give: Give) -> None:
    """By one who has not said that it sends descriptors."""
    with Client(bus.address, fds=False) as a:
        give(a.sock, call()[:20])
        quick(bus)


def in_the_handshake(bus: Bus, give: Give) -> None:
    """By one who has not said anything."""
    with socket_to(bus.address) as a:
        give(a, b"\0AUTH\r\n")
        assert a.recv(100).startswith(b"REJECTED")
        quick(bus)


def behind_nonsense(bus: Bus, give: Give) -> None:
    """Behind so much of what ends the connection that nobody reads it."""
    with Client(bus.address) as a:
        a.sock.setblocking(False)
        os.kill(bus.pid, signal.SIGSTOP)
        a.sock.send(b"nonsense" * 16384)
        give(a.sock, b"more")
        quick(bus)


def in_part_of_a_message(bus: Bus, give: Give) -> None:
    """With a message of which the rest does not come."""
    with Client(bus.address) as a:
        give(a.sock, call(FEW)[:20])
        quick(bus)


def in_a_socket(bus: Bus, give: Give) -> None:
    """Unread in another socket."""
    ours, theirs = socket.socketpair()
    with Client(bus.address) as a:
        os.kill(bus.pid, signal.SIGSTOP)
        socket.send_fds(a.sock, [call()], [theirs.fileno()])
        theirs.close()
        give(ours, b"x")
        ours.close()
        assert a.answer(7).error is not None
        quick(bus)


def to_one_who_leaves(bus: Bus, give: Give) -> None:
    """In the queue of one that never reads, and goes."""
    with Client(bus.address) as a, Client(bus.address) as b:
        for _ in range(8):
            a.call("M", "ay", bytes(1 << 16), to=b.name, interface="t.T", flags=NO_REPLY)
        a.ask("GetId")  # all of it has been read
        give(a.sock, call(FEW, b.name, NO_REPLY))
        a.ask("GetId")
        quick(bus)
        b.close()
        quick(bus)


def natively_to_nobody(bus: Bus, give: Give) -> None:
    """On a handle that is none."""
    with native(bus) as peer:
        give(peer.sock, post(12345, FEW))
        quick(bus)


def natively_with_nonsense(bus: Bus, give: Give) -> None:
    """In a packet that is none."""
    with native(bus) as peer:
        give(peer.sock, b"nonsense")
        assert peer.ended()
        quick(bus)


def natively_to_one_who_leaves(bus: Bus, give: Give) -> None:
    """In the queue of one that never reads, and goes."""
    with native(bus) as peer:
        own = peer.handle(peer.create())
        for _ in range(100):
            peer.quiet(own, bytes(1 << 14))
        peer.create()  # all of it has been read
        give(peer.sock, post(own, FEW))
        quick(bus)


WAYS = [
    to_nobody,
    unagreed,
    in_the_handshake,
    behind_nonsense,
    in_part_of_a_message,
    in_a_socket,
    to_one_who_leaves,
    natively_to_nobody,
    natively_with_nonsense,
    natively_to_one_who_leaves,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_connections_that_linger(bus: Bus, way: Callable[[Bus, Give], None]) -> None:
    quick(bus)
    before = bus.usage()[1]
    there = [Lingering() for _ in range(FEW)]

    def give(sock: socket.socket, data: bytes) -> None:
        """So that the bus is the last to have them."""
        os.kill(bus.pid, signal.SIGSTOP)
        try:
            socket.send_fds(sock, [data], [each.fileno() for each in there])
            for each in there:
                each.forget()
        finally:
            os.kill(bus.pid, signal.SIGCONT)

    way(bus, give)
    quick(bus)
    until(lambda: bus.usage()[1] <= before)
    for each in there:
        assert each.arrived() == each.sent  # nothing was cut short


def test_the_end_of_the_bus_waits_for_nobody(tmp_path: Path) -> None:
    bus = start("ours", tmp_path)
    with Client(bus.address) as a:
        there = [Lingering() for _ in range(FEW)]
        socket.send_fds(a.sock, [call(FEW)[:20]], [each.fileno() for each in there])
        a.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):  # by then it has them
            a.sock.recv(1)
        for each in there:
            each.forget()
        bus.stop()  # within ten seconds


# --------------------------------------------------------------- files that nobody answers for


def send(client: Client, fd: int, count: int) -> None:
    """Descriptors of the same file, in as many calls to nobody."""
    for _ in range(count):
        socket.send_fds(client.sock, [call()], [fd])


def served(client: Client, seconds: float = 10) -> bool:
    """Is its next call answered in this time?"""
    serial = client.call("GetId")
    client.unsettled = False  # so that nobody else waits for it
    while client.buffer or select.select([client.sock], [], [], seconds)[0]:
        if client.read().reply_to == serial:
            return True
    return False


def test_files_that_nobody_answers_for(bus: Bus, stuck: Stuck) -> None:
    """One user can keep half of the threads busy: for the next there are as many as are left."""
    quick(bus)
    before = bus.usage()[1]
    fd = stuck.open()
    for uid, busy in ((1, 4), (2, 6), (3, 7)):
        with connect(bus, uid) as a:
            send(a, fd, 30)
            assert served(a)
            until(lambda busy=busy: len(stuck.asked) == busy)  # type: ignore[misc]
    quick(bus)
    now = bus.usage()[1]
    with connect(bus, 4) as a, open("/dev/null") as honest:
        send(a, honest.fileno(), 1000)
        assert served(a)
    until(lambda: bus.usage()[1] <= now)
    assert len(stuck.asked) == 7
    stuck.relent()
    until(lambda: bus.usage()[1] <= before)
    os.close(fd)


def test_who_sends_more_than_can_be_closed_is_not_read(bus: Bus, stuck: Stuck) -> None:
    quick(bus)
    before = bus.usage()[1]
    fd = stuck.open()
    with connect(bus, 1) as a, connect(bus, 1) as b, connect(bus, 2) as c:
        send(a, fd, 300)
        until(lambda: bus.usage()[1] > before + 250)
        assert not served(a, 0.3)
        assert not served(b, 0.1)  # it is the same user
        assert served(c)
        quick(bus)
        assert bus.usage()[1] < before + 270
        a.sock.close()
        stuck.relent()
        assert served(b)
    until(lambda: bus.usage()[1] <= before)
    os.close(fd)
