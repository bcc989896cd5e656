"""Law: threads share one peer, and whatever interrupts a call leaves the peer usable."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

import bus1.client as bus1
from bus1.client import blocking
from bus1.client.holdings import INBOX_MOST
from bus1.client.outbox import OUT_MOST
from bus1.client.sharing import NESTED_MOST
from tests.buses import ROOT

SECONDS = 10


class Echo(blocking.Service):
    @bus1.method
    def echo(self, thing: Any) -> Any:
        return thing

    @bus1.method
    def fail(self) -> None:
        raise KeyError("never mind")


@pytest.fixture
def peer(address: str) -> Iterator[blocking.Peer]:
    with blocking.connect(address, timeout=SECONDS) as peer:
        yield peer


@pytest.fixture
def served(address: str) -> Iterator[bus1.Handle]:
    """A handle to a service that a thread of its own runs."""
    with blocking.connect(address, timeout=SECONDS) as owner:
        node = Echo().export(owner)
        with blocking.connect(fd=owner.spawn(b"", [node])) as holder:
            thread = threading.Thread(target=owner.run)
            thread.start()
            [handle] = holder.seed().handles
            assert handle is not None
            yield handle
            owner.end("the test is over")
            thread.join(SECONDS)
            assert not thread.is_alive()


def test_everything_without_await(peer: blocking.Peer) -> None:
    with blocking.connect(fd=peer.spawn(b"", [node := peer.create()])) as other:
        [handle] = other.seed().handles
        assert handle is not None
        mine = other.create()
        with open("/dev/null", "rb") as file:
            stamp = other.send(handle, b"x", [mine], [file], timeout=SECONDS)
        message = node.receive(SECONDS)
        assert (message.payload, message.stamp, len(message.fds)) == (b"x", stamp, 1)
        [back] = message.handles
        assert back is not None
        assert peer.multicast([back, peer.copy(back)][:1], bytes(100_000)) == []
        assert len(other.receive(SECONDS).payload) == 100_000
        peer.send_nowait(back, b"quiet")
        assert other.receive(SECONDS).payload == b"quiet"
        node.handle().release()
        assert other.query().nodes == 1
        other.set_seed(b"seed", [mine])
        other.reset(flush=True)
        assert other.seed().payload == b"seed"
        stamp = peer.destroy([node])
        assert [each.kind for each in node] == [bus1.NO_HANDLES_LEFT]
        other.disconnect()
        with pytest.raises(ConnectionError):
            other.query()


def test_timeouts(peer: blocking.Peer) -> None:
    node = peer.create()
    handle = node.handle()
    for wait in (peer.receive, node.receive, lambda timeout: peer.until_gone(handle, timeout)):
        for timeout in (0, 0.02):
            with pytest.raises(TimeoutError):
                wait(timeout)
    with pytest.raises(TimeoutError):
        peer.call(handle, b"first", timeout=0.02)
    [late] = node.receive(0).handles
    assert late is not None
    peer.send(late, b"late")
    assert peer.link.calls == {}
    peer.run(0)
    assert peer.link.holdings.stored == 0
    assert node.destroy() == peer.until_gone(handle, SECONDS)


def test_a_service_in_a_thread(served: bus1.Handle) -> None:
    assert blocking.call(served, "echo", [1, {"a": None}], timeout=SECONDS) == [1, {"a": None}]
    node = served.peer.create()
    back = blocking.call(served, "echo", {"node": node}, timeout=SECONDS)["node"]
    served.peer.send(back, b"home")
    assert node.receive(SECONDS).payload == b"home"
    with pytest.raises(bus1.CallError, match="KeyError"):
        blocking.call(served, "fail", timeout=SECONDS)


def test_many_threads_on_one_peer(served: bus1.Handle) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(50):
                sent = [number, turn, "x" * random.choice([1, 100, 70_000])]
                assert blocking.call(served, "echo", sent, timeout=SECONDS) == sent
                served.peer.copy(served)
                gc.collect(0)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    usage = served.peer.query(SECONDS)
    assert usage.nodes == 1  # where the replies come


def test_a_callback_may_call(peer: blocking.Peer, served: bus1.Handle) -> None:
    other = served.peer
    node, done = other.create(), []
    node.on_message = lambda message: done.append(
        blocking.call(served, "echo", bytes(message.payload).decode(), timeout=SECONDS)
    )
    handle = node.handle()
    other.send(handle, b"in the callback")
    other.run(0.3)
    assert done == ["in the callback"]


def test_close_ends_who_waits(peer: blocking.Peer) -> None:
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            peer.receive()
        except ConnectionError as error:
            errors.append(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    peer.close()
    for thread in threads:
        thread.join(SECONDS)
    assert len(errors) == 3
    assert peer.sock.fileno() == -1


INTERRUPTED = """
import os, signal, sys
from bus1.client import blocking
signal.signal(signal.SIGINT, signal.default_int_handler)
peer = blocking.connect(sys.argv[1])
node = peer.create()
handle = node.handle()
node.on_message = lambda message: peer.answer_nowait(message.handles[0], message.payload)
calls = interrupts = 0
while interrupts < 300:
    try:
        os.write(1, b".")  # ready for the next one
        while True:
            calls += 1
            assert peer.query(5).nodes >= 1
            peer.copy(handle)
            assert peer.call(handle, b"%d" % calls, timeout=5).payload == b"%d" % calls
            try:
                peer.receive(0.0005)
            except TimeoutError:
                pass
    except KeyboardInterrupt:
        interrupts += 1
