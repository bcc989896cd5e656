"""The values in a message's body: whole for programs, short for people. Knows no screens."""

import json
import math
from functools import lru_cache
from typing import Any, Final, final

from bridge.wire.body import unpack
from bridge.wire.frame import Frame

# Bodies beyond this are not taken apart: a value costs many times its bytes.
LARGE: Final = 8 * 1024 * 1024
LARGE_FOR_PEOPLE: Final = 64 * 1024
CLOSING: Final = {"(": ")", "{": "}"}


@lru_cache(maxsize=1024)
def types(signature: str) -> tuple[str, ...]:
    """The complete types that a valid signature is made of."""
    found, start = [], 0
    while start < len(signature):
        end = start
        while signature[end] == "a":
            end += 1
        depth = 1 if signature[end] in CLOSING else 0
        end += 1
        while depth:
            depth += (signature[end] in "({") - (signature[end] in ")}")
            end += 1
        found.append(signature[start:end])
        start = end
    return tuple(found)


# ------------------------------------------------------------------------- programs


def record(frame: Frame) -> list[object] | None:
    """All arguments as JSON can say them; None: they are too large. Bytes are numbers, a variant
    says its type, and a number that JSON has no word for is a text."""
    if len(frame.body()) > LARGE:
        return None
    pairs = zip(types(frame.signature()), unpack(frame), strict=True)
    return [plain(kind, value) for kind, value in pairs]


def plain(kind: str, value: Any) -> object:
    code = kind[0]
    if code == "v":
        return {"type": value[0], "data": plain(value[0], value[1])}
    if code == "d":
        return value if math.isfinite(value) else str(value)
    if code == "(":
        return [plain(*pair) for pair in zip(types(kind[1:-1]), value, strict=True)]
    if kind.startswith("a{"):
        _, of = types(kind[2:-1])
        return {key: plain(of, each) for key, each in value.items()}
    if kind == "ay":
        return list(value)
    if code == "a":
        return [plain(kind[1:], each) for each in value]
    return value


# --------------------------------------------------------------------------- people


def brief(frame: Frame, room: int) -> str:
    """The arguments in about so many characters: what does not fit is three dots."""
    size = len(frame.body())
    if size > LARGE_FOR_PEOPLE:
        return f"{frame.signature()}, {size} bytes"
    text = Brief(room)
    try:
        text.several(types(frame.signature()), unpack(frame))
    except Full:
        text.parts.append("...")
    return "".join(text.parts)


def quoted(text: str) -> str:
    """A text that any client may have chosen: no character in it can do anything to a terminal,
    or reorder what stands beside it."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in json.dumps(text, ensure_ascii=False)
    )


class Full(Exception):
    """There is no more room."""


@final
class Brief:
    """A text that grows until it is full."""

    def __init__(self, room: int) -> None:
        self.parts: list[str] = []
        self.room = room

    def add(self, text: str) -> None:
        self.parts.append(text[: max(self.room, 0)])
        self.room -= len(text)
        if self.room < 0:
            raise Full

    def several(self, kinds: tuple[str, ...], values: Any) -> None:
        for at, (kind, value) in enumerate(zip(kinds, values, strict=True)):
            self.add(", " if at else "")
            self.one(kind, value)

    def one(self, kind: str, value: Any) -> None:
        code = kind[0]
        if code == "v":
            self.one(value[0], value[1])
        elif code in "sog":
            self.add(quoted(value[: self.room + 1]))
        elif code == "(":
            self.add("(")
            self.several(types(kind[1:-1]), value)
            self.add(")")
        elif code == "a":
            self.array(kind[1:], value)
        elif code == "h":
            self.add(f"fd {value}")
        else:
            self.add(json.dumps(value))

    def array(self, kind: str, values: Any) -> None:
        if kind == "y":
            self.add(quoted_bytes(values[: self.room + 1]))
            return
        mapping = kind[0] == "{"
        self.add("{" if mapping else "[")
        for at, value in enumerate(values):
            self.add(", " if at else "")
            if mapping:
                key, of = types(kind[1:-1])
                self.one(key, value)
                self.add(": ")
                self.one(of, values[value])
            else:
                self.one(kind, value)
        self.add("}" if mapping else "]")


def quoted_bytes(data: bytes) -> str:
    """Bytes as Python writes them: file names and the like can be read."""
    return repr(data.removesuffix(b"\0")) if data.endswith(b"\0") else repr(data)
