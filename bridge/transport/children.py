"""The processes that the bus started: begun, seen to their end, and all of them waited for.

It knows nothing of services. There is no handler for SIGCHLD: each child has a descriptor that
the loop watches (pidfd_open(2)).
"""

import errno
import os
import signal
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Final, final

from bridge.transport.output import output
from bridge.transport.process import INHERITED_FD_LIMIT
from bridge.transport.spawn import CannotFork, spawn

# How long the loop waits to hear whether there is such a program: usually a millisecond. It may be
# for ever where that is on a file system that some service provides, which wants this bus first.
PATIENCE: Final = 0.25  # seconds
NOT_EXECUTED: Final = 127  # its status where that was heard later; shells say the same
LOOK_AGAIN: Final = 0.2  # seconds, for those that no descriptor could be had for
INFINITE: Final = 2**64 - 1  # RLIM_INFINITY, which Python calls -1


@final
class Child:
    """One process. Its number is nobody else's until it has been waited for; it is 0 while the
    kernel still looks for the program."""

    __slots__ = ("ended", "over", "pid", "unwanted")

    def __init__(self, ended: Callable[[int], None]) -> None:
        self.pid = 0
        self.ended = ended
        self.over = False
        self.unwanted = False

    def kill(self) -> None:
        """End it at once, and only it, as dbus-daemon does. What has become somebody else
        meanwhile may not be ours to kill."""
        self.unwanted = True
        if self.pid and not self.over:
            with suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)


@final
class Children:
    """All that this bus has started. `journal` is where the journal takes what they print."""

    def __init__(self, loop: AbstractEventLoop, journal: str | None = None) -> None:
        self._loop = loop
        self._journal = journal
        self._late: set[Child] = set()
        self._watched: dict[int, Child] = {}  # by descriptor
        self._unwatched: list[Child] = []
        self._timer: TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._late) + len(self._watched) + len(self._unwatched)

    def start(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        ended: Callable[[int], None],
        name: str = "",
    ) -> Child:
        """Start a program, with this name in the journal. Raises OSError if it cannot be executed.

        `ended` gets its exit status, or the number of the signal, negated; never before this
        returns. It stays in the bus's session, directory and process group, as dbus-daemon's do.
        """
        if not words:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        child = Child(ended)
        begun = in_thread(partial(begin, words, environment, self._journal, name or words[0]))
        try:
            child.pid = begun.result(PATIENCE)
        except TimeoutError:
            self._late.add(child)
            begun.add_done_callback(partial(self._tell, child))
        else:
            self._watch(child)
        finally:
            del begun  # it has the error, whose frames have all that led here: a cycle
        return child

    def stop(self) -> None:
        """The bus ends, its services go on: whoever is their parent then waits for them."""
        for fd, child in self._watched.items():
            self._loop.remove_reader(fd)
            os.close(fd)
            status(child)
        for child in self._unwatched:
            status(child)
        self._late.clear()
        self._watched.clear()
        self._unwatched.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---------------------------------------------------------------- those that are late

    def _tell(self, child: Child, begun: Future[int]) -> None:
        """In the other thread."""
        with suppress(RuntimeError):  # there is no loop any more
            self._loop.call_soon_threadsafe(self._on_begun, child, begun)

    def _on_begun(self, child: Child, begun: Future[int]) -> None:
        if child not in self._late:  # the bus ends
            return
        self._late.discard(child)
        if begun.exception() is not None:
            child.over = True
            child.ended(NOT_EXECUTED)
            return
        child.pid = begun.result()
        if child.unwanted:
            child.kill()
        self._watch(child)

    # --------------------------------------------------------------------- their ends

    def _watch(self, child: Child) -> None:
        try:
            fd = os.pidfd_open(child.pid)
        except OSError:  # all descriptors are in use: for clients, most likely
            self._unwatched.append(child)
            self._look_later()
            return
        self._watched[fd] = child
        self._loop.add_reader(fd, self._on_end, fd)

    def _on_end(self, fd: int) -> None:
        child = self._watched[fd]
        found = status(child)
        if found is not None:
            self._loop.remove_reader(fd)
            os.close(fd)
            del self._watched[fd]
            child.ended(found)

    def _look_later(self) -> None:
        if self._timer is None and self._unwatched:
            self._timer = self._loop.call_later(LOOK_AGAIN, self._look)

    def _look(self) -> None:
        """There may be a descriptor for them by now, or they have ended."""
        self._timer = None
        waiting, self._unwatched = self._unwatched, []
        for child in waiting:
            found = status(child)
            if found is None:
                self._watch(child)
            else:
                self._loop.call_soon(child.ended, found)


def status(child: Child) -> int | None:
    """Wait for a child that has ended; None for one that has not."""
    try:
        found = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG)
    except ChildProcessError:  # somebody else in this process has: nobody knows how it ended
        child.over = True
        return 0
    if found is None:
        return None
    child.over = True
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


# ------------------------------------------------------------------------- in a thread


def in_thread(work: Callable[[], int]) -> Future[int]:
    """What the work comes to, some time. Raises CannotFork."""
    future: Future[int] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error.with_traceback(None))  # it led to the future itself

    try:
        Thread(target=run, name="exec", daemon=True).start()
    except RuntimeError:  # there are as many threads as there may be, or processes: it is one limit
        raise CannotFork(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
    return future


def begin(
    words: Sequence[str], environment: Mapping[str, str], journal: str | None, name: str
) -> int:
    """Execute the program; the number of its process. Raises OSError."""
    # select(2), which some services use, takes no descriptor above 1023.
    soft, hard = (most & INFINITE for most in INHERITED_FD_LIMIT)
    try:
        said = [os.fsencode(word) for word in words]
        variables = [os.fsencode(f"{key}={value}") for key, value in environment.items()]
        with output(journal, name) as (out, errors):
            return spawn(said, variables, out, errors, soft, hard)
    except ValueError:  # a NUL, or no text
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None
