"""The records of the driver's tables, which dispatch the calls and write the introspection."""

from collections.abc import Callable
from typing import NamedTuple

from bridge.driver.call import Call

# What a method's function returns: the body of the reply, or None if it has answered already.
Body = tuple[object, ...] | None


class Method(NamedTuple):
    """`takes` and `gives` are the signatures of its arguments and of its reply. `trusted`: it is
    for root and the bus's own user. `at_home`: it answers at the driver's own path only, though
    its interface may be there at others."""

    name: str
    takes: str
    gives: str
    function: Callable[[Call], Body]
    needs_hello: bool = True
    trusted: bool = False
    at_home: bool = False


class Property(NamedTuple):
    """A property that can be read and stays as it is for the life of the bus."""

    name: str
    type: str
    value: Callable[[Call], object]


class Signal(NamedTuple):
    """`labels` name the arguments for people; mostly there are none."""

    name: str
    gives: str
    labels: tuple[str, ...] = ()


class Interface(NamedTuple):
    """`any_path`: its methods answer at every object path, not only at the driver's own.

    Old clients call the bus at `/`, so the interfaces of old are found there, too.
    """

    name: str
    any_path: bool
    methods: tuple[Method, ...]
    properties: tuple[Property, ...] = ()
    signals: tuple[Signal, ...] = ()


# The methods seen at a path, by interface and name; under None those of all interfaces.
Directory = dict[str | None, dict[str, Method]]


def directory(interfaces: tuple[Interface, ...]) -> Directory:
    """For a call that names no interface, the first interface that has the method wins."""
    seen: Directory = {each.name: {m.name: m for m in each.methods} for each in interfaces}
    first: dict[str, Method] = {}
    for methods in reversed(seen.values()):
        first |= methods
    return seen | {None: first}


def visible(interfaces: tuple[Interface, ...], home: bool) -> tuple[Interface, ...]:
    """The interfaces at the driver's own path, or at any other."""
    return interfaces if home else tuple(each for each in interfaces if each.any_path)
