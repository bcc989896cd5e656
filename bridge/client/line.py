"""dbus-fast's message bus with handles for a socket. It knows how D-Bus messages pass the bridge,
and little of what they say.

A program written for dbus-fast's MessageBus finds all of its methods here. What is replaced is
private to dbus-fast: what goes out (`send`, `_call`), what comes in (`_process_message`), the end
(`_finalize`), who takes the descriptors of a call (`_make_method_handler`), and which object tells
that others come and go (`_emit_interface_added`, `_emit_interface_removed`).
"""

import asyncio
import io
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, final

from dbus_fast import DBusError, Message, MessageFlag, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.message_bus import BaseMessageBus
from dbus_fast.service import ServiceInterface, _Method

from bridge.client.calls import Answer, ask, error_of, good, read, wants_reply
from bridge.client.managers import Managers
from bridge.client.marshalling import Malformed, from_bytes, to_bytes
from bridge.client.takers import give, hand_over, is_handled, is_set, referenced
from bus1.client import Fd, Handle, Node, Peer
from bus1.client import Message as Native
from bus1.client.pending import Quiet, Waiting
from bus1.errors import BusError
from bus1.native.words import DATA, QUIET

DRIVER: Final = "org.freedesktop.DBus"
DRIVER_PATH: Final = "/org/freedesktop/DBus"
NATIVE: Final = "org.bus1.Native1"

log = logging.getLogger("bridge.client")

Callback = Callable[[Message | None, Exception | None], None]


