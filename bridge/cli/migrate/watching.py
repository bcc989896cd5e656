"""Watching a service for some seconds, and asking the bus who its clients are. Counts nothing."""

import os
import select
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, final

from bridge.cli.link import BusError, Link, NoBus, good
from bridge.cli.migrate.traffic import Traffic
from bridge.cli.monitor.choice import Choice
from bridge.cli.monitor.names import Names
from bridge.cli.monitor.pairs import Pairs
from bridge.cli.monitor.watch import LOST, become_monitor
from bridge.cli.reading import Seen
from bridge.wire.body import unpack
from bridge.wire.frame import Frame
from bridge.wire.protocol import DRIVER

MOST: Final = 1000  # clients that are asked about
LINGER, MOST_LINGER = 0.3, 2.0  # seconds without a message at the end, and in all
SCRIPTS: Final = ("python", "perl", "ruby", "node", "sh", "bash", "dash", "gjs")


@final
@dataclass(frozen=True, slots=True)
class Client:
    """Who it is, as far as the bus and /proc say. `names` are its well-known names."""

    unique: str
    names: tuple[str, ...] = ()
    uid: int | None = None
    pid: int | None = None
    program: str = ""


@final
class Watching:
    """A monitor on one link, and questions about those that it sees on another."""

    def __init__(self, link: Link, names: Names, traffic: Traffic, asking: Link) -> None:
        self.link = link
        self.names = names
        self.traffic = traffic
        self.asking = asking
        self.pairs = Pairs(keep=True)
        self.clients: dict[str, Client] = {}

    def run(self, seconds: float, interrupted: int) -> float:
        """So long, or until there is something to read from `interrupted`, or the bus ends: how
        long it was. Raises NoBus if nobody may watch."""
        become_monitor(self.link, Choice(name=self.traffic.shape.name))
        self.names.catch_up(self.link)
        if sys.stderr.isatty():
            print(f"Watching for {seconds:.0f} s; Ctrl-C ends that early.", file=sys.stderr)
        began = time.monotonic()
        try:
            self.watch(began + seconds, interrupted)
            seconds = time.monotonic() - began
            self.linger()
        except NoBus as error:  # what was seen by then is not in vain
            seconds = time.monotonic() - began
            self.traffic.shape.notes.append(f"watching ended early: {error}")
            while self.link.unread:
                with suppress(NoBus):
                    self.take_all()
        return seconds

    def watch(self, end: float, interrupted: int) -> None:
        while (left := end - time.monotonic()) > 0:
            self.take_all()
            if interrupted in self.ready([interrupted], left):
                return

    def linger(self) -> None:
        """What had happened by the end, which a bus need not have told by then."""
        end = time.monotonic() + MOST_LINGER
        while self.ready([], LINGER) and time.monotonic() < end:
            self.take_all()
        self.take_all()

    def ready(self, others: list[int], seconds: float) -> list[int]:
        """Read what has come, for so long; which of these are readable."""
        bus = self.link.socket.fileno()
        ready, _, _ = select.select([bus, *others], [], [], seconds)
        if bus in ready:
            self.link.unread.extend(self.link.receive())
        return ready

    def take_all(self) -> None:
        while self.link.unread:
            self.take(self.link.unread.popleft())

    def take(self, seen: Seen) -> None:
        frame = seen.frame
        if frame.sender() == DRIVER and frame.destination() == self.link.name:
            self.told(frame)
            return
        self.names.hear(frame)
        before = len(self.traffic.uses)
        self.traffic.take(self.pairs.pair(seen))
        if len(self.traffic.uses) > before:
            self.know(frame.sender() or "")

    def told(self, frame: Frame) -> None:
        """The bus speaks to us: it has no room for what we are too slow to read."""
        if (frame.interface(), frame.member(), frame.signature()) == LOST:
            (count,) = unpack(frame)
            assert isinstance(count, int)
            self.traffic.lost += count

    def know(self, unique: str) -> None:
        """Ask now: it may leave at any time."""
        if unique not in self.clients and len(self.clients) < MOST:
            names = tuple(self.names.of(unique))
            self.clients[unique] = Client(unique, names)  # the bus may have ended
            self.clients[unique] = who(self.asking, unique, names)


def who(link: Link, unique: str, names: tuple[str, ...] = ()) -> Client:
    """A connection. Raises NoBus."""
    answer = link.answers([("GetConnectionCredentials", "s", (unique,))])[0]
    try:
        (table,) = good(answer)
    except BusError:  # it has left
        return Client(unique, names)
    assert isinstance(table, dict)
    uid, pid = number(table.get("UnixUserID")), number(table.get("ProcessID"))
    return Client(unique, names, uid, pid, "" if pid is None else program(pid))


def number(entry: object) -> int | None:
    value = entry[1] if isinstance(entry, tuple) else None
    return value if isinstance(value, int) else None


def program(pid: int) -> str:
    """What this process runs, as far as we may know: of a script, its file, too."""
    exe = read(lambda: os.readlink(f"/proc/{pid}/exe"))
    words = read(lambda: open_text(f"/proc/{pid}/cmdline")).split("\0")
    exe = exe or words[0]
    if os.path.basename(exe).rstrip("0123456789.") not in SCRIPTS:
        return exe
    return f"{exe} {script(words[1:])}".strip()


def script(words: list[str]) -> str:
    """What an interpreter is to run: a file, or a module; "" if it is a text."""
    for place, word in enumerate(words):
        if not word.startswith("-"):
            return word
        if not word.startswith("--") and word[-1] in "mce":
            return " ".join(["-m", *words[place + 1 : place + 2]]) if word[-1] == "m" else ""
    return ""


def open_text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(4096)


def read(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except OSError:  # not ours, or gone
        return ""
