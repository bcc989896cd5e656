"""A peer's receiving end: its clock and its messages in their total order. It knows no nodes.

Every message has its place by (stamp, tie). The clock is at least every stamp in the queue, so a
new stamp, greater than the clocks of all its destinations, goes to the tail of each. A staged
message has an odd stamp; nothing behind it can be taken before it is committed or withdrawn.

The one rule of waking: a queue is put on the bus's `ready` list whenever an append, a commit or a
withdrawal leaves it with a message at its head that can be taken, unless it is there already
(`woken`). `Bus.take_ready` clears the mark; a reader that then leaves messages behind calls
`wake()`, or is woken by the next append. Staged messages alone never wake anybody.

One operation can have any number of notices for one peer. They are one entry then, a roll, and
each becomes a message when it gets to the head: so to put them here takes as long as to write them
down, and nobody waits for it.
"""

from typing import Any

from bus1.message import Message, notice
from bus1.quota import Account


class Queue:
    """`peer` is None once closed; `reader` is whatever the embedding wants to find here."""

    account: Account
    peer: object
    number: int
    reader: object
    clock: int
    closed: bool
    woken: bool
    ready: "list[Queue]"
    staging: "list[Any]"  # open transactions of this peer: what it staged elsewhere
    entries: "list[Message]"  # None before `head`: taken
    head: int  # never at a void entry, nor at a roll
    staged: int
    voids: int  # entries that were recalled
    rolls: int  # entries that are rolls
    rolled: int  # notices in these

    def __init__(self, account: Account, peer: object, number: int, ready: "list[Queue]") -> None:
        self.account = account
        self.peer = peer
        self.number = number
        self.reader = None
        self.clock = 0
        self.closed = self.woken = False
        self.ready = ready
        self.staging = []
        self.entries = []
        self.head = 0
        self.staged = self.voids = self.rolls = self.rolled = 0

    def append(self, message: Message, stamp: int, tie: int) -> bool:
        """Put a committed message at the tail. `stamp` is even and above the clock, or equal to it
        for a further message of the same operation. True if this made the queue ready."""
        if stamp == self.clock and not message.kind:
            last = self.entries[-1]
            last.more = True
        message.stamp = stamp
        message.tie = tie
        self.clock = stamp
        self.entries.append(message)
        return not self.woken and self.wake()

    def enrol(self, roll: Message, stamp: int, tie: int) -> bool:
        """Put many notices of one operation at the tail. True if this made the queue ready."""
        roll.stamp = stamp
        roll.tie = tie
        self.clock = stamp
        self.entries.append(roll)
        self.rolls += 1
        self.rolled += roll.size
        self.settle()
        return not self.woken and self.wake()

    def stage(self, message: Message) -> int:
        """Link a message that nobody may see yet; its stamp is odd."""
        stamp = self.clock + 1 + (self.clock & 1)
        message.stamp = self.clock = stamp
        self.entries.append(message)
        self.staged += 1
        return stamp

    def commit(self, message: Message, stamp: int, tie: int) -> bool:
        """Move a staged message to its place in the order."""
        self.remove(message)
        self.staged -= 1
        return self.append(message, stamp, tie)

    def withdraw(self, message: Message) -> bool:
        """Unlink a message that has not been taken; False if it is not here."""
        if not self.remove(message):
            return False
        if message.stamp & 1:
            self.staged -= 1
        if not self.woken:
            self.wake()
        return True

    def recall(self, message: Message) -> None:
        """Withdraw a notice, which is here and not taken, or one of a roll, in constant time: one
        event can put any number of them side by side. It is void where it lies, until most of the
        queue is."""
        if message.kind == 4:  # ROLL
            message.size -= 1
            self.rolled -= 1
            if message.size:
                return
            self.rolls -= 1
        message.kind = -1  # VOID: a literal, like those below, because it is compared often
        message.target = None
        self.voids += 1
        if self.voids > 32 and 2 * self.voids > len(self.entries) - self.head:
            self.purge()
        else:
            self.settle()
        if not self.woken:
            self.wake()

    def peek(self, place: int) -> Message | None:
        """The message `place` behind the head, or None where nothing can be taken yet. A roll ends
        what can be seen: what is in it can be taken when it is at the head."""
        if place < 0 or place >= len(self.entries) - self.head:
            return None
        if place and self.voids > 32:
            self.purge()
        place += self.head
        if self.staged or self.voids or self.rolls:
            index = self.head
            while index <= place and index < len(self.entries):
                message = self.entries[index]
                if message.stamp & 1 or message.kind == 4:  # ROLL
                    return None
                if message.kind < 0:
                    place += 1
                index += 1
            if place >= len(self.entries):
                return None
        return self.entries[place]

    def take(self) -> Message | None:
        """Remove the message at the head, or None where nothing can be taken yet."""
        if self.head == len(self.entries):
            return None
        message = self.entries[self.head]
        if message.stamp & 1:
            return None
        self.entries[self.head] = None  # type: ignore[call-overload]
        self.head += 1
        self.settle()
        return message

    def wake(self) -> bool:
        """Get on the ready list if a message can be taken. For a reader that left some behind."""
        if self.woken or self.peek(0) is None:
            return False
        self.woken = True
        self.ready.append(self)
        return True

    def held(self) -> int:
        """How many messages are linked here, staged ones included."""
        return len(self.entries) - self.head - self.voids - self.rolls + self.rolled

    def drain(self) -> "list[Message]":
        """Remove and return all that is ordered; what is only staged stays."""
        self.purge()
        entries = self.entries
        self.rolls = self.rolled = 0
        self.entries = [message for message in entries if message.stamp & 1]
        return [message for message in entries if not message.stamp & 1]

    def seal(self) -> "list[Message]":
        """Close for good: remove and return all that is linked."""
        self.purge()
        entries = self.entries
        self.entries = []
        self.staged = self.rolls = self.rolled = 0
        self.closed = True
        self.peer = self.reader = None
        self.ready = []
        return entries

    def settle(self) -> None:
        """The head has moved: on past void entries, to a notice out of a roll if there is one, and
        close up behind it when it is worth it."""
        while self.voids and self.head < len(self.entries):
            message = self.entries[self.head]
            if message.kind >= 0:
                break
            self.entries[self.head] = None  # type: ignore[call-overload]
            self.head += 1
            self.voids -= 1
        if self.rolls and self.head < len(self.entries):
            self.unroll()
        if self.head == len(self.entries):
            del self.entries[:]
            self.head = 0
        elif self.head >= 64 and 2 * self.head > len(self.entries):
            del self.entries[: self.head]
            self.head = 0

    def unroll(self) -> None:
        """If a roll is at the head, put the first notice of it there, before the rest."""
        roll = self.entries[self.head]
        if roll.kind != 4:  # ROLL
            return
        handles: Any = roll.handles
        handle = handles.pop()
        while handle.notice is not roll:  # recalled
            handle = handles.pop()
        first = notice(1, handle, handle.cookie)  # NODE_GONE
        first.stamp = roll.stamp
        first.tie = roll.tie
        handle.notify(first)
        roll.size -= 1
        self.rolled -= 1
        if not roll.size:
            self.rolls -= 1
            self.entries[self.head] = first
        elif self.head:
            self.head -= 1
            self.entries[self.head] = first
        else:
            self.entries.insert(0, first)

    def purge(self) -> None:
        """Keep only what is here and not void."""
        self.entries = [message for message in self.entries[self.head :] if message.kind >= 0]
        self.head = self.voids = 0

    def place(self, stamp: int) -> int:
        """The first place whose stamp is not below."""
        low, high = self.head, len(self.entries)
        while low < high:
            middle = (low + high) // 2
            message = self.entries[middle]
            if message.stamp < stamp:
                low = middle + 1
            else:
                high = middle
        return low

    def remove(self, message: Message) -> bool:
        """Unlink by stamp and identity."""
        place = self.place(message.stamp)
        while place < len(self.entries):
            entry = self.entries[place]
            if entry is message:
                del self.entries[place]
                self.settle()
                return True
            if entry.stamp != message.stamp:
                return False
            place += 1
        return False


def after(clock: int) -> int:
    """The next even stamp."""
    return clock + 2 - (clock & 1)
