"""Whoever is killed, wherever it is: its nodes are gone, all are told, nothing stays charged."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.buses import Bus
from tests.native.elsewhere import Elsewhere, right
from tests.native.peer import (
    NO_HANDLES_LEFT,
    NODE_GONE,
    ONCE_DROPPED,
    PEER,
    QUERY,
    QUIET,
    SEND,
    Fd,
    Peer,
    Refused,
    handle,
    memfd,
    node,
    once,
    parcel,
    record,
)
from tests.raw import Client

VICTIM = 3001
TIMES = int(os.environ.get("KILLS", "12"))  # of each act; tests/run --long: many


def sends(peer: Peer, to: int, own: int) -> None:
    """All that can be in a message, one after the other."""
    pages = Fd(memfd(b"x" * 100_000))
    null = Fd(os.open("/dev/null", os.O_RDONLY))
    while True:
        mine = peer.create()
        carry = [handle(to), node(mine), once(mine, 3)]
        peer.send(to, b"inline", carry, [null, null])
        peer.send(to, fds=[pages, null], size=100_000)
        peer.quiet([to, own], b"to both")
        peer.destroy(mine)


def asks_and_does_not_read(peer: Peer, to: int, own: int) -> None:
    """Until the bus does not read from it any more."""
    while True:
        peer.write(record(QUERY, 1) * 500)


def makes_peers(peer: Peer, to: int, own: int) -> None:
    """Whose sockets nobody takes."""
    while True:
        peer.post(PEER, parcel([], b"seed", [handle(to)]))


def stops_reading(peer: Peer, to: int, own: int) -> None:
    """What the witness sends waits, with all that is in it."""
    time.sleep(60)


def talks_to_itself(peer: Peer, to: int, own: int) -> None:
    """And never listens: its own queue is full of its own handles and descriptors."""
    null = Fd(os.open("/dev/null", os.O_RDONLY))
    while True:
        peer.post(SEND, parcel([own], b"x" * 1000, [handle(to), handle(own)]), QUIET, [null])


ACTS: list[Callable[[Peer, int, int], Any]] = [
    sends,
    asks_and_does_not_read,
    makes_peers,
    stops_reading,
    talks_to_itself,
]


def held_by(bus: Bus, uid: int) -> tuple[int, ...] | None:
    """Bytes, descriptors, rules and objects that are charged to a user; None: nobody knows it."""
    with Client(bus.address) as client:
        stats = client.ask("GetStats", interface="org.freedesktop.DBus.Debug.Stats").args[0]
    users = stats["org.bus1.DBus.Debug.Stats.UserAccounting"]
    found = [slots for number, slots, _ in users if number == uid]
    return tuple(most - left for _, left, most in found[0]) if found else None


def opened(bus: Bus) -> int:
    """How many sockets, files and pages the daemon has open, but for what watches files for it."""
    names = []
    for number in os.listdir(f"/proc/{bus.pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            names.append(os.readlink(f"/proc/{bus.pid}/fd/{number}"))
    return sum(not name.startswith("anon_inode:") for name in names)


def fill(witness: Peer, to: int) -> tuple[int, int]:
    """More than its socket takes, with all that can wait in a queue, as far as the victim's quota
    goes. The node that is in it, and how often."""
    mine, null, sent = witness.create(), Fd(os.open("/dev/null", os.O_RDONLY)), 0
    for _ in range(10):
        with suppress(Refused):
            witness.send(to, b"x" * 50_000, [node(mine), once(mine, 9)], [null, null])
            sent += 1
    os.close(null.number)
    return mine, sent


def soon(truth: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not truth() and time.monotonic() < end:
        time.sleep(0.01)
    return truth()


def at_rest(bus: Bus) -> int:
    """How many descriptors the bus has when it has done what a start takes: it reads files, and
    begins to watch directories, after it has told its address."""
    before = -1
    while before != opened(bus):
        before = opened(bus)
        time.sleep(0.3)
    return before


@pytest.mark.parametrize("act", ACTS, ids=[act.__name__ for act in ACTS])
def test_a_peer_that_is_killed_leaves_nothing(
    open_bus: Bus, act: Callable[[Peer, int, int], Any]
) -> None:
    chance = random.Random(act.__name__)
    path = f"{open_bus.directory}/native"
    descriptors = at_rest(open_bus)
    for _ in range(TIMES):
        victim, witness = Elsewhere(path, VICTIM), Elsewhere(path, VICTIM + 1)
        _, of_witness = right(witness, victim)
        theirs, of_victim = right(victim, witness)
        own = victim.handle(theirs)
        victim.start(act, of_witness, own)
        mine, sent = witness.run(fill, of_victim)
        time.sleep(chance.uniform(0, 0.02))
        victim.kill()
        told_once(witness, of_victim, mine, sent)
        witness.kill()
        assert soon(lambda: held_by(open_bus, VICTIM) is None)
        assert soon(lambda: held_by(open_bus, VICTIM + 1) is None)
    assert soon(lambda: opened(open_bus) == descriptors), (descriptors, opened(open_bus))


def told_once(witness: Elsewhere, of_victim: int, mine: int, sent: int) -> None:
    """That the node is gone, that its own has no handles left, and each unused one-shot handle."""
    heard = witness.run(until_gone, of_victim)
    assert sum(kind == NODE_GONE and id == of_victim for kind, id in heard) == 1
    assert sum(kind == NO_HANDLES_LEFT and id == mine for kind, id in heard) == (sent > 0)
    assert sum(kind == ONCE_DROPPED and id == mine for kind, id in heard) == sent
    assert witness.query().bytes == 0


def until_gone(peer: Peer, of_victim: int) -> list[tuple[int, int]]:
    """All that has come when the node of the victim is gone."""
    heard = []
    while (NODE_GONE, of_victim) not in heard:
        heard.append(told(peer))
    while peer.query().waiting or peer.arrived:
        heard.append(told(peer))
    return heard


def told(peer: Peer) -> tuple[int, int]:
    arrival = peer.take()
    for fd in arrival.fds:
        os.close(fd.number)
    return arrival.kind, arrival.id
