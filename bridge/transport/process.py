"""The bus as one process among others: its descriptors, its way to the background.

It knows nothing of sockets, messages or the event loop.
"""

import os
import resource
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from bridge.transport.launch import StartError

LAST_STANDARD: Final = 2  # stdin, stdout, stderr


def open_standard_fds() -> None:
    """Have something at 0, 1 and 2, so that no socket gets their numbers and is written to."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > LAST_STANDARD:
            os.close(fd)
            return
        os.set_inheritable(fd, True)


def raise_fd_limit() -> None:
    """As many descriptors as we may have: every client needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def write_out(fd: int, text: str) -> None:
    """Write a line to a descriptor that the caller named. Raises StartError."""
    data = text.encode()
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError as error:
        raise StartError(f"Writing to pipe: {error.strerror}") from None


def check_writable(fd: int) -> None:
    """Is the descriptor there? Asked before we open any that could get its number."""
    try:
        os.fstat(fd)
    except OSError as error:
        raise StartError(f"Writing to pipe: {error.strerror}") from None


def close_out(fds: Iterable[int]) -> None:
    """Close descriptors that were printed to: who reads them waits for the end."""
    for fd in fds:
        if fd > LAST_STANDARD:
            with suppress(OSError):
                os.close(fd)


def go_to_background(report: Callable[[int], None]) -> Callable[[], None]:
    """Go on in a child, in a session of its own; call the result when it serves clients.

    Then the parent calls `report` with the child's pid, and exits. dbus-daemon's parent does
    not wait, so it cannot tell that the child failed; ours exits with 1.
    """
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        _exit_when_it_serves(read, child, report)
    os.close(read)
    os.setsid()
    os.chdir("/")

    def serving() -> None:
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in range(LAST_STANDARD + 1):
            os.dup2(nothing, fd)
        os.close(nothing)
        os.write(write, b"1")
        os.close(write)

    return serving


def _exit_when_it_serves(read: int, child: int, report: Callable[[int], None]) -> None:
    try:
        if not os.read(read, 1):
            os._exit(1)  # the child has said why
        report(child)
    except BaseException:
        os.kill(child, signal.SIGTERM)
        raise
    os._exit(0)
