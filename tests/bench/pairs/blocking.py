"""bus1.client.blocking: `client DBUS NATIVE`, which starts `serve FD`."""

from __future__ import annotations

import sys

from bus1.client import method
from bus1.client.blocking import Service, call, connect
from tests.bench.pairs import timing

HERE = "tests.bench.pairs.blocking"


class Echo(Service):
    @method
    def echo(self, text: str) -> str:
        return text


def serve(fd: str) -> None:
    with connect(fd=int(fd)) as peer:
        node = Echo().export(peer)
        [back] = peer.seed().handles
        peer.send(back, b"", [node])
        timing.ready()
        peer.run()


def client(native: str) -> None:
    with connect(native) as peer:
        inbox = peer.create()
        with (
            peer.spawn(b"", [inbox]) as socket,
            timing.service(HERE, "serve", fd=socket.fileno()),
        ):
            [echo] = inbox.receive().handles
            for many in timing.orders():
                timing.tell(timing.made(lambda: call(echo, "echo", timing.WORD), many))


if __name__ == "__main__":
    role, *rest = sys.argv[1:]
    if role == "serve":
        serve(rest[0])
    else:
        client(rest[1])
