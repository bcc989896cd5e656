"""The bus as a whole: who may connect, how many, for how long, and that nothing is left behind."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bridge.routing.credentials import Credentials
from bridge.routing.errors import Disconnect
from bridge.routing.quotas import for_peer, for_user
from policy.limits import Limits
from tests.buses import ROOT, start
from tests.raw import SIGNAL, UNIX_FDS, Client, Closed, build, call_fields
from tests.transport.running import SECONDS, Running

Make = Callable[..., Running]
EXTERNAL = b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n"


def texts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def eventually(make: Callable[[], Client]) -> Client:
    """A client whose time may have been over before it was there, on a busy machine."""
    for _ in range(50):
        with suppress(Closed, OSError):
            return make()
    raise AssertionError("no client got through")


# --------------------------------------------------------------------- come and go


def test_two_hundred_clients_leave_nothing(here: Running, a: Client) -> None:
    hub, user = here.server.hub, here.server.hub.peer.user
    a.match("member=S")
    a.take()

    def held() -> list[object]:
        counts = (hub.active, hub.matches.count, len(hub.names.clients), hub.users)
        charges = (user.bytes, user.messages, user.handles, user.fds, user.peers)
        things = (hub.peer.handles.keys(), a_client.peer.handles.keys())
        queues = (len(here.server.connections), len(here.server.door.incomplete))
        files = len(os.listdir("/proc/self/fd"))
        return [*counts, *charges, *map(list, things), *queues, files]

    a_client = here.client(a)
    before = here.do(held)
    crowd = [here.connect() for _ in range(200)]
    for number, each in enumerate(crowd):
        each.match("interface=t.T")
        each.own(f"com.example.N{number}")
        each.call("M", to=a.name)
        a.signal("T", to=each.name)
    crowd[0].signal("S", "s", "x" * 1000)
    assert a.receive("S").args == ["x" * 1000]
    for number, each in enumerate(crowd):
        if number % 2:
            each.take()
        each.close()
    a.until_gone(crowd[-1].name)
    here.until(lambda: hub.active == 1)
    a.take()
    here.until(lambda: held() == before)


def test_a_crowd_that_only_connects_leaves_nothing(here: Running, a: Client) -> None:
    before = here.descriptors()
    crowd = [here.socket() for _ in range(100)]
    for number, each in enumerate(crowd):
        each.sendall((EXTERNAL + b"BEGIN\r\n")[: number % 30])
    here.until(lambda: len(here.server.connections) == 101)
    for each in crowd:
        each.close()
    here.until(lambda: len(here.server.connections) == 1)
    assert (here.descriptors(), len(here.server.door.incomplete)) == (before, 0)
    assert a.is_open()


def test_the_end_closes_everything(make: Make, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    here = make()
    clients = [here.connect(), here.connect(hello=False)]
    silent = here.socket()
    here.stop()
    assert here.server.connections == {}
    assert not (tmp_path / "0" / "bus").exists()
    for client in clients:
        with pytest.raises((Closed, OSError)):
            client.ask("GetId")
    silent.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_only_the_busses_own_user_may_connect(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    here = make()
    own = here.server.credentials
    here.do(lambda: setattr(here.server, "credentials", own._replace(uid=12345)))
    with pytest.raises((Closed, OSError)):
        here.connect().ask("GetId")
    assert texts(caplog)[0].endswith("): its user may not use this bus")
    here.do(lambda: setattr(here.server, "credentials", own))
    assert here.connect().is_open()


def test_anyone_may_connect_where_the_configuration_says_so(make: Make) -> None:
    here = make(anyone=True)
    own = here.server.credentials
    here.do(lambda: setattr(here.server, "credentials", own._replace(uid=12345)))
    assert here.connect().is_open()


class Anonymous(Client):
    """Says nothing of who it is."""

    def authenticate(self, fds: bool) -> str:
        self.sock.sendall(b"\0AUTH ANONYMOUS\r\n")
        answer = self.line()
        self.sock.sendall(b"BEGIN\r\n")
        return answer


def test_anonymous_clients_where_the_configuration_says_so(make: Make) -> None:
    here = make(anyone=True, auth=("EXTERNAL", "ANONYMOUS"), allow_anonymous=True)
    a, nobody, other = here.connect(), Anonymous(here.address), Anonymous(here.address)
    here.clients += [nobody, other]
    nobody.signal("S", to=a.name)
    a.signal("T", to=nobody.name)
    assert (a.receive("S").sender, nobody.receive("T").sender) == (nobody.name, a.name)
    one, two = (here.client(each) for each in (nobody, other))
    assert one.peer.user is two.peer.user is not here.client(a).peer.user
    assert str(one.credentials).startswith("anonymous pid=")
    assert str(a.ask("GetConnectionUnixUser", "s", nobody.name)) == "!Failed"


def test_anonymous_clients_are_not_the_busses_user(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    here = make(auth=("EXTERNAL", "ANONYMOUS"))
    with pytest.raises((Closed, OSError)):
        Anonymous(here.address).ask("GetId")
    assert texts(caplog)[0].endswith("): its user may not use this bus")
    assert here.connect().is_open()


def test_no_room_in_the_core_is_told_in_the_log(
    here: Running, a: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise Disconnect("there is no room for one more client")

    class Full:
        admit = staticmethod(full)

    hub = here.server.hub
    here.do(lambda: setattr(here.server, "hub", Full))
    with pytest.raises((Closed, OSError)):
        here.connect().ask("GetId")
    assert texts(caplog)[0].endswith("): there is no room for one more client")
    here.do(lambda: setattr(here.server, "hub", hub))
    assert a.is_open()


# ------------------------------------------------------------------------- in time


@pytest.mark.parametrize(
    "begun", [b"", b"\0", EXTERNAL, EXTERNAL + b"NEGOTIATE_UNIX_FD\r\nBEGIN\r\n"]
)
def test_who_is_not_named_in_time_is_dropped(
    make: Make, caplog: pytest.LogCaptureFixture, begun: bytes
) -> None:
    here = make(auth_timeout=200)
    good = eventually(here.connect)
    slow = here.socket()
    with suppress(ConnectionError), slow:  # it may be over before it has begun
        slow.sendall(begun)
        while slow.recv(1000):
            pass
    last = texts(caplog)[-1]
    assert re.fullmatch(
        r"Disconnecting a connection without a name \(uid=\d+ pid=\d+ comm=\"[^\"]+\"\): "
        "it did not authenticate within 200 ms",
        last,
    )
    assert good.is_open()  # its own time was over before


def test_descriptors_whose_message_does_not_come_in_time(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    here = make(pending_fd_timeout=200)
    a, slow = here.connect(), here.connect()
    before = here.descriptors()
    data = build(SIGNAL, 9, [*call_fields(a.name, "/t", "t.T", "S"), (UNIX_FDS, 1)], "h", [0])
    slow.write(data[:-1], [0])
    assert slow.rest() == []
    assert texts(caplog)[-1].endswith("): the message its descriptors belong to took over 200 ms")
    assert here.descriptors() < before
    a.until_gone(slow.name)
    a.write(data, [0])
    assert len(a.receive("S").fds) == 1
    here.until(lambda: len(here.server.partial) == 0)


def test_a_connection_in_flight_to_itself_ends(make: Make) -> None:
    """Its descriptor is in the bus's own queue, so closing it tells nobody (CVE-2014-3637)."""
    here = make(pending_fd_timeout=200)
    a, own = here.connect(), here.connect()
    before = here.descriptors()
    data = build(SIGNAL, 9, [*call_fields(a.name, "/t", "t.T", "S"), (UNIX_FDS, 1)], "h", [0])
    own.write(data[:-1], [own.sock.fileno()])
    own.close()
    a.until_gone(own.name)
    here.until(lambda: len(os.listdir("/proc/self/fd")) < before)


