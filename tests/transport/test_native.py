"""Native programs and the bus as a process: who may come, how many, what ends them, and what
is left.
"""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.driver import state
from bridge.transport import native
from bridge.transport.native import stripped
from bridge.transport.otherend import OtherEnd
from bus1.native.packet import Packet
from policy.configuration import Rate
from policy.rule import Rule
from tests.buses import ROOT, start
from tests.native.elsewhere import Elsewhere
from tests.native.peer import (
    CREATE,
    DATA,
    NODE_GONE,
    ONCE_DROPPED,
    PEER,
    QUERY,
    QUIET,
    SEND,
    SET_SEED,
    Ended,
    Fd,
    Peer,
    Refused,
    handle,
    node,
    numbers,
    once,
    parcel,
    record,
)
from tests.raw import Client
from tests.transport import in_flight
from tests.transport.running import SECONDS, Running, allowing

Make = Callable[..., Running]


@pytest.fixture
def here(make: Make) -> Running:
    return make(native=True)


@pytest.fixture
def join(here: Running) -> Iterator[Callable[[], Peer]]:
    joined: list[Peer] = []

    def connect() -> Peer:
        joined.append(Peer(here.native))
        return joined[-1]

    yield connect
    for each in joined:
        each.close()


Join = Callable[[], Peer]


def known(a: Peer, b: Peer) -> tuple[int, int]:
    """A node of b's, and the only handle to it, which is a's: passed by a's own socket."""
    own = b.create()
    mine = b.handle(own)
    right = b.transfer(mine, a.socket())
    b.release(mine)
    return own, right


def texts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


# ------------------------------------------------------------------------ who is there


def test_the_welcome_says_who_one_is(here: Running, join: Join) -> None:
    a, b = join(), join()
    assert (a.version, a.uid) == (1, os.geteuid())
    assert a.number != b.number
    assert a.bus.hex() == here.server.settings.guid
    assert here.do(lambda: here.server.hub.native) == 2


def test_the_state_tells_of_those_for_whom_most_waits(
    here: Running, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "MOST_NATIVES", 2)
    peers = [join() for _ in range(3)]
    for peer, count in ((peers[1], 20), (peers[2], 10)):
        _, right = known(peers[0], peer)
        for _ in range(count):
            peers[0].send(right, b"x" * 50_000)
    found = json.loads(here.do(lambda: state.state(here.server.hub)))
    assert [each["number"] for each in found["natives"]] == [peers[1].number, peers[2].number]
    assert found["more_natives"] == 1


def test_messages_and_descriptors_go_from_one_to_another(join: Join) -> None:
    a, b = join(), join()
    own, right = known(a, b)
    assert a.send(right, b"hello").stamp > 0
    a.send_text(right, b"text")
    a.send_memfd(right, b"m" * 100_000)
    one, two, three = b.take(), b.take(), b.take()
    assert (one.kind, one.id, one.payload, one.sender) == (DATA, own, b"hello", a.number)
    assert (one.uid, one.pid) == (os.geteuid(), os.getpid())
    assert b.text(two.fds[0]) == b"text"
    assert three.payload == b"m" * 100_000
    assert one.place < two.place < three.place


def test_processes_of_their_own_meet(here: Running) -> None:
    a, b = Elsewhere(here.native), Elsewhere(here.native)
    socket_of_a = a.socket()
    right = b.transfer(b.handle(b.create()), socket_of_a)
    os.close(socket_of_a.number)
    a.send(right, b"from afar")
    came = b.take()
    assert (came.payload, came.pid) == (b"from afar", a.pid)
    b.kill()
    gone = a.take()
    assert (gone.kind, gone.id) == (NODE_GONE, right)
    a.kill()
    here.until(lambda: here.server.hub.native == 0)