@final
class Line(MessageBus):
    """One peer's way to D-Bus. `watchers` are asked about each signal; one that returns True has
    taken it, with its descriptors."""

    def __init__(self, peer: Peer, bridge: Handle) -> None:
        super().__init__("unix:path=/", negotiate_unix_fd=True)  # nobody connects to this
        self.peer = peer
        self.bridge = bridge
        self.inbox: Node | None = None
        self.answers: dict[int, Handle] = {}  # of calls that are not answered yet
        self.watchers: list[Callable[[Message], bool]] = []
        self.managers = Managers(self.announce)
        self.taken = False  # a method has got the descriptors of the call at hand
        self.watching: asyncio.Task[None] | None = None
        self.sent = self._loop.create_future()  # what was sent when there was room
        self.sent.set_result(None)
        self.crowd: asyncio.Future[None] = self.sent  # done when there is room again

    async def connect(self) -> "Line":
        """Get a unique name: from now on what is for it comes here. Raises as `call` does."""
        self.inbox = await self.peer.create()
        self.inbox.on_message = self.arrived
        try:
            answer = await self.driver("Attach", interface=NATIVE, carry=[self.inbox])
        except BaseException:
            self.inbox.release()
            raise
        self.unique_name = str(answer.message.body[0])
        self.watching = asyncio.create_task(self.watch())
        return self

    async def watch(self) -> None:
        """Until the bridge, or the peer, is gone."""
        try:
            await self.peer.until_gone(self.bridge)
            self._finalize(ConnectionResetError("the bridge is gone"))
        except ConnectionError as error:
            self._finalize(error)

    # Out.

    async def driver(
        self,
        member: str,
        signature: str = "",
        *body: object,
        interface: str = DRIVER,
        carry: Sequence[Handle | Node] = (),
    ) -> Answer:
        """Call a method of the bus. Raises as `call` does."""
        message = Message(
            DRIVER, DRIVER_PATH, interface, member, signature=signature, body=list(body)
        )
        return good(await ask(self.bridge, message, carry))

    async def call(
        self, msg: Message, on: Handle | None = None, timeout: float | None = None
    ) -> Message:
        """As dbus-fast's, but an error is raised (DBusError), and not returned. `on` is a right,
        instead of the bridge. Raises TimeoutError and ConnectionError, too."""
        msg.serial = msg.serial or self.next_serial()
        return good(await ask(on or self.bridge, msg, timeout=timeout)).keep()

    def send(self, msg: Message) -> asyncio.Future[None]:  # type: ignore[override]
        """A signal, an answer, or a call that wants none. The future is done when the bus takes
        more."""
        if wants_reply(msg):
            self._call(msg, self.unasked)
            return self.room()
        msg.serial = msg.serial or self.next_serial()
        if msg.message_type in {MessageType.METHOD_RETURN, MessageType.ERROR}:
            payload = to_bytes(msg)  # raises, and who asked is still to be answered
            answer = self.answers.pop(msg.reply_serial, None)
            if answer is not None:  # else it has been answered
                self.peer.answer_nowait(answer, payload, (), msg.unix_fds)
        else:
            self.post(to_bytes(msg), msg.unix_fds)
        return self.room()

    def post(self, payload: bytes, fds: Sequence[int]) -> None:
        """In the order of calls and answers, be the socket full or not. If the bus refuses it, the
        peer's `on_error` hears of that."""
        quiet = Quiet(trouble=self.peer.trouble)
        self.peer.link.send([self.bridge], payload, (), fds, quiet, QUIET)
        self.peer.push()

    def announce(self, msg: Message) -> None:
        if not self._disconnected:
            self.send(msg)

    def next_serial(self) -> int:
        """Of 32 bits: a service may answer more calls than that."""
        self._serial = self._serial % (2**32 - 1) + 1
        return int(self._serial)

    def room(self) -> asyncio.Future[None]:
        if not self.peer.link.outbox.crowded():
            return self.sent
        if self.crowd.done():
            self.crowd = asyncio.ensure_future(self.peer.room())
        return asyncio.shield(self.crowd)  # one waits for all; each may stop waiting

    def _call(self, msg: Message, callback: Callback | None) -> None:
        """For those in dbus-fast who cannot wait: what they say next must come after this."""
        if not wants_reply(msg) or callback is None:
            self.send(msg)
            return
        msg.serial = msg.serial or self.next_serial()
        waiting = self.peer.link.call(self.bridge, to_bytes(msg), (), msg.unix_fds)
        later = partial(self.answered, waiting, msg, callback)
        waiting.wake = partial(soon, self._loop, later)
        self.peer.push()

    def answered(self, waiting: Waiting[Native], msg: Message, callback: Callback) -> None:
        try:
            answer = read(waiting.take(), msg)
        except BusError as error:
            callback(None, error_of(error))
        except (DBusError, ConnectionError) as error:
            callback(None, error)
        else:
            if callback == self.unasked:
                hand_over(self._user_message_handlers, answer.message, answer.fds)
            callback(answer.message, None)

    def unasked(self, reply: Message | None, error: Exception | None) -> None:
        """The answer to a call that was only sent: for those who handle all messages."""
        if reply is not None:
            self._process_message(reply)

    # In.

    def arrived(self, native: Native) -> None:
        """Something has come for this unique name, or for a name that it owns."""
        if native.kind != DATA:
            return
        try:
            message = from_bytes(native.payload, [fd.fileno() for fd in native.fds])
        except Malformed as error:
            log.warning("the bridge has sent what is no message: %s", error)
            return
        if message.message_type is MessageType.SIGNAL:
            self.signalled(message, native.fds)
        elif message.message_type is MessageType.METHOD_CALL:
            self.called(message, native)

    def signalled(self, message: Message, fds: Sequence[Fd]) -> None:
        takers = [watcher for watcher in self.watchers if watcher(message)]
        if takers:
            give(fds, range(len(fds)))
        else:
            hand_over(self._user_message_handlers, message, fds)
        self._process_message(message)

    def called(self, message: Message, native: Native) -> None:
        """Its serial here is a number of our own, by which the answer finds its handle."""
        if native.handles and native.handles[0] is not None:
            message.serial = self.next_serial()
            self.answers[message.serial] = native.handles[0]
        else:
            message.flags |= MessageFlag.NO_REPLY_EXPECTED
        if not native.fds:
            self._process_message(message)
            return
        handled = is_handled(self._user_message_handlers, message)
        self.taken = is_set(self._path_exports, message)
        try:
            self._process_message(message)
        finally:  # a method that has failed may have closed its own
            keep = referenced(message) if self.taken else ()
            give(native.fds, range(len(native.fds)) if handled else keep)

    def _make_method_handler(
        self, interface: ServiceInterface, method: _Method
    ) -> Callable[[Message, Callable[[Message], None]], None]:
        handler = super()._make_method_handler(interface, method)

        def handle(message: Message, send_reply: Callable[[Message], None]) -> None:
            self.taken = True
            handler(message, send_reply)

        return handle

    def _emit_interface_added(self, path: str, interface: ServiceInterface) -> None:
        self.managers.added(path, interface)

    def _emit_interface_removed(self, path: str, removed_interfaces: list[str]) -> None:
        self.managers.removed(path, removed_interfaces)

    # The end.

    def disconnect(self) -> None:
        """Leave; what has been exported is gone. The unique name lasts as long as the peer."""
        self._user_disconnect = True
        self._finalize(None)

    def _finalize(self, err: Exception | None = None) -> None:
        if self._disconnected:
            return
        if self.watching is not None and self.watching is not asyncio.current_task():
            self.watching.cancel()
        self._sock = self._stream = io.BytesIO()  # type: ignore[assignment] # for dbus-fast to close
        BaseMessageBus._finalize(self, err)
        self.watchers.clear()
        self.answers.clear()
        if self.inbox is not None:
            self.inbox.release()
        if not self._disconnect_future.done():
            self.end(err)

    def end(self, err: Exception | None) -> None:
        """For who waits for the end."""
        if err is None:
            self._disconnect_future.set_result(None)
        else:
            self._disconnect_future.set_exception(err)
            self._disconnect_future.exception()  # seen: nobody need wait


def soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """When what came before has been seen to."""
    loop.call_soon(callback)
