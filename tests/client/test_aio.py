"""Law: whatever is cancelled, full or ended, nothing leaks and every result finds who asked."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import socket
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import bus1.client as bus1
from bus1.client.holdings import INBOX_MOST
from bus1.client.outbox import OUT_MOST
from tests.buses import Bus, start
from tests.client.conftest import Run


@asynccontextmanager
async def pair(address: str) -> AsyncIterator[tuple[bus1.Peer, bus1.Peer, bus1.Node, bus1.Handle]]:
    """Two peers: one with a node, and one with a handle to it."""
    async with await bus1.connect(address) as owner:
        node = await owner.create()
        async with await bus1.connect(fd=await owner.spawn(b"", [node])) as holder:
            [handle] = (await holder.seed()).handles
            assert handle is not None
            yield owner, holder, node, handle


def test_a_message_with_all_it_can_have(run: Run, address: str) -> None:
    async def main() -> None:
        async with pair(address) as (_, holder, node, handle):
            mine = await holder.create()
            with open("/dev/null", "rb") as file:
                stamp = await holder.send(handle, b"x", [mine, mine.once(3), handle], [file])
            message = await node.receive()
            assert (message.payload, message.stamp) == (b"x", stamp)
            assert (message.uid, message.pid) == (os.getuid(), os.getpid())
            assert message.sender == holder.welcome.number
            assert [each.once for each in message.handles if each] == [False, True, False]
            assert os.fstat(message.fds[0].fileno()).st_rdev == os.stat("/dev/null").st_rdev

    run(main())


def test_a_large_payload_is_one_memory_for_all(run: Run, address: str) -> None:
    async def main() -> None:
        async with pair(address) as (_, holder, node, handle):
            content = random.randbytes(3_000_000)
            sealed = bus1.Sealed(content)
            for payload in (content, bytearray(content), sealed, sealed):
                await holder.send(handle, payload)
            for _ in range(4):
                with await node.receive() as message:
                    assert isinstance(message.payload, memoryview)
                    assert message.payload == content
            await holder.set_seed(content)
            assert (await holder.seed()).payload == content

    run(main())


def test_who_iterates_over_a_node_has_its_messages(run: Run, address: str) -> None:
    async def main() -> None:
        async with pair(address) as (owner, holder, node, handle):
            other = await owner.create()
            [second] = (await said(owner, other, holder, node, handle)).handles
            for payload in (b"1", b"2", b"3"):
                await holder.multicast([handle, second], payload)
            got = []
            async for message in node:
                got.append(message.payload)
                if len(got) == 3:
                    await node.destroy()  # which ends the iteration
            assert got == [b"1", b"2", b"3"]
            rest = [await owner.receive() for _ in range(3)]
            assert [(each.node, each.payload) for each in rest] == [
                (other, payload) for payload in got
            ]

    run(main())


async def said(owner: Any, node: Any, holder: Any, to: Any, handle: Any) -> Any:
    """A message that brings the holder a handle to the owner's other node."""
    mine = await holder.create()
    await holder.send(handle, b"", [mine])
    [back] = (await to.receive()).handles
    await owner.send(back, b"", [node])
    return await holder.receive()


def test_a_callback_has_them_too_and_may_fail(run: Run, address: str) -> None:
    async def main() -> None:
        failures: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: failures.append(what))
        async with pair(address) as (_, holder, node, handle):
            got: asyncio.Queue[Any] = asyncio.Queue()

            def take(message: Any) -> None:
                got.put_nowait(message.payload)
                raise RuntimeError("in the callback")

            node.on_message = take
            for payload in (b"1", b"2"):
                holder.send_nowait(handle, payload)
            assert [await got.get(), await got.get()] == [b"1", b"2"]
            assert [type(each["exception"]) for each in failures] == [RuntimeError] * 2

    run(main())


def test_lifetimes_reach_the_bus(run: Run, address: str) -> None:
    async def main() -> None:
        async with pair(address) as (owner, holder, node, handle):
            before = await holder.query()
            for _ in range(50):
                copy = await holder.copy(handle)
                async with await holder.create():
                    await node.handle()
            del copy
            assert await holder.query() == before
            assert (await owner.query()).nodes == 1
            gone = asyncio.create_task(holder.until_gone(handle))
            stamp = await node.destroy()
            assert await gone == handle.gone == stamp
            with pytest.raises(bus1.Gone):
                await holder.send(handle)
            with pytest.raises(bus1.Unknown):
                await node.handle()

    run(main())


def test_dropped_by_another_thread(run: Run, address: str) -> None:
    async def main() -> None:
        async with pair(address) as (_, holder, _, handle):
            before = (await holder.query()).handles
            copies = [await holder.copy(handle) for _ in range(20)]
            thread = threading.Thread(target=copies.clear)
            thread.start()
            await asyncio.to_thread(thread.join)
            while (await holder.query()).handles != before:
                await asyncio.sleep(0.01)

    run(main())