def test_descriptors_whose_message_came_have_no_time(here: Running, a: Client) -> None:
    data = build(SIGNAL, 9, [*call_fields(a.name, "/t", "t.T", "S"), (UNIX_FDS, 1)], "h", [0])
    a.write(data[:-1], [0])
    here.until(lambda: len(here.server.partial) == 1)
    a.write(data[-1:])
    assert len(a.receive("S").fds) == 1
    assert here.do(lambda: len(here.server.partial)) == 0


def test_who_left_before_its_time_is_not_waited_for(here: Running, a: Client) -> None:
    """Its descriptor's number may be somebody else's by then."""
    b = here.connect()
    data = build(SIGNAL, 9, [*call_fields(a.name, "/t", "t.T", "S"), (UNIX_FDS, 1)], "h", [0])
    b.write(data[:-1], [0])
    here.until(lambda: len(here.server.partial) == 1)
    b.close()
    a.until_gone(b.name)
    assert here.do(lambda: len(here.server.partial)) == 0


# ------------------------------------------------------------------------ how many


@pytest.mark.parametrize("way", ["hang up", "get a name"])
def test_so_many_may_be_on_their_way(make: Make, way: str) -> None:
    """The others wait in the kernel's queue, and are served when there is room again."""
    here = make(max_incomplete_connections=3)
    member = here.connect()
    here.until(lambda: here.server.door.listening)
    waiting: list[Client | socket.socket] = [
        here.connect(hello=False),
        here.socket(),
        here.socket(),
    ]
    here.until(lambda: len(here.server.door.incomplete) == 3)
    assert here.do(lambda: here.server.door.listening) is False
    late = here.socket()
    late.sendall(EXTERNAL)
    assert member.is_open()
    assert here.do(lambda: len(here.server.connections)) == 4
    if way == "hang up":
        waiting[1].close()
    else:
        assert isinstance(waiting[0], Client)
        waiting[0].ask("Hello")
    assert late.recv(100).startswith(b"OK ")
    assert here.do(lambda: len(here.server.connections)) == (4 if way == "hang up" else 5)
    for each in (*waiting, late):
        each.close()
    assert here.connect().is_open()
    assert here.do(lambda: here.server.door.listening)


