"""A plain connection to any D-Bus bus, for commands that need the very bytes. Knows no policy.

It blocks, and no longer than SECONDS at a time; only `receive` may be called from a loop that
polls `socket`.
"""

import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from errno import EPROTOTYPE
from typing import Final, final

from bridge.cli.address import SECONDS, connected
from bridge.cli.reading import FIXED_PART, Reader, Seen, size_of
from bridge.wire.address import AddressError
from bridge.wire.body import unpack
from bridge.wire.build import build
from bridge.wire.frame import BadMessage
from bridge.wire.protocol import CALL, DRIVER, DRIVER_PATH, ERROR
from policy.text import printable

MAX_LINE: Final = 16 * 1024  # as much as libdbus lets the other side say in the handshake
CHUNK: Final = 256 * 1024
AT_ONCE: Final = 64  # calls on their way; what a bus lets one client await is more
MOST_ASIDE: Final = 64 * 1024 * 1024  # bytes that are put aside while answers are waited for
SYSTEM: Final = "unix:path=/run/dbus/system_bus_socket"
# What the methods that are called return: whatever answers otherwise is no bus.
GIVES: Final = {
    "Hello": "s",
    "AddMatch": "",
    "RemoveMatch": "",
    "ListNames": "as",
    "ListActivatableNames": "as",
    "StartServiceByName": "u",
    "GetNameOwner": "s",
    "GetId": "s",
    "GetConnectionUnixProcessID": "u",
    "GetConnectionCredentials": "a{sv}",
    "GetStats": "a{sv}",
    "GetConnectionStats": "a{sv}",
    "BecomeMonitor": "",
    "GetStatus": "s",
    "Explain": "s",
}


class NoBus(Exception):
    """There is no such bus, or no longer; the text says why."""


@final
class BusError(Exception):
    """The bus answered with an error. Whatever the bus is, its text does nothing to a terminal."""

    def __init__(self, name: str, text: str) -> None:
        text = printable(text.strip())
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


def where(address: str | None, system: bool, environment: Mapping[str, str]) -> str:
    """The address that is meant. Raises NoBus."""
    if address is not None:
        return address
    if system:
        return environment.get("DBUS_SYSTEM_BUS_ADDRESS") or SYSTEM
    if found := environment.get("DBUS_SESSION_BUS_ADDRESS"):
        return found
    if environment.get("XDG_RUNTIME_DIR"):
        return "unix:runtime=yes"
    raise NoBus("there is no session bus: DBUS_SESSION_BUS_ADDRESS is not set (or say --system)")


def reach(address: str | None, system: bool) -> "Link":
    """The bus that the command line means. Raises NoBus, BusError."""
    place = address or f"the {'system' if system else 'session'} bus"
    return Link(where(address, system, os.environ), place)


