"""D-Bus for a native peer: names, objects, calls, signals, and capabilities behind names.

It knows what programs want; how it travels is the line's business.
"""

import contextlib
from types import TracebackType
from typing import Self, final

from dbus_fast import (
    DBusError,
    ErrorType,
    Message,
    NameFlag,
    ReleaseNameReply,
    RequestNameReply,
    assert_object_path_valid,
    introspection,
)
from dbus_fast.aio import ProxyObject
from dbus_fast.service import ServiceInterface

from bridge.client.line import NATIVE, Line
from bridge.client.subscriptions import Callback, Subscription, Subscriptions
from bus1.client import Handle, Node, Peer


@final
class DBus:
    """A peer that is on D-Bus, too. Made by `attach`.

    `bus` is the same as a dbus-fast MessageBus, for what is written for one. Every method that
    waits raises DBusError, whatever refused, and ConnectionError after the end.
    """

    def __init__(self, line: Line) -> None:
        self.bus = line
        self.names: set[str] = set()  # that it owns, or waits for
        self.subscriptions = Subscriptions(line)

    @classmethod
    async def attach(cls, peer: Peer, bridge: Handle | None = None) -> "DBus":
        """Get a unique name. `bridge` is the handle to the bridge if the peer was not given one in
        its seed: only those that have connected themselves are."""
        if bridge is None:
            bridge = next(iter((await peer.seed()).handles), None)
        if bridge is None:
            raise DBusError(ErrorType.NOT_SUPPORTED, "this peer was given no handle to the bridge")
        return cls(await Line(peer, bridge).connect())

    @property
    def unique_name(self) -> str:
        return self.bus.unique_name or ""

    # Names.

    async def own(self, name: str, flags: NameFlag = NameFlag.NONE) -> RequestNameReply:
        """Ask for a name; the reply says whether we have it, or wait for it."""
        self.names.add(name)  # who stops waiting for the reply may have it all the same
        try:
            reply = await self.bus.request_name(name, flags)
        except DBusError:
            self.names.discard(name)
            raise
        if reply is RequestNameReply.EXISTS:
            self.names.discard(name)
        return reply

    async def disown(self, name: str) -> ReleaseNameReply:
        """Give it up, or wait no longer."""
        self.names.discard(name)
        return await self.bus.release_name(name)

    async def owner(self, name: str) -> str:
        """The unique name behind this one."""
        return str((await self.bus.driver("GetNameOwner", "s", name)).message.body[0])

    # Objects.

    def export(self, path: str, interface: ServiceInterface) -> None:
        """Whoever the policy lets may now call this object: introspection, properties, signals
        and the object manager come with it."""
        self.bus.export(path, interface)

    def unexport(self, path: str, interface: ServiceInterface | str | None = None) -> None:
        """This interface is gone from the path; or all of them."""
        self.bus.unexport(path, interface)

    def manage(self, path: str) -> None:
        """This object tells which others come and go below it, from now on (ObjectManager): that is
        where clients listen. Without one, each object tells it of itself."""
        assert_object_path_valid(path)
        self.bus.managers.paths.add(path)

    # Others.

    async def call(
        self, message: Message, on: Handle | None = None, timeout: float | None = None
    ) -> Message:
        """What the method returns. `on` is a right that somebody has given us. After `timeout`
        seconds TimeoutError is raised, and an answer that comes later is dropped; as it is if the
        waiting task is cancelled. The descriptors of the answer are the caller's."""
        return await self.bus.call(message, on, timeout)

    async def send(self, message: Message) -> None:
        """A signal, or a call that wants no answer. In the order of all calls and answers."""
        await self.bus.send(message)

    async def subscribe(self, rule: str, callback: Callback) -> Subscription:
        """Call this, a function or a coroutine function, with each message that fits the rule.
        Its descriptors are the callback's."""
        return await self.subscriptions.add(rule, callback)

    async def introspect(self, name: str, path: str) -> introspection.Node:
        return await self.bus.introspect(name, path)

    async def proxy(self, name: str, path: str) -> ProxyObject:
        """dbus-fast's: methods are coroutines, `on_…` and `off_…` are for signals."""
        return self.bus.get_proxy_object(name, path, await self.introspect(name, path))

    # Capabilities.

    async def right(
        self, name: str, path: str = "", interface: str = "", member: str = ""
    ) -> Handle:
        """A handle that *is* the right to call this name, or only what is given here of it. It may
        be passed on: whoever has it needs no policy. See `bridge.client.call`."""
        asked = ("Right", "ssss", name, path, interface, member)
        return await self.native(*asked)

    async def offer(self, name: str, thing: Handle | Node) -> None:
        """To native peers that look for this name, while we own it. Replaces what was offered."""
        await self.bus.driver("Offer", "s", name, interface=NATIVE, carry=[thing])

    async def find(self, name: str) -> Handle:
        """What the owner of this name has offered, if the policy lets us call it."""
        return await self.native("Find", "s", name)

    async def native(self, member: str, signature: str, *body: str) -> Handle:
        answer = await self.bus.driver(member, signature, *body, interface=NATIVE)
        handle = answer.handles[0] if answer.handles else None
        if handle is None:  # destroyed on its way
            raise DBusError(ErrorType.SERVICE_UNKNOWN, f"{body[0]} has just gone")
        return handle

    # The end.

    async def ended(self) -> None:
        """Until `close`. Raises ConnectionError if the bus or the peer ends."""
        await self.bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Give up the names and the subscriptions, and what is exported. Nothing comes any more;
        the unique name lasts as long as the peer."""
        with contextlib.suppress(ConnectionError):
            for name in list(self.names):
                with contextlib.suppress(DBusError):  # the others are given up all the same
                    await self.disown(name)
            for each in list(self.subscriptions.all):
                with contextlib.suppress(DBusError):
                    await each.cancel()
        self.bus.disconnect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()
