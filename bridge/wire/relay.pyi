"""Messages that came by another way than a connection's bytes, made ready to be routed."""

from bridge.wire.frame import Frame
from bus1.fds.descriptors import Descriptors

def relay(
    data: bytes,
    *,
    sender: str,
    serial: int,
    destination: str | None = None,
    reply_serial: int = 0,
    longest: int,
    most_fds: int,
    fds: object = None,
) -> Frame:
    """The message with this SENDER and serial. `destination`: where it goes if it does not say;
    `reply_serial`: what it answers, whatever it says. `fds` has the `numbers` of the descriptors
    that came, and closes them when it dies. Raises BadMessage."""

def borrowed(fds: object, first: int, count: int) -> Descriptors | None:
    """`count` of the descriptors of another, from the `first` on, who lives as long as these."""
