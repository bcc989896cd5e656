"""A server in a thread of the test's process: clients are real, and the test may look inside."""

from __future__ import annotations

import array
import fcntl
import gc
import os
import socket
import termios
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from bridge.routing.client import Client
from bridge.transport.launch import listen, listen_for_metrics, listen_for_natives, new_guid
from bridge.transport.server import Server
from bridge.transport.settings import Loaded, Settings, load
from policy.configuration import Configuration
from policy.limits import Limits
from policy.rule import Rule, Section
from tests import raw

T = TypeVar("T")
SECONDS = 30


# All are allowed all, but for connecting; and limits that no test meets by chance.
RULES = (
    Rule(allow=True, about="send", eavesdrop=True),
    Rule(allow=True, about="receive", eavesdrop=True),
    Rule(allow=True, about="own"),
)
LIMITS = {
    "max_outgoing_bytes": 1_000_000_000,
    "max_incomplete_connections": 10_000,
    "max_connections_per_user": 100_000,
    "max_replies_per_connection": 50_000,
}


def allowing(*rules: Rule, limits: dict[str, int] | None = None, **more: Any) -> Configuration:
    """A session bus that allows everything, with these rules behind that."""
    return Configuration(
        type="session",
        policy=(Section("default", "", (*RULES, *rules)),),
        limits=Limits(**LIMITS | (limits or {})),
        **{"auth": ("EXTERNAL",)} | more,
    )


def loaded(configuration: Configuration) -> Loaded:
    return load(lambda: configuration)


class Running:
    """A bus with these limits, at `address`."""

    def __init__(
        self,
        directory: Path,
        configuration: Configuration | None = None,
        anyone: bool = False,
        auth: tuple[str, ...] = ("EXTERNAL",),
        allow_anonymous: bool = False,
        native: bool = False,
        **limits: int,
    ) -> None:
        may_connect = (Rule(allow=True, about="connect", user="*"),) if anyone else ()
        self.configuration = configuration or allowing(
            *may_connect, limits=limits, auth=auth, allow_anonymous=allow_anonymous
        )
        self.loop = uvloop.new_event_loop()
        self.listeners = listen(f"unix:path={directory}/bus", {})
        self.address = self.listeners[0].address
        metrics = listen_for_metrics(self.configuration.metrics, {})
        self.native = f"{directory}/native"
        settings = Settings(
            loaded(self.configuration),
            self.read,
            new_guid(),
            metrics=metrics,
            native=listen_for_natives(f"unix:path={self.native}" if native else None, {}),
        )
        self.server = Server(self.loop, settings, self.listeners)
        self.clients: list[raw.Client] = []
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def read(self) -> Configuration:
        """What a reload finds: whatever the test has put there."""
        return self.configuration

    def serve(self) -> None:
        collection = gc.get_threshold()
        self.server.start()
        self.loop.run_forever()
        self.server.stop()
        self.loop.close()
        gc.set_threshold(*collection)
        gc.unfreeze()

    def stop(self) -> None:
        if not self.thread.is_alive():
            return
        for client in self.clients:
            client.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()

    # ---------------------------------------------------------------------- from outside

    def connect(self, **options: Any) -> raw.Client:
        self.clients.append(raw.Client(self.address, **options))
        return self.clients[-1]

    def socket(self) -> socket.socket:
        """Connected, and silent so far."""
        return raw.socket_to(self.address)

    # ----------------------------------------------------------------------- from inside

    def do(self, function: Callable[[], T]) -> T:
        """In the server's thread, between two events."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        return future.result(SECONDS)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The server stands still: what is sent now it finds all at once."""
        stands, go = threading.Event(), threading.Event()

        def stand() -> None:
            stands.set()
            go.wait(SECONDS)

        self.loop.call_soon_threadsafe(stand)
        assert stands.wait(SECONDS)
        try:
            yield
        finally:
            go.set()

    def client(self, of: raw.Client) -> Client:
        """What the bus knows of a client."""
        client = self.do(lambda: self.server.hub.names.owner(of.name))
        assert client is not None
        return client

    def narrow(self, of: raw.Client) -> None:
        """Make the kernel's buffer towards this client as small as it gets."""
        reader: Any = self.client(of).peer.queue.reader

        def shrink() -> None:
            with socket.socket(fileno=os.dup(reader.fd)) as copy:
                copy.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)

        self.do(shrink)

    def until(self, done: Callable[[], bool]) -> None:
        """Wait for something that the server does in its own time."""
        end = time.monotonic() + SECONDS
        while not self.do(done):
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.005)

    def descriptors(self) -> int:
        """How many are open now, those of the test's own included; not what earlier tests left."""
        gc.collect()
        return self.do(lambda: len(os.listdir("/proc/self/fd")))


def unread(sock: socket.socket) -> int:
    """How many bytes wait in the kernel to be read."""
    count = array.array("i", [0])
    fcntl.ioctl(sock, termios.FIONREAD, count)
    return count[0]
