"""Who hung up: told apart from who sent something, because uvloop forgets the one for the other.

libuv stops watching a descriptor that has an error, after telling so once (uv__poll_io), and a
socket has one as soon as its peer ends without having read everything. What that peer sent
before would stay unread, and its connection here for ever.
"""

import select
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import final


@final
class Hangups:
    """Calls `hung_up` with each watched descriptor whose other end was closed, once."""

    def __init__(self, loop: AbstractEventLoop, hung_up: Callable[[int], None]) -> None:
        self._loop = loop
        self._hung_up = hung_up
        self._ends = select.epoll()
        loop.add_reader(self._ends.fileno(), self._tell)

    def watch(self, fd: int) -> None:
        """From now on, until the descriptor is closed: the kernel then forgets it itself."""
        self._ends.register(fd, select.EPOLLRDHUP | select.EPOLLET)

    def stop(self) -> None:
        """Nobody is told any more."""
        self._loop.remove_reader(self._ends.fileno())
        self._ends.close()

    def _tell(self) -> None:
        for fd, _ in self._ends.poll(0):
            self._hung_up(fd)
