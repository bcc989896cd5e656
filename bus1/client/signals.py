"""Signals of a native service: one message to all who listen, under one stamp. It knows no D-Bus.

    class Clock(Signalling):
        def __init__(self) -> None:
            self.rang = Signal[str]("rang")

    await clock.rang("tea is ready")                       # in the service

    async with await peer.create() as ear:                 # whoever listens
        await call(handle, "subscribe", "rang", ear)
        async for message in ear:
            name, args = heard(message)

Who destroys the node hears no more.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVarTuple, cast

from bus1.client import calls
from bus1.client.aio import Peer
from bus1.client.calls import InvalidArgs, Letter, Unreadable
from bus1.client.methods import method
from bus1.client.objects import DATA, Handle, Message
from bus1.client.requests import Refused
from bus1.client.service import Service
from bus1.errors import Duplicate, Gone, Unknown
from bus1.native.words import COPIES_MOST, DESTINATIONS_MOST

Ts = TypeVarTuple("Ts")


class Signal(Generic[*Ts]):
    """One thing that a service tells, with arguments of these types."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.listeners: list[Handle] = []
        self.watchers: list[Callable[[*Ts], object]] = []

    def watch(self, watcher: Callable[[*Ts], object]) -> None:
        """Somebody in this process: called before anybody else is told."""
        self.watchers.append(watcher)

    def add(self, listener: Handle) -> None:
        """A node of whoever listens. How many there can be is the bus's quota of handles."""
        self.listeners.append(listener)

    async def __call__(self, *args: *Ts) -> None:
        """Tell it. Who cannot take it misses it. Raises ConnectionError, TypeError."""
        for watcher in self.watchers:
            watcher(*args)
        if self.listeners:
            await self.tell(calls.written({"signal": self.name, "args": args}))

    async def tell(self, letter: Letter) -> None:
        gone: set[Handle] = set()
        for targets in groups(self.listeners, most(letter)):
            refused = await multicast(targets, letter)
            gone.update(handle for handle, error in refused if isinstance(error, Gone))
        self.listeners = [each for each in self.listeners if not (each.spent or each in gone)]


def most(letter: Letter) -> int:
    """How many can be told at once."""
    return min(DESTINATIONS_MOST, COPIES_MOST // max(1, len(letter[1])))


def groups(listeners: Iterable[Handle], many: int) -> Iterator[list[Handle]]:
    """At most so many each, and of one peer: a service may be exported by several."""
    by_peer: dict[Any, list[Handle]] = {}
    for each in listeners:
        if not each.spent:  # as a one-shot handle is after the first signal
            by_peer.setdefault(each.peer, []).append(each)
    for some in by_peer.values():
        for start in range(0, len(some), many):
            yield some[start : start + many]


async def multicast(targets: list[Handle], letter: Letter) -> Refused:
    """To all of these under one stamp. If a node was handed in twice, which nobody can see, or a
    one-shot handle was used up meanwhile, to one half of them and then to the other."""
    try:
        return await cast(Peer, targets[0].peer).multicast(targets, *letter, proceed=True)
    except (Duplicate, Unknown):
        if len(targets) == 1:
            return []
        half = len(targets) // 2
        return await multicast(targets[:half], letter) + await multicast(targets[half:], letter)


class Signalling(Service):
    """A service that has signals, as attributes."""

    @method
    def subscribe(self, signal: str, listener: Handle) -> None:
        """Tell this node, too, whenever there is such a signal."""
        found = vars(self).get(signal)
        if not isinstance(found, Signal):
            raise InvalidArgs(f"there is no signal {signal}")
        found.add(listener)


def heard(message: Message[Any]) -> tuple[str, list[Any]]:
    """The signal in a message: its name and its arguments. Raises Unreadable."""
    if message.kind == DATA:
        content = calls.read(message.payload, message.handles, message.fds)
        if isinstance(content, dict):
            name, args = content.get("signal"), content.get("args")
            if isinstance(name, str) and isinstance(args, list):
                return name, args
    raise Unreadable("no signal")
