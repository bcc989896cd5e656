"""Signals of native services: who listens hears them, in order; who does harm harms nobody."""

from __future__ import annotations

import os
from typing import Any

import pytest

import bus1.client as bus1
from bus1.client import CallError, Fd, call, signals
from bus1.client.calls import Unreadable
from bus1.client.signals import Signal, Signalling, heard
from tests.client.conftest import Run


class Clock(Signalling):
    def __init__(self) -> None:
        self.rang = Signal[str, int]("rang")
        self.shut = Signal[()]("shut")
        self.secret = "no signal"


async def ear(peer: bus1.Peer, clock: bus1.Handle, name: str = "rang") -> bus1.Node:
    """A node that listens."""
    node = await peer.create()
    await call(clock, "subscribe", name, node)
    return node


def test_all_who_listen_hear_it(address: str, run: Run) -> None:
    async def scenario() -> None:
        async with await bus1.connect(address) as peer:
            clock = Clock()
            node = await clock.export(peer)
            handle = await node.handle()
            ears = [await ear(peer, handle) for _ in range(3)]
            other = await ear(peer, handle, "shut")
            seen: list[Any] = []
            clock.rang.watch(lambda *args: seen.append(args))
            for number in range(5):
                await clock.rang("tea", number)
            await clock.shut()
            for each in ears:
                assert [heard(await each.receive()) for _ in range(5)] == [
                    ("rang", ["tea", number]) for number in range(5)
                ]
            assert heard(await other.receive()) == ("shut", [])
            assert seen == [("tea", number) for number in range(5)]

    run(scenario())


def test_who_destroys_its_node_is_forgotten(address: str, run: Run) -> None:
    async def scenario() -> None:
        async with await bus1.connect(address) as peer:
            clock = Clock()
            node = await clock.export(peer)
            handle = await node.handle()
            one, two = await ear(peer, handle), await ear(peer, handle)
            await one.destroy()
            await clock.rang("x", 1)
            assert heard(await two.receive()) == ("rang", ["x", 1])
            assert len(clock.rang.listeners) == 1

    run(scenario())


def test_a_node_that_is_handed_in_twice_hears_it_and_so_do_the_others(
    address: str, run: Run
) -> None:
    async def scenario() -> None:
        async with await bus1.connect(address) as peer:
            clock = Clock()
            node = await clock.export(peer)
            handle = await node.handle()
            one, two = await ear(peer, handle), await ear(peer, handle)
            await call(handle, "subscribe", "rang", one)
            await clock.rang("x", 1)
            assert heard(await two.receive()) == ("rang", ["x", 1])
            assert [heard(await one.receive()) for _ in range(2)] == [("rang", ["x", 1])] * 2
            await one.destroy()
            await clock.rang("y", 2)
            assert heard(await two.receive()) == ("rang", ["y", 2])
            assert len(clock.rang.listeners) == 1

    run(scenario())


def test_a_one_shot_listener_hears_one_and_harms_nobody(address: str, run: Run) -> None:
    async def scenario() -> None:
        async with await bus1.connect(address) as peer:
            clock = Clock()
            node = await clock.export(peer)
            handle = await node.handle()
            one, two = await peer.create(), await ear(peer, handle)
            await call(handle, "subscribe", "rang", one.once(7))
            for number in range(3):
                await clock.rang("x", number)
            assert [heard(await two.receive()) for _ in range(3)] == [
                ("rang", ["x", number]) for number in range(3)
            ]
            assert heard(await one.receive()) == ("rang", ["x", 0])
            assert len(clock.rang.listeners) == 1

    run(scenario())


def test_more_listeners_than_one_message_can_have(
    address: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "DESTINATIONS_MOST", 2)

    async def scenario() -> None:
        async with await bus1.connect(address) as peer:
            clock = Clock()
            node = await clock.export(peer)
            handle = await node.handle()
            ears = [await ear(peer, handle) for _ in range(5)]
            await clock.rang("x", 1)
            got = [await each.receive() for each in ears]
            assert [heard(each) for each in got] == [("rang", ["x", 1])] * 5
            assert len({each.stamp for each in got}) == 3

    run(scenario())


def test_a_service_of_two_peers_tells_the_listeners_of_both(address: str, run: Run) -> None:
    async def scenario() -> None:
        async with await bus1.connect(address) as one, await bus1.connect(address) as two:
            clock = Clock()
            nodes = [await clock.export(peer) for peer in (one, two)]
            ears = [await ear(node.peer, await node.handle()) for node in nodes]
            await clock.rang("x", 1)
            assert [heard(await each.receive()) for each in ears] == [("rang", ["x", 1])] * 2

    run(scenario())


@pytest.mark.parametrize("name", ["none", "secret", "__class__", ""])
def test_there_are_no_other_signals(address: str, run: Run, name: str) -> None:
    async def scenario() -> None:
        async with await bus1.connect(address) as peer:
            node = await Clock().export(peer)
            handle = await node.handle()
            with pytest.raises(CallError, match="there is no signal"):
                await ear(peer, handle, name)

    run(scenario())


def test_descriptors_go_along(address: str, run: Run) -> None:
    async def scenario() -> None:
        async with await bus1.connect(address) as peer:
            told = Signal[Fd]("told")
            node = await peer.create()
            told.add(await node.handle())
            read, write = map(Fd, os.pipe())
            os.write(write.fileno(), b"text")
            await told(read)
            _, (got,) = heard(await node.receive())
            assert os.read(got.fileno(), 10) == b"text"

    run(scenario())


def test_what_is_no_signal(address: str, run: Run) -> None:
    async def scenario() -> None:
        async with await bus1.connect(address) as peer:
            node = await peer.create()
            handle = await node.handle()
            for payload in (b"", b"x", b"[]", b"{}", b'{"signal":1,"args":[]}', b'{"signal":"x"}'):
                await peer.send(handle, payload)
                with pytest.raises(Unreadable):
                    heard(await node.receive())

    run(scenario())