def test_limits_of_a_connection_and_of_its_user() -> None:
    """Four of a user's connections may be full, and there is room for as much again."""
    limits = Limits(max_outgoing_bytes=100, max_outgoing_messages=10, max_outgoing_unix_fds=5)
    peer, user = for_peer(limits), for_user(limits)
    assert (peer.bytes, peer.messages, peer.fds) == (100, 10, 5)
    assert (user.bytes, user.messages, user.fds) == (800, 80, 40)
    assert (peer.handles, user.handles) == (1_000_000, 1_000_000)
    assert for_user(Limits(max_handles_per_connection=50)).handles == 400


def test_four_full_connections_leave_room_for_the_fifth(make: Make) -> None:
    here = make(max_outgoing_messages=60)
    a, *deaf = (here.connect() for _ in range(6))
    for each in deaf:
        here.narrow(each)
        for _ in range(200):
            a.signal("S", "s", "x" * 5000, to=each.name)
        assert {str(message) for message in a.take()} == {"!LimitsExceeded"}
    assert a.ask("GetId").args
    assert all(here.client(each).peer.query().messages > 20 for each in deaf)


# -------------------------------------------------------------------- descriptors


def watches(pid: int) -> bool:
    """Has it begun to watch its files? That opens some more for a while."""
    if len(os.listdir(f"/proc/{pid}/task")) > 1:
        return False
    links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
    return "anon_inode:inotify" in links


def test_without_descriptors_it_hangs_up_and_serves_again_later(tmp_path: Path) -> None:
    """EMFILE: who is there is served on, who comes is told, and nobody has to start it again."""
    bus = start("ours", tmp_path)
    first = bus.connect()
    first.until(lambda: watches(bus.pid))
    soft = len(os.listdir(f"/proc/{bus.pid}/fd")) + 6
    _, hard = resource.prlimit(bus.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(bus.pid, resource.RLIMIT_NOFILE, (soft, hard))
    crowd = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    told = 0
    for each in crowd:
        each.settimeout(SECONDS)
        each.connect(str(tmp_path / "bus"))
        with suppress(ConnectionError):
            each.sendall(EXTERNAL)
        try:
            told += each.recv(100) == b""
        except ConnectionError:
            told += 1
    assert 0 < 20 - told <= 6
    assert first.is_open()
    assert "Cannot accept connections (1 so far): Too many open files" in bus.log()
    for each in crowd:
        each.close()
    assert eventually(bus.connect).is_open()
    bus.stop()


# ------------------------------------------------------------------------- signals

SERVE = """
import os, signal, sys
from bridge.transport.launch import listen, new_guid
from bridge.transport.serving import run
from bridge.transport.settings import Settings
from tests.transport.running import allowing, loaded

def ready():
    print("ready")
    for name in sys.argv[2:]:
        os.kill(os.getpid(), getattr(signal, name))

listeners = listen(f"unix:path={sys.argv[1]}", {})
run(Settings(loaded(allowing()), allowing, new_guid()), listeners, ready)
print("end", flush=True)
"""


@pytest.mark.parametrize(
    "names", [["SIGTERM"], ["SIGINT"], ["SIGTERM", "SIGINT"], ["SIGHUP", "SIGTERM"]]
)
def test_a_signal_that_comes_at_once_ends_it(tmp_path: Path, names: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(tmp_path / "bus"), *names],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ready\nend\n", "")
    assert not (tmp_path / "bus").exists()


def test_a_signal_ends_it_with_clients(tmp_path: Path) -> None:
    bus = start("ours", tmp_path)
    clients = [bus.connect() for _ in range(5)]
    os.kill(bus.pid, signal.SIGTERM)
    for client in clients:
        assert client.rest() == []
    assert bus.process.wait(SECONDS) == 0
    assert not (tmp_path / "bus").exists()
    assert bus.log() == ""
    assert bus.process.stdout
    bus.process.stdout.close()


def test_one_user_cannot_shut_the_door(tmp_path: Path) -> None:
    """CVE-2014-3639: the connections that never say Hello leave room for others."""
    bus = Running(tmp_path, anyone=True, max_incomplete_connections=8)
    server: Any = bus.server
    try:
        # Our own user becomes a stranger.
        server.credentials = server.credentials._replace(uid=4242)
        strangers = [bus.socket() for _ in range(8)]
        for each in strangers:
            each.setblocking(False)

        def crowds_out(uid: int) -> bool:
            return bool(server.door.crowds_out(Credentials(uid, None)))

        assert bus.do(lambda: crowds_out(0)) is False
        assert bus.do(lambda: crowds_out(4242)) is False
        bus.until(lambda: len(server.door.incomplete) == 8)
        for fd in bus.do(lambda: list(server.door.incomplete)):
            connection = server.connections[fd]
            connection.credentials = connection.credentials._replace(uid=7)
        assert bus.do(lambda: crowds_out(7)) is True
        assert bus.do(lambda: crowds_out(8)) is True
        for each in strangers[4:]:
            each.close()
        bus.until(lambda: len(server.door.incomplete) == 4)
        assert bus.do(lambda: crowds_out(7)) is True
        assert bus.do(lambda: crowds_out(8)) is False
    finally:
        bus.stop()
