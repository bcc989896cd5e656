"""What a service is: methods by name, what their arguments must be, and how they fail.

It knows calls as messages, and no way to wait for one.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from types import UnionType
from typing import Any, TypeVar, Union, get_origin, get_type_hints

from bus1.client import calls
from bus1.client.calls import CallError, InvalidArgs, UnknownMethod
from bus1.client.objects import Handle, Message, Node

F = TypeVar("F", bound=Callable[..., Any])

MARK = "bus1_method"
log = logging.getLogger("bus1.client")


def method(function: F) -> F:
    """Others may call this. A parameter named `message`, keyword only, gets the whole message:
    who sent it, and what else came."""
    setattr(function, MARK, True)
    return function


class Method:
    """One method: its function, and what its arguments must be."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        hints = hints_of(function)
        parameters = list(inspect.signature(function).parameters.values())[1:]  # without self
        self.wants_message = any(each.name == "message" for each in parameters)
        places = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
        self.types = [plain(hints.get(each.name, Any)) for each in places]
        self.least = sum(each.default is each.empty for each in places)

    def check(self, args: list[Any]) -> None:
        if not self.least <= len(args) <= len(self.types):
            raise InvalidArgs(f"{len(args)} arguments, not {len(self.types)}")
        for place, (value, wanted) in enumerate(zip(args, self.types, strict=False)):
            if type(value) is not wanted and not fits(value, wanted):
                raise InvalidArgs(f"argument {place + 1} is no {wanted.__name__}")

    def run(self, service: Methods, args: list[Any], message: Message[Any]) -> Any:
        if list(map(type, args)) != self.types:  # as nearly all that comes has just these
            self.check(args)
        if self.wants_message:
            return self.function(service, *args, message=message)
        return self.function(service, *args)


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except NameError:  # of a class that only a type checker knows, or that comes later
        return {}


def plain(hint: Any) -> type:
    """The class that an annotation asks for; object, if that is not all that it says."""
    hint = get_origin(hint) or hint
    if not isinstance(hint, type) or hint in (Any, UnionType, Union):
        return object
    try:
        isinstance(None, hint)
    except TypeError:  # a TypedDict, say
        return object
    return hint


def fits(value: Any, wanted: type) -> bool:
    if wanted is float:
        return type(value) in (int, float)
    return isinstance(value, wanted) and not (wanted is int and type(value) is bool)


class Methods:
    """The methods of a service, by name. One object can answer at any number of nodes."""

    methods: dict[str, Method] = {}  # noqa: RUF012 (each class has its own)

    def __init_subclass__(cls) -> None:
        cls.methods = cls.methods | {
            name: Method(function)
            for name, function in vars(cls).items()
            if getattr(function, MARK, False)
        }

    def dropped(self, node: Node) -> None:
        """Nobody has a handle to this node of ours any more."""

    # Below: one request.

    def begin(self, message: Message[Any]) -> tuple[Handle | None, Any]:
        """Do what is asked; the handle to answer on (None: there is none) and what came of it: a
        value, an awaitable or a CallError."""
        target = message.handles[0] if message.handles else None
        try:
            name, args = calls.asked(message)
            found = self.methods.get(name)
            if found is None:
                raise UnknownMethod(name)
            return target, found.run(self, args, message)
        except Exception as error:
            return target, failed(error)


def failed(error: Exception) -> CallError:
    """What the caller is told: its own mistakes, and of the service's only that there was one."""
    if isinstance(error, CallError):
        return error
    if isinstance(error, calls.Unreadable):
        return InvalidArgs(str(error))
    log.error("a method has failed", exc_info=error)
    return CallError(type(error).__name__)
