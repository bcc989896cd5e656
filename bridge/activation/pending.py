"""A service that is being started, and what waits for it, in order. Knows no policy."""

from collections.abc import Callable
from enum import Enum
from typing import Protocol, final

from bridge.activation.service import Service
from bridge.routing.client import Client
from bridge.wire.frame import Frame


class Child(Protocol):
    """A process that was started."""

    pid: int

    def kill(self) -> None:
        """End it at once."""


class Timer(Protocol):
    """Something that happens later."""

    def cancel(self) -> None:
        """It does not happen."""


class Way(Enum):
    """How a service is started."""

    EXEC = "exec"
    HELPER = "helper"  # <servicehelper>, which may become another user
    SYSTEMD = "systemd"
    ITSELF = "itself"  # systemd, which the bus cannot start


@final
class Waiting:
    """One message, from a client or (None) from the bus itself. If it is a call of
    StartServiceByName, `answered` is to be called with its result."""

    __slots__ = ("answered", "frame", "sender")

    def __init__(
        self, sender: Client | None, frame: Frame, answered: Callable[[int], None] | None = None
    ) -> None:
        self.sender = sender
        self.frame = frame
        self.answered = answered


@final
class Pending:
    """One service on its way, `since` a time of the loop's clock. `status` is how its process
    ended, if it has."""

    def __init__(self, service: Service, way: Way, since: float) -> None:
        self.name = service.name
        self.service = service
        self.way = way
        self.since = since
        self.waiting: list[Waiting] = []
        self.child: Child | None = None
        self.status: int | None = None
        self.timer: Timer | None = None

    def stop(self) -> None:
        """It is over: nothing happens to it any more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def let_go(self) -> list[Waiting]:
        """What waited, and is not to be held any longer: a process can live long, and what it is
        to tell at its end leads here."""
        waiting, self.waiting = self.waiting, []
        return waiting

    def like(self, other: "Pending") -> bool:
        """Would both be started by the same words?"""
        return self.way is other.way and self.service.command == other.service.command

    def state(self) -> str:
        """What it is waiting for, for people."""
        if self.way is Way.ITSELF:
            return "waiting for systemd to connect"
        if self.way is Way.SYSTEMD:
            return f"waiting for systemd to start {self.service.unit}"
        if self.status is not None:
            return f"its process exited with status {self.status}, the name has no owner yet"
        pid = "" if self.child is None else f" {self.child.pid}"
        return f"waiting for process{pid} to own the name"

    def report(self, now: float) -> dict[str, object]:
        """All of it, as JSON has it."""
        count: dict[Client, int] = {}
        for each in self.waiting:
            if each.sender is not None:
                count[each.sender] = count.get(each.sender, 0) + 1
        return {
            "name": self.name,
            "file": self.service.file,
            "way": self.way.value,
            "unit": self.service.unit,
            "pid": None if self.child is None else self.child.pid,
            "state": self.state(),
            "seconds": round(now - self.since, 3),
            "waiting": [
                {"client": each.unique, "pid": each.credentials.pid, "messages": messages}
                for each, messages in count.items()
            ],
        }
