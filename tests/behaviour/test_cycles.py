"""Clients that connect, own names, call, are called and are killed: the bus is as it was before.

Invariant: whatever a client did, when it is gone its descriptors, memory, handles, nodes, charges
and reply records are gone. CYCLES=10000 makes it longer (default 300), as tests/run --long does.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bridge.routing.client import Client as Known
from bridge.transport.connection import Connection
from bridge.transport.handshake import Handshake
from bus1.node import Handle, Node
from bus1.peer import Peer
from tests.behaviour.cycles import SHARED, STEADY
from tests.behaviour.files import Files
from tests.behaviour.test_regressions import Started
from tests.buses import ROOT, Bus, first_line
from tests.raw import CALL, ERROR, Client
from tests.transport.conftest import make
from tests.transport.running import Running

__all__ = ["make"]

CYCLES = int(os.environ.get("CYCLES", "300"))
AT_ONCE = 20
WARM = 100  # cycles until all is allocated that is allocated once
# Bytes: what malloc keeps for itself after a burst. A lost connection would be 2 kB a cycle.
GROWTH = 3_000_000


class Cycles:
    """Rounds of clients that are killed, beside one that stays and has to do with all of them."""

    def __init__(self, address: str, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.steady = Client(address)
        self.steady.own(STEADY)
        self.steady.own(SHARED, 1)
        self.errors: Counter[str] = Counter()

    def live(self, cycles: int) -> None:
        for _ in range(cycles // AT_ONCE):
            self.round()

    def round(self) -> None:
        names = [name for name in self.say(str(AT_ONCE)).split() if name != "-"]
        for message in self.steady.take():
            if message.kind == CALL and message.serial % 2:
                self.steady.reply(message)
            for fd in message.fds:
                os.close(fd)
        for name in names:
            self.steady.call("Ask", to=name)
            self.steady.signal("S", "s", "z" * 500, to=name)
        self.steady.signal("S", "s", "z" * 500)
        assert self.say("kill") == "killed"
        self.steady.until(self.alone)
        for message in self.steady.take():
            if message.kind == ERROR:
                self.errors[message.error] += 1
            elif message.kind == CALL:
                self.steady.reply(message)  # to somebody who is gone
        self.steady.take()
        assert self.steady.own(SHARED, 3) in (1, 4)  # back from the last one who took it

    def say(self, line: str) -> str:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()
        return first_line(self.process, 60)

    def alone(self) -> bool:
        """Has the bus seen that all others are gone?"""
        return len([n for n in self.steady.ask("ListNames").args[0] if n[0] == ":"]) == 1


@contextmanager
def cycles(address: str) -> Iterator[Cycles]:
    """The program, until the test is over."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.behaviour.cycles", address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        yield Cycles(address, process)
    finally:
        assert process.stdin
        process.stdin.close()
        assert process.wait(20) == 0
        assert process.stdout
        process.stdout.close()


def test_a_bus_whose_clients_are_killed_is_as_before(fresh: Bus) -> None:
    with cycles(fresh.address) as killed:
        killed.live(WARM)
        before, descriptors = fresh.usage()
        inodes = kinds_of_files(fresh.pid)
        killed.live(CYCLES)
        killed.steady.until(lambda: fresh.usage()[1] == descriptors)
        after = fresh.usage()[0]
        assert kinds_of_files(fresh.pid) == inodes
        assert after - before < GROWTH, (before, after)
        assert killed.errors["org.freedesktop.DBus.Error.NoReply"] > CYCLES // 3
        killed.steady.close()


def kinds_of_files(pid: int) -> Counter[str]:
    """How many descriptors of each kind, whatever their inodes."""
    directory = Path(f"/proc/{pid}/fd")
    return Counter(os.readlink(each).partition("[")[0] for each in directory.iterdir())


def test_services_that_end_are_reaped(bus_kind: str, tmp_path: Path) -> None:
    """Started and killed, or never there at all: no process and no descriptor is left of them."""
    files, services = Files(tmp_path), Started(tmp_path)
    services.write("com.example.Service")
    for name, command in (("Exits", "/bin/false"), ("Dies", "/bin/sh -c 'kill -9 $$'")):
        text = f"[D-BUS Service]\nName=com.example.{name}\nExec={command}\n"
        (services.directory / f"{name}.service").write_text(text)
    files.configure(services.element)
    bus = files.start(bus_kind)
    client = bus.connect()
    before = 0
    for number in range(CYCLES // 20 + 5):
        if number == 5:
            client.until(lambda: not children(bus.pid))
            before = bus.usage()[1]
        assert client.ask("M", to="com.example.Service").args == ["served"]
        assert children(bus.pid) or bus.kind != "ours"  # the reference lets go of it
        assert str(client.ask("Die", to="com.example.Service")) == "!NoReply"
        assert str(client.ask("M", to="com.example.Exits")) == "!ChildExited"
        assert str(client.ask("M", to="com.example.Dies")) == "!ChildSignaled"
    client.until(lambda: not children(bus.pid))
    client.until(lambda: bus.usage()[1] == before)
    bus.stop()


def children(pid: int) -> list[str]:
    """Processes whose parent this is, those that have ended and are not reaped included."""
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            name, _, rest = each.read_text().rpartition(") ")
            if rest.split()[1] == str(pid):
                found.append(name)
    return found


def test_nothing_in_it_remembers_them(make: Callable[..., Running]) -> None:
    here = make()
    with cycles(here.address) as killed:
        killed.live(WARM)
        before = here.do(lambda: held(here))
        killed.live(CYCLES)
        killed.steady.take()
        here.until(lambda: not here.server.door.incomplete)
        assert here.do(lambda: held(here)) == before
        killed.steady.close()


def held(here: Running) -> dict[str, Any]:
    """All that the bus counts, and all objects of the kinds that each client has."""
    hub, bus = here.server.hub, here.server.bus
    clients = list(hub.names.clients.values())
    peers = [hub.peer, *(each.peer for each in clients)]
    (user,) = bus.users.values()
    gc.collect()
    kinds = (Known, Connection, Handshake, Peer, Node, Handle)
    return {
        "clients": (hub.active, len(clients), dict(hub.users)),
        "connections": (len(here.server.connections), len(here.server.door.incomplete)),
        "rules": hub.matches.count,
        "handles": [len(peer.handles) for peer in peers],
        "nodes": [len(peer.nodes) for peer in peers],
        "charges": (user.bytes, user.messages, user.handles, user.fds, user.peers, user.debts),
        "owed": [len(each.owed or ()) for each in clients],
        "awaited": [each.awaited for each in clients],
        "queued": [each.peer.queue.peek(0) for each in clients],
        "partial": len(here.server.partial),
        "objects": Counter(type(each) for each in gc.get_objects() if isinstance(each, kinds)),
    }
