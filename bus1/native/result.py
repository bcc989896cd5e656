"""The answer to one request, until it is written. It knows no operations."""

from bus1.errors import BusError
from bus1.native.packet import Packet
from bus1.native.words import MEMFD, RESULT

HEAD = 24  # bytes: errno, values, stamp, size


class Result:
    """`payload` is what stands in the record; `size` says so, or how large the payload in the
    first of the descriptors is (`memfd`). `fds` closes them when it dies."""

    cookie: int
    error: int
    stamp: int
    values: list[int]
    payload: bytes
    size: int
    memfd: bool
    fds: object
    fd_count: int

    def body(self) -> int:
        """How many bytes it is, without the record's header."""
        return HEAD + 8 * len(self.values) + len(self.payload)

    def write(self, packet: Packet) -> None:
        """Into a packet that has room for it."""
        packet.begin(RESULT, MEMFD if self.memfd else 0, self.cookie, self.body())
        packet.put32(self.error)
        packet.put32(len(self.values))
        packet.put64(self.stamp)
        packet.put64(self.size)
        for value in self.values:
            packet.put64(value)
        packet.put(self.payload)
        if self.fd_count:
            packet.attach(self.fds, self.fds.numbers)  # type: ignore[attr-defined]


def success(cookie: int) -> Result:
    """A request was done. What else there is to say is put in."""
    result = Result.__new__(Result)
    result.cookie = cookie
    result.error = 0
    result.stamp = 0
    result.values = []
    result.payload = b""
    result.size = 0
    result.memfd = False
    result.fds = None
    result.fd_count = 0
    return result


def sent(cookie: int, stamp: int, refused: list[tuple[int, BusError]] | None) -> Result:
    """A message has its place, and these destinations have been left out."""
    result = success(cookie)
    result.stamp = stamp
    for place, error in refused or ():
        result.values += [place, error.errno]
    return result


def failure(cookie: int, error: int, text: str) -> Result:
    """A request has changed nothing, with a text for people."""
    result = success(cookie)
    result.error = error
    result.payload = text.encode()[:1024]
    result.size = len(result.payload)
    return result
