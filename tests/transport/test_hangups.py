"""Whoever ends without reading is gone at once, whatever it left behind."""

import asyncio
import socket

import pytest

from bridge.transport.hangups import Hangups
from tests.raw import Client, build, call_fields


@pytest.mark.parametrize("size", [0, 1, 5000, 300_000, 5_000_000])
def test_a_client_that_ends_with_unread_messages_is_gone(a: Client, b: Client, size: int) -> None:
    """The kernel then marks its socket as broken, and libuv stops watching that."""
    b.signal("Unread", to=a.name)
    b.take()
    data = build(1, 99, call_fields(b.name, "/t", "t.T", "M"), "ay", [bytes(size + 1)])
    a.write(data[:size])
    a.close()
    b.until_gone(a.name)


def test_each_descriptor_is_told_once_and_only_when_its_peer_ends() -> None:
    loop = asyncio.new_event_loop()
    told: list[int] = []
    hangups = Hangups(loop, told.append)
    pairs = [socket.socketpair() for _ in range(3)]
    for ours, _ in pairs:
        hangups.watch(ours.fileno())

    def turn() -> list[int]:
        loop.call_later(0.01, loop.stop)
        loop.run_forever()
        return told

    pairs[0][1].send(b"x")
    assert turn() == []
    pairs[1][1].close()
    assert turn() == [pairs[1][0].fileno()]
    pairs[2][1].shutdown(socket.SHUT_WR)
    assert turn() == [pairs[1][0].fileno(), pairs[2][0].fileno()]
    assert len(turn()) == 2
    hangups.stop()
    pairs[0][1].close()
    assert len(turn()) == 2
    loop.close()
    for pair in pairs:
        for end in pair:
            end.close()