def test_many_come_and_go_and_leave_nothing(here: Running, join: Join) -> None:
    a = join()
    own = a.create()
    user = here.server.hub.peer.user

    def held() -> list[object]:
        natives = here.server.natives
        charges = (user.bytes, user.messages, user.handles, user.fds, user.peers)
        things = (len(natives.ends), len(natives.given), len(here.server.connections))
        return [*charges, *things, len(os.listdir("/proc/self/fd"))]

    before = here.do(held)
    crowd = [Peer(here.native) for _ in range(100)]
    for each in crowd:
        mine = a.handle(own)
        each.quiet(a.transfer(mine, each.socket()), b"x" * 1000)
        a.release(mine)
    assert {a.take().sender for _ in crowd} == {each.number for each in crowd}
    spawned = [crowd[0].peer() for _ in range(50)]
    assert here.do(lambda: here.server.hub.native) == 151
    for number in spawned:
        os.close(number.number)
    for each in crowd:
        each.close()
    assert a.take().id == own  # nobody has a handle any more
    here.until(lambda: held() == before)


def test_two_sockets_with_one_number_are_not_taken_for_each_other(
    here: Running, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers of sockets come again when four thousand million have been made."""
    with monkeypatch.context() as kernel:
        kernel.setattr(os, "fstat", lambda fd: SimpleNamespace(st_ino=7))
        a = join()
        with pytest.raises(Ended):
            join()
        with pytest.raises(Refused) as refused:
            a.peer()
    assert refused.value.errno == errno.EDQUOT
    a.close()
    here.until(lambda: here.server.hub.native == 0)
    assert (here.server.natives.ends, here.server.natives.given) == ({}, {})


def test_the_end_of_the_bus_is_theirs(make: Make, tmp_path: Path) -> None:
    here = make(native=True)
    a = Peer(here.native)
    other = a.peer()
    here.stop()
    opened = Peer(other)
    assert a.ended()
    assert opened.ended()
    opened.close()
    a.close()
    assert not os.path.lexists(here.native)
    assert not (tmp_path / "0" / "native").exists()


def test_a_peer_that_has_asked_for_its_end_gets_the_answer_first(
    here: Running, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = join(), join()
    _, right = known(a, b)
    b.disconnect()
    assert b.ended()
    gone = a.take()
    assert (gone.kind, gone.id) == (NODE_GONE, right)
    a.release(right)
    assert texts(caplog) == []
    assert here.do(lambda: here.server.hub.native) == 1


def test_what_was_sent_before_the_end_arrives(join: Join) -> None:
    a, b = join(), join()
    own, right = known(a, b)
    for number in range(200):
        a.quiet(right, str(number).encode())
    a.close()
    assert [int(b.take().payload) for _ in range(200)] == list(range(200))
    with suppress(TimeoutError):
        assert b.take(1).id == own  # the last handle to it


def test_who_sends_no_more_has_left(join: Join) -> None:
    a, b = join(), join()
    _, right = known(a, b)
    b.write(record(QUERY, 7))
    b.sock.shutdown(socket.SHUT_WR)
    assert b.result(7).error == 0
    assert b.ended()
    assert a.take().id == right


# -------------------------------------------------------------------------- sockets


def test_a_right_goes_to_whose_socket_it_is(here: Running, join: Join, tmp_path: Path) -> None:
    a, b = join(), join()
    own = a.create()
    right = a.handle(own)
    spawned = b.peer()
    c = Peer(spawned)
    for each in (b, c, a):
        each.send(a.transfer(right, each.socket()), b"x")
        assert (a.take().sender, a.create()) > (0, own)
    strangers = [*socket.socketpair(), *socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)]
    strangers += [socket.socket(), here.socket(), socket.socket(socket.AF_UNIX)]
    (tmp_path / "file").touch()
    file = os.open(tmp_path / "file", os.O_RDONLY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        strangers.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        strangers[-1].connect(str(tmp_path / "s"))
        for fd in (*(each.fileno() for each in strangers), listening.fileno(), file):
            with pytest.raises(Refused) as refused:
                a.transfer(right, Fd(fd))
            assert refused.value.errno == errno.EOPNOTSUPP
    for other in strangers:
        other.close()
    os.close(file)
    c.close()


def test_a_kernel_that_does_not_answer_knows_no_strangers(
    here: Running, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that the bus has made itself it knows without being told."""
    a, b = join(), join()
    right = a.handle(a.create())
    c = Peer(b.peer())
    monkeypatch.setattr(OtherEnd, "ask", lambda *_: (_ for _ in ()).throw(OSError))
    assert a.transfer(right, c.socket())
    with pytest.raises(Refused) as refused:
        a.transfer(right, b.socket())
    assert refused.value.errno == errno.EOPNOTSUPP
    c.close()


CHILD = """
import sys
from tests.native.peer import Fd, Peer, once
peer = Peer(Fd(int(sys.argv[1])))
seed = peer.seed()
peer.send(seed.values[0], seed.payload + b", says the child")
"""


def test_a_child_inherits_what_its_parent_made_for_it(join: Join) -> None:
    a = join()
    own = a.create()
    fd = a.peer(b"seed", [node(own)]).number
    child = [sys.executable, "-c", CHILD, str(fd)]
    done = subprocess.run(child, pass_fds=[fd], cwd=ROOT, timeout=SECONDS, check=False)
    assert done.returncode == 0
    assert a.take().payload == b"seed, says the child"
    os.close(fd)  # the last one that had it
    assert a.take().id == own


def test_whoever_has_the_socket_is_the_peer(here: Running) -> None:
    a = Peer(here.native)
    own = a.create()
    fd = a.peer(b"", [node(own)])
    b = Elsewhere(fd)
    os.close(fd.number)
    passed = b.socket()  # the parent of nobody: as by SCM_RIGHTS
    b.send(b.seed().values[0], b"x")
    assert a.take().pid == os.getpid()  # of whom it was made
    b.kill()
    again = socket.socket(fileno=passed.number)
    again.send(record(CREATE, 1))
    assert len(again.recv(100)) > 16
    again.close()
    assert a.take().id == own
    a.close()


@pytest.mark.parametrize("kind", [SET_SEED, PEER])
def test_no_seed_keeps_a_peer_alive(here: Running, join: Join, kind: int) -> None:
    """The bus would have the other end itself, and never hear that everybody else has gone."""
    a, file = join(), os.open("/dev/null", os.O_RDONLY)
    with pytest.raises(Refused) as refused:
        a.ask(kind, parcel([]), 0, [Fd(file), a.socket()])
    assert refused.value.errno == errno.EINVAL
    for each in a.ask(kind, parcel([]), 0, [Fd(file)]).fds:
        os.close(each.number)
    os.close(file)
    a.close()
    here.until(lambda: here.server.hub.native == 0)


# ------------------------------------------------------------------------- who may not


def test_only_whom_the_policy_lets_may_connect(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    here = make(native=True, configuration=allowing(Rule(allow=False, about="connect", user="*")))
    with pytest.raises(Ended):
        Peer(here.native)
    (said,) = texts(caplog)
    assert re.fullmatch(
        r'Refusing a native connection \(uid=\d+ pid=\d+ comm=".+"\): '
        "its user may not use this bus",
        said,
    )
    assert here.do(lambda: here.server.door.failures) == {"policy": 1}


@pytest.mark.parametrize("limit", ["max_completed_connections", "max_connections_per_user"])
def test_no_more_than_the_limit_in_either_language(
    make: Make, caplog: pytest.LogCaptureFixture, limit: str
) -> None:
    here = make(native=True, **{limit: 3})
    a, b = Peer(here.native), here.connect()
    c = Peer(a.peer())
    with pytest.raises(Refused) as refused:
        a.peer()
    assert refused.value.errno == errno.EDQUOT
    with pytest.raises(Ended):
        Peer(here.native)
    assert "The maximum number of active connections" in texts(caplog)[-1]
    assert str(here.connect(hello=False).ask("Hello")) == "!LimitsExceeded"
    a.close()
    here.until(lambda: here.server.hub.native == 1)
    Peer(here.native).close()
    assert b.is_open()
    c.close()


def test_who_comes_too_often(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    here = make(native=True, configuration=allowing(connection_rate=Rate(0.001, 2)))
    monkeypatch.setattr(here.server.door, "is_trusted", lambda uid: False)
    peers = [Peer(here.native), Peer(here.native)]
    with pytest.raises(Ended):
        Peer(here.native)
    for each in peers:
        each.close()


def test_silent_d_bus_clients_do_not_keep_natives_out(make: Make) -> None:
    here = make(native=True, max_incomplete_connections=2)
    silent = [here.socket() for _ in range(3)]
    here.until(lambda: len(here.server.door.incomplete) == 2)
    Peer(here.native).close()
    for each in silent:
        each.close()


def test_limits_of_a_new_configuration_are_theirs_at_once(here: Running, join: Join) -> None:
    a = join()
    before = a.query()
    a.reset(0, (-1, 10, -1, -1))
    assert a.query().most_messages == 10
    here.configuration = allowing(limits={"max_outgoing_messages": 50})
    done: list[str | None] = []
    here.do(lambda: here.server.reloader.request(done.append))
    here.until(lambda: done == [None])
    assert (a.query().most_messages, join().query().most_messages) == (50, 50)
    with pytest.raises(Refused):
        a.reset(0, (-1, 51, -1, -1))
    assert before.most_messages == 262_144


# -------------------------------------------------------------------------- hostile

BROKEN = {
    "no header": b"x",
    "a record that is too short": record(CREATE, 1)[:15],
    "a size below the header's": struct.pack("=IHHII", 15, CREATE, 0, 1, 0),
    "a size beyond the packet": struct.pack("=IHHII", 4096, CREATE, 0, 1, 0),
    "descriptors that did not come": struct.pack("=IHHII", 16, CREATE, 0, 1, 1),
    "half of a second one": record(CREATE, 1) + b"12345678",
    "noise": b"\xff" * 4096,
}


@pytest.mark.parametrize("packet", BROKEN.values(), ids=list(BROKEN))
def test_who_breaks_the_protocol_ends_and_nobody_else(
    join: Join, caplog: pytest.LogCaptureFixture, packet: bytes
) -> None:
    good, bad = join(), join()
    own, right = known(bad, good)
    bad.write(packet)
    assert bad.ended()
    assert good.take().id == own
    (said,) = texts(caplog)
    assert re.match(
        rf'Disconnecting native peer {bad.number} \(uid={os.geteuid()} pid={os.getpid()} comm="',
        said,
    )
    assert good.query()
    assert right


def test_an_error_of_the_bus_ends_only_who_met_it(
    join: Join, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, here: Running
) -> None:
    good, bad = join(), join()

    def fail(fd: int) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(here.server.natives.other_end, "of", fail)
    right = bad.handle(bad.create())
    with pytest.raises(Ended):
        bad.transfer(right, good.socket())
    assert "an error of the bus itself" in texts(caplog)[-1]
    assert good.query()


def test_who_reads_no_results_is_not_read_from(here: Running, join: Join) -> None:
    a, b = join(), join()
    connection = here.do(
        lambda: next(c for c in here.server.natives.ends.values() if c.peer.number == a.number)
    )
    asked = 0
    a.sock.setblocking(False)
    batch = b"".join(record(QUERY, 1) for _ in range(500))
    with suppress(BlockingIOError):
        while asked < 1_000_000:
            a.write(batch)
            asked += 500
    assert b.query()
    here.until(lambda: connection.full)
    held = here.do(lambda: connection.session.owes)
    assert held < 2 * native.OWED
    assert b.query()
    a.sock.setblocking(True)
    for _ in range(asked):
        assert a.result(1).error == 0
    assert a.query()
    assert not here.do(lambda: connection.full)


def test_who_reads_no_notices_is_not_read_from(
    here: Running, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody pays for them: with a friend it could have the bus keep any number."""
    monkeypatch.setattr(native, "NOTICES", 100)
    a, friend = join(), join()
    connection = here.do(
        lambda: next(c for c in here.server.natives.ends.values() if c.peer.number == a.number)
    )
    right, own = known(a, friend)[1], a.create()
    batch = b"".join(
        record(SEND, 0, parcel([right], b"", [once(own, 1)]), QUIET) for _ in range(500)
    )
    came = 0
    while not here.do(lambda: connection.full) and came < 50_000:
        a.write(batch)
        with suppress(TimeoutError):
            friend.release(*[friend.take(1).handles[0] for _ in range(500)])
            came += 500
    assert here.do(lambda: connection.full)
    assert friend.query()
    for _ in range(came):
        assert a.take().kind == ONCE_DROPPED
    assert a.query()
    assert not here.do(lambda: connection.full)


def test_who_reads_no_results_pays_for_the_descriptors_that_it_sends(
    here: Running, join: Join
) -> None:
    """Of a packet that is not done; and it may not have more of them so than otherwise."""
    a = join()
    connection = here.do(lambda: next(iter(here.server.natives.ends.values())))
    pipe = os.pipe()
    many = record(QUERY, 1) * 7900
    most = a.query().most_fds
    a.write(many + record(99, 1, fds=2), [Fd(each) for each in pipe])
    here.until(lambda: connection.full)
    assert here.do(lambda: connection.peer.query().fds) == 2
    for _ in range(7901):
        a.result(1)
    assert a.query().fds == 0
    a.write(many + record(99, 1, fds=most + 1), [Fd(pipe[0])] * (most + 1))
    here.until(lambda: connection.closed)
    assert a.ended()
    os.close(pipe[0])
    with pytest.raises(BrokenPipeError):
        os.write(pipe[1], b"!")
    os.close(pipe[1])


@pytest.mark.parametrize("how", ["close", "half"])
def test_who_leaves_without_having_read_is_gone(here: Running, join: Join, how: str) -> None:
    a, b = join(), join()
    own, right = known(a, b)
    a.quiet(right, b"first")
    a.sock.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            a.write(b"".join(record(QUERY, 1) for _ in range(500)))
    if how == "close":
        a.close()
    else:
        a.sock.shutdown(socket.SHUT_WR)
    assert b.take().payload == b"first"
    assert b.take().id == own
    here.until(lambda: here.server.hub.native == 1)


def test_who_takes_nothing_more_and_goes_on_asking_owes_the_bus_no_memory(
    here: Running, join: Join
) -> None:
    a = join()
    connection = here.do(lambda: next(iter(here.server.natives.ends.values())))
    a.sock.shutdown(socket.SHUT_RD)
    for _ in range(200):
        with suppress(BrokenPipeError):
            a.write(b"".join(record(QUERY, 1) for _ in range(500)))
    here.until(lambda: connection.session.owes == 0)


def test_a_full_socket_is_written_to_again(here: Running, join: Join) -> None:
    a, b = join(), join()
    _, right = known(a, b)
    for number in range(2000):
        a.quiet(right, number.to_bytes(2, "big") * 500)
    a.query()
    here.until(lambda: any(each.blocked for each in here.server.natives.ends.values()))
    came = [int.from_bytes(b.take().payload[:2], "big") for _ in range(2000)]
    assert came == list(range(2000))


def test_after_packets_that_came_alone_many_go_on_together(here: Running, join: Join) -> None:
    """One is not looked for behind each, but soon enough."""
    a, b = join(), join()
    _, right = known(a, b)
    for _ in range(40):
        a.quiet(right, b"alone")
        assert b.take().payload == b"alone"
    with here.held():
        for number in range(100):
            a.quiet(right, bytes([number]))
    a.query()
    packets = 0
    while len(b.arrived) < 100:
        packets += b.read()
    assert [each.payload for each in b.arrived] == [bytes([number]) for number in range(100)]
    assert packets < 30


def test_one_packet_of_many_operations_lets_others_be_served(here: Running, join: Join) -> None:
    """No more than some packets of one in a turn."""
    a, b = join(), here.connect()
    packet = b"".join(record(CREATE, 1, flags=QUIET) for _ in range(2000))
    with here.held():
        for _ in range(5):
            a.write(packet)
        serial = b.call("GetId", to="org.freedesktop.DBus")
    assert b.answer(serial).args
    assert a.query().nodes == 10_000


# --------------------------------------------------------------------------- the rest


def test_without_its_descriptors_a_packet_is_the_same() -> None:
    packet = Packet()
    reader, writer = os.pipe()
    for number, fds in enumerate(([reader], [], [reader, writer])):
        packet.begin(64 + number, 0, 0, 12)
        packet.put32(1)
        packet.put64(2)
        packet.attach(None, fds)
    counts = [struct.unpack_from("=IHHII", packet.raw(), 32 * n) for n in range(3)]
    assert [each[4] for each in counts] == [1, 0, 2]
    less = stripped(packet)
    assert less.fd_count == 0
    counts = [struct.unpack_from("=IHHII", less.raw(), 32 * n) for n in range(3)]
    assert [each[4] for each in counts] == [0, 0, 0]
    assert less.raw()[16:28] == packet.raw()[16:28]
    packet.clear()
    os.close(reader)
    os.close(writer)


FLIGHT = """
import os, resource, sys
from pathlib import Path
from tests.native.conftest import start_native
from tests.native.peer import Fd, Peer

bus = start_native(Path(sys.argv[1]))
resource.prlimit(bus.pid, resource.RLIMIT_NOFILE, (120, 120))
a, b, c = (Peer(f"{bus.directory}/native") for _ in range(3))
own = b.create()
right = b.transfer(b.handle(own), a.socket())
fds = [Fd(os.open(os.devnull, os.O_RDONLY)) for _ in range(16)]
for n in range(40):
    a.send(right, bytes([n]), fds=fds)
assert c.query()
came = [b.take() for _ in range(40)]
assert [each.payload for each in came] == [bytes([n]) for n in range(40)]
assert {len(each.fds) for each in came} == {0, 16}
a.send(right, b"again", fds=fds[:1])
assert len(b.take().fds) == 1
bus.stop()
print("done")
"""


def test_too_many_descriptors_in_flight_cost_descriptors_and_no_connection(tmp_path: Path) -> None:
    in_flight.run(FLIGHT, 3102, tmp_path)


def test_without_descriptors_natives_are_told_and_served_again_later(tmp_path: Path) -> None:
    bus = start("ours", tmp_path, f"--native=unix:path={tmp_path}/native")
    first = Peer(f"{tmp_path}/native")
    time.sleep(0.3)  # its files are watched by then
    soft = len(os.listdir(f"/proc/{bus.pid}/fd")) + 4
    _, hard = resource.prlimit(bus.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(bus.pid, resource.RLIMIT_NOFILE, (soft, hard))
    told, peers = 0, []
    for _ in range(12):
        try:
            peers.append(Peer(f"{tmp_path}/native"))
        except Ended:
            told += 1
    assert told > 0
    with pytest.raises(Refused) as refused:
        first.peer()
    assert refused.value.errno in (errno.EMFILE, errno.EDQUOT)
    assert "Too many open files" in bus.log()
    for each in peers:
        each.close()
    resource.prlimit(bus.pid, resource.RLIMIT_NOFILE, (hard, hard))
    Peer(f"{tmp_path}/native").close()
    assert first.query()
    first.close()
    bus.stop()


def test_they_are_counted(here: Running, join: Join, a: Client) -> None:
    join(), join()
    answer: Any = a.ask("GetStatus", interface="org.bus1.Status1").args[0]
    state = json.loads(answer)
    assert state["connections"]["native"] == 2
    assert state["native"] == [f"unix:path={here.native}"]


def test_services_are_told_where_to_find_it(here: Running) -> None:
    environment = here.server.activation.environment
    assert environment.of_services("session")["BUS1_ADDRESS"] == f"unix:path={here.native}"


def test_handles_that_travel(join: Join) -> None:
    """What a message brings is there when it is."""
    a, b, c = join(), join(), join()
    _, to_b = known(a, b)
    own, to_c = known(a, c)
    a.post(SEND, parcel([to_b], b"", [handle(to_c)]), QUIET)
    (right,) = b.take().handles
    b.send(right, b"x")
    assert c.take().id == own
    assert numbers([right])
