"""Contract B.2, through the socket: what can be sent, to whom, and what goes along."""

from __future__ import annotations

import os
import struct
from errno import (
    EBADF,
    EDQUOT,
    EINVAL,
    EMSGSIZE,
    ENOTUNIQ,
    ENXIO,
    EREMOTE,
    ESTALE,
)

import pytest

from tests.native.elsewhere import Elsewhere, refuses, right
from tests.native.peer import (
    CONTINUE,
    DATA,
    FLUSH,
    INLINE_MOST,
    MEMFD,
    ONCE,
    ONCE_DROPPED,
    SEND,
    Fd,
    Peer,
    handle,
    memfd,
    node,
    once,
    parcel,
)


def test_send_says_its_stamp(a: Elsewhere, b: Elsewhere) -> None:
    _, to_b = right(b, a)
    stamps = [a.send(to_b, text).stamp for text in (b"one", b"two")]
    assert [each.place for each in b.drain()] == [(stamp, a.number) for stamp in stamps]


def test_send_to_the_same_node_twice(a: Elsewhere, b: Elsewhere) -> None:
    """By whatever handles."""
    _, to_b = right(b, a)
    for wrong in ([to_b, to_b], [to_b, a.transfer(to_b)]):
        with refuses(ENOTUNIQ):
            a.send(wrong)
    assert b.drain() == []


def test_send_to_nobody(a: Elsewhere, b: Elsewhere) -> None:
    with refuses(EINVAL):
        a.send([])
    mine, to_b = right(b, a)
    b.destroy(mine)
    with refuses(ESTALE):
        a.send(to_b)


def test_send_too_much(a: Elsewhere, b: Elsewhere) -> None:
    _, to_b = right(b, a)
    mine = a.create()
    a.send(to_b, b"x" * INLINE_MOST)
    for wrong in (b"x" * (INLINE_MOST + 1), b""):
        with refuses(EMSGSIZE):
            a.send(to_b, wrong, [] if wrong else [node(mine)] * 1025)
    with refuses(EMSGSIZE):
        a.send([to_b] * 5000)


def test_send_what_does_not_add_up(a: Elsewhere, b: Elsewhere) -> None:
    _, to_b = right(b, a)
    for body in (b"", bytes(15), parcel([to_b], b"x")[:-1], parcel([to_b]) + b"x"):
        with refuses(EINVAL):
            a.ask(SEND, body)
    for flags in (4, 0x4000):
        with refuses(EINVAL):
            a.send(to_b, flags=flags)
    with refuses(EINVAL):
        a.send(to_b, carry=[(3, to_b, 0)])
    with refuses(EINVAL):
        a.ask(SEND, struct.pack("=IIQQIIQQ", 1, 1, 0, to_b, 0, 1, to_b, 0))
    assert b.drain() == []


def test_send_a_memfd(a: Elsewhere, b: Elsewhere) -> None:
    """It must be there, sealed, and as large as it is said to be."""
    _, to_b = right(b, a)
    loose, short = Fd(memfd(b"x" * 10, 0)), Fd(memfd(b"x" * 10))
    with refuses(EBADF):
        a.send(to_b, size=10)
    for wrong in (loose, Fd(b.pipe.fileno())):
        with refuses(EINVAL):
            a.send(to_b, fds=[wrong], size=10)
    with refuses(EINVAL):
        a.send(to_b, fds=[short], size=11)
    a.send(to_b, fds=[short], size=9)
    assert b.take().payload == b"x" * 9
    for fd in (loose, short):
        os.close(fd.number)


def test_send_what_one_does_not_hold(a: Elsewhere, b: Elsewhere) -> None:
    _, to_b = right(b, a)
    for wrong, error in ((handle(77), ENXIO), (node(77), ENXIO), (node(to_b), EREMOTE)):
        with refuses(error):
            a.send(to_b, b"", [wrong])
    assert b.drain() == []


