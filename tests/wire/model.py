"""D-Bus messages the slow way: what the compiled wire code must agree with, byte for byte.

Written from the specification (and, where it says less, from what the reference library accepts),
for clarity and not for speed: recursion, slices, one check a line.
"""

import re
import struct
from typing import Any, NamedTuple

FIXED = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "h": "I"} | {
    "x": "q", "t": "Q", "d": "d",
}  # fmt: skip
UNIT = {code: struct.calcsize(form) for code, form in FIXED.items()} | {
    "s": 4, "o": 4, "a": 4, "g": 1, "v": 1, "(": 8, "{": 8,
}  # fmt: skip
FIELD_TYPES = {1: "o", 2: "s", 3: "s", 4: "s", 5: "u", 6: "s", 7: "s", 8: "g", 9: "u"}
REQUIRED = {1: {1, 3}, 2: {5}, 3: {4, 5}, 4: {1, 2, 3}}

ELEMENT = r"[A-Za-z_][A-Za-z0-9_]*"
BUS_ELEMENT = r"[A-Za-z_-][A-Za-z0-9_-]*"
INTERFACE = rf"(?=.{{1,255}}\Z){ELEMENT}(\.{ELEMENT})+"
MEMBER = rf"(?=.{{1,255}}\Z){ELEMENT}"
BUS_NAME = rf"(?=.{{1,255}}\Z)(:(\.?[A-Za-z0-9_-]+)*|{BUS_ELEMENT}(\.{BUS_ELEMENT})+)"
PATH = r"/|(/[A-Za-z0-9_]+)+"
FIELD_GRAMMAR = {1: PATH, 2: INTERFACE, 3: MEMBER, 4: INTERFACE, 6: BUS_NAME, 7: BUS_NAME}
RESERVED = {1: "/org/freedesktop/DBus/Local", 2: "org.freedesktop.DBus.Local"}


class Bad(Exception):
    """Not a message."""


def demand(fine: object, reason: str) -> None:
    if not fine:
        raise Bad(reason)


def split(signature: str) -> list[str]:
    """The complete types of a signature."""
    demand(len(signature) <= 255, "length")
    types = []
    place = 0
    while place < len(signature):
        end = type_end(signature, place, 0, 0)
        types.append(signature[place:end])
        place = end
    return types


def type_end(signature: str, place: int, structs: int, entries: int) -> int:
    arrays = 0
    while signature[place : place + 1] == "a":
        arrays += 1
        place += 1
    code = signature[place : place + 1]
    demand(arrays <= 32, "arrays")
    if code == "(":
        demand(structs < 32, "structs")
        place += 1
        demand(signature[place : place + 1] != ")", "empty struct")
        while signature[place : place + 1] != ")":
            place = type_end(signature, place, structs + 1, entries)
        return place + 1
    if code == "{":
        demand(arrays and entries < 32, "dict entry")
        demand(signature[place + 1 : place + 2] in set("ybnqiuxtdsogh"), "key")
        place = type_end(signature, place + 2, structs, entries + 1)
        demand(signature[place : place + 1] == "}", "dict entry's end")
        return place + 1
    demand(code in set("ybnqiuxtdsoghv"), "type code")
    return place + 1


class Reading:
    def __init__(self, data: bytes, at: int, end: int, little: bool) -> None:
        self.data, self.at, self.end = data, at, end
        self.order = "<" if little else ">"

    def take(self, count: int) -> bytes:
        demand(self.at + count <= self.end, "end")
        self.at += count
        return self.data[self.at - count : self.at]

    def pad(self, unit: int) -> None:
        demand(not any(self.take(-self.at % unit)), "padding")

    def text(self, size: int) -> str:
        raw = self.take(size)
        demand(self.take(1) == b"\0" and b"\0" not in raw, "NUL")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise Bad("UTF-8") from None

    def value(self, kind: str, depth: int) -> Any:
        demand(depth <= 64, "depth")
        code = kind[0]
        self.pad(UNIT[code])
        if code in FIXED:
            value = struct.unpack(self.order + FIXED[code], self.take(UNIT[code]))[0]
            demand(code != "b" or value < 2, "boolean")
            return value
        if code == "a":
            return self.array(kind[1:], depth)
        if code in "({":
            demand(depth < 64, "depth")
            return tuple(self.value(member, depth + 1) for member in split(kind[1:-1]))
        if code in "gv":
            text = self.text(self.take(1)[0])
            types = split(text)
            if code == "g":
                return text
            demand(len(types) == 1, "variant")
            demand(depth < 64, "depth")
            return text, self.value(text, depth + 1)
        text = self.text(self.value("u", depth))
        demand(code == "s" or re.fullmatch(PATH, text), "path")
        return text

    def array(self, kind: str, depth: int) -> list[Any]:
        size = self.value("u", depth)
        demand(size <= 1 << 26, "array length")
        self.pad(UNIT[kind[0]])
        stop = self.at + size
        demand(stop <= self.end, "end")
        inner = Reading(self.data, self.at, stop, self.order == "<")
        values = []
        while inner.at < stop:
            deeper = depth if kind[0] in FIXED else depth + 1
            values.append(inner.value(kind, deeper))
        self.at = stop
        return values


