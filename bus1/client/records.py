"""Requests as bytes: the layout of PROTOCOL.md, and nothing else."""

from collections.abc import Sequence
from struct import Struct

from bus1.client.objects import Handle, Node, Once
from bus1.client.payload import Buffer, Fd, Sealed
from bus1.errors import Invalid, TooLong
from bus1.native import words
from bus1.native.words import CARRY_ONCE, SEND

HEADER = Struct(words.HEADER_FORMAT)
RESULT = Struct(words.RESULT_FORMAT)
DATA = Struct(words.DATA_FORMAT)
CARRIED = Struct(words.CARRIED_FORMAT)
NOTICE = Struct(words.NOTICE_FORMAT)
WELCOME = Struct(words.WELCOME_FORMAT)
LIMITS = Struct(words.LIMITS_FORMAT)
CARGO = Struct(words.SEND_FORMAT)
TRANSFER = Struct(words.TRANSFER_FORMAT)
# The two that are sent most often, in one piece: to one node, with a one-shot handle or nothing.
CALL = Struct("=IHHIIIIQQIIQQ")
PLAIN = Struct("=IHHIIIIQQ")
CALL_SIZE, PLAIN_SIZE = CALL.size, PLAIN.size
pack_call, pack_plain = CALL.pack, PLAIN.pack

# What may go along with a message.
Carry = Handle | Node | Once


def ids(numbers: Sequence[int]) -> bytes:
    return Struct(f"={len(numbers)}Q").pack(*numbers)


def fit(size: int, fds: Sequence[Fd]) -> None:
    """TooLong if no packet can hold a body of this size with these."""
    if words.HEADER + size > words.PACKET_MOST or len(fds) > words.FDS_MOST:
        raise TooLong(f"{size} bytes and {len(fds)} descriptors do not fit in a packet")


def request(kind: int, flags: int, number: int, body: bytes, fds: Sequence[Fd]) -> bytes:
    return HEADER.pack(words.HEADER + len(body), kind, flags, number, len(fds)) + body


def call(flags: int, number: int, target: int, node: int, cookie: int, payload: bytes) -> bytes:
    size = len(payload)
    head = pack_call(
        CALL_SIZE + size, SEND, flags, number, 0,
        1, 1, size, target,
        CARRY_ONCE, 0, node, cookie,
    )  # fmt: skip
    return head + payload


def plain(flags: int, number: int, target: int, payload: bytes) -> bytes:
    size = len(payload)
    return pack_plain(PLAIN_SIZE + size, SEND, flags, number, 0, 1, 0, size, target) + payload


def load(content: Buffer | Sealed, fds: Sequence[Fd]) -> tuple[int, int, bytes, Sequence[Fd]]:
    """How a payload travels: the flag, its size, the bytes in the record, the descriptors."""
    if not isinstance(content, Sealed):
        view = memoryview(content).cast("B")
        if view.nbytes <= words.INLINE_MOST:
            return 0, view.nbytes, bytes(view), fds
        content = Sealed(view)
    return words.MEMFD, content.size, b"", (content.fd, *fds)


def cargo(targets: Sequence[Handle], carried: Sequence[Carry], size: int) -> bytes:
    """The body of SEND, SET_SEED and PEER up to the payload. Raises Invalid for what cannot be
    carried and Unknown for what is not held."""
    parts = [CARGO.pack(len(targets), len(carried), size), ids([each.held() for each in targets])]
    parts += [transfer(each) for each in carried]
    return b"".join(parts)


def transfer(thing: Carry) -> bytes:
    if isinstance(thing, Handle):
        return TRANSFER.pack(words.CARRY_HANDLE, 0, thing.held(), 0)
    if isinstance(thing, Once):
        return TRANSFER.pack(words.CARRY_ONCE, 0, thing.node.held(), thing.cookie)
    if isinstance(thing, Node):
        return TRANSFER.pack(words.CARRY_NODE, 0, thing.held(), 0)
    raise Invalid(f"neither a handle nor a node: {thing!r}")
