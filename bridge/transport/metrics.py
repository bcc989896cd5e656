"""Numbers for who watches over machines: OpenMetrics in HTTP/1.1 on a Unix socket of its own.

Whoever asks can hold no more than its share: one request, which must be small and come soon; one
answer, which is kept once for all, and must be read soon. What is in it is not known here.
"""

import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, final

from bridge.transport.deadlines import Deadlines
from bridge.transport.launch import Listener
from bridge.transport.socket import receive_text
from bus1.fds.closing import hang_up

AT_ONCE: Final = 4  # who else comes waits in the kernel's queue
SECONDS: Final = 5.0  # from connecting to the last byte
LONGEST: Final = 8192  # bytes of a request; what a scraper sends has a few hundred
FRESH: Final = 1.0  # seconds that an answer is good for: asking more often costs nothing
END: Final = (b"\r\n\r\n", b"\n\n")  # of a request's head; it needs no body
METHODS: Final = (b"GET", b"HEAD")
PATHS: Final = (b"/", b"/metrics")

log = logging.getLogger("bus1.metrics")

Expose = Callable[[], tuple[str, bytes]]  # a type of content, and the content


@final
class Metrics:
    """The sockets where one bus is counted. `loop` is the server's."""

    def __init__(self, loop: Any, listeners: Sequence[Listener], expose: Expose) -> None:
        self.loop = loop
        self.listeners = listeners
        self.expose = expose
        self.open: dict[int, Scrape] = {}
        self.deadlines: Deadlines[int] = Deadlines(loop, SECONDS, self.late)
        self.listening = False
        self.ended = False
        self.made: tuple[str, bytes] | None = None
        self.until = 0.0

    def start(self) -> None:
        """Accept, unless enough are being answered."""
        if not (self.listening or self.ended) and len(self.open) < AT_ONCE:
            self.listening = True
            for listener in self.listeners:
                self.loop.add_reader(listener.socket, self.accept, listener)

    def pause(self) -> None:
        if self.listening:
            self.listening = False
            for listener in self.listeners:
                self.loop.remove_reader(listener.socket)

    def stop(self) -> None:
        """Hang up on everybody, remove the sockets."""
        self.ended = True
        for scrape in list(self.open.values()):
            self.close(scrape)
        self.pause()
        self.deadlines.stop()
        for listener in self.listeners:
            listener.close()

    def accept(self, listener: Listener) -> None:
        """Somebody connected. Out of descriptors: clients come first; then it is tried again."""
        try:
            accepted, _ = listener.socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            self.pause()
            self.loop.call_later(SECONDS, self.start)
            return
        accepted.setblocking(False)
        scrape = Scrape(accepted)
        self.open[scrape.fd] = scrape
        self.deadlines.add(scrape.fd)
        self.loop.add_reader(scrape.fd, self.readable, scrape)
        if len(self.open) >= AT_ONCE:
            self.pause()

    def late(self, fd: int) -> None:
        """Its time is over, whatever it waits for."""
        self.close(self.open[fd])

    def close(self, scrape: "Scrape") -> None:
        """It is answered, or gone."""
        if self.open.pop(scrape.fd, None) is None:
            return
        self.loop.remove_reader(scrape.fd)
        self.loop.remove_writer(scrape.fd)
        self.deadlines.discard(scrape.fd)
        hang_up(scrape.socket.detach())
        self.start()

    # --------------------------------------------------------------------- one of them

    def readable(self, scrape: "Scrape") -> None:
        """Some of a request has come."""
        try:
            data = receive_text(scrape.fd, payer=0)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        scrape.request += data
        if scrape.is_whole():
            self.loop.remove_reader(scrape.fd)
            scrape.answer = self.answer(bytes(scrape.request))
            self.writable(scrape)
        elif not data or len(scrape.request) > LONGEST:
            self.close(scrape)

    def writable(self, scrape: "Scrape") -> None:
        """The kernel takes more."""
        try:
            scrape.sent += os.writev(scrape.fd, scrape.rest())
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close(scrape)
            return
        if scrape.is_over():
            self.close(scrape)
        else:
            self.loop.add_writer(scrape.fd, self.writable, scrape)

    def answer(self, request: bytes) -> tuple[bytes, bytes]:
        """Head and body."""
        method, _, rest = request.partition(b"\r" if b"\r" in request else b"\n")[0].partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in METHODS:
            return head("405 Method Not Allowed", "text/plain", 0, "Allow: GET, HEAD\r\n"), b""
        if path not in PATHS:
            return head("404 Not Found", "text/plain", 0), b""
        try:
            kind, body = self.content()
        except Exception:
            log.exception("An error of the bus itself, when it was counted")
            return head("500 Internal Server Error", "text/plain", 0), b""
        return head("200 OK", kind, len(body)), body if method == b"GET" else b""

    def content(self) -> tuple[str, bytes]:
        """What is said now, or was said a moment ago."""
        now = self.loop.time()
        if self.made is None or now >= self.until:
            self.made = self.expose()
            self.until = self.loop.time() + FRESH
        return self.made


@final
class Scrape:
    """Somebody who asks, from connecting to the end. `answer` is not this one's own: it is the
    same object for all who ask within a moment."""

    def __init__(self, socket: socket.socket) -> None:
        self.socket = socket
        self.fd = socket.fileno()
        self.request = bytearray()
        self.answer: tuple[bytes, bytes] = (b"", b"")
        self.sent = 0

    def is_whole(self) -> bool:
        return any(end in self.request for end in END)

    def rest(self) -> list[memoryview]:
        """What is still to be written."""
        first, body = self.answer
        skipped = min(self.sent, len(first))
        return [memoryview(first)[skipped:], memoryview(body)[self.sent - skipped :]]

    def is_over(self) -> bool:
        return self.sent == sum(map(len, self.answer))


def head(status: str, kind: str, length: int, more: str = "") -> bytes:
    """The head of an answer."""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    ).encode("ascii")