def test_a_one_shot_handle(a: Elsewhere, b: Elsewhere) -> None:
    """Good for one message; its maker knows it by its cookie."""
    _, to_b = right(b, a)
    mine = a.create()
    a.send(to_b, b"?", [once(mine, 99)])
    question = b.take()
    assert question.once == [True]
    b.send(question.handles[0], b"!")
    answer = a.take()
    assert (answer.id, answer.cookie, answer.flags & ONCE) == (mine, 99, ONCE)
    with refuses(ENXIO):
        b.send(question.handles[0], b"again")


def test_a_one_shot_handle_moves(a: Elsewhere, b: Elsewhere, c: Elsewhere) -> None:
    """To one receiver, and by TRANSFER; whoever sent it on has it no more."""
    _, to_b = right(b, a)
    _, b_to_c = right(c, b)
    a.send(to_b, b"", [once(a.create(), 7)])
    shot = b.take().handles[0]
    with refuses(ENOTUNIQ):
        b.send([b_to_c, right(a, b)[1]], b"", [handle(shot)])
    with refuses(ENOTUNIQ):
        b.send(shot, b"", [handle(shot)])
    b.send(b_to_c, b"", [handle(shot)])
    with refuses(ENXIO):
        b.send(shot)
    moved = c.transfer(c.take().handles[0], b.socket())
    b.send(moved, b"back again")
    assert a.take().cookie == 7


def test_a_one_shot_handle_that_dies_unused(a: Elsewhere, b: Elsewhere) -> None:
    mine, (_, to_b) = a.create(), right(b, a)
    a.send(to_b, b"", [once(mine, 8)])
    b.release(b.take().handles[0])
    heard = a.take()
    assert (heard.kind, heard.id, heard.cookie) == (ONCE_DROPPED, mine, 8)


def test_send_continue(a: Elsewhere, b: Elsewhere, c: Elsewhere) -> None:
    """2016 ignored the flag: who cannot take it is left out, and named by its place."""
    gone, to_gone = right(b, a)
    _, to_full = right(b, a)
    _, to_c = right(c, a)
    b.destroy(gone)
    b.reset(0, (10, -1, -1, -1))
    said = a.send([to_gone, to_c, to_full], b"x" * 11, flags=CONTINUE)
    assert said.values == [0, ESTALE, 2, EDQUOT]
    assert c.take().place == (said.stamp, a.number)
    assert b.drain() == []


def test_a_quiet_request_is_answered_if_it_fails(a: Elsewhere, b: Elsewhere) -> None:
    _, to_b = right(b, a)
    a.quiet(to_b, b"heard")
    assert a.run(fails_quietly) == ENXIO
    assert b.take().payload == b"heard"


def fails_quietly(peer: Peer) -> int:
    failed = peer.quiet(1 << 40)
    peer.query()
    (result,) = peer.results
    assert result.cookie == failed
    peer.results.clear()
    return result.error


# ---- failure


def test_a_failed_operation_has_no_effect(a: Elsewhere, b: Elsewhere) -> None:
    """Each error above, and then everything is as it was."""
    mine, _ = right(a, b)
    _, to_b = right(b, a)
    before = a.query(), b.query()
    carry = [node(mine), once(mine, 5), handle(to_b)]
    for wrong in (
        lambda: a.send([to_b, 99], b"x", carry[::2]),
        lambda: a.send([to_b, to_b], b"x", carry[::2]),
        lambda: a.send(to_b, b"x", [*carry, handle(99)]),
        lambda: a.send(to_b, b"x" * 70_000, carry),
        lambda: a.send(to_b, b"", carry, size=10, flags=MEMFD),
        lambda: a.release(mine, to_b, 99),
        lambda: a.transfer(to_b, Fd(b.pipe.fileno())),
        lambda: a.set_seed(b"x", [handle(99)]),
        lambda: a.reset(FLUSH, (-5, -1, -1, -1)),
    ):
        with pytest.raises(Exception, match=r"\d+"):
            wrong()
    assert (a.query(), b.query()) == before
    assert a.drain() == b.drain() == []
    a.send(to_b, b"x", carry)
    assert b.take().kind == DATA