def test_notices_of_a_node(run: Run, address: str) -> None:
    async def main() -> None:
        async with pair(address) as (_, holder, node, handle):
            mine = await holder.create()
            await holder.send(handle, b"", [mine.once(7)])
            await holder.send(handle, b"", [])
            await holder.reset(flush_seed=True)
            handle.release()
            kinds = [(await node.receive()).kind for _ in range(3)]
            assert kinds == [bus1.DATA, bus1.DATA, bus1.NO_HANDLES_LEFT]
            dropped = await holder.receive()  # with the first of the two messages
            assert (dropped.kind, dropped.node, dropped.cookie) == (bus1.ONCE_DROPPED, mine, 7)

    run(main())


def test_what_is_sent_without_waiting_may_fail_later(run: Run, address: str) -> None:
    async def main() -> None:
        async with pair(address) as (_, holder, node, handle):
            errors: asyncio.Queue[BaseException] = asyncio.Queue()
            holder.on_error = errors.put_nowait
            await node.destroy()
            holder.send_nowait(handle, b"")
            assert isinstance(await errors.get(), bus1.Gone)

    run(main())


def test_a_peer_as_a_whole(run: Run, address: str) -> None:
    async def main() -> None:
        async with pair(address) as (owner, holder, node, handle):
            usage = await holder.query()
            await holder.reset(bus1.Limits(-1, 5, -1, -1))
            assert (await holder.query()).limits == usage.limits._replace(messages=5)
            kept = await holder.create()
            await holder.set_seed(b"kept", [kept])
            copy = await holder.copy(handle)
            await holder.reset(flush=True)
            assert (await holder.query()).nodes == 1
            with pytest.raises(bus1.Unknown):
                await holder.send(copy)
            seed = await holder.seed()
            assert seed.payload == b"kept"
            assert len(seed.handles) == 1
            await holder.disconnect()
            with pytest.raises(ConnectionError):
                await holder.query()
            assert node.id
            assert (await owner.query()).nodes == 1

    run(main())


def test_a_reset_ends_what_waits_and_calls_go_on(run: Run, address: str) -> None:
    """Their node, and the handles, are gone with it."""

    async def main() -> None:
        async with pair(address) as (owner, holder, node, handle):
            waiting = asyncio.create_task(holder.call(handle, b"never"))
            watching = asyncio.create_task(holder.until_gone(handle))
            await node.receive()
            await holder.reset(flush=True)
            assert (await waiting).kind == bus1.ONCE_DROPPED
            with pytest.raises(bus1.Unknown):
                await watching
            assert handle.spent
            node.on_message = lambda message: owner.answer_nowait(message.handles[0], b"again")
            [new] = (await holder.seed()).handles
            assert (await holder.call(new, b"?", timeout=5)).payload == b"again"

    run(main())


def test_who_watches_a_handle_hears_that_it_is_released(run: Run, address: str) -> None:
    async def main() -> None:
        async with pair(address) as (owner, holder, node, handle):
            mine = await holder.create()
            await holder.send(handle, b"", [mine, mine.once()])
            back, once = (await node.receive()).handles
            for each, end in ((back, back.release), (once, lambda: owner.answer_nowait(once))):
                watching = asyncio.create_task(owner.until_gone(each))
                await asyncio.sleep(0)
                end()
                with pytest.raises(bus1.Unknown):
                    await watching

    run(main())


def test_bestowed_on_another_peer(run: Run, address: str) -> None:
    async def main() -> None:
        async with await bus1.connect(address) as one, await bus1.connect(address) as two:
            node = await one.create()
            id = await one.bestow(await node.handle(), two.fileno())
            await two.send(two.link.holdings.hold(id), b"here")
            assert (await node.receive()).payload == b"here"
            with open("/dev/null", "rb") as file, pytest.raises(bus1.BusError):
                await one.bestow(await node.handle(), file.fileno())

    run(main())


# Cancellation.


