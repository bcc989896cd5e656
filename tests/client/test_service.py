"""Law: a call ends with its result, the service's error by name, or at once when nobody answers."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Any, TypedDict

import pytest

import bus1.client as bus1
from bus1.client import calls
from bus1.client.service import RUNNING_MOST
from tests.buses import ROOT
from tests.client.conftest import Run


class NotFound(bus1.CallError):
    name = "com.example.NotFound"


class Paper(TypedDict):
    title: str


class Shop(bus1.Service):
    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside = self.most = 0
        self.left: list[bus1.Node] = []

    @bus1.method
    def add(self, one: int, two: float = 0.5) -> float:
        return one + two

    @bus1.method
    def find(self, name: str) -> None:
        raise NotFound(name)

    @bus1.method
    def break_down(self) -> None:
        raise RuntimeError("a secret of the service")

    @bus1.method
    def unsayable(self) -> object:
        return object()

    @bus1.method
    def mirror(self, things: list[Any]) -> list[Any]:
        return things

    @bus1.method
    def size_of(self, file: bus1.Fd) -> int:
        return os.fstat(file.fileno()).st_size

    @bus1.method
    def loose(self, one: int | None, two: str | None, three: Paper, four: list[int]) -> str:
        return f"{one} {two} {three['title']} {four}"

    @bus1.method
    def who(self, *, message: bus1.Message) -> list[int]:
        return [message.uid, message.pid]

    @bus1.method
    async def wait(self) -> str:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.open.wait()
        self.inside -= 1
        return "waited"

    def hidden(self) -> None:
        raise AssertionError("not for others")

    def dropped(self, node: Any) -> None:
        self.left.append(node)


@asynccontextmanager
async def shop(address: str) -> AsyncIterator[tuple[Shop, bus1.Peer, bus1.Node, bus1.Handle]]:
    async with await bus1.connect(address) as owner:
        service = Shop()
        node = await service.export(owner)
        async with await bus1.connect(fd=await owner.spawn(b"", [node])) as peer:
            await peer.reset()
            [handle] = (await peer.seed()).handles
            await peer.reset(flush_seed=True)
            assert handle is not None
            yield service, owner, node, handle


def test_results_and_errors(run: Run, address: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with shop(address) as (_, _, _, handle):
            assert await bus1.call(handle, "add", 1, 2) == 3
            assert await bus1.call(handle, "add", 1) == 1.5
            loose = [None, "x", {"title": "y"}, [1]]
            assert await bus1.call(handle, "loose", *loose) == "None x y [1]"
            assert await bus1.call(handle, "who") == [os.getuid(), os.getpid()]
            for name, args, error in (
                ("find", ["x"], "com.example.NotFound: x"),
                ("break_down", [], "Failed: RuntimeError"),
                ("unsayable", [], "Failed: TypeError"),
                ("hidden", [], "UnknownMethod: hidden"),
                ("__init__", [], "UnknownMethod: __init__"),
                ("add", [], "InvalidArgs: 0 arguments, not 2"),
                ("add", [1, 2, 3], "InvalidArgs: 3 arguments, not 2"),
                ("add", [True], "InvalidArgs: argument 1 is no int"),
                ("add", [1, "2"], "InvalidArgs: argument 2 is no float"),
                ("loose", [1, 1, 1, 1], "InvalidArgs: argument 4 is no list"),
                ("size_of", [7], "InvalidArgs: argument 1 is no Fd"),
            ):
                with pytest.raises(bus1.CallError) as caught:
                    await bus1.call(handle, name, *args)
                assert str(caught.value) == error

    run(main())
    assert "a secret of the service" in caplog.text  # for who runs it, not for who calls


def test_annotations_that_cannot_be_resolved_check_nothing() -> None:
    class Local:
        pass

    class Odd(bus1.Service):
        @bus1.method
        def take(self, thing: Local) -> bool:
            return isinstance(thing, Local)

    assert Odd.methods["take"].types == [object]


def test_handles_nodes_and_descriptors_anywhere(run: Run, address: str) -> None:
    async def main() -> None:
        async with shop(address) as (_, _, _, handle):
            peer: bus1.Peer = handle.peer
            node = await peer.create()
            with open(__file__, "rb") as file:
                assert await bus1.call(handle, "size_of", file) == os.stat(__file__).st_size
                sent = [1, {"deep": [node, {"file": file}]}, handle, node.once(7)]
                one, deep, back, once = await bus1.call(handle, "mirror", sent)
            assert one == 1
            assert os.fstat(deep["deep"][1]["file"].fileno()).st_ino == os.stat(__file__).st_ino
            await peer.send(deep["deep"][0], b"home")
            await peer.send(once, b"once")
            assert [(await node.receive()).payload for _ in range(2)] == [b"home", b"once"]
            assert await bus1.call(back, "add", 1, 1) == 2

    run(main())


def test_what_cannot_travel_is_an_error_here(run: Run, address: str) -> None:
    async def main() -> None:
        async with shop(address) as (_, _, _, handle):
            before = await handle.peer.query()
            for thing in (object(), b"bytes", {1, 2}):
                with pytest.raises(TypeError):
                    await bus1.call(handle, "mirror", thing)
            for thing in ({"$handle": 0}, [{"a": {"$fd": 0, "b": 1}}], float("nan")):
                with pytest.raises(ValueError, match=r"dict|JSON"):
                    await bus1.call(handle, "mirror", thing)
            text = ['"$handle":', '{"$handle":0}', "$handle"]
            assert await bus1.call(handle, "mirror", text) == text
            assert await handle.peer.query() == before._replace(
                handles=before.handles + 1, nodes=1
            )  # for the replies

    run(main())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"method": 1, "args": []}',
        b'{"method": "add", "args": {}}',
        b'{"method": "mirror", "args": [{"$handle": 0}]}',
        b'{"method": "mirror", "args": [{"$fd": -1}]}',
        b'{"method": "mirror", "args": [{"$handle": true}]}',
        b'{"method": "mirror", "args": ' + b"[" * 30000,
        b'{"method": "add", "args": [' + b"1" * 5000 + b"]}",
    ],
)
def test_nonsense_is_answered(run: Run, address: str, payload: bytes) -> None:
    async def main() -> None:
        async with shop(address) as (_, _, _, handle):
            peer: bus1.Peer = handle.peer
            with open("/dev/null", "rb") as file:
                reply = await peer.call(handle, payload, [], [file], timeout=5)
            if b"$handle" not in payload:
                assert json.loads(bytes(reply.payload))["error"][0] == "InvalidArgs"
            await peer.send(handle, payload)  # with nobody to tell
            assert await bus1.call(handle, "add", 1, 1) == 2

    run(main())


@pytest.mark.parametrize("reply", [b"", b"[]", b"{}", b'{"error": 3}', b'{"error": ["a"]}'])
def test_a_reply_may_be_nonsense_too(run: Run, address: str, reply: bytes) -> None:
    async def main() -> None:
        async with shop(address) as (_, owner, node, handle):
            node.on_message = lambda message: owner.answer_nowait(message.handles[0], reply)
            with pytest.raises(bus1.CallError) as caught:
                await bus1.call(handle, "add", 1)
            assert caught.value.name == "InvalidReply"

    run(main())


def test_many_at_once_have_a_bound(run: Run, address: str) -> None:
    async def main() -> None:
        async with shop(address) as (service, _, _, handle):
            count = 3 * RUNNING_MOST
            waiting = [asyncio.create_task(bus1.call(handle, "wait")) for _ in range(count)]
            while service.inside < RUNNING_MOST:
                await asyncio.sleep(0)
            service.open.set()
            assert await asyncio.gather(*waiting) == ["waited"] * count
            assert service.most == RUNNING_MOST

    run(main())


def test_a_late_reply_is_dropped_with_its_handles_and_files(run: Run, address: str) -> None:
    async def main() -> None:
        async with shop(address) as (_, owner, node, handle):
            kept: list[bus1.Message] = []
            node.on_message = kept.append
            peer: bus1.Peer = handle.peer
            with pytest.raises(TimeoutError):
                await bus1.call(handle, "mirror", [], timeout=0.01)
            gc.collect()
            before, files = await peer.query(), len(os.listdir("/proc/self/fd"))
            [back] = kept[0].handles
            assert back is not None
            with open("/dev/null", "rb") as file:
                await owner.send(back, *calls.reply([node, file]))
            for _ in range(3):
                await asyncio.sleep(0.02)
                gc.collect()
            assert await peer.query() == before
            assert len(os.listdir("/proc/self/fd")) == files

    run(main())


def test_nobody_will_answer_is_an_error_at_once(run: Run, address: str) -> None:
    async def main() -> None:
        async with shop(address) as (service, _, node, handle):
            waiting = asyncio.create_task(bus1.call(handle, "wait"))
            while not service.inside:
                await asyncio.sleep(0)
            node.on_message = lambda message: message.close()  # drops what it is asked
            with pytest.raises(bus1.Dropped):
                await bus1.call(handle, "add", 1)
            handle.peer.send_nowait(handle, b"")
            await node.destroy()
            with pytest.raises(bus1.Gone):
                await bus1.call(handle, "add", 1)
            service.open.set()
            assert await waiting == "waited"

    run(main())


def test_a_service_hears_that_nobody_is_left(run: Run, address: str) -> None:
    async def main() -> None:
        async with shop(address) as (service, _, node, handle):
            assert await bus1.call(handle, "add", 1, 1) == 2
            handle.release()
            while not service.left:
                await asyncio.sleep(0.005)
            assert service.left == [node]

    run(main())


ELSEWHERE = """
import asyncio, sys
import bus1.client as bus1

