"""Where the bus's log goes: stderr, the system's log, or both; in dbus-daemon's form."""

import logging
import os
import syslog
from typing import Final, final

from bridge.cli.options import LogTo

NAME: Final = "bus1-daemon"
PRIORITY: Final = {
    logging.DEBUG: syslog.LOG_DEBUG,
    logging.INFO: syslog.LOG_INFO,
    logging.WARNING: syslog.LOG_WARNING,
    logging.ERROR: syslog.LOG_ERR,
    logging.CRITICAL: syslog.LOG_CRIT,
}


def configure(target: LogTo, bus_type: str) -> None:
    """Send what is logged from now on to the target."""
    which = f"[{bus_type} uid={os.geteuid()} pid=%(process)d] %(message)s"
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    if target is not LogTo.SYSLOG:
        stderr = logging.StreamHandler()
        stderr.setFormatter(logging.Formatter(f"{NAME}[%(process)d]: {which}"))
        root.addHandler(stderr)
    if target is not LogTo.STDERR:
        system = SystemLog()
        system.setFormatter(logging.Formatter(which))
        root.addHandler(system)


@final
class SystemLog(logging.Handler):
    """Writes to syslog(3), which adds name and pid, and stays silent where nobody listens."""

    def __init__(self) -> None:
        super().__init__()
        syslog.openlog(NAME, syslog.LOG_PID, syslog.LOG_DAEMON)

    def emit(self, record: logging.LogRecord) -> None:
        priority = PRIORITY.get(record.levelno, syslog.LOG_NOTICE)
        for line in self.format(record).splitlines():
            syslog.syslog(priority, line)
