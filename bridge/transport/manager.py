"""The service manager, if there is one that wants to know: told what the bus does, and that it
lives. sd_notify(3) says what the words mean; nothing here knows why they are said.

One socket serves for all of them: a bus that has no descriptor left still shows that it lives,
and is not killed because others hold all it could open.
"""

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Final, final

from policy.text import printable

PATIENCE: Final = 1.0  # seconds that a manager who does not read holds up the bus: it needs READY
LONGEST: Final = 500  # characters of a status, which is for people to read
SERVING: Final = "Serving clients"


@final
class Manager:
    """Who started the bus. `interval` is how often it wants a sign of life, in seconds."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self.interval = take_interval(environment)
        self.address = address(environment.get("NOTIFY_SOCKET", ""))
        self.socket: socket.socket | None = None
        if self.address is not None:
            with suppress(OSError):
                self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def ready(self, status: str = SERVING) -> None:
        """Clients are served; a reload, if one was under way, is over."""
        self.tell("READY=1", status)

    def reloading(self) -> None:
        """The configuration is being read: by the manager's own clock since now."""
        now = time.monotonic_ns() // 1000
        self.tell(f"RELOADING=1\nMONOTONIC_USEC={now}", "Reading the configuration")

    def stopping(self) -> None:
        """The bus is about to end: nothing has been closed yet."""
        self.tell("STOPPING=1", "Ending")

    def live(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        """Say that the event loop turns, from now on twice in the time in which it must be said;
        `later` is that loop's own, so a loop that hangs is silent."""
        if self.interval is not None:
            self.say("WATCHDOG=1", 0)
            later(self.interval / 2, lambda: self.live(later))

    def tell(self, state: str, status: str) -> None:
        """A new state, and in one line what people are to read of it."""
        self.say(f"{state}\nSTATUS={printable(status[:LONGEST])}", PATIENCE)

    def say(self, text: str, patience: float) -> None:
        """One datagram; lost if the manager has no room for it in time, or is gone."""
        if self.socket is not None and self.address is not None:
            with suppress(OSError):
                self.socket.settimeout(patience)
                self.socket.sendto(text.encode(errors="replace"), self.address)

    def close(self) -> None:
        """There is nothing more to say."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def address(name: str) -> bytes | None:
    """A path, or with @ a name in the abstract namespace; no other kind is of this machine."""
    if not name.startswith(("/", "@")):
        return None
    where = os.fsencode(name)
    return b"\0" + where[1:] if name[0] == "@" else where


def take_interval(environment: MutableMapping[str, str]) -> float | None:
    """The time after which the manager takes a silent bus for dead; sd_watchdog_enabled(3). Our
    children must not take it for theirs: the variables go."""
    microseconds = environment.pop("WATCHDOG_USEC", "")
    pid = environment.pop("WATCHDOG_PID", "")
    if pid not in ("", str(os.getpid())):
        return None
    if not (microseconds.isascii() and microseconds.isdecimal()) or len(microseconds) > 18:
        return None
    return int(microseconds) / 1e6 or None
