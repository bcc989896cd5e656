"""The driver without a bus: a router that only records, and clients that speak to it in bytes.

A `Caller` is a test client (tests/raw.py) whose socket is a function call, so that one test
can be put to our driver and to a whole dbus-daemon.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bridge.activation.activation import Activation
from bridge.activation.environment import Environment
from bridge.activation.service import Services
from bridge.driver.driver import Driver
from bridge.routing.above import Native
from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.errors import Refused
from bridge.routing.gate import Gate
from bridge.routing.grants import Grants
from bridge.routing.match import Index
from bridge.routing.monitors import Monitors
from bridge.routing.names import Names
from bridge.routing.tally import Tally
from bridge.wire.build import build
from bridge.wire.frame import Frame, Framer
from bus1.bus import Bus
from policy.limits import Limits
from tests import policies, raw
from tests.activation.bench import Bench

GUID = "0123456789abcdef0123456789abcdef"
UID = os.geteuid()
OWN = Credentials(UID, os.getpid())
PEER = Credentials(UID, os.getpid(), groups=tuple(sorted({os.getegid(), *os.getgroups()})))


def text(message: raw.Message) -> str:
    """An answer as people read it: the body of a return, the name and text of an error."""
    return f"{message} {message.args[0]}" if message.kind == raw.ERROR else str(message)


class Caller(raw.Client):
    """A client of the desk: what it writes is called, what it is told it reads."""

    def __init__(self, desk: Desk, credentials: Credentials, fds: bool, hello: bool) -> None:
        desk.callers.append(self)
        self.desk = desk
        self.client = Client(desk.core.connect(UID), desk.peer, credentials, fds, desk.limits)
        self.framer = Framer(1 << 20, 16)
        self.inbox: list[Frame] = []
        self.kept: list[Frame] = []
        self.serial = 0
        self.unread = []
        self.fds = []
        self.name = ""
        if hello:
            self.name = self.ask("Hello").args[0]
            self.seen()

    def write(self, data: bytes, fds: Sequence[int] = ()) -> None:
        assert not fds
        self.framer.feed(data)
        while (frame := self.framer.take()) is not None:
            self.desk.take(self, frame)

    def read(self) -> raw.Message:
        if not self.inbox:
            raise raw.Closed("nothing to read")
        self.kept.append(self.inbox.pop(0))  # as long as it lives, so do its descriptors
        message = raw.parse(self.kept[-1].raw())
        message.fds = list(self.kept[-1].fds.numbers) if self.kept[-1].fds else []
        return message

    def close(self) -> None:
        """As the router does when a socket closes."""
        self.desk.leave(self)


@dataclass
class Desk:
    """The driver's router. `told` is all that was sent, in order; to everybody is to ""."""

    limits: Limits = field(default_factory=Limits)
    credentials: Credentials = OWN
    guid: str = GUID

    def __post_init__(self) -> None:
        self.core = self.bus = Bus()
        self.configuration = policies.rules(limits=self.limits)
        self.gate = Gate(policies.policy(self.configuration))
        self.reloader = self
        self.peer = self.core.connect(UID)
        self.names = Names()
        self.matches = Index()
        self.monitors = Monitors()
        self.gate.grants = self.grants = Grants(self)  # type: ignore[arg-type]
        self.tally = Tally()
        self.process = self
        self.callers: list[Caller] = []
        self.told: list[tuple[str, str]] = []
        self.active = self.native = self.work = 0
        self.last = 0
        self.activation = Activation(
            self,  # type: ignore[arg-type]
            self.resume,
            Bench(),
            Services(),
            Environment({}, ""),
        )
        self.driver = Driver(self)

    def connect(
        self, *, fds: bool = True, hello: bool = True, credentials: Credentials = PEER
    ) -> Caller:
        return Caller(self, credentials, fds, hello)

    def take(self, caller: Caller, frame: Frame) -> None:
        """As the router does with a message for the bus, or for nobody."""
        try:
            if frame.destination() is None:
                self.driver.local(caller.client, frame)
            else:
                self.driver.call(caller.client, frame)
        except Refused as refused:
            self.refuse(caller.client, frame, refused)

    def leave(self, caller: Caller) -> None:
        self.callers.remove(caller)
        if caller.client.active():
            for _ in self.driver.leaving(caller.client):
                pass
            self.names.leave(caller.client)
            self.active -= 1

    def hang_up(self) -> None:
        """Nothing is open."""

    # what the driver asks of a router

    def join(self, client: Client) -> None:
        self.names.join(client)
        self.gate.admit(client)
        self.active += 1

    def resume(self, sender: Client, receiver: Client, frame: Frame) -> None:
        """Nothing waits here."""

    def request(self, done: Callable[[str | None], None], asker: object) -> None:
        """Reads the configuration anew at once: it has none."""
        done(None)

    def refuse(self, client: Client, frame: Frame, refused: Refused) -> None:
        self.tell(client, self.error(client, frame, refused))

    def error(self, client: Client, frame: Frame, refused: Refused) -> Frame:
        return build(
            raw.ERROR,
            serial=self.serial(),
            reply_serial=frame.serial,
            error_name=refused.name,
            destination=client.unique or None,
            signature="s",
            body=(refused.text,),
        )

    def incomplete(self) -> int:
        """Nobody is on the way."""
        return 0

    def natives(self) -> list[Native]:
        """Nobody speaks natively."""
        return []

    def waiting(self, client: Client) -> tuple[int, int, int, int]:
        """Nothing comes in parts."""
        return 0, 0, 0, 0

    def report(self) -> dict[str, object]:
        """No process."""
        return {}

    def allot(self, client: Client) -> None:
        """All have the desk's limits."""

    def clients_of(self, uid: int | None) -> int:
        return sum(c.client.active() and c.client.credentials.uid == uid for c in self.callers)

    def serial(self) -> int:
        self.last += 1
        return self.last

    def hand(self, client: Client, frame: Frame) -> None:
        self.tell(client, frame)

    def tell(self, client: Client, frame: Frame, payer: Client | None = None) -> None:
        self.told.append((client.unique, str(raw.parse(frame.raw()))))
        for caller in self.callers:
            if caller.client is client:
                caller.inbox.append(frame)

    def announce(self, frame: Frame) -> None:
        self.told.append(("", str(raw.parse(frame.raw()))))
        for client in self.matches.broadcast(frame, None):
            for caller in self.callers:
                if caller.client is client:
                    caller.inbox.append(frame)
