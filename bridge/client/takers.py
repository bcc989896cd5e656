"""Who takes the descriptors that came with a message. Those that nobody takes are closed with it.

A stranger may attach as many as the bus lets him: to a call of no method, to a signal that nobody
waits for, or more than the body speaks of.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final

from dbus_fast import Message, MessageType, SignatureType, Variant
from dbus_fast.introspection import Interface
from dbus_fast.proxy_object import BaseProxyInterface
from dbus_fast.service import ServiceInterface

from bus1.client import Fd

PROPERTIES: Final = "org.freedesktop.DBus.Properties"

Handler = Callable[[Message], Any]


def referenced(message: Message) -> set[int]:
    """The places in `unix_fds` that the body speaks of: nobody asks for the others."""
    return set(places(message.signature_tree.types, message.body))


def places(types: Iterable[SignatureType], values: Iterable[Any]) -> Iterator[int]:
    """What the body's values of type h are, in containers and variants, too."""
    for kind, value in zip(types, values, strict=False):
        if kind.token == "h":
            yield value
        elif isinstance(value, Variant):
            yield from places([value.type], [value.value])
        elif isinstance(value, dict):
            key, content = kind.children[0].children
            yield from places([key] * len(value), value)
            yield from places([content] * len(value), value.values())
        elif kind.token == "a" and isinstance(value, list):
            yield from places(kind.children * len(value), value)
        elif kind.token == "(":
            yield from places(kind.children, value)


def copies(message: Message, number: int) -> list[Message]:
    """The message for so many takers, who may each close what they get: with descriptors of their
    own. Fewer if this process can have no more of those."""
    found = [message] * min(number, 1) if message.unix_fds else [message] * number
    with suppress(OSError):
        while len(found) < number:
            found.append(copied(message))
    return found


def copied(message: Message) -> Message:
    with ExitStack() as kept:
        fds = []
        for fd in message.unix_fds:
            fds.append(os.dup(fd))
            kept.callback(os.close, fds[-1])
        kept.pop_all()
    return Message(
        message_type=message.message_type,
        flags=message.flags,
        sender=message.sender,
        destination=message.destination,
        path=message.path,
        interface=message.interface,
        member=message.member,
        signature=message.signature,
        body=message.body,
        serial=message.serial,
        unix_fds=fds,
    )


def is_handled(handlers: Iterable[Handler], message: Message) -> bool:
    """Whether one of the program's own message handlers may want this one."""
    return any(wants(each, message) for each in handlers)


def wants(handler: Handler, message: Message) -> bool:
    """A proxy has a handler, too, and wants only the signals of its own interface."""
    proxy = getattr(handler, "__self__", None)
    if not isinstance(proxy, BaseProxyInterface):
        return True
    signal = (message.member, message.signature)
    return (
        message.message_type is MessageType.SIGNAL
        and (message.path, message.interface) == (proxy.path, proxy.introspection.name)
        and signal in [(each.name, each.signature) for each in proxy.introspection.signals]
    )


def is_set(exports: Mapping[str, Mapping[str, ServiceInterface]], message: Message) -> bool:
    """Whether it is for the setter of a property, which takes what it gets."""
    if message.interface != PROPERTIES or message.signature != "ssv":
        return False
    exported = exports.get(str(message.path), {}).get(message.body[0])
    return exported is not None and has_setter(exported.introspect(), *message.body[1:])


def has_setter(interface: Interface, member: str, value: Variant) -> bool:
    """Whether there is a property that can be set to this."""
    return any(
        (each.name, each.signature) == (member, value.signature) and each.access.writable()
        for each in interface.properties
    )


def hand_over(handlers: Iterable[Handler], message: Message, fds: Sequence[Fd]) -> None:
    """To the program's message handlers, if it has any that may want them."""
    if fds:
        give(fds, range(len(fds)) if is_handled(handlers, message) else ())


def give(fds: Sequence[Fd], places: Iterable[int]) -> None:
    """These are the program's now. The others nobody has got, and they are closed."""
    for place in places:
        if place < len(fds):
            fds[place].detach()
    for fd in fds:
        fd.close()