peer.run(0.1)  # answers what interrupted calls have left
node.on_message = None
stamp = peer.send(handle, b"still here", timeout=5)
message = peer.receive(5)
assert (message.payload, message.stamp) == (b"still here", stamp)
peer.create(5).destroy(5)
usage = peer.query(5)
assert (usage.queued, usage.nodes) == (0, 2), usage  # the other one is for replies
# One in the seed, ours, two nodes; and where Python swallowed an interrupt as it began a __del__.
few = 4 <= usage.handles <= 8
print("usable", few, peer.link.awaited, peer.link.calls, calls > 300, flush=True)
"""


def test_ctrl_c_anywhere_leaves_it_usable(address: str) -> None:
    """Hundreds of SIGINTs at whatever moment: waiting, writing, reading, dropping."""
    program = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert program.stdout
    try:
        assert came(program.stdout, SECONDS)
        # Python itself swallows one that comes while a __del__ runs: then there is no dot for it.
        while not came(program.stdout, 1) or os.read(program.stdout.fileno(), 1) == b".":
            time.sleep(0.0003 + random.random() * 0.002)
            program.send_signal(signal.SIGINT)
        said, complaints = program.communicate(timeout=SECONDS)
    finally:
        program.kill()
        program.wait()
    assert said == b"sable True 0 {} True\n", complaints.decode()


def came(file: IO[bytes], seconds: float) -> bool:
    return bool(select.select([file], [], [], seconds)[0])


def test_run_ends_with_the_bus_as_an_error() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    far.send(struct.pack("=IHHIIIIQ16s", 48, 64, 0, 0, 0, 1, 0, 1, bytes(16)))
    peer = blocking.connect(fd=near.detach())
    peer.run(0)
    far.close()
    with pytest.raises(ConnectionError):
        peer.run(SECONDS)


def test_a_full_socket(peer: blocking.Peer) -> None:
    """The far end reads nothing for a while: nowait says so, and a call waits no longer than it
    may; then all goes out in order."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    far.send(struct.pack("=IHHIIIIQ16s", 48, 64, 0, 0, 0, 1, 0, 1, bytes(16)))
    with far:
        full = blocking.connect(fd=near.detach())
        handle = full.link.holdings.hold(5)
        while not full.link.outbox.crowded():
            full.send_nowait(handle, bytes(60000))
        with pytest.raises(BlockingIOError):
            full.send_nowait(handle, b"")
        assert OUT_MOST < full.link.outbox.size < OUT_MOST + 70000
        with pytest.raises(TimeoutError):
            full.query(0.02)
        asked = threading.Thread(target=full.query)
        asked.start()
        cookies = []
        while asked.is_alive():
            data, at = far.recv(131072), 0
            while at < len(data):
                size, kind, _, cookie, _ = struct.unpack_from("=IHHII", data, at)
                at += (size + 7) // 8 * 8
                cookies.append(cookie)
                if kind == 9:
                    answer = struct.pack("=IHHIIiIQQ", 120, 65, 0, cookie, 0, 0, 10, 0, 0)
                    far.send(answer + struct.pack("=10Q", *range(10)))
            if kind == 9 and cookie == full.link.number:
                asked.join(SECONDS)
        assert cookies == list(range(1, len(cookies) + 1))
        handle.spent = True
        full.end("the test is over")


