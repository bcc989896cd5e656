"""Where messages are written: never blocks, holds a bounded number of bytes, and counts the rest.

Whoever watches a bus must keep reading: what waits for it costs the bus memory. So when the
terminal is slow or the pipe is full, and much is held, messages are dropped here.
"""

import os
import select
import stat
from contextlib import suppress
from typing import Final, final

from bridge.cli.monitor.pairs import Event
from bridge.cli.monitor.views import View
from bridge.cli.reading import Seen

HELD: Final = 8 * 1024 * 1024
PIECE: Final = select.PIPE_BUF  # so much a pipe takes at once if it is writable at all


@final
class Outlet:
    """A file, pipe or terminal."""

    def __init__(self, fd: int, view: View, truncate: bool = False) -> None:
        """`truncate`: what a file had in it goes, but not before there is something else."""
        regular = stat.S_ISREG(os.fstat(fd).st_mode)
        self.truncate = truncate and regular
        self.piece = HELD if regular else PIECE
        self.fd = unblocked(fd)
        self.view = view
        self.held = bytearray()
        self.dropped = 0
        self.poll = select.poll()
        self.poll.register(self.fd, select.POLLOUT)

    def begin(self) -> None:
        """Nothing is in the way any more. Raises OSError."""
        if self.truncate:
            os.ftruncate(self.fd, 0)
        self.held += self.view.head()

    def message(self, event: Event) -> bool:
        """Write one message. False: it is dropped."""
        if len(self.held) >= HELD:
            self.dropped += 1
            return False
        self.confess()
        self.held += self.view.message(event)
        return True

    def lost(self, count: int, by_bus: Seen) -> None:
        """The bus has lost some. This is never dropped."""
        self.confess()
        self.held += self.view.lost(count, by_bus)

    def confess(self) -> None:
        """Say what was dropped, where it was."""
        if self.dropped:
            self.held += self.view.lost(self.dropped, None)
            self.dropped = 0

    def flush(self) -> None:
        """Write what can be written now. Raises OSError; BrokenPipeError: nobody reads it."""
        while self.held and self.writable():
            with memoryview(self.held) as all_of_it, all_of_it[: self.piece] as piece:
                try:
                    count = os.write(self.fd, piece)
                except BlockingIOError:
                    return
            del self.held[:count]
            if not self.held:
                self.confess()

    def writable(self) -> bool:
        """Raises BrokenPipeError."""
        events = self.poll.poll(0)
        if events and events[0][1] & (select.POLLERR | select.POLLHUP):
            raise BrokenPipeError
        return bool(events)

    def wanted(self) -> int:
        """What to poll for; that nobody reads any more is told in any case."""
        return select.POLLOUT if self.held else 0


def unblocked(fd: int) -> int:
    """For a terminal, a way to write to it that never waits, which others who have the terminal
    open do not notice; a writable terminal may take less than a piece."""
    if os.isatty(fd):
        with suppress(OSError):
            return os.open(os.ttyname(fd), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    return fd
