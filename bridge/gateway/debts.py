"""The answers that native peers owe to calls from D-Bus, by the cookies of the handles that they
answer on. It sends nothing."""

from typing import TYPE_CHECKING

from bus1.node import Handle

if TYPE_CHECKING:
    from bridge.gateway.face import Face


class Debt:
    """One call: whom it came to, the number of the client that waits, the call's serial, and the
    reply handle of D-Bus, which only the answer or the end of the native one uses up."""

    def __init__(self, face: "Face", number: int, serial: int, once: Handle) -> None:
        self.face = face
        self.number = number
        self.serial = serial
        self.once = once


class Debts:
    """Those of one gateway."""

    def __init__(self) -> None:
        self.table: dict[int, Debt] = {}
        self.last = 0

    def add(self, debt: Debt) -> int:
        """One more: its cookie, never used before."""
        self.last += 1
        self.table[self.last] = debt
        debt.face.debts.add(self.last)
        return self.last

    def pop(self, cookie: int) -> Debt | None:
        """It is answered, or never will be."""
        debt = self.table.pop(cookie, None)
        if debt is not None:
            debt.face.debts.discard(cookie)
        return debt

    def forget(self, face: "Face") -> None:
        """Nobody can answer for this one any more."""
        for cookie in face.debts:
            del self.table[cookie]
        face.debts.clear()
