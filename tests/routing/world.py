"""A bus without sockets: the real router on the real core, with names, match index and driver.

A `Party` is a test client (tests/raw.py) whose socket is a function call. It reads its peer's
queue as a connection does, and only when it is told to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from bridge.activation.activation import Activation
from bridge.activation.environment import Environment
from bridge.activation.service import Service
from bridge.driver.driver import Driver
from bridge.routing.credentials import Credentials
from bridge.routing.hub import Hub
from bridge.routing.notices import Notices
from bridge.routing.router import Router
from bridge.wire.frame import Frame, Framer
from bus1 import DATA, ONCE_DROPPED, Bus
from bus1.quota import Limits as Quota
from policy.configuration import Configuration
from policy.limits import Limits
from tests import policies, raw
from tests.activation.bench import Bench, Shelf

GUID = "0123456789abcdef0123456789abcdef"
UID = 1000
PLENTY = 1 << 30


def quota(**kinds: int) -> Quota:
    """Plenty of everything but of these."""
    every = {"bytes": PLENTY, "messages": PLENTY, "handles": PLENTY, "fds": PLENTY}
    return Quota(**(every | kinds))


class Party(raw.Client):
    """A client of the world. `take` and `seen` give what it can read now, without a barrier."""

    def __init__(self, world: World, credentials: Credentials, fds: bool, hello: bool) -> None:
        self.world = world
        self.client = world.hub.admit(credentials, fds)
        self.framer = Framer(1 << 20, 16)
        self.kept: list[Frame] = []
        self.stamps: list[int] = []
        self.serial = 0
        self.unread = []
        self.fds = []
        self.name = ""
        world.parties.append(self)
        if hello:
            self.hello()

    def hello(self) -> None:
        self.name = self.ask("Hello").args[0]
        self.take()

    def write(self, data: bytes, fds: Sequence[int] = ()) -> None:
        self.framer.fds.extend(os.dup(fd) for fd in fds)
        self.framer.feed(data)
        while (frame := self.framer.take()) is not None:
            self.world.router.route(self.client, frame)
            if self.client.active():
                self.framer.stamp(self.client.unique)
        self.framer.settle()

    def read(self) -> raw.Message:
        while (delivery := self.client.peer.receive()) is not None:
            late = self.world.notices.is_late(self.client, delivery)
            if delivery.kind == ONCE_DROPPED and not late:
                frame: Any = self.world.notices.no_reply(self.client, delivery)
            elif delivery.kind != DATA:
                self.world.notices.forget(self.client, delivery)
                continue
            else:
                frame = delivery.payload
            self.kept.append(frame)  # as long as it lives, so do its descriptors
            self.stamps.append(delivery.stamp)
            message = raw.parse(frame.raw())
            message.fds = list(frame.fds.numbers) if frame.fds else []
            return message
        raise raw.Closed("nothing to read")

    def take(self) -> list[raw.Message]:
        messages, self.unread = self.unread, []
        with suppress(raw.Closed):
            while True:
                messages.append(self.read())
        return messages

    def asked(self, member: str, *args: Any, **options: Any) -> str:
        """A call and its answer in short, an error with its text."""
        answer = self.ask(member, *args, **options)
        return f"{answer} {answer.args[0]}" if answer.kind == raw.ERROR else str(answer)

    def close(self) -> None:
        self.world.parties.remove(self)
        self.framer.close()
        self.world.hub.leave(self.client)
        while self.world.put_off:
            self.world.put_off.pop(0)()
        self.kept.clear()


class World:
    """One bus. `bus_uid` is who runs it; clients are of UID unless told otherwise."""

    def __init__(
        self,
        limits: Limits | None = None,
        user: Quota | None = None,
        peer: Quota | None = None,
        bus_uid: int = UID,
        configuration: Configuration | None = None,
        services: Sequence[Service] = (),
        by_systemd: bool = False,
    ) -> None:
        configuration = configuration or policies.rules(limits=limits)
        self.core = Bus(limits=user or quota(), peer_limits=peer or quota())
        self.own = Credentials(bus_uid, os.getpid())
        policy = policies.policy(configuration)
        self.hub = Hub(self.core, configuration, policy, self.own, GUID)
        self.hub.driver = Driver(self.hub)
        self.router = Router(self.hub)
        self.bench = Bench()
        self.shelf = Shelf({each.name: each for each in services})
        self.activation: Any = Activation(
            self.hub,
            self.router.resume,
            self.bench,
            self.shelf,  # type: ignore[arg-type]
            Environment({"OWN": "1"}, "unix:path=/bus"),
            by_systemd,
        )
        self.hub.activation = self.activation
        self.put_off: list[Callable[[], None]] = []
        self.hub.later = self.put_off.append
        self.notices = Notices(self.hub)
        self.parties: list[Party] = []

    def connect(
        self,
        *,
        uid: int | None = UID,
        pid: int | None = None,
        fds: bool = True,
        hello: bool = True,
        groups: tuple[int, ...] = (),
    ) -> Party:
        return Party(self, Credentials(uid, pid, groups), fds, hello)

    def end(self) -> None:
        """Everybody leaves, and nothing is left."""
        for party in list(self.parties):
            party.close()
        hub = self.hub
        left = (hub.peer.handles, hub.peer.nodes, hub.users, hub.active)
        assert left == ({}, {}, {}, 0)
        assert hub.names.clients == {}
        assert hub.names.table == {}
        assert hub.matches.count == 0
        assert (self.activation.room.clients, self.activation.room.users) == ({}, {})
        (user,) = self.core.users.values()
        assert user is hub.peer.user
        assert (user.bytes, user.messages, user.handles, user.fds) == (0, 0, 0, 0)
