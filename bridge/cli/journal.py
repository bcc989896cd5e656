"""systemd's journal as the system's log: a record with fields that programs can ask for.

The native protocol is one datagram a record (systemd, "Native Journal Protocol"); what
systemd.journal-fields(7) says of names holds.
"""

import logging
import os
from collections.abc import Mapping
from typing import final

from bridge.cli import log
from bridge.cli.log import DAEMON, NAME, NOTICE, PRIORITY, Datagrams, shortened


@final
class Journal(Datagrams):
    """What the journal has no room for is lost, and counted."""

    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, "journal", {})
        if not (self.say_lost() and self.record(self.format(record), record.levelno, fields)):
            self.lost += 1

    def put(self, line: bytes, level: int) -> bool:
        return self.record(line.decode(errors="replace"), level, {})

    def record(self, text: str, level: int, fields: Mapping[str, object]) -> bool:
        """One record; was it taken?"""
        said = {
            "MESSAGE": text,
            "PRIORITY": PRIORITY.get(level, NOTICE),
            "SYSLOG_FACILITY": DAEMON >> 3,
            "SYSLOG_IDENTIFIER": NAME,
            "SYSLOG_PID": os.getpid(),
            **fields,
        }
        return self.send(b"".join(map(field, said.items())), log.JOURNAL)


def field(item: tuple[str, object]) -> bytes:
    """A name and a value, which may have line ends: then its length stands before it. None is
    too long: clients choose some of what stands there."""
    name, value = item
    data = shortened(str(value).encode(errors="backslashreplace"))
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
