"""What clients send, and what they see of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests import raw
from tests.raw import CALL, DRIVER, DRIVER_PATH, ERROR, RETURN, SIGNAL, Message

KINDS = {1: "method_call", 2: "method_return", 3: "error", 4: "signal"}
DENIED = "org.freedesktop.DBus.Error.AccessDenied"


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One message. `strange`: with a header field that nobody knows."""

    kind: int
    serial: int = 0
    flags: int = 0
    path: str | None = None
    interface: str | None = None
    member: str | None = None
    error: str | None = None
    reply_serial: int = 0
    destination: str | None = None
    fds: int = 0
    signature: str = ""
    args: tuple[Any, ...] = ()
    strange: bool = False

    def bytes(self) -> bytes:
        pairs = (
            (raw.PATH, self.path),
            (raw.INTERFACE, self.interface),
            (raw.MEMBER, self.member),
            (raw.ERROR_NAME, self.error),
            (raw.REPLY_SERIAL, self.reply_serial or None),
            (raw.DESTINATION, self.destination),
            (raw.UNIX_FDS, self.fds or None),
        )
        fields: list[Any] = [pair for pair in pairs if pair[1] is not None]
        if self.strange:
            fields.insert(0, (77, "s", "strange"))
        return raw.build(
            self.kind, self.serial, fields, self.signature, self.args, flags=self.flags
        )

    def __str__(self) -> str:
        words = [
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if value and name not in ("kind", "signature")
        ]
        return f"{KINDS[self.kind]}({', '.join(words)})"


HELLO = Letter(
    kind=CALL, serial=1, destination=DRIVER, path=DRIVER_PATH, interface=DRIVER, member="Hello"
)


@dataclass(frozen=True)
class Seen:
    """What a client received. `key` says what it is: (sender, serial) of what a client sent,
    (DRIVER, kind, reply serial) of the bus's answers, (DRIVER, member, arguments) of its
    signals. `text` is what an error says."""

    key: tuple[Any, ...]
    error: str = ""
    text: str = ""

    def __str__(self) -> str:
        return " ".join(str(each) for each in (*self.key, self.error, self.text) if each != "")


def seen(message: Message) -> Seen:
    """A message as it arrived."""
    if message.sender != DRIVER:
        return Seen((message.sender, message.serial))
    if message.kind == SIGNAL:
        return Seen((DRIVER, message.member, *message.args))
    if message.kind == ERROR:
        return Seen((DRIVER, ERROR, message.reply_to), message.error, message.args[0])
    return Seen((DRIVER, message.kind, message.reply_to), text=answered(message))


def answered(message: Message) -> str:
    """What a return of the bus says, if it is the same in all buses."""
    return str(message.args) if message.kind == RETURN and message.signature in ("u", "b") else ""


def key_of(sender: str, letter: Letter) -> tuple[object, ...]:
    """How a client tells what it received (Seen.key)."""
    if sender != DRIVER:
        return (sender, letter.serial)
    if letter.kind == SIGNAL:
        return (DRIVER, letter.member, *letter.args)
    return (DRIVER, letter.kind, letter.reply_serial)


def answer(to: str, kind: int, serial: int, error: str = "AccessDenied") -> Letter:
    """The bus answers a message."""
    name = f"org.freedesktop.DBus.Error.{error}" if kind == ERROR else None
    return Letter(kind=kind, destination=to, reply_serial=serial, error=name)


def notice(what: str, to: str | None, *args: str) -> Letter:
    """A signal of the bus."""
    return Letter(
        kind=SIGNAL, destination=to, path=DRIVER_PATH, interface=DRIVER, member=what, args=args
    )