def test_a_leader_that_was_interrupted_twice_leads_again(peer: blocking.Peer) -> None:
    """The second Ctrl-C hits while the first is cleaned up after: nobody waits at the socket."""
    peer.leader = threading.get_ident()
    assert peer.query(SECONDS).nodes == 0


def test_callbacks_that_wait_are_not_nested_without_end(
    peer: blocking.Peer, served: bus1.Handle
) -> None:
    other = served.peer
    node = other.create()
    depths: list[int] = []

    def take(message: bus1.Message) -> None:
        depths.append(other.depth())
        assert blocking.call(served, "echo", "x", timeout=SECONDS) == "x"

    node.on_message = take
    handle = node.handle()
    for _ in range(5 * NESTED_MOST):
        other.send_nowait(handle)
    while len(depths) < 5 * NESTED_MOST:
        other.run(0.05)
    assert 1 < max(depths) <= NESTED_MOST


def test_who_runs_leaves_with_the_bus_what_nobody_takes(peer: blocking.Peer) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    far.send(struct.pack("=IHHIIIIQ16s", 48, 64, 0, 0, 0, 1, 0, 1, bytes(16)))
    body = struct.pack("=QQQQIIIIQ", 20, 7, 3, 0, 0, 0, 0, 0, 0)
    message = struct.pack("=IHHII", 72, 66, 0, 0, 0) + body
    with far:
        full = blocking.connect(fd=near.detach())
        node = full.link.holdings.own(3)
        running = threading.Thread(target=full.run)
        running.start()
        far.settimeout(0.2)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 100 * INBOX_MOST:
                sent += far.send(message * 64) // 72
        assert INBOX_MOST <= full.link.holdings.stored < sent < 100 * INBOX_MOST
        for _ in range(sent):  # and reads on as they are taken
            assert full.receive(SECONDS).node is node
        node.spent = True
        full.end("the test is over")
        running.join(SECONDS)
        assert not running.is_alive()


def test_a_timeout_ends_connecting_too(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as bus:
        bus.bind(f"{tmp_path}/bus")
        bus.listen(0)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as first:
            first.connect(f"{tmp_path}/bus")
            with pytest.raises(TimeoutError):
                blocking.connect(f"unix:path={tmp_path}/bus", timeout=0.02)
        bus.accept()[0].close()
        with pytest.raises(TimeoutError):  # accepted, but not greeted
            blocking.connect(f"unix:path={tmp_path}/bus", timeout=0.02)


def test_what_comes_all_the_time_puts_no_timeout_off(peer: blocking.Peer) -> None:
    node = peer.create()
    handle = node.handle()

    def take(message: bus1.Message) -> None:
        peer.send_nowait(handle)  # the next one
        time.sleep(0.001)

    node.on_message = take
    for _ in range(20):
        peer.send_nowait(handle)
    began = time.monotonic()
    late = threading.Timer(2, peer.end, ["it has not ended"])
    late.start()
    with pytest.raises(TimeoutError):
        peer.receive(0.1)
    late.cancel()
    assert time.monotonic() - began < 2