class Parsed(NamedTuple):
    little: bool
    head: tuple[int, int, int]  # kind, flags, serial
    fields: list[tuple[int, Any]]  # the known ones, SENDER left out, in the order they came
    body_start: int
    body: list[Any]
    size: int


def length(data: bytes) -> int | None:
    """The size of the message that begins here; None: not to be said yet."""
    if len(data) < 16:
        return None
    demand(data[0] in b"lB" and data[1] and data[3] == 1, "first bytes")
    body, serial, fields = struct.unpack("<III" if data[0] == 0x6C else ">III", data[4:16])
    total = int(16 + fields + -fields % 8 + body)
    demand(serial and fields <= 1 << 26 and total <= 1 << 27, "limits")
    return total


def parse(data: bytes) -> Parsed:
    """One whole message."""
    size = length(data)
    demand(size == len(data), "size")
    little = data[0] == 0x6C
    order = "<" if little else ">"
    reading = Reading(data, 16, 16 + struct.unpack(order + "I", data[12:16])[0], little)
    known: dict[int, Any] = {}
    while reading.at < reading.end:
        reading.pad(8)
        code = reading.value("y", 2)
        kind, value = reading.value("v", 2)
        demand(code, "field 0")
        if code in FIELD_TYPES:
            demand(code not in known and kind == FIELD_TYPES[code], "field")
            demand(code != 5 or value, "reply serial 0")
            grammar = FIELD_GRAMMAR.get(code)
            demand(grammar is None or re.fullmatch(grammar, value), "name")
            demand(RESERVED.get(code) != value, "reserved")
            known[code] = value
    demand(REQUIRED.get(data[1], set()) <= known.keys(), "required fields")
    reading.end = len(data)
    reading.pad(8)
    start = reading.at
    body = [reading.value(kind, 0) for kind in split(known.get(8, ""))]
    demand(reading.at == len(data), "more than the signature says")
    known.pop(7, None)
    serial = struct.unpack(order + "I", data[8:12])[0]
    head = (data[1], data[2], serial)
    return Parsed(little, head, list(known.items()), start, body, len(data))


class Writing:
    def __init__(self, little: bool) -> None:
        self.data = bytearray()
        self.order = "<" if little else ">"

    def pad(self, unit: int) -> None:
        self.data += bytes(-len(self.data) % unit)

    def value(self, kind: str, value: Any) -> None:
        code = kind[0]
        self.pad(UNIT[code])
        if code in FIXED:
            self.data += struct.pack(self.order + FIXED[code], value)
        elif code == "a":
            self.array(kind[1:], value)
        elif code in "({":
            for member, part in zip(split(kind[1:-1]), value, strict=True):
                self.value(member, part)
        elif code == "v":
            self.value("g", value[0])
            self.value(*value)
        else:
            raw = value.encode(errors="surrogateescape")
            self.value("y" if code == "g" else "u", len(raw))
            self.data += raw + b"\0"

    def array(self, kind: str, values: Any) -> None:
        self.value("u", 0)
        place = len(self.data)
        self.pad(UNIT[kind[0]])
        start = len(self.data)
        for value in values.items() if isinstance(values, dict) else values:
            self.value(kind, value)
        size = struct.pack(self.order + "I", len(self.data) - start)
        self.data[place - 4 : place] = size


def message(
    head: tuple[int, int, int],
    fields: list[tuple[int, tuple[str, Any]]],
    body: bytes = b"",
    *,
    little: bool = True,
) -> bytes:
    """A message of any fields, right or wrong; each is (code, (signature, value))."""
    out = Writing(little)
    out.data += (b"l" if little else b"B") + bytes([head[0], head[1], 1])
    out.value("u", len(body))
    out.value("u", head[2])
    out.value("a(yv)", fields)
    out.pad(8)
    return bytes(out.data) + body


def pack(signature: str, values: Any, *, little: bool = True) -> bytes:
    out = Writing(little)
    for kind, value in zip(split(signature), values, strict=True):
        out.value(kind, value)
    return bytes(out.data)


def relayed(data: bytes, sender: str | None) -> bytes:
    """The message as a bus sends it on."""
    parsed = parse(data)
    fields = [(code, (FIELD_TYPES[code], value)) for code, value in parsed.fields]
    if sender is not None:
        fields.append((7, ("s", sender)))
    return message(parsed.head, fields, data[parsed.body_start :], little=parsed.little)
