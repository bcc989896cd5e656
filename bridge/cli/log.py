"""Where the bus's log goes: stderr, the system's log, or both; in dbus-daemon's form.

Nobody who reads a log can stop the bus by not reading: a line that has no room now is lost.
"""

import logging
import os
import select
import socket
import time
from abc import abstractmethod
from contextlib import suppress
from typing import Final, final

from bridge.cli.options import LogTo
from bridge.routing.entry import LIFECYCLE

NAME: Final = "bus1-daemon"
STDERR: Final = 2
SYSTEM_LOG = "/dev/log"
JOURNAL = "/run/systemd/journal/socket"  # where it is, it is the system's log
LONGEST: Final = select.PIPE_BUF - 1  # bytes; what is longer may be taken by nobody
CUT: Final = b" [...] "
DAEMON: Final = 3 << 3  # the facility; syslog(3)
NOTICE: Final = 5
# Before each line, by the type of the bus: there can be many session buses, and one system bus.
PREFIXES: Final = {"session": "[session uid={uid} pid=%(process)d] ", "system": "[system] "}
PRIORITY: Final = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


def configure(target: LogTo, bus_type: str) -> None:
    """Send what is logged from now on to the target."""
    which = PREFIXES.get(bus_type, "").format(uid=os.geteuid()) + "%(message)s"
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    if target is not LogTo.SYSLOG:
        own_terminal()
        stderr = StandardError()
        stderr.setFormatter(logging.Formatter(f"{NAME}[%(process)d]: {which}"))
        stderr.addFilter(lambda record: record.name != LIFECYCLE)
        root.addHandler(stderr)
    if target is not LogTo.STDERR:
        system = system_log()
        system.setFormatter(logging.Formatter(which))
        root.addHandler(system)


def system_log() -> "Lines":
    """The journal, or else whoever listens for syslog(3)."""
    if not os.path.exists(JOURNAL):
        return SystemLog()
    from bridge.cli.journal import Journal

    return Journal()


def own_terminal() -> None:
    """If stderr is a terminal, open it anew, not to block: poll(2) calls it writable when it
    has room for one byte. Opened anew, the setting is not that of others who have it open."""
    if os.isatty(STDERR):
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            terminal = os.open(f"/proc/self/fd/{STDERR}", flags)
            os.dup2(terminal, STDERR)
            os.close(terminal)


def shortened(line: bytes) -> bytes:
    """A line without its middle if it is too long: who is denied something may choose what
    stands there, a path of a megabyte for example; why it is denied stands at the end."""
    if len(line) <= LONGEST:
        return line
    half = (LONGEST - len(CUT)) // 2
    return line[:half] + CUT + line[-half:]


class Lines(logging.Handler):
    """Takes a record line by line. Lines that are not taken are counted, and the count is said
    before the next one that is."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).encode(errors="backslashreplace").split(b"\n"):
            if not (self.say_lost() and self.put(line, record.levelno)):
                self.lost += 1

    def say_lost(self) -> bool:
        """Say how many lines were lost; true when that is said, or there is nothing to say."""
        if self.lost:
            text = f"{self.lost} lines lost: nobody read this log"
            note = logging.makeLogRecord({"msg": text, "levelno": logging.WARNING})
            if not self.put(self.format(note).encode(), note.levelno):
                return False
            self.lost = 0
        return True

    def flush(self) -> None:
        """Called at the end: the last chance to say it."""
        self.say_lost()

    @abstractmethod
    def put(self, line: bytes, level: int) -> bool:
        """Write a line if that is possible without waiting; was it?"""


@final
class StandardError(Lines):
    """Writes where poll(2) says there is room: in a pipe that is for PIPE_BUF bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.poll = select.poll()
        self.poll.register(STDERR, select.POLLOUT)

    def put(self, line: bytes, level: int) -> bool:
        data = shortened(line) + b"\n"
        try:
            return bool(self.poll.poll(0)) and os.write(STDERR, data) == len(data)
        except OSError:
            return False


class Datagrams(Lines):
    """Sends each entry to a socket of the system; never waits, and is silent where nobody
    listens."""

    def __init__(self) -> None:
        super().__init__()
        self.socket: socket.socket | None = None

    def send(self, data: bytes, where: str) -> bool:
        """One datagram; was it taken?"""
        try:
            if self.socket is None:  # not before: systemd's sockets have certain numbers
                self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self.socket.setblocking(False)
            self.socket.sendto(data, where)
        except OSError:
            return False
        return True


@final
class SystemLog(Datagrams):
    """Writes what syslog(3) would, which waits when the system's log is full."""

    def put(self, line: bytes, level: int) -> bool:
        priority = DAEMON | PRIORITY.get(level, NOTICE)
        now = time.strftime("%b %e %H:%M:%S")
        head = f"<{priority}>{now} {NAME}[{os.getpid()}]: ".encode()
        return self.send(head + shortened(line), SYSTEM_LOG)
