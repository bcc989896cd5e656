"""What is known of the process that serves the bus: for the driver, which tells others of it."""

import os
import time
from typing import TYPE_CHECKING, final

from bridge.routing.client import Client
from bridge.transport.connection import Connection
from bridge.transport.process import program_version

if TYPE_CHECKING:
    from bridge.routing.above import Native
    from bridge.transport.server import Server


@final
class Report:
    """One process; it begins when this is made."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.started = time.time()
        self.moment = time.monotonic()

    def incomplete(self) -> int:
        """How many have connected and not said Hello."""
        return len(self.server.door.incomplete)

    def natives(self) -> "list[Native]":
        """All native peers."""
        natives = self.server.natives
        return [] if natives is None else natives.all()

    def waiting(self, client: Client) -> tuple[int, int, int, int]:
        """Bytes and descriptors that came from it and wait for the rest of their message, and
        the most that did."""
        connection = client.peer.queue.reader
        return connection.waiting() if isinstance(connection, Connection) else (0, 0, 0, 0)

    def report(self) -> dict[str, object]:
        """What people want to know of it."""
        reloader = self.server.reloader
        configuration = reloader.loaded.configuration
        return {
            "pid": os.getpid(),
            "uid": os.geteuid(),
            "version": program_version(),
            "started": self.started,
            "uptime": time.monotonic() - self.moment,
            "addresses": [listener.address for listener in self.server.door.listeners],
            "native": [listener.address for listener in self.server.settings.native],
            "configuration": {
                "file": self.server.settings.root,
                "files": list(configuration.sources),
                "read": reloader.read_at,
                "reloads": reloader.outcomes["success"],
                "failures": reloader.outcomes["failure"],
                "wrong": reloader.wrong,
            },
        }
