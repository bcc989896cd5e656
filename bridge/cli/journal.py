"""systemd's journal as the system's log: a record with fields that programs can ask for.

The native protocol is one datagram a record (systemd, "Native Journal Protocol"); what
systemd.journal-fields(7) says of names holds.
"""

import logging
import os
import socket
from collections.abc import Mapping
from typing import final

from bridge.cli import log
from bridge.cli.log import DAEMON, NAME, NOTICE, PRIORITY, Lines, shortened


@final
class Journal(Lines):
    """Never waits: what the journal has no room for is lost, and counted."""

    def __init__(self) -> None:
        super().__init__()
        self.socket: socket.socket | None = None

    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, "journal", {})
        if not (self.say_lost() and self.send(self.format(record), record.levelno, fields)):
            self.lost += 1

    def put(self, line: bytes, level: int) -> bool:
        return self.send(line.decode(errors="replace"), level, {})

    def send(self, text: str, level: int, fields: Mapping[str, object]) -> bool:
        """One record; was it taken?"""
        said = {
            "MESSAGE": shortened(text.encode(errors="backslashreplace")).decode(errors="replace"),
            "PRIORITY": PRIORITY.get(level, NOTICE),
            "SYSLOG_FACILITY": DAEMON >> 3,
            "SYSLOG_IDENTIFIER": NAME,
            "SYSLOG_PID": os.getpid(),
            **fields,
        }
        try:
            if self.socket is None:  # not before: systemd's sockets have certain numbers
                self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self.socket.setblocking(False)
            self.socket.sendto(b"".join(map(field, said.items())), log.JOURNAL)
        except OSError:
            return False
        return True


def field(item: tuple[str, object]) -> bytes:
    """A name and a value, which may have line ends: then its length stands before it."""
    name, value = item
    data = str(value).encode(errors="backslashreplace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
