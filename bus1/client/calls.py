"""Calls by name as messages: what a request, a reply and an error look like, and back.

A request is JSON `{"method": name, "args": [...]}`, its first handle the one to answer on. A reply
is `{"result": value}` or `{"error": [name, text]}`. Where a handle or a descriptor stands in the
arguments or the result, the JSON has `{"$handle": place}` or `{"$fd": place}`: its place among
those that go along. It knows neither nodes nor sockets.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from json.encoder import encode_basestring_ascii as quoted
from json.scanner import make_scanner
from typing import Any

from bus1.client.objects import ONCE_DROPPED, Handle, Message, Node, Once
from bus1.client.payload import Fd
from bus1.client.records import Carry

HANDLE, FD = "$handle", "$fd"
PLAIN = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
# The JSON of what most arguments and results are. An encoder costs more to make than these.
BRIEF: dict[type, Callable[[Any], str]] = {
    str: quoted,
    int: int.__repr__,
    bool: {False: "false", True: "true"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
}
# What json.loads does, but for space around it.
scan: Callable[[str, int], tuple[Any, int]] = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]
PAYLOAD_MOST = 16 * 1024 * 1024  # bytes: JSON that is larger is no request

# A payload, the handles and the descriptors that go along.
Letter = tuple[bytes, Sequence[Carry], Sequence[Any]]


class CallError(Exception):
    """What a call ended with. A service raises it, or a subclass with a `name` of its own; the
    caller gets a CallError with that name and text."""

    name = "Failed"

    def __init__(self, text: str = "", name: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        if name is not None:
            self.name = name

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" if self.text else self.name


class UnknownMethod(CallError):
    """The service has no method of this name."""

    name = "UnknownMethod"


class InvalidArgs(CallError):
    """The request does not fit the method, or is none."""

    name = "InvalidArgs"


class Dropped(CallError):
    """Nobody will answer: who was asked has left, or has dropped the request."""

    name = "Dropped"


class Unreadable(ValueError):
    """What came is no request, or no reply."""


def request(name: str, args: Sequence[Any]) -> Letter:
    """A call. TypeError or ValueError for arguments that cannot travel."""
    some = ""
    for each in args:
        brief = BRIEF.get(type(each))
        if brief is None:
            return written({"method": name, "args": args})
        some += f",{brief(each)}" if some else brief(each)
    return f'{{"method":{quoted(name)},"args":[{some}]}}'.encode(), (), ()


def reply(outcome: Any) -> Letter:
    """A result, or a CallError. TypeError or ValueError for a result that cannot travel."""
    brief = BRIEF.get(type(outcome))
    if brief is not None:
        return f'{{"result":{brief(outcome)}}}'.encode(), (), ()
    if isinstance(outcome, CallError):
        return PLAIN({"error": [outcome.name, outcome.text]}).encode(), (), ()
    return written({"result": outcome})


def written(content: Any) -> Letter:
    """JSON, and what stands in it that JSON has no words for. TypeError, ValueError."""
    try:
        text = PLAIN(content)
    except TypeError:  # there is more in it, which costs more
        return placed(content)
    if "$" in text:
        check(text, (), ())
    return text.encode(), (), ()


def placed(content: Any) -> Letter:
    carried: list[Carry] = []
    fds: list[Any] = []

    def place(thing: Any) -> dict[str, int]:
        if isinstance(thing, Handle | Node | Once):
            carried.append(thing)
            return {HANDLE: len(carried) - 1}
        if hasattr(thing, "fileno"):
            fds.append(thing)
            return {FD: len(fds) - 1}
        raise TypeError(f"neither JSON nor a handle, node or descriptor: {thing!r}")

    text = json.dumps(content, separators=(",", ":"), allow_nan=False, default=place)
    check(text, carried, fds)
    return text.encode(), carried, fds


def check(text: str, carried: Sequence[Carry], fds: Sequence[Any]) -> None:
    """Who reads a dict with such a key would take it for what it names. (No string in JSON has
    `"$fd":` in it: the quotes would be escaped.)"""
    for mark, some in ((HANDLE, carried), (FD, fds)):
        if text.count(f'"{mark}":') != len(some):
            raise ValueError(f"a dict cannot have the key {mark}")


def read(payload: bytes | memoryview, handles: Sequence[Handle | None], fds: Sequence[Fd]) -> Any:
    """What `written` wrote. Unreadable for anything else; nothing that comes is trusted."""
    if len(payload) > PAYLOAD_MOST:
        raise Unreadable(f"{len(payload)} bytes")
    try:
        text = str(payload, "utf-8")
        if handles or fds:
            return json.loads(text, object_hook=partial(found, {HANDLE: handles, FD: fds}))
        try:
            value, end = scan(text, 0)
        except StopIteration:
            end = -1
        return value if end == len(text) else json.loads(text)
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"no JSON: {error}") from None


def found(came: dict[str, Sequence[Any]], thing: dict[str, Any]) -> Any:
    """What stands at this place: a dict, or one of those that came along."""
    if len(thing) != 1 or not came.keys() & thing.keys():
        return thing
    mark, place = thing.popitem()
    if type(place) is not int or not 0 <= place < len(came[mark]):
        raise Unreadable(f"there is no {mark[1:]} at {place}")
    return came[mark][place]


def asked(message: Message[Any]) -> tuple[str, list[Any]]:
    """The method and the arguments of a request. Raises Unreadable."""
    content = read(message.payload, message.handles[1:], message.fds)
    if not isinstance(content, dict) or not message.handles or message.handles[0] is None:
        raise Unreadable("not a request")
    name, args = content.get("method"), content.get("args")
    if not isinstance(name, str) or not isinstance(args, list):
        raise Unreadable("a request has a method and args")
    return name, args


def result(message: Message[Any]) -> Any:
    """The result in a reply. Raises CallError: the service's, Dropped, or for what is no reply."""
    if message.kind == ONCE_DROPPED:
        raise Dropped("nobody will answer")
    try:
        content = read(message.payload, message.handles, message.fds)
        if isinstance(content, dict) and "result" in content:
            return content["result"]
        name, text = content["error"]
    except (ValueError, KeyError, TypeError) as error:
        raise CallError(f"the reply is none: {error}", "InvalidReply") from None
    raise CallError(str(text), str(name))
