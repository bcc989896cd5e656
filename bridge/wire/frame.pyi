"""Bytes of one connection in, checked and stamped D-Bus messages out. Knows no sockets.

Compiled code receives with two more methods of Framer (frame.pxd): `space` says where the next
bytes go and how many may, `filled` how many came; and it sends `data[:size]` of a Frame.
"""

from typing import Any, final

from bus1.fds.descriptors import Descriptors

class BadMessage(Exception):
    """The peer broke the protocol; the text says how (and it must be disconnected)."""

@final
class Frame:
    """One valid message, ready for any receiver: `raw()` has SENDER stamped. Immutable, but for two
    notes of those above (bridge/gateway)."""

    right: Any
    """The right that it came with, of somebody who may send it; or None."""
    parcel: Any
    """What native peers get, once one of several has got it; or None."""

    @property
    def size(self) -> int: ...
    @property
    def kind(self) -> int:
        """1 method call, 2 method return, 3 error, 4 signal, others unknown."""
    @property
    def flags(self) -> int: ...
    @property
    def little(self) -> bool: ...
    @property
    def serial(self) -> int: ...
    @property
    def reply_serial(self) -> int:
        """0: none."""
    @property
    def destination_number(self) -> int:
        """42 for exactly ":1.42", else -1."""
    @property
    def fds(self) -> Descriptors | None: ...
    @property
    def fd_count(self) -> int: ...
    def destination(self) -> str | None: ...
    def path(self) -> str | None: ...
    def interface(self) -> str | None: ...
    def member(self) -> str | None: ...
    def error_name(self) -> str | None: ...
    def sender(self) -> str | None: ...
    def signature(self) -> str: ...
    def arguments(self, count: int) -> list[tuple[str, str] | None]:
        """The first `count` arguments: ("s", "o" or "g", text), or None for another type. Not to be
        changed: the list is kept."""
    def raw(self) -> bytes: ...
    def body(self) -> bytes: ...

@final
class Framer:
    """One connection's incoming bytes: feed (or space and filled), take until None, settle.

    All framers of a process receive into one buffer and give it up when they settle, or when
    another needs it: for one thread only. After BadMessage nothing more can be taken.
    """

    @property
    def fds(self) -> list[int]:
        """Received and not yet claimed by a message, in order: whoever receives appends. As with
        the reference, those that a message leaves over are the next one's."""
    def __init__(self, max_message_size: int, max_message_fds: int, payer: int = 0) -> None:
        """The payer is the user whose bytes these are: descriptors are closed at its expense."""
    def stamp(self, sender: str) -> None:
        """All frames taken from now on carry this SENDER."""
    def feed(self, data: bytes) -> None:
        """What a socket would have brought."""
    def take(self) -> Frame | None:
        """The next whole message, or None. Raises BadMessage."""
    def kept(self) -> tuple[int, int]:
        """How many bytes wait for the rest of their message, and how many did at most so far."""
    def settle(self) -> None:
        """Keep what is left of a partial message in memory of our own; idle, own nothing."""
    def close(self) -> None:
        """Forget all that was received and not taken; close its file descriptors."""