class Slow(bus1.Service):
    @bus1.method
    def pid(self, *, message: bus1.Message) -> int:
        import os
        return os.getpid()

    @bus1.method
    async def forever(self) -> None:
        print("inside", flush=True)
        await asyncio.sleep(3600)

async def main():
    async with await bus1.connect(fd=int(sys.argv[1])) as peer:
        node = await Slow().export(peer)
        [back] = (await peer.seed()).handles
        await peer.send(back, b"here", [node])
        await peer.receive()

asyncio.run(main())
"""


def elsewhere(fd: bus1.Fd) -> subprocess.Popen[bytes]:
    number = fd.fileno()
    return subprocess.Popen(
        [sys.executable, "-c", ELSEWHERE, str(number)],
        pass_fds=[number],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def line(file: IO[bytes] | None) -> bytes:
    assert file
    return file.readline()


def test_a_service_in_another_process_that_is_killed(run: Run, address: str) -> None:
    async def main() -> None:
        async with await bus1.connect(address) as peer:
            node = await peer.create()
            with await peer.spawn(b"", [node]) as fd:
                program = elsewhere(fd)
            try:
                [handle] = (await node.receive()).handles
                assert handle is not None
                assert await bus1.call(handle, "pid") == program.pid
                waiting = asyncio.create_task(bus1.call(handle, "forever", timeout=30))
                assert await asyncio.to_thread(line, program.stdout) == b"inside\n"
                program.send_signal(signal.SIGKILL)
                with pytest.raises(bus1.Dropped):
                    await waiting
                assert await peer.until_gone(handle)
                with pytest.raises(bus1.Gone):
                    await bus1.call(handle, "pid")
            finally:
                program.kill()
                program.wait()
                if program.stdout:
                    program.stdout.close()

    run(main())
