"""Reads the configuration again while the bus goes on, and swaps it in one step or not at all.

Files are read, and users looked up, in a thread: whoever answers what a name of a user means may
itself need the bus, and a disk may be slow.
"""

import logging
import os
import sys
import threading
import time
from asyncio import TimerHandle
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, final

from bridge.driver.announce import services_changed
from bridge.routing.entry import Kind, entry
from bridge.transport.connection import flush_ready
from bridge.transport.files import Stamps, places, stamps
from bridge.transport.manager import SERVING
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
MOST_WAITING: Final = 1024  # who asks while so many wait is told so
MOST_OF_ONE: Final = 32  # the same for one client: the others' turn comes, too
SWITCH: Final = 0.0005  # seconds until the thread that reads lets the loop go on

log = logging.getLogger("bus1.reload")


@final
class Found(NamedTuple):
    """What a run found: a configuration, with what the log is to say of it, or what is wrong;
    and whether the files have changed since, before they were watched."""

    loaded: Loaded | None = None
    warnings: Sequence[str] = ()
    summary: str = ""
    wrong: str = ""
    stale: bool = False
    spent: float = 0.0  # seconds of work


@final
class Reloader:
    """One run at a time. Who asks while one is under way is answered by the next, which begins
    when that ends: what was written before asking is in force when the answer comes.

    Anybody may ask, and as often as they like: so it rests after each run as long as that has
    worked, and `waiting` has an end.
    """

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.loop = server.loop
        self.loaded = server.settings.loaded
        self.watch = Watch()
        self.watched: int | None = None
        self.thread: threading.Thread | None = None
        self.waiting: list[Done] = []
        self.askers: Counter[object] = Counter()  # how often each of them waits
        self.again = False  # a signal or a change of the files asks, too
        self.timer: TimerHandle | None = None
        self.resting: TimerHandle | None = None
        self.since = 0.0
        self.ended = False
        self.read_at = time.time()  # what is in force
        self.wrong: str | None = None  # with what was read last
        self.outcomes: Counter[str] = Counter(success=0, failure=0)

    def start(self) -> None:
        """Clients are served: watch the files from now on."""
        sys.setswitchinterval(SWITCH)
        if self.thread is None:
            loaded = self.loaded
            self.aside(lambda: self.follow(loaded, loaded.stamps), self.rest)

    def stop(self) -> None:
        """Nothing is reloaded any more; who still waits gets no answer, the bus ends."""
        self.ended = True
        self.waiting.clear()
        self.again = False
        for timer in (self.timer, self.resting):
            if timer is not None:
                timer.cancel()
        if self.thread is not None and self.thread.is_alive():
            self.thread.join(AT_THE_END)
        if self.watched is not None:
            self.loop.remove_reader(self.watched)
        self.watch.close()

    def request(self, done: Done, asker: object = None) -> None:
        """Reload, then call `done`, in the loop: with None, or with what is wrong."""
        if done is nobody:
            self.again = True
        elif len(self.waiting) < MOST_WAITING and self.askers[asker] < MOST_OF_ONE:
            self.waiting.append(done)
            self.askers[asker] += 1
        else:
            done("too many wait for a reload already")
        self.go_on()

    def go_on(self) -> None:
        """A run, if somebody wants one and it is time."""
        if (self.waiting or self.again) and self.thread is None and self.resting is None:
            self.begin()

    # ---------------------------------------------------------------------- one run

    def begin(self) -> None:
        """A run for all who wait now."""
        asked, self.waiting, self.again = self.waiting, [], False
        self.askers.clear()
        if self.timer is not None:  # what has been seen of the files is read now
            self.timer.cancel()
            self.timer = None
        self.server.manager.reloading()
        self.aside(self.read, lambda found: self.finish(asked, found))

    def read(self) -> Found:
        """In the thread: what the files say now."""
        began = time.thread_time()
        found = self.find()
        return found._replace(spent=time.thread_time() - began)

    def find(self) -> Found:
        before, start = self.loaded, self.server.settings.loaded.configuration
        try:
            # Needed only here, so not at the start.
            from bridge.transport.changes import fixed, hidden, summary

            loaded = load(self.server.settings.read)
            if wrong := hidden(before.configuration, loaded.configuration):
                return Found(wrong=wrong, stale=self.follow(before, None))
            warnings = [*loaded.complaints, *fixed(start, loaded.configuration)]
            said = summary(before, loaded)
        except (ConfigError, OSError) as error:
            return Found(wrong=reason(error), stale=self.follow(before, None))
        except Exception as error:
            log.exception("An error of the bus itself, when it read its configuration")
            return Found(wrong=f"an error of the bus itself: {error!r}")
        return Found(loaded, warnings, said, stale=self.follow(loaded, loaded.stamps))

    def follow(self, loaded: Loaded, seen: Stamps | None) -> bool:
        """In the thread: watch the files. Do they look otherwise now than they were seen (None:
        than before that)?"""
        try:
            files = loaded.configuration, loaded.services
            before = stamps(*files) if seen is None else seen
            self.watch.follow(places(*files))
            return stamps(*files) != before
        except Exception:
            log.exception("An error of the bus itself, when it began to watch its files")
            return False

    def finish(self, asked: list[Done], found: Found) -> None:
        """The one step in which the configuration changes, if it does; and the answers."""
        wrong = found.wrong if found.loaded is None else self.adopt(found.loaded, found)
        self.wrong = wrong
        self.outcomes["success" if wrong is None else "failure"] += 1
        if wrong is not None:
            extra = entry(Kind.NOT_RELOADED, reason=wrong)
            log.error("Unable to reload configuration: %s", wrong, extra=extra)
        status = SERVING if wrong is None else f"Not reloaded: {wrong}"
        self.server.manager.ready(status)
        services_changed(self.server.hub)
        for done in asked:
            try:
                done(wrong)
            except Exception:
                log.exception("An error of the bus itself, when it answered ReloadConfig")
        self.resting = self.loop.call_later(found.spent, self.rested)
        self.rest(found.stale)
        flush_ready(self.server.bus)

    def adopt(self, loaded: Loaded, found: Found) -> str | None:
        """Another configuration is in force, and the log says what is other."""
        self.loaded = loaded
        self.read_at = time.time()
        for text in found.warnings:
            log.warning("%s", text)
        try:
            self.server.adopt(loaded)
        except Exception as error:
            log.exception("An error of the bus itself, when its configuration changed")
            return f"an error of the bus itself: {error!r}"
        extra = entry(Kind.RELOADED, changes=found.summary)
        log.info("Reloaded configuration: %s", found.summary, extra=extra)
        return None

    def rested(self) -> None:
        """It may work again."""
        self.resting = None
        self.go_on()

    def rest(self, stale: bool) -> None:
        """The thread has ended: listen to what the files do; go on if somebody waits."""
        self.thread = None
        if self.watched is None:
            self.watched = self.watch.fd
            if self.watched is not None:
                self.loop.add_reader(self.watched, self.look)
        if stale:
            self.postpone()
        self.go_on()

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
                self.loop.call_soon_threadsafe(back, result)

        def back(result: T) -> None:
            if not self.ended:  # else there is nothing left that could change
                then(result)

        # No executor: it would be waited for at the end of the process.
        self.thread = threading.Thread(target=run, name="reload", daemon=True)
        try:
            self.thread.start()
        except RuntimeError:  # no more threads: then the bus waits
            self.loop.call_soon(run)


def nobody(wrong: str | None) -> None:
    """Whom the answer is for when nobody asked: the log has it."""
