"""The bus as one process among others: its descriptors, its file, its way to the background.

It knows nothing of sockets, messages or the event loop.
"""

import os
import resource
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Final

from bridge.transport.launch import StartError

LAST_STANDARD: Final = 2  # stdin, stdout, stderr
ENOUGH_FDS: Final = 65536  # as many as dbus-daemon gives itself, if it may
HELD: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
BACKGROUND_UMASK: Final = 0o022  # as dbus-daemon's

# Soft and hard, as whoever started us had them when this was imported: services that we start get
# them back, since select(2) takes no descriptor above 1023.
INHERITED_FD_LIMIT: Final = resource.getrlimit(resource.RLIMIT_NOFILE)


@cache
def program_version() -> str:
    """The version of this program. What it takes to know is slow to import."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("bus1")
    except PackageNotFoundError:
        return "not-installed"


def open_standard_fds() -> None:
    """Have something at 0, 1 and 2, so that no socket gets their numbers and is written to."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > LAST_STANDARD:
            os.close(fd)
            return
        os.set_inheritable(fd, True)


def hold_signals() -> None:
    """Let signals wait until the server watches for them: the exception that one raises may be
    lost, in the middle of an import for example."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)


def release_signals() -> None:
    """Take those that have come, and those that will."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


def raise_fd_limit() -> None:
    """As many descriptors as we may have: every client needs one. Root may have more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (max(hard, ENOUGH_FDS), hard):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return


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


def check_no_pid_file(path: str) -> None:
    """Whose pid would be there? Asked before a socket is taken away from it. Raises StartError."""
    if os.path.exists(path):
        raise StartError(
            f'The pid file "{path}" exists, if the message bus is not running, remove this file'
        )


def write_pid_file(path: str, pid: int) -> None:
    """Say in a file who is the bus. Raises StartError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StartError(f'Failed to open "{path}": {error.strerror}') from None
    except ValueError as error:  # no such name in this system's encoding
        raise StartError(f'Failed to open "{path}": {error}') from None
    with open(fd, "wb") as file:
        file.write(b"%d\n" % pid)


def remove_pid_file(path: str) -> None:
    """The bus ends: its file goes, if it is still ours and we may."""
    with suppress(OSError, ValueError):
        with open(path, "rb") as file:
            ours = int(file.read()) == os.getpid()
        if ours:
            os.unlink(path)


def go_to_background(report: Callable[[int], None], keep_umask: bool = False) -> Callable[[], None]:
    """Go on in a child, in a session of its own; call the result when it serves clients.

    Then the parent calls `report` with the child's pid, and exits. dbus-daemon's parent does
    not wait, so it cannot tell that the child failed; ours exits with 1.
    """
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        release_signals()
        _exit_when_it_serves(read, child, report)
    os.close(read)
    os.setsid()
    os.chdir("/")
    if not keep_umask:
        os.umask(BACKGROUND_UMASK)

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
