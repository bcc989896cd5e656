"""One D-Bus call on a handle: the bridge's, or a right to one service. It knows no names.

Whoever holds a right needs no more than `call`: no name on the bus, no policy of its own.
"""

import errno
from collections.abc import Sequence
from typing import Final, NamedTuple

from dbus_fast import DBusError, ErrorType, Message, MessageFlag, MessageType

from bridge.client.marshalling import Malformed, from_bytes, to_bytes
from bus1.client import Fd, Handle, Node
from bus1.client import Message as Native
from bus1.errors import BusError
from bus1.native.words import DATA

# What a refusal of the bus is called in D-Bus.
NAMES: Final = {
    errno.EDQUOT: ErrorType.LIMITS_EXCEEDED,
    errno.EMSGSIZE: ErrorType.LIMITS_EXCEEDED,
    errno.ESTALE: ErrorType.SERVICE_UNKNOWN,  # the node of a right is gone: so is its name
}


class Answer(NamedTuple):
    """What came for a call: the message, and handles and descriptors that are closed with this."""

    message: Message
    handles: Sequence[Handle | None]
    fds: Sequence[Fd]

    def keep(self) -> Message:
        """The message; its descriptors are the caller's from now on."""
        for fd in self.fds:
            fd.detach()
        return self.message


async def call(on: Handle, message: Message, timeout: float | None = None) -> Message:
    """Call a method and wait for what it returns; the descriptors in it are the caller's.

    Raises DBusError, whatever refused or failed; TimeoutError, and then an answer that comes later
    is dropped; ConnectionError if the peer has ended.
    """
    return good(await ask(on, message, timeout=timeout)).keep()


async def ask(
    on: Handle,
    message: Message,
    carry: Sequence[Handle | Node] = (),
    timeout: float | None = None,
) -> Answer:
    """The answer, be it a return or an error. Raises as `call` does."""
    if not wants_reply(message):
        raise ValueError("this message has no answer: it is to be sent, not called")
    message.serial = message.serial or 1  # the bus gives it another
    try:
        native = await on.peer.call(on, to_bytes(message), carry, message.unix_fds, timeout)
    except BusError as error:
        raise error_of(error) from error
    return read(native, message)


def read(native: Native, asked: Message) -> Answer:
    """What came for this call. Raises DBusError if that is no answer."""
    if native.kind != DATA:
        raise DBusError(ErrorType.NO_REPLY, "The call was dropped without an answer")
    try:
        message = from_bytes(native.payload, [fd.fileno() for fd in native.fds])
    except Malformed as error:
        raise DBusError(ErrorType.INCONSISTENT_MESSAGE, str(error)) from error
    if message.message_type not in {MessageType.METHOD_RETURN, MessageType.ERROR}:
        raise DBusError(ErrorType.INCONSISTENT_MESSAGE, "The answer is no answer")
    message.reply_serial = asked.serial
    return Answer(message, native.handles, native.fds)


def good(answer: Answer) -> Answer:
    """The answer, unless it is an error: that is raised."""
    message = answer.message
    if message.message_type is MessageType.ERROR:
        message.unix_fds = []
        for fd in answer.fds:  # of a strange error: a traceback would keep them
            fd.close()
        text = message.body[0] if message.signature.startswith("s") else ""
        raise DBusError(message.error_name or ErrorType.FAILED, text, message)
    return answer


def error_of(error: BusError) -> DBusError:
    return DBusError(NAMES.get(error.errno, ErrorType.FAILED), str(error))


def wants_reply(message: Message) -> bool:
    return (
        message.message_type is MessageType.METHOD_CALL
        and not message.flags & MessageFlag.NO_REPLY_EXPECTED
    )
