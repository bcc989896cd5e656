"""Law: a forked child has no part in its parent's peers, and takes nothing from them as it ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.buses import ROOT

BLOCKING = """
import os
from bus1.client.blocking import connect

def child(peer, node, handle):
    for what in (peer.query, lambda: peer.send_nowait(handle), node.receive):
        try:
            what()
        except ConnectionError as error:
            print(error)
    handle.release()
    peer.close()

with connect() as peer, connect() as other:
    node = peer.create()
    handle = node.handle()
    other.create().release()
    if (pid := os.fork()) == 0:
        child(peer, node, handle)
        raise SystemExit(0)  # and all that is left is dropped
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    peer.send(handle, b"still here")
    print(node.receive().payload, other.query().handles)
"""

ASYNCIO = """
import asyncio, os
import bus1.client as bus1

async def main():
    async with await bus1.connect() as peer:
        node = await peer.create()
        handle = await node.handle()
        if (pid := os.fork()) == 0:
            for what in (peer.query(), peer.send(handle), node.receive()):
                try:
                    what.send(None)
                except ConnectionError as error:
                    print(error)
            handle.release()
            peer.end("in the child")
            del peer, node, handle
            raise SystemExit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        await peer.send(handle, b"still here")
        print((await node.receive()).payload, (await peer.query()).nodes)

try:
    asyncio.run(main())
except SystemExit:
    os._exit(0)  # not through the parent's loop, which it has only a copy of
"""

SAID = 3 * "the peer is that of the process that forked this one\n"


@pytest.mark.parametrize("program", [BLOCKING, ASYNCIO], ids=["blocking", "asyncio"])
def test_a_child_lets_go(program: str, address: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-u", "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT), "BUS1_ADDRESS": address},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == SAID + "0\nb'still here' 1\n", done.stderr
    assert (done.returncode, done.stderr) == (0, "")
