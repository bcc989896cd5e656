"""The server's side of the D-Bus SASL profile: bytes in, bytes out. It knows no sockets.

D-Bus Specification, "Authentication Protocol". What it leaves open is done as dbus-daemon does.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, final

MAX_LINE: Final = 16 * 1024  # dbus-daemon's limit, the line's end included
MAX_FAILURES: Final = 6  # dbus-daemon's limit: the sixth rejection is the last word
CRLF: Final = b"\r\n"
BLANK: Final = re.compile(rb"[ \t]+")
HEX: Final = re.compile(rb"[0-9A-Fa-f]*")


class AuthFailed(Exception):
    """The client must be disconnected, after `answer` has been sent to it."""

    def __init__(self, reason: str, answer: bytes) -> None:
        super().__init__(reason)
        self.answer = answer


@final
class Sasl:
    """One client's handshake, from the first byte to BEGIN.

    Once `done` is set: `rest` is what belongs to D-Bus already, `takes_fds` says whether file
    descriptors were agreed on, and the client is user `uid`, or nobody if `anonymous` is set.
    """

    def __init__(
        self,
        uid: int | None,
        guid: str,
        anonymous: bool,
        can_pass_fds: bool,
        external: bool = True,
    ) -> None:
        """`uid` is what the kernel says of the client; `anonymous` and `external` say what is
        offered: ANONYMOUS, EXTERNAL, both or neither."""
        self.done = False
        self.rest = b""
        self.takes_fds = False
        self.uid: int | None = None
        self.anonymous = False
        self._identity = None if uid is None else b"%d" % uid
        self._kernel_uid = uid
        self._ok = b"OK " + guid.encode("ascii")
        self._can_pass_fds = can_pass_fds
        self._offered = (b"EXTERNAL",) * external + (b"ANONYMOUS",) * anonymous
        self._mechanism = b""
        self._state: State = WAITING_FOR_AUTH
        self._failures = 0
        self._greeted = False
        self._in = bytearray()
        self._out = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Take what the client sent; return what to send back. Raises AuthFailed."""
        self._in += data
        if not self._greeted and self._in:
            self._greet()
        while not self.done:
            end = self._in.find(CRLF) + len(CRLF)
            whole = end >= len(CRLF)
            if (end if whole else len(self._in)) > MAX_LINE:
                raise self._failed("a line of the handshake is longer than 16 KiB")
            if not whole:
                break
            line = bytes(self._in[: end - len(CRLF)])
            del self._in[:end]
            self._obey(line)
        if self.done:
            self.rest += bytes(self._in)
            self._in.clear()
        answer = bytes(self._out)
        self._out.clear()
        return answer

    # ---------------------------------------------------------------------- lines

    def _greet(self) -> None:
        """The first byte is NUL: on other systems it carried the credentials."""
        if self._in[0] != 0:
            raise self._failed("the first byte is not NUL")
        del self._in[0]
        self._greeted = True

    def _obey(self, line: bytes) -> None:
        """One line: what it means depends on the state (the tables below)."""
        if not line.isascii() or b"\0" in line:
            self._error("Command contained non-ASCII")
            return
        command, argument = split(line)
        action = self._state.get(command, "Unknown command")
        if isinstance(action, str):
            self._error(action)
        else:
            action(self, argument)

    def _say(self, line: bytes) -> None:
        self._out += line + CRLF

    def _error(self, text: str) -> None:
        self._say(b'ERROR "%s"' % text.encode("ascii"))

    def _failed(self, reason: str) -> AuthFailed:
        return AuthFailed(reason, bytes(self._out))

    # ------------------------------------------------------------------- commands

    def auth(self, argument: bytes) -> None:
        """AUTH [mechanism [initial response]]"""
        name, response = split(argument)
        if name in self._offered:
            self._mechanism = name
            self.data(response)
        else:
            self.reject()

    def data(self, argument: bytes) -> None:
        """DATA [response]: whatever the mechanism asked for."""
        response = unhex(argument)
        if response is None:
            self._error("Invalid hex encoding")
            return
        MECHANISMS[self._mechanism](self, response)

    def reject(self, argument: bytes = b"") -> None:
        """The client may begin anew, with one of these mechanisms, but not for ever."""
        self._state = WAITING_FOR_AUTH
        self.uid, self.anonymous, self.takes_fds = None, False, False
        self._say(b" ".join([b"REJECTED", *self._offered]))
        self._failures += 1
        if self._failures == MAX_FAILURES:
            raise self._failed("too many failed attempts to authenticate")

    def negotiate_fds(self, argument: bytes) -> None:
        """NEGOTIATE_UNIX_FD"""
        if self._can_pass_fds:
            self.takes_fds = True
            self._say(b"AGREE_UNIX_FD")
        else:
            self._error(
                "Unix FD passing not supported, not authenticated or otherwise not possible"
            )

    def begin(self, argument: bytes) -> None:
        """BEGIN: from the next byte on it is D-Bus."""
        self.done = True

    def begin_too_early(self, argument: bytes) -> None:
        """BEGIN before OK."""
        raise self._failed("BEGIN without authentication")

    # ----------------------------------------------------------------- mechanisms

    def external(self, response: bytes) -> None:
        """EXTERNAL: you are who the kernel says; if you say who that is, it must be right.

        Only the plain decimal number: a name would have to be looked up, and dbus-daemon's
        reading of " 0", "+0", "0x0" and "00" as 0 serves no client.
        """
        if not response and self._state is not WAITING_FOR_DATA:
            self._state = WAITING_FOR_DATA
            self._say(b"DATA")
        elif self._identity is None or (response and response != self._identity):
            self.reject()
        else:
            self.uid = self._kernel_uid
            self._accept()

    def nobody(self, response: bytes) -> None:
        """ANONYMOUS: the response is a trace for logs (RFC 4505), and need only be text."""
        if is_text(response):
            self.anonymous = True
            self._accept()
        else:
            self.reject()

    def _accept(self) -> None:
        self._state = WAITING_FOR_BEGIN
        self._say(self._ok)


