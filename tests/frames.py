"""Golden messages, right and wrong, for any destination and byte order."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from tests.raw import (
    CALL,
    DESTINATION,
    ERROR,
    ERROR_NAME,
    INTERFACE,
    MEMBER,
    PATH,
    REPLY_SERIAL,
    RETURN,
    SENDER,
    SIGNAL,
    SIGNATURE,
    UNIX_FDS,
    build,
    call_fields,
)

Frame = Callable[[str, str], bytes]  # (destination, byte order) -> message
SERIAL = 77


def signal(signature: str = "", *args: Any, extra: Any = (), body: bytes | None = None) -> Frame:
    """A unicast signal with these arguments, or with this signature and body as they are."""
    return lambda to, order: build(
        SIGNAL,
        SERIAL,
        [*call_fields(to, "/t", "t.T", "S"), *extra],
        signature,
        args,
        order=order,
        body=body,
    )


def message(
    kind: int, *fields: Any, serial: int = SERIAL, flags: int = 0, version: int = 1
) -> Frame:
    """A message of exactly these fields and DESTINATION."""
    return lambda to, order: build(
        kind, serial, [*fields, (DESTINATION, to)], order=order, flags=flags, version=version
    )


def raw_body(signature: str, little: bytes, big: bytes) -> Frame:
    """A signal whose body is given in both byte orders."""
    fields = call_fields
    return lambda to, order: build(
        SIGNAL,
        SERIAL,
        [*fields(to, "/t", "t.T", "S"), (SIGNATURE, signature)],
        order=order,
        body=little if order == "<" else big,
    )


def words(signature: str, *numbers: int, tail: bytes = b"") -> Frame:
    """A body of 32-bit words, then bytes."""
    little, big = (struct.pack(order + "I" * len(numbers), *numbers) + tail for order in "<>")
    return raw_body(signature, little, big)


def plain(signature: str, body: bytes) -> Frame:
    return raw_body(signature, body, body)


def patched(frame: Frame, at: int, value: int) -> Frame:
    """With one byte of the message changed."""

    def patch(to: str, order: str) -> bytes:
        data = bytearray(frame(to, order))
        data[at] = value
        return bytes(data)

    return patch


def lengths(frame: Frame, body: int | None = None, fields: int | None = None) -> Frame:
    """With the length words of the header changed."""

    def change(to: str, order: str) -> bytes:
        data = bytearray(frame(to, order))
        for at, value in ((4, body), (12, fields)):
            if value is not None:
                struct.pack_into(order + "I", data, at, value)
        return bytes(data)

    return change


def variants(depth: int) -> Frame:
    """`depth` variants inside each other around a byte."""
    value: tuple[str, Any] = ("y", 1)
    for _ in range(depth - 1):
        value = ("v", value)
    return signal("v", value)


def nested(kind: str, depth: int) -> Frame:
    """`depth` arrays or structs around a byte."""
    if kind == "array":
        return lambda to, order: build(
            SIGNAL, SERIAL, call_fields(to, "/t", "t.T", "S"), "a" * depth + "y", [[]], order=order
        )
    value: Any = 1
    for _ in range(depth):
        value = (value,)
    return signal("(" * depth + "y" + ")" * depth, value)


def padded_header(to: str, order: str) -> bytes:
    """The padding between header and body is not zero."""
    data = bytearray(signal("s", "x")(to, order))  # SIGNATURE comes last and ends at 7 modulo 8
    (fields,) = struct.unpack_from(order + "I", data, 12)
    data[16 + fields] = 1
    return bytes(data)


P, I, M = (PATH, "/t"), (INTERFACE, "t.T"), (MEMBER, "S")  # noqa: E741
LONG = "a." + "b" * 253
EVERYTHING = "ybnqiuxtdsogvasa{sv}(i(s))aya(ii)"
VALUES = (
    1, 1, -2, 3, -4, 5, -6, 7, 0.5, "text", "/o/p", "a{sv}", ("(is)", (1, "in")), ["a", "b"],
    {"k": ("u", 1), "l": ("as", ["x"])}, (1, ("s",)), b"bytes", [(1, 2), (3, 4)],
)  # fmt: skip

# must arrive, with the same arguments, fields and flags
GOOD: dict[str, Frame] = {
    "call": message(CALL, P, I, M),
    "call without interface": message(CALL, P, M),
    "signal": signal(),
    "everything": signal(EVERYTHING, *VALUES),
    "empty strings": signal("sgas", "", "", []),
    "empty arrays of aligned things": signal("yaty(y)a(yy)a{yv}y", 1, [], 2, (3,), [], {}, 4),
    "a deep signature": signal("a{s(a{sv}a(sa{u(vv)}))}", {}),
    "variants in variants": variants(60),
    "32 arrays": nested("array", 32),
    "32 structs": nested("struct", 32),
    "a name of 255 bytes": lambda to, order: build(
        SIGNAL, SERIAL, call_fields(to, "/t", LONG, "m" * 255), order=order
    ),
    "a long path": lambda to, order: build(
        SIGNAL, SERIAL, call_fields(to, "/a" * 5000, "t.T", "S"), order=order
    ),
    "a signature of 255 bytes": signal("y" * 255, *[7] * 255),
    "fields in another order": message(SIGNAL, M, I, P),
    "an empty signature": message(SIGNAL, P, I, M, (SIGNATURE, "")),
    "no fds, said so": message(SIGNAL, P, I, M, (UNIX_FDS, 0)),
    "UTF-8 of every length": signal("s", "aäक𐍈\U0010ffff"),
    "noncharacters": signal("s", "\ufdd0\ufffe\uffff\U0001fffe"),
    "control characters": signal("s", "\x01\x1f\x7f\u0085"),
    "unknown flags": message(SIGNAL, P, I, M, flags=0xF8),
    "fields of other types": message(SIGNAL, P, I, M, (ERROR_NAME, "e.E"), (REPLY_SERIAL, 5)),
    "a NaN": plain("d", b"\xff" * 8),
    "big": signal("ay", b"x" * 300_000),
}

# must end the connection of who sent it
BAD: dict[str, Frame] = {
    "byte order": patched(signal(), 0, ord("x")),
    "type 0": message(0, P, I, M),
    "version 0": message(SIGNAL, P, I, M, version=0),
    "version 2": message(SIGNAL, P, I, M, version=2),
    "serial 0": message(SIGNAL, P, I, M, serial=0),
    "call without path": message(CALL, I, M),
    "call without member": message(CALL, P, I),
    "signal without path": message(SIGNAL, I, M),
    "signal without interface": message(SIGNAL, P, M),
    "signal without member": message(SIGNAL, P, I),
    "return without reply serial": message(RETURN),
    "error without reply serial": message(ERROR, (ERROR_NAME, "e.E")),
    "error without name": message(ERROR, (REPLY_SERIAL, 1)),
    "reply serial 0": message(RETURN, (REPLY_SERIAL, 0)),
    "field 0": message(SIGNAL, P, I, M, (0, "s", "x")),
    "a field twice": message(SIGNAL, P, I, M, M),
    "path as string": message(SIGNAL, (PATH, "s", "/t"), I, M),
    "member as signature": message(SIGNAL, P, I, (MEMBER, "g", "S")),
    "reply serial as string": message(RETURN, (REPLY_SERIAL, "s", "1")),
    "fds as int64": message(SIGNAL, P, I, M, (UNIX_FDS, "t", 0)),
    "relative path": message(SIGNAL, (PATH, "t"), I, M),
    "path with end slash": message(SIGNAL, (PATH, "/t/"), I, M),
    "path with two slashes": message(SIGNAL, (PATH, "//t"), I, M),
    "path with a dot": message(SIGNAL, (PATH, "/t.t"), I, M),
    "path empty": message(SIGNAL, (PATH, ""), I, M),
    "interface without dot": message(SIGNAL, P, (INTERFACE, "t"), M),
    "interface with digit": message(SIGNAL, P, (INTERFACE, "t.1"), M),
    "interface with minus": message(SIGNAL, P, (INTERFACE, "t.a-b"), M),
    "interface too long": message(SIGNAL, P, (INTERFACE, LONG + "b"), M),
    "member with dot": message(SIGNAL, P, I, (MEMBER, "a.b")),
    "member with digit": message(SIGNAL, P, I, (MEMBER, "1a")),
    "member empty": message(SIGNAL, P, I, (MEMBER, "")),
    "member too long": message(SIGNAL, P, I, (MEMBER, "m" * 256)),
    "error name without dot": message(ERROR, (ERROR_NAME, "e"), (REPLY_SERIAL, 1)),
    "sender without dot": message(SIGNAL, P, I, M, (SENDER, "me")),
    "local path": message(SIGNAL, (PATH, "/org/freedesktop/DBus/Local"), I, M),
    "local interface": message(SIGNAL, P, (INTERFACE, "org.freedesktop.DBus.Local"), M),
    "padding in the header": padded_header,
    "fields of 128 MiB": lengths(signal(), fields=1 << 27),
    "fields longer than everything": lengths(signal(), fields=0xFFFFFFF8),
    "body of 128 MiB": lengths(signal(), body=1 << 27),
    "body of 4 GiB": lengths(signal(), body=0xFFFFFFFF),
    "a body without signature": lambda to, order: build(
        SIGNAL, SERIAL, call_fields(to, "/t", "t.T", "S"), order=order, body=b"1234"
    ),
    "body too short": plain("t", b"1234"),
    "body too long": plain("y", b"12"),
    "no body at all": plain("s", b""),
    "boolean 2": words("b", 2),
    "string without end": words("s", 4, tail=b"abcd"),
    "string longer than the body": words("s", 100, tail=b"ab\0"),
    "string of 4 GiB": words("s", 0xFFFFFFFF, tail=b"ab\0"),
    "NUL in a string": words("s", 3, tail=b"a\0b\0"),
    "string not UTF-8": words("s", 2, tail=b"a\xff\0"),
    "overlong UTF-8": words("s", 2, tail=b"\xc0\x80\0"),
    "a surrogate": words("s", 3, tail=b"\xed\xa0\x80\0"),
    "UTF-8 above the last": words("s", 4, tail=b"\xf4\x90\x80\x80\0"),
    "UTF-8 cut off": words("s", 2, tail=b"a\xc3\0"),
    "object path": words("o", 2, tail=b"ab\0"),
    "object path empty": words("o", 0, tail=b"\0"),
    "signature in the body": plain("g", b"\1z\0"),
    "signature longer than the body": plain("g", b"\x7fs\0"),
    "signature without end": plain("g", b"\1ss"),
    "array not whole": words("au", 5, 1, tail=b"x"),
    "array longer than the body": words("au", 8, 1),
    "array of 64 MiB and one": words("ay", (1 << 26) + 1),
    "array of strings cut off": words("as", 6, 2, tail=b"a\0"),
    "padding in the body": plain("yu", b"\1\0\0\1\0\0\0\0"),
    "padding before a struct": plain("y(y)", b"\1\0\0\0\0\0\1\1"),
    "padding after an empty array": words("at", 0, 1),
    "variant without type": plain("v", b"\0\0"),
    "variant of two types": plain("v", b"\2yy\0\1\1"),
    "variant of a broken type": plain("v", b"\2a(\0\0\0\0\0"),
    "variant of half an array": plain("v", b"\1a\0\0\0\0\0\0"),
    "variants too deep": variants(70),
    "33 arrays": nested("array", 33),
    "33 structs": nested("struct", 33),
    "struct empty": plain("()", b""),
    "struct not closed": plain("(y", b"\0"),
    "struct not opened": plain("y)", b"\0"),
    "struct closed by a brace": plain("(y}", b"\0"),
    "dict entry alone": plain("{yy}", b"\0\0"),
    "dict entry of one": words("a{y}", 0, 0),
    "dict entry of three": words("a{yyy}", 0, 0),
    "dict entry with a struct as key": words("a{(y)y}", 0, 0),
    "dict entry with a variant as key": words("a{vy}", 0, 0),
    "array of nothing": words("a", 0),
    "unknown type": plain("z", b"\0"),
    "type m": plain("m", b"\0"),
    "signature with NUL": plain("\0", b""),
    "fds that did not come": lambda to, order: build(
        SIGNAL, SERIAL, [*call_fields(to, "/t", "t.T", "S"), (UNIX_FDS, 1)], "h", [0], order=order
    ),
    "fds that did not come, unused": message(SIGNAL, P, I, M, (UNIX_FDS, 3)),
}
