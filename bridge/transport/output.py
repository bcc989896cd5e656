"""Where goes what services print: to the journal under their names, or where the bus's own goes.

It knows nothing of processes. The stream that the journal takes begins with a few lines about
what follows (systemd, "sd_journal_stream_fd(3)"); then each line is one record.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

STREAMS: Final = "/run/systemd/journal/stdout"
STANDARD: Final = (1, 2)  # stdout, stderr
PRIORITIES: Final = (6, 4)  # "info" and "warning", as dbus-daemon says of them
ENOUGH: Final = 8 << 20  # bytes that may wait there: the journal is asked for as much by systemd


@contextmanager
def output(journal: str | None, name: str) -> Iterator[tuple[int, int]]:
    """Two descriptors for what `name` prints to stdout and stderr. They are closed at the end.

    Without a journal that takes them, they are the bus's own.
    """
    streams = [stream(journal, name, priority) for priority in PRIORITIES] if journal else []
    out, errors = (
        own if found is None else found.fileno()
        for found, own in zip(streams or (None, None), STANDARD, strict=True)
    )
    try:
        yield out, errors
    finally:
        for found in streams:
            if found is not None:
                found.close()


def stream(journal: str, name: str, priority: int) -> socket.socket | None:
    """One that the journal reads from, unless it is not there, or too busy to take another."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        found.connect(journal)
        found.shutdown(socket.SHUT_RD)
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ENOUGH)
        # Identifier, unit (the journal knows), priority, are there levels in the lines, and
        # whether it is to pass them on to syslog, kmsg and the console.
        identifier = name.partition("\n")[0]
        found.sendall(f"{identifier}\n\n{priority}\n0\n0\n0\n0\n".encode(errors="replace"))
        found.setblocking(True)  # for the service
    except OSError:
        found.close()
        return None
    return found