MECHANISMS: Final[Mapping[bytes, Callable[[Sasl, bytes], None]]] = {
    b"EXTERNAL": Sasl.external,
    b"ANONYMOUS": Sasl.nobody,
}

Action = Callable[[Sasl, bytes], None] | str  # what to do, or the error to answer
State = Mapping[bytes, Action]

WAITING_FOR_AUTH: Final[State] = {
    b"AUTH": Sasl.auth,
    b"DATA": "Not currently in an auth conversation",
    b"CANCEL": "Not currently in an auth conversation",
    b"ERROR": Sasl.reject,
    b"NEGOTIATE_UNIX_FD": "Need to authenticate first",
    b"BEGIN": Sasl.begin_too_early,
}
WAITING_FOR_DATA: Final[State] = {
    b"AUTH": "Sent AUTH while another AUTH in progress",
    b"DATA": Sasl.data,
    b"CANCEL": Sasl.reject,
    b"ERROR": Sasl.reject,
    b"NEGOTIATE_UNIX_FD": "Need to authenticate first",
    b"BEGIN": Sasl.begin_too_early,
}
WAITING_FOR_BEGIN: Final[State] = {
    b"AUTH": "Sent AUTH while expecting BEGIN",
    b"DATA": "Sent DATA while expecting BEGIN",
    b"CANCEL": Sasl.reject,
    b"ERROR": Sasl.reject,
    b"NEGOTIATE_UNIX_FD": Sasl.negotiate_fds,
    b"BEGIN": Sasl.begin,
}


def split(line: bytes) -> tuple[bytes, bytes]:
    """The first word, and what follows the blanks after it."""
    word, *rest = BLANK.split(line, maxsplit=1)
    return word, rest[0] if rest else b""


def unhex(text: bytes) -> bytes | None:
    """Bytes from hexadecimal digits, None if it is something else.

    A last single digit is the high half of a byte, as dbus-daemon reads it.
    """
    if not HEX.fullmatch(text):
        return None
    return bytes.fromhex((text + b"0" * (len(text) % 2)).decode("ascii"))


def is_text(data: bytes) -> bool:
    """UTF-8 without NUL."""
    try:
        return "\0" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False