def test_cancelled_anywhere_and_nothing_leaks(run: Run, address: str) -> None:
    """Every kind of await is cancelled at a random moment, many times; then all counts are as
    before, and answers still match."""

    async def main() -> None:
        async with pair(address) as (owner, holder, node, handle):

            def echo(message: bus1.Message) -> None:
                [back, *rest] = message.handles
                assert back is not None
                more = [each for each in rest if each]
                owner.answer_nowait(back, bytes(message.payload), more, message.fds)

            node.on_message = echo
            inbox = await holder.create()
            await holder.call(handle)
            await settle(holder)
            before, files = await holder.query(), len(os.listdir("/proc/self/fd"))
            null = open("/dev/null", "rb")  # noqa: SIM115 (closed below)
            for round in range(150):
                done = asyncio.create_task(holder.call(handle, b"%d" % round))
                tasks = [
                    asyncio.create_task(what)
                    for what in (
                        holder.create(), inbox.handle(), holder.copy(handle), holder.seed(),
                        holder.call(handle, b"?", [inbox], [null]), holder.receive(),
                        inbox.receive(), holder.until_gone(handle), holder.spawn(b"", [inbox]),
                        holder.send(handle, b"", [inbox.once(1)]),
                    )
                ]  # fmt: skip
                for _ in range(random.randrange(4)):
                    await asyncio.sleep(0)
                if round % 3 == 0:
                    await asyncio.sleep(0.0005)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                assert (await done).payload == b"%d" % round
            del tasks, done
            null.close()
            for some in holder.link.holdings.inboxes():
                some.clear()
            await settle(holder)
            after = await holder.query()
            assert (after.handles, after.nodes) == (before.handles, before.nodes)
            assert holder.link.calls == {}
            assert holder.link.awaited == 0
            assert len(os.listdir("/proc/self/fd")) == files

    run(main())


async def settle(peer: bus1.Peer) -> None:
    """Until what was dropped is released at the bus."""
    for _ in range(3):
        gc.collect()
        await peer.query()
        await asyncio.sleep(0.05)


def test_a_timeout_is_the_callers(run: Run, address: str) -> None:
    async def main() -> None:
        async with pair(address) as (owner, holder, node, handle):
            with pytest.raises(TimeoutError):
                await holder.call(handle, b"first", timeout=0.02)
            late = await node.receive()
            again = asyncio.create_task(holder.call(handle, b"second"))
            [first] = late.handles
            [second] = (await node.receive()).handles
            assert first is not None
            assert second is not None
            await owner.send(first, b"late")
            await owner.send(second, b"in time")
            assert (await again).payload == b"in time"
            assert holder.link.calls == {}

    run(main())


# A full socket, and the end: the far end is the test.


@asynccontextmanager
async def far_end(version: int = 1) -> AsyncIterator[tuple[bus1.Peer, socket.socket]]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    far.send(struct.pack("=IHHIIIIQ16s", 48, 64, 0, 0, 0, version, 0, 1, bytes(16)))
    with far:
        peer = await bus1.connect(fd=near.detach())
        yield peer, far
        peer.end("the test is over")


def test_senders_wait_for_room(run: Run) -> None:
    async def main() -> None:
        async with far_end() as (peer, far):
            handle = peer.link.holdings.hold(5)
            tasks = [asyncio.create_task(peer.send(handle, bytes(60000))) for _ in range(200)]
            await asyncio.sleep(0.05)
            assert peer.link.outbox.size < OUT_MOST + 70000
            with pytest.raises(BlockingIOError):
                peer.send_nowait(handle, b"no room")
            for task in tasks[50::7]:
                task.cancel()
            far.setblocking(False)
            cookies: list[int] = []
            while not all(task.done() for task in tasks):
                await asyncio.sleep(0)
                try:
                    data = far.recv(131072)
                except BlockingIOError:
                    continue
                at = 0
                while at < len(data):
                    size, kind, _, cookie, _ = struct.unpack_from("=IHHII", data, at)
                    at += (size + 7) // 8 * 8
                    assert kind == 6
                    cookies.append(cookie)
                    far.send(struct.pack("=IHHIIiIQQ", 40, 65, 0, cookie, 0, 0, 0, cookie, 0))
            assert cookies == sorted(cookies)
            stamps = [task.result() for task in tasks if not task.cancelled()]
            assert sorted(stamps) == sorted(set(stamps) & set(cookies))
            assert len(stamps) == 200 - len(tasks[50::7])
            handle.spent = True

    run(main())


def test_a_timeout_is_of_all_that_a_call_waits_for(run: Run) -> None:
    """For the node where replies come, and for room."""

    async def main() -> None:
        async with far_end() as (peer, _):
            handle = peer.link.holdings.hold(5)
            with pytest.raises(TimeoutError):
                await peer.call(handle, b"", timeout=0.02)
            peer.link.replies = peer.link.holdings.own(4)
            while not peer.link.outbox.crowded():
                peer.send_nowait(handle, bytes(60000))
            with pytest.raises(TimeoutError):
                await peer.call(handle, b"", timeout=0.02)
            assert peer.link.calls == {}

    run(main())


