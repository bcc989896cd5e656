"""Contract B.1, through the socket: what peers, nodes, handles, seeds and payloads are."""

from __future__ import annotations

import os
import select
import socket
from errno import ENXIO, EREMOTE

from tests.native.elsewhere import Elsewhere, refuses, right
from tests.native.peer import DATA, MEMFD, SEALS, Fd, Peer, handle, node


def events(peer: Peer, seconds: float) -> int:
    """What poll() says of the socket."""
    poll = select.poll()
    poll.register(peer.sock, select.POLLIN | select.POLLHUP)
    return sum(found for _, found in poll.poll(seconds * 1000))


def test_a_connection_is_a_peer(a: Elsewhere, b: Elsewhere) -> None:
    assert a.number != b.number
    assert a.uid == b.uid == os.geteuid()
    assert a.bus == b.bus != bytes(16)


def test_the_socket_tells_of_messages_and_of_the_end(a: Elsewhere, b: Elsewhere) -> None:
    _, to_b = right(b, a)
    assert b.run(events, 0) == 0
    a.send(to_b)
    assert b.run(events, 5) == select.POLLIN
    assert b.take().kind == DATA
    b.disconnect()
    assert b.run(events, 5) & select.POLLHUP


def test_a_node_is_made_by_create_only(a: Elsewhere) -> None:
    """2016 made one out of any unused id."""
    for attempt in (lambda: a.handle(17), lambda: a.send(17), lambda: a.release(17)):
        with refuses(ENXIO):
            attempt()
    assert a.query().nodes == 0


def test_every_transfer_makes_a_new_handle(a: Elsewhere, b: Elsewhere) -> None:
    """2016 gave the same one again, and counted."""
    node, first = right(b, a)
    second = a.transfer(first)
    b.send(b.handle(node), carry=[])
    assert first != second
    a.release(first)
    a.send(second, b"is left")
    assert [each.payload for each in b.drain()] == [b"", b"is left"]


def test_ids_are_never_used_twice(a: Elsewhere) -> None:
    seen: list[int] = []
    for _ in range(3):
        made = a.create()
        seen += [made, a.handle(made)]
        a.release(*seen[-2:])
    assert seen == sorted(set(seen))
    assert seen[0] >= 1


def test_nobody_has_what_was_not_given(a: Elsewhere, b: Elsewhere) -> None:
    """The capability rule: a number of somebody else's is nothing."""
    _, to_b = right(b, a)
    for id in range(50):
        if id != to_b:
            with refuses(ENXIO):
                a.send(id, b"guessed")
    assert b.drain() == []


def test_a_handle_is_no_right_to_the_node(a: Elsewhere, b: Elsewhere) -> None:
    _, to_b = right(b, a)
    for attempt in (a.destroy, a.handle):
        with refuses(EREMOTE):
            attempt(to_b)


def test_the_seed_can_be_read_again_and_again(a: Elsewhere) -> None:
    mine = a.create()
    a.set_seed(b"what I need", [node(mine)])
    first, second = a.seed(), a.seed()
    assert first.payload == second.payload == b"what I need"
    assert first.values != second.values
    a.send(first.values[0], b"to myself")
    assert a.take().id == mine


def test_a_new_peer_has_its_seed_and_nothing_else(a: Elsewhere) -> None:
    mine = a.create()
    fd = a.peer(b"welcome", [node(mine)])
    child = Elsewhere(fd)
    os.close(fd.number)
    seed = child.seed()
    assert (seed.payload, len(seed.values), child.query().handles) == (b"welcome", 1, 2)
    child.send(seed.values[0], b"here I am")
    heard = a.take()
    assert (heard.payload, heard.id, heard.sender) == (b"here I am", mine, child.number)
    child.kill()


def test_a_large_payload_is_in_pages_that_all_share(
    a: Elsewhere, b: Elsewhere, c: Elsewhere
) -> None:
    """2016 had a pool for each peer; nobody can write into these."""
    to = [right(each, a)[1] for each in (b, c)]
    a.send_memfd(to, b"x" * 300_000)
    heard = [b.take(), c.take()]
    assert all(each.payload == b"x" * 300_000 for each in heard)
    assert all(each.flags & MEMFD and each.seals & SEALS == SEALS for each in heard)
    assert heard[0].inode == heard[1].inode


def test_descriptors_come_along(a: Elsewhere, b: Elsewhere) -> None:
    _, to_b = right(b, a)
    a.send_text(to_b, b"through a pipe")
    assert b.text(b.take().fds[0]) == b"through a pipe"


def test_a_socket_may_be_passed(a: Elsewhere, b: Elsewhere) -> None:
    """2016 refused it; D-Bus services live on it."""
    _, to_b = right(b, a)
    ours, theirs = socket.socketpair()
    a.send(to_b, fds=[Fd(theirs.fileno())])
    theirs.close()
    ours.send(b"hello")
    assert b.text(b.take().fds[0]) == b"hello"
    ours.close()


def sends_as(peer: Peer, fd: Fd, to: int) -> None:
    """This process speaks as the peer whose socket it was given."""
    Peer(Fd(os.dup(fd.number)), greeted=True).send(to, b"in your name")


def test_a_socket_passed_on_is_the_same_peer(a: Elsewhere, b: Elsewhere, c: Elsewhere) -> None:
    """The bus goes on to know it by the process that it was made for."""
    _, to_b = right(b, a)
    c.run(sends_as, a.socket(), to_b)
    heard = b.take()
    assert (heard.payload, heard.sender, heard.pid) == (b"in your name", a.number, a.pid)


def test_a_handle_travels_in_a_message(a: Elsewhere, b: Elsewhere, c: Elsewhere) -> None:
    """The only other way to get one."""
    mine, to_b = right(b, a)
    _, to_c = right(c, a)
    a.send(to_c, b"talk to b", [handle(to_b)])
    c.send(c.take().handles[0], b"from c")
    heard = b.take()
    assert (heard.id, heard.payload, heard.sender) == (mine, b"from c", c.number)
