"""Reads the configuration again while the bus goes on, and swaps it in one step or not at all.

Files are read, and users looked up, in a thread: whoever answers what a name of a user means may
itself need the bus, and a disk may be slow.
"""

import logging
import os
import threading
import time
from asyncio import TimerHandle
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar, final

from bridge.transport.connection import flush_ready
from bridge.transport.files import places, stamps
from bridge.transport.launch import notify
from bridge.transport.settings import Loaded, load, reason
from bridge.transport.watch import Watch
from policy.configuration import ConfigError

if TYPE_CHECKING:
    from bridge.transport.server import Server

Done = Callable[[str | None], None]
T = TypeVar("T")

QUIET: Final = 0.2  # seconds without a change: whoever was writing is through
PATIENCE: Final = 2.0  # but whoever goes on writing is not waited for longer than this
AT_THE_END: Final = 0.5  # a look-up that hangs does not hold up the end of the bus

log = logging.getLogger("bus1.reload")


@final
class Reloader:
    """One run at a time. Who asks while one is under way is answered by the next, which begins
    when that ends: what was written before asking is in force when the answer comes."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.loop = server.loop
        self.loaded = server.settings.loaded
        self.watch = Watch()
        self.watched: int | None = None
        self.thread: threading.Thread | None = None
        self.waiting: list[Done] = []
        self.timer: TimerHandle | None = None
        self.since = 0.0

    def start(self) -> None:
        """Clients are served: watch the files from now on."""
        if self.thread is None:
            self.aside(lambda: self.follow(self.loaded), self.rest)

    def stop(self) -> None:
        """Nothing is reloaded any more; who still waits gets no answer, the bus ends."""
        self.waiting.clear()
        if self.timer is not None:
            self.timer.cancel()
        if self.thread is not None:
            self.thread.join(AT_THE_END)
        if self.watched is not None:
            self.loop.remove_reader(self.watched)
        self.watch.close()

    def request(self, done: Done) -> None:
        """Reload, then call `done`, in the loop: with None, or with what is wrong."""
        self.waiting.append(done)
        if self.thread is None:
            self.begin()

    # ---------------------------------------------------------------------- one run

    def begin(self) -> None:
        """A run for all who wait now."""
        asked, self.waiting = self.waiting, []
        if self.timer is not None:  # what has been seen of the files is read now
            self.timer.cancel()
            self.timer = None
        now = time.monotonic_ns() // 1000
        notify(f"RELOADING=1\nMONOTONIC_USEC={now}", os.environ)
        self.aside(self.read, lambda result: self.finish(asked, *result))

    def read(self) -> tuple[Loaded | str, bool]:
        """In the thread: what the files say now, or what is wrong with them; and whether they
        have changed since, before they were watched."""
        try:
            loaded = load(self.server.settings.read)
        except (ConfigError, OSError) as error:
            return reason(error), self.follow(self.loaded, stamps(self.loaded.configuration))
        except Exception as error:
            log.exception("An error of the bus itself, when it read its configuration")
            return f"an error of the bus itself: {error!r}", False
        return loaded, self.follow(loaded)

    def follow(self, loaded: Loaded, before: object = None) -> bool:
        """In the thread: watch the files. Have they changed before that?"""
        try:
            self.watch.follow(places(loaded.configuration))
        except Exception:
            log.exception("An error of the bus itself, when it began to watch its files")
            return False
        return stamps(loaded.configuration) != (before or loaded.stamps)

    def finish(self, asked: list[Done], found: Loaded | str, stale: bool) -> None:
        """The one step in which the configuration changes, if it does; and the answers."""
        wrong = self.adopt(found) if isinstance(found, Loaded) else found
        if wrong is not None:
            log.error("Unable to reload configuration: %s", wrong)
        notify("READY=1", os.environ)
        for done in asked:
            try:
                done(wrong)
            except Exception:
                log.exception("An error of the bus itself, when it answered ReloadConfig")
        self.rest(stale)
        flush_ready(self.server.bus)

    def adopt(self, found: Loaded) -> str | None:
        """Another configuration is in force, and the log says what is other."""
        from bridge.transport.changes import fixed, summary  # needed only here, so not at the start

        old, self.loaded = self.loaded, found
        for complaint in found.complaints:
            log.warning("%s", complaint)
        for text in fixed(self.server.settings.loaded.configuration, found.configuration):
            log.warning("%s", text)
        try:
            self.server.adopt(found)
        except Exception as error:
            log.exception("An error of the bus itself, when its configuration changed")
            return f"an error of the bus itself: {error!r}"
        log.info("Reloaded configuration: %s", summary(old, found))
        return None

    def rest(self, stale: bool) -> None:
        """The thread has ended: listen to what the files do; go on if somebody waits."""
        self.thread = None
        if self.watched is None:
            self.watched = self.watch.fileno()
            if self.watched is not None:
                self.loop.add_reader(self.watched, self.look)
        if stale:
            self.postpone()
        if self.waiting:
            self.begin()

    # --------------------------------------------------------------------- the files

    def look(self) -> None:
        """The event loop says that something has happened to the files."""
        if self.watch.happened():
            self.postpone()

    def postpone(self) -> None:
        """Reload when they have been quiet for a while: others may be about to change, too."""
        now = self.loop.time()
        if self.timer is None:
            self.since = now
        else:
            self.timer.cancel()
        self.timer = self.loop.call_at(min(now + QUIET, self.since + PATIENCE), self.changed)

    def changed(self) -> None:
        """The files have changed. One that was named and is gone was read once and for all:
        harnesses remove theirs when they have the address."""
        self.timer = None
        root = self.server.settings.root
        if root is None or os.path.lexists(root):
            self.request(nobody)

    # -------------------------------------------------------------------- the thread

    def aside(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Do something that may take long, and then something in the loop."""

        def run() -> None:
            result = work()
            with suppress(RuntimeError):  # the loop is closed: the bus has ended
                self.loop.call_soon_threadsafe(then, result)

        # No executor: it would be waited for at the end of the process.
        self.thread = threading.Thread(target=run, name="reload", daemon=True)
        try:
            self.thread.start()
        except RuntimeError:  # no more threads: then the bus waits
            self.loop.call_soon(run)


def nobody(wrong: str | None) -> None:
    """Whom the answer is for when nobody asked: the log has it."""