@final
class Link:
    """One connection that has said Hello."""

    def __init__(self, address: str, place: str) -> None:
        """`place` is what the bus is called in errors. Raises NoBus, BusError."""
        self.place = place
        self.reader = Reader()
        self.unread: deque[Seen] = deque()
        self.aside: list[Seen] = []
        self.buffer = bytearray()
        self.serial = 0
        try:
            self.socket = connected(address)
        except AddressError as error:
            raise NoBus(f"{address} is no address to connect to: {error}") from None
        except OSError as error:
            raise NoBus(f"{place} is not there: {reason(error)}") from None
        self.authenticate()
        self.name = str(self.ask(("Hello", "", ()))[0][0])

    # -------------------------------------------------------------------- handshake

    def authenticate(self) -> None:
        """EXTERNAL: the kernel says who we are. Descriptors are agreed on, though we have no use
        for them: buses show messages that have any only to those who take them."""
        identity = str(os.geteuid()).encode().hex()
        self.write(f"\0AUTH EXTERNAL {identity}\r\n".encode())
        if not self.line().startswith("OK "):
            raise NoBus(f"{self.place} does not let this user in")
        self.write(b"NEGOTIATE_UNIX_FD\r\n")
        self.line()  # if it does not agree, it has none to show
        self.write(b"BEGIN\r\n")

    def line(self) -> str:
        while (end := self.buffer.find(b"\r\n")) < 0:
            if len(self.buffer) > MAX_LINE:
                raise NoBus(f"{self.place} does not speak D-Bus")
            self.fill()
        text = self.buffer[:end].decode("ascii", "replace")
        del self.buffer[: end + 2]
        return text

    # ------------------------------------------------------------------------ calls

    def ask(
        self, *calls: tuple[str, str, Sequence[object]], interface: str = DRIVER
    ) -> list[tuple[object, ...]]:
        """Call methods of the bus: (member, signature, arguments). What comes before the last
        answer is put aside, what comes after it is unread. Raises NoBus, and BusError if one of
        them failed."""
        return [good(answer) for answer in self.answers(calls, interface)]

    def answers(
        self, calls: Sequence[tuple[str, str, Sequence[object]]], interface: str = DRIVER
    ) -> list[Seen]:
        """The answers to calls, be they good or errors. Raises NoBus."""
        found: list[Seen] = []
        for at in range(0, len(calls), AT_ONCE):
            serials = [self.send(interface, *call) for call in calls[at : at + AT_ONCE]]
            found += self.wait(serials)
        for (member, *_), answer in zip(calls, found, strict=True):
            if answer.frame.kind != ERROR and answer.frame.signature() != GIVES[member]:
                raise NoBus(f"{self.place} answers {member} as no bus does")
        return found

    def send(self, interface: str, member: str, signature: str, body: Sequence[object]) -> int:
        self.serial += 1
        call = build(
            CALL,
            serial=self.serial,
            flags=0,
            path=DRIVER_PATH,
            interface=interface,
            member=member,
            destination=DRIVER,
            sender=None,
            signature=signature,
            body=body,
        )
        self.write(call.raw())
        return self.serial

    def write(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise NoBus(f"{self.place} has hung up: {error.strerror or error}") from None

    def wait(self, serials: Sequence[int]) -> list[Seen]:
        """The answers to these calls, in the order of the calls."""
        answers: dict[int, Seen] = {}
        room = MOST_ASIDE
        while len(answers) < len(serials):
            seen = self.next()
            if seen.frame.sender() == DRIVER and seen.frame.reply_serial in serials:
                answers[seen.frame.reply_serial] = seen
                continue
            self.aside.append(seen)
            room -= len(seen.raw)
            if room < 0:
                raise NoBus(f"{self.place} says everything but what it was asked")
        return [answers[serial] for serial in serials]

    def next(self) -> Seen:
        """The next message. Raises NoBus."""
        while not self.unread:
            self.unread.extend(self.receive())
        return self.unread.popleft()

    # --------------------------------------------------------------------- messages

    def receive(self) -> list[Seen]:
        """What has come: any number of messages, and maybe a part of one. Raises NoBus."""
        self.fill()
        try:
            return self.whole()
        except BadMessage as error:
            raise NoBus(f"{self.place} has sent what is no message: {error}") from None

    def whole(self) -> list[Seen]:
        """The messages of which all is there."""
        found: list[Seen] = []
        now = time.time(), time.monotonic()
        at = 0
        while len(self.buffer) - at >= FIXED_PART:
            size = size_of(self.buffer, at)
            if len(self.buffer) - at < size:
                break
            found.append(self.reader.read(bytes(self.buffer[at : at + size]), now))
            at += size
        del self.buffer[:at]
        return found

    def fill(self) -> None:
        """One read. Descriptors that come along are closed by the kernel: we leave it no room to
        put them."""
        try:
            data = self.socket.recv(CHUNK)
        except TimeoutError:
            raise NoBus(f"{self.place} did not answer within {SECONDS} seconds") from None
        except OSError as error:
            raise NoBus(f"{self.place} has hung up: {error.strerror}") from None
        if not data:
            raise NoBus(f"{self.place} has hung up")
        self.buffer += data

    def close(self) -> None:
        self.socket.close()


def reason(error: OSError) -> str:
    """Why nobody is there."""
    if error.errno == EPROTOTYPE:
        return "this is a socket for native programs, not for D-Bus"
    return error.strerror or str(error)


def good(answer: Seen) -> tuple[object, ...]:
    """What a call returned. Raises BusError."""
    values = unpack(answer.frame)
    if answer.frame.kind == ERROR:
        text = str(values[0]) if values else ""
        raise BusError(answer.frame.error_name() or "", text)
    return values
