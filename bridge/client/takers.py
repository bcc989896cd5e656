"""Who takes the descriptors that came with a message. Those that nobody takes are closed with it.

A stranger may attach as many as the bus lets him: to a call of no method, to a signal that nobody
waits for, or more than the body speaks of.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from dbus_fast import Message, MessageType, SignatureType, Variant
from dbus_fast.introspection import Interface
from dbus_fast.proxy_object import BaseProxyInterface

from bus1.client import Fd


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


def wants(handler: Callable[[Message], Any], message: Message) -> bool:
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


def has_setter(interface: Interface, member: str, value: Variant) -> bool:
    """Whether there is a property that can be set to this."""
    return any(
        (each.name, each.signature) == (member, value.signature) and each.access.writable()
        for each in interface.properties
    )


def give(fds: Sequence[Fd], places: Iterable[int]) -> None:
    """These are the program's now. The others nobody has got, and they are closed."""
    for place in places:
        if place < len(fds):
            fds[place].detach()
    for fd in fds:
        fd.close()
