"""A socket before its first message: lines of text, answered at once (wire/sasl.py).

It ends as a Connection, which takes over the descriptor, or is dropped.
"""

import os
from typing import TYPE_CHECKING, final

from bridge.routing.credentials import Credentials
from bridge.routing.errors import Disconnect
from bridge.routing.hub import payer
from bridge.transport.socket import receive_text
from bridge.wire.sasl import AuthFailed, Sasl
from bus1.fds.closing import crowded, hang_up

if TYPE_CHECKING:
    from bridge.transport.server import Server


@final
class Handshake:
    """Somebody who connected, and whom the kernel knows by these credentials."""

    ending = False  # it ends when it has been read to the end

    def __init__(self, server: "Server", fd: int, credentials: Credentials, sasl: Sasl) -> None:
        self.server = server
        self.fd = fd
        self.credentials = credentials
        self.payer = payer(credentials)
        self.sasl = sasl

    def __str__(self) -> str:
        return f"a connection without a name ({self.credentials})"

    def on_readable(self) -> None:
        """The event loop says that there is something to read."""
        try:
            self.read()
        except (AuthFailed, Disconnect) as broken:
            why = "authentication" if isinstance(broken, AuthFailed) else "policy"
            self.server.door.failures[why] += 1
            self.server.drop(self, str(broken))
        except BlockingIOError:
            pass
        except OSError:
            self.server.drop(self, None)
        except Exception:
            self.server.blame_self(self)

    def read(self) -> None:
        """Some lines, or parts of lines; perhaps the first messages behind them."""
        if crowded(self.payer):
            self.server.hold_back(self)
            return
        data = receive_text(self.fd, self.payer)
        if not data:
            self.server.drop(self, None)
            return
        try:
            self.answer(self.sasl.feed(data))
        except AuthFailed as failed:
            self.answer(failed.answer)
            raise
        if self.sasl.done:
            self.server.begin(self, self.sasl)

    def answer(self, lines: bytes) -> None:
        """Few bytes into an empty socket: who lets them not fit is no client. Raises Disconnect."""
        if not lines:
            return
        try:
            count = os.write(self.fd, lines)
        except BlockingIOError:
            count = 0
        if count < len(lines):
            raise Disconnect("it does not read what it is answered")

    def hang_up(self) -> None:
        """Close the descriptor."""
        hang_up(self.fd)

    def close(self) -> None:
        """Give everything back."""
        self.hang_up()

    def on_writable(self) -> None:
        """Nothing is ever queued here."""
