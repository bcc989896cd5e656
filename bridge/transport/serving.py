"""The life of a bus: from the first client that is served to the signal that ends it. It makes the
event loop, and says to the service manager and in the log how far it is.
"""

import asyncio
import gc
import logging
import signal
from collections.abc import Callable

import uvloop

from bridge.routing.entry import LIFECYCLE, Kind, entry
from bridge.transport.launch import Listener
from bridge.transport.process import release_signals
from bridge.transport.reload import nobody
from bridge.transport.server import Server
from bridge.transport.settings import Settings
from bus1.fds import closing

log = logging.getLogger(LIFECYCLE)


def run(
    settings: Settings,
    listeners: list[Listener],
    ready: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT: `ready` is called when clients are being served."""
    closing.open()
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(serve(loop, settings, listeners, ready))
    finally:
        loop.close()


async def serve(
    loop: asyncio.AbstractEventLoop,
    settings: Settings,
    listeners: list[Listener],
    ready: Callable[[], None],
) -> None:
    """A coroutine, because the loop must run before the signals are handled: uvloop loses
    those that come in between, and one may come as soon as somebody has read the address."""
    ended = asyncio.Event()
    why: list[str] = []
    server = Server(loop, settings, listeners)

    def end(number: signal.Signals) -> None:
        why.append(number.name)
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    loop.add_signal_handler(signal.SIGHUP, server.reloader.request, nobody)
    server.start()
    release_signals()
    ready()
    server.manager.ready()
    say(server, Kind.SERVING, f"Serving clients at {server.door.addresses()}")
    settle()
    server.manager.live(loop.call_later)
    server.reloader.start()
    await ended.wait()
    server.manager.stopping()
    say(server, Kind.ENDING, f"Ending, as {why[0]} wants")
    server.stop()


def settle() -> None:
    """Garbage collection from now on leaves out what is here already, and runs seldom: what a bus
    makes and drops all day is in no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def say(server: Server, kind: Kind, text: str) -> None:
    """Log what is to be in the system's log and is no news for who started the bus."""
    fields = {"clients": server.hub.active, "address": server.door.addresses()}
    log.info("%s", text, extra=entry(kind, guid=server.settings.guid, **fields))
