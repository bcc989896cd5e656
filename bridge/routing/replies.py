"""Who owes whom a reply: the one-shot reply handles, by caller and serial. No bytes.

The callee of a call gets a one-shot handle to the caller's node, whose cookie is the
call's serial. Replying consumes it. If it dies unused the core tells the caller's node,
and the bus answers NoReply for the callee.
"""

from typing import Protocol

from bridge.routing.client import Client
from bridge.routing.errors import ACCESS_DENIED, LIMITS_EXCEEDED, Refused
from bus1.node import Handle


class Deadlines(Protocol):
    """What the bus asks of whoever has a clock, if a reply has a time to come (reply_timeout).

    A thing is (the caller's number, the callee, the call's serial).
    """

    def add(self, thing: tuple[int, Client, int]) -> None:
        """Its time begins."""

    def discard(self, thing: tuple[int, Client, int]) -> None:
        """It came, or nobody waits for it any more."""


class Replies:
    """The rules for reply handles; the handles themselves are in each callee's `owed`, by the
    caller's number in the upper and the call's serial in the lower 32 bits. With `deadlines`
    a reply must come in time."""

    def __init__(self) -> None:
        self.deadlines: Deadlines | None = None

    def expect(self, caller: Client, callee: Client, serial: int) -> Handle:
        """A new reply handle, to be sent with the call and then entered by `owe`.

        Refused: too many calls wait (max_replies_per_connection), or the callee owes a
        reply to the same serial already (dbus-daemon answers AccessDenied, too).
        """
        if caller.awaited >= caller.most_awaited:
            raise Refused(
                LIMITS_EXCEEDED,
                "The maximum number of pending replies per connection has been reached",
            )
        if self.find(caller, callee, serial) is not None:
            raise Refused(
                ACCESS_DENIED,
                "Message has the same reply serial as a currently-outstanding existing method call",
            )
        once: Handle = caller.peer.once(caller.node, None, serial)
        return once

    def owe(self, caller: Client, callee: Client, serial: int, once: Handle) -> bool:
        """The call was sent: from now on the callee may answer it."""
        key = (caller.number << 32) | serial
        if callee.owed is None:
            callee.owed = {}
        callee.owed[key] = once
        caller.awaited += 1
        if self.deadlines is not None:
            self.deadlines.add((caller.number, callee, serial))
        return True

    def find(self, caller: Client, callee: Client, serial: int) -> Handle | None:
        """The handle on which the callee may answer this call."""
        if callee.owed is None:
            return None
        key = (caller.number << 32) | serial
        return callee.owed.get(key)

    def settle(self, caller: Client, callee: Client, serial: int) -> bool:
        """The call is answered, or one of the two is gone: nothing is owed any more."""
        if not self.excuse(caller.number, callee, serial):
            return False
        caller.awaited -= 1
        return True

    def excuse(self, number: int, callee: Client, serial: int) -> bool:
        """The callee cannot answer this call, of the client with this number, any more."""
        if callee.owed is None:
            return False
        if self.deadlines is not None:
            self.deadlines.discard((number, callee, serial))
        key = (number << 32) | serial
        return callee.owed.pop(key, None) is not None

    def abandon(self, callee: Client) -> None:
        """The callee is gone, or takes no part any more: it answers nothing."""
        if self.deadlines is not None:
            for key in callee.owed or ():
                self.deadlines.discard((key >> 32, callee, key & 0xFFFFFFFF))
        callee.owed = None