def test_who_waits_for_room_reads_although_enough_waits_here(run: Run) -> None:
    """The bus takes nothing of a peer that leaves much unread: both would wait for each other."""

    async def main() -> None:
        async with far_end() as (peer, far):
            node, handle = peer.link.holdings.own(3), peer.link.holdings.hold(5)
            body = struct.pack("=QQQQIIIIQ", 20, 7, 3, 0, 0, 0, 0, 0, 0)
            message = struct.pack("=IHHII", 72, 66, 0, 0, 0) + body
            far.setblocking(False)
            while peer.link.holdings.stored < INBOX_MOST:
                far.send(message * 100)
                await asyncio.sleep(0)
            while not peer.link.outbox.crowded():
                peer.send_nowait(handle, bytes(60000))
            sending = asyncio.create_task(peer.send(handle, b""))
            await asyncio.sleep(0.01)
            held = peer.link.holdings.stored
            far.send(message)
            await asyncio.sleep(0.01)
            assert peer.link.holdings.stored == held + 1
            sending.cancel()
            node.spent = True

    run(main())


def test_who_takes_nothing_reads_nothing_unless_a_result_is_awaited(run: Run) -> None:
    async def main() -> None:
        async with far_end() as (peer, far):
            node = peer.link.holdings.own(3)
            body = struct.pack("=QQQQIIIIQ", 20, 7, 3, 0, 0, 0, 0, 0, 0)
            record = struct.pack("=IHHII", 72, 66, 0, 0, 0) + body
            far.setblocking(False)
            sent = 0
            for _ in range(100):
                await asyncio.sleep(0.001)
                try:
                    sent += far.send(record * 100) // 72
                except BlockingIOError:
                    break
            assert peer.link.holdings.stored < sent
            held = peer.link.holdings.stored
            asked = asyncio.create_task(peer.query())
            while not any(kind == 9 for kind in kinds(far)):
                await asyncio.sleep(0)
            while True:
                try:
                    far.send(struct.pack("=IHHIIiIQQ10Q", 120, 65, 0, peer.link.number, 0,
                                         0, 10, 0, 0, *range(10)))  # fmt: skip
                    break
                except BlockingIOError:
                    await asyncio.sleep(0)
            assert (await asked).queued == 9
            assert peer.link.holdings.stored > held
            for _ in range(sent):
                assert (await peer.receive()).node is node
            node.spent = True

    run(main())


def kinds(far: socket.socket) -> list[int]:
    try:
        return [int(struct.unpack_from("=IH", far.recv(131072))[1])]
    except BlockingIOError:
        return []


def test_the_end_is_told_to_all_who_wait(run: Run) -> None:
    async def main() -> None:
        async with far_end() as (peer, far):
            node, handle = peer.link.holdings.own(3), peer.link.holdings.hold(5)
            peer.link.replies = peer.link.holdings.own(4)
            waiting = [
                asyncio.create_task(what)
                for what in (
                    peer.create(), peer.call(handle), peer.receive(), peer.receive(),
                    node.receive(), peer.until_gone(handle), peer.send(handle, bytes(60000)),
                )
            ]  # fmt: skip
            await asyncio.sleep(0.01)
            far.close()
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert [isinstance(each, ConnectionError) for each in results] == [True] * 7
            for ask in (peer.create, peer.receive, lambda: peer.send(handle)):
                with pytest.raises(ConnectionError):
                    await ask()
            await peer.close()

    run(main())


def test_another_version_is_no_bus(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ConnectionError, match="version 2"):
            async with far_end(version=2):
                pass

    run(main())


def test_a_node_is_no_handle(run: Run, address: str) -> None:
    async def main() -> None:
        async with await bus1.connect(address) as peer:
            node = await peer.create()
            wrong: Any = node
            for attempt in (peer.send(wrong), peer.multicast([wrong]), peer.call(wrong, b"x")):
                with pytest.raises(bus1.Invalid, match="not a handle: <Node"):
                    await attempt
            assert (await peer.query()).messages == 1  # the seed

    run(main())


def test_nobody_there(run: Run, tmp_path: Any) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError, match=f"'{tmp_path}/nothing'"):
            await bus1.connect(f"unix:path={tmp_path}/nothing")
        with socket.socket(socket.AF_UNIX) as dbus:
            dbus.bind(f"{tmp_path}/dbus")
            dbus.listen()
            with pytest.raises(OSError, match=f"one for D-Bus: '{tmp_path}/dbus'"):
                await bus1.connect(f"unix:path={tmp_path}/dbus")
        with open("/dev/null", "rb") as file, pytest.raises(OSError, match="no socket of"):
            await bus1.connect(fd=file.fileno())
        near, far = socket.socketpair()
        with near, far, pytest.raises(ValueError, match="no socket of a bus"):
            await bus1.connect(fd=near.fileno())

    run(main())


def test_the_bus_goes(run: Run, tmp_path: Any) -> None:
    bus: Bus = start("ours", tmp_path, f"--native=unix:path={tmp_path}/native")

    async def main() -> None:
        async with await bus1.connect(f"unix:path={tmp_path}/native") as peer:
            waiting = asyncio.create_task(peer.receive())
            await asyncio.sleep(0)
            await asyncio.to_thread(bus.stop)
            with pytest.raises(ConnectionError):
                await waiting

    run(main())
