"""A bus without sockets, as tests/routing has it, with a gateway and native peers.

A `Guest` is a D-Bus client whose messages are followed by what the server does after each turn: all
that others have to pass on, they pass on. A `Native` is a peer of the core, as a session has one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.gateway.face import Face
from bridge.gateway.gateway import Gateway
from bridge.routing.credentials import Credentials
from bus1 import DATA, Handle, Message, Node
from bus1.fds.descriptors import Descriptors
from bus1.native.parcel import of_bytes
from tests import raw
from tests.raw import CALL, DRIVER, DRIVER_PATH, ERROR, RETURN, SIGNAL, build, call_fields
from tests.routing.world import UID, Party, World

NATIVE1 = "org.bus1.Native1"


@dataclass
class Arrived:
    """What a native peer has received, a D-Bus message or a notice (then `dbus` is None)."""

    message: Message
    dbus: raw.Message | None
    handles: list[Handle | None]
    numbers: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        if self.dbus is None:
            return ("", "gone", "no handles left", "dropped")[self.message.kind]
        return str(self.dbus)

    def said(self) -> str:
        """A D-Bus message in short, an error with its text."""
        assert self.dbus is not None
        return f"{self} {self.dbus.args[0]}" if self.dbus.kind == ERROR else str(self)


class Guest(Party):
    """A D-Bus client of the house."""

    world: House

    def write(self, data: bytes, fds: Sequence[int] = ()) -> None:
        super().write(data, fds)
        self.world.pump()

    def close(self) -> None:
        super().close()
        self.world.pump()


class Native:
    """A native peer, with a node for answers, and one to which D-Bus sends when it has attached
    it."""

    def __init__(
        self,
        house: House,
        uid: int,
        pid: int | None,
        seeded: bool = True,
        maker: Native | None = None,
        gifts: Sequence[Handle] = (),
    ) -> None:
        self.house = house
        self.peer = house.core.connect(uid)
        self.credentials = Credentials(uid, pid, ())
        house.gateway.admit(self.peer, self.credentials, seeded)
        if maker is not None:
            self.peer.set_seed(None, 0, None, 0, list(gifts), maker.peer)
            house.gateway.bounds.equip(self.peer, maker.peer)
        house.natives.append(self)
        seed = self.peer.seed()
        self.bridge: Any = seed.handles[0] if seed is not None and seed.handles else None
        self.answers = self.peer.create("answers")
        self.node = self.peer.create("node")
        self.cookie = 0
        self.unread: list[Arrived] = []
        self.name = ""

    # sending

    def send(
        self,
        data: bytes,
        handles: Sequence[Handle] = (),
        fds: Sequence[int] = (),
        on: Handle | None = None,
    ) -> None:
        """To the bridge, or on another handle; then what a session does."""
        parcel, memfd = of_bytes(data, self.credentials.uid or 0, self.credentials.pid or 0)
        numbers = ([memfd.numbers[0]] if memfd else []) + [os.dup(each) for each in fds]
        if memfd:
            memfd.numbers.clear()
        carried = Descriptors(numbers) if numbers else None
        to = self.bridge if on is None else on
        self.peer.send(to, parcel, len(data), carried, len(numbers), list(handles))
        self.house.gateway.settle()
        self.house.pump()

    def once(self) -> Handle:
        """A handle to answer on; its cookie is `self.cookie`."""
        self.cookie += 1
        return self.peer.once(self.answers, None, self.cookie)

    def call(
        self,
        member: str,
        signature: str = "",
        *args: Any,
        to: str | None = DRIVER,
        path: str = DRIVER_PATH,
        interface: str | None = DRIVER,
        handles: Sequence[Handle] = (),
        fds: Sequence[int] = (),
        on: Handle | None = None,
        flags: int = 0,
        order: str = "<",
    ) -> int:
        """A method call; the cookie of its answer."""
        fields = call_fields(to, path, interface, member)
        if fds:
            fields.append((raw.UNIX_FDS, len(fds)))
        data = build(CALL, 1, fields, signature, args, flags=flags, order=order)
        first = [] if flags & 1 else [self.once()]
        self.send(data, [*first, *handles], fds, on)
        return self.cookie

    def signal(self, member: str, signature: str = "", *args: Any, to: str | None = None) -> None:
        fields = call_fields(to, "/t", "t.T", member)
        self.send(build(SIGNAL, 1, fields, signature, args))

    def reply(
        self,
        call: Arrived,
        signature: str = "",
        *args: Any,
        kind: int = RETURN,
        extra: Sequence[tuple[int, Any]] = (),
        fds: Sequence[int] = (),
    ) -> None:
        """Answer a call on the handle that came with it."""
        fields = [(raw.REPLY_SERIAL, 99), *extra]
        if kind == ERROR:
            fields.append((raw.ERROR_NAME, "com.example.Wrong"))
        if fds:
            fields.append((raw.UNIX_FDS, len(fds)))
        self.send(build(kind, 1, fields, signature, args), (), fds, call.handles[0])

    # receiving

    def read(self) -> None:
        while (message := self.peer.receive()) is not None:
            self.unread.append(arrived(message))

    def take(self) -> list[Arrived]:
        """All that has come and nobody has looked at."""
        self.read()
        all_of_it, self.unread = self.unread, []
        return all_of_it

    def seen(self) -> list[str]:
        return [str(each) for each in self.take()]

    def answer(self, cookie: int) -> Arrived:
        """The one answer to a call."""
        self.read()
        found = [each for each in self.unread if each.message.cookie == cookie]
        (one,) = found
        self.unread.remove(one)
        return one

    def ask(self, member: str, signature: str = "", *args: Any, **options: Any) -> Arrived:
        return self.answer(self.call(member, signature, *args, **options))

    def asked(self, member: str, signature: str = "", *args: Any, **options: Any) -> str:
        """A call and its answer in short, an error with its text."""
        return self.ask(member, signature, *args, **options).said()

    # what it does at the start

    def attach(self, node: Node | None = None) -> str:
        """From now on it gets what D-Bus has for it; its name."""
        handle = self.peer.handle(node or self.node)
        answer = self.ask("Attach", interface=NATIVE1, handles=[handle])
        self.peer.release([handle])
        assert answer.dbus is not None
        self.name = str(answer.dbus.args[0])
        return self.name

    def own(self, name: str, flags: int = 0) -> str:
        return self.asked("RequestName", "su", name, flags)

    def right(self, *what: str) -> Any:
        """A Right to this name, path, interface and member, or the error in short."""
        answer = self.ask("Right", "ssss", *what, *[""] * (4 - len(what)), interface=NATIVE1)
        return answer.handles[0] if answer.handles else answer.dbus

    def give(self, handle: Handle, other: Native) -> Handle:
        """A handle for another native peer."""
        return self.peer.transfer(handle, other.peer)

    def close(self) -> None:
        self.house.natives.remove(self)
        self.unread.clear()
        self.house.gateway.leave(self.peer)
        self.peer.close()
        self.house.gateway.settle()
        self.house.pump()


class House(World):
    """The world with a gateway."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.gateway = Gateway(self.hub, self.router, self.notices)
        self.natives: list[Native] = []

    def pump(self) -> None:
        """The end of a turn: faces and the gateway pass on what they have; the queues of others
        are their own."""
        while self.core.ready:
            for queue in self.core.take_ready():
                if isinstance(queue.reader, Face | Gateway):
                    queue.reader.flush()

    def connect(
        self,
        *,
        uid: int | None = UID,
        pid: int | None = None,
        fds: bool = True,
        hello: bool = True,
        groups: tuple[int, ...] = (),
    ) -> Guest:
        return Guest(self, Credentials(uid, pid, groups), fds, hello)

    def native(
        self,
        uid: int = UID,
        pid: int | None = 77,
        seeded: bool = True,
        maker: Native | None = None,
        gifts: Sequence[Handle] = (),
    ) -> Native:
        return Native(self, uid, pid, seeded, maker, gifts)

    def end(self) -> None:
        """Everybody leaves, and nothing is left but the gateway's own."""
        for native in list(self.natives):
            native.close()
        for party in list(self.parties):
            party.close()
        gateway = self.gateway
        assert (gateway.faces, gateway.natives, gateway.ends) == ({}, {}, {})
        assert gateway.debts.table == gateway.bounds.table == {}
        assert not gateway.rights.counts
        assert list(gateway.peer.handles.values()) == [gateway.entrance]
        assert set(gateway.peer.nodes.values()) == {gateway.bridge, gateway.desk}
        assert gateway.bridge.count == 1
        driver: Any = self.hub.driver
        assert driver.special == {}
        gateway.peer.close()
        super().end()


def arrived(message: Message) -> Arrived:
    """A message of the core, with its payload as D-Bus."""
    if message.kind != DATA:
        return Arrived(message, None, [])
    parcel: Any = message.payload
    fds: Any = message.fds
    numbers = list(fds.numbers) if fds is not None else []
    assert message.fd_count == len(numbers)
    data = parcel.data
    if parcel.memfd:
        data = os.pread(numbers.pop(0), parcel.size, 0)
    assert len(data) == message.size == parcel.size
    dbus = raw.parse(data)
    dbus.fds = numbers
    return Arrived(message, dbus, list(message.handles or ()), numbers)
