"""Handles on their way in messages: who may send them, and when they become the receiver's.

A handle that its sender holds is copied, a new one for each receiver, and so is one that the sender
offers of its own node. A one-shot handle moves.
"""

from typing import Any

from bus1.errors import Busy, Duplicate, Unknown
from bus1.message import Message
from bus1.node import Handle, mint
from bus1.queue import Queue


def may_carry(sender: Queue, to: Handle, handles: list[Handle]) -> int:
    """How many handles go with a message. A one-shot handle moves, so it goes once at most."""
    once = 0
    for handle in handles:
        at_hand(sender, handle)
        if handle.once:
            if handle is to:
                raise Duplicate("a one-shot handle carried by itself")
            once += 1
    if once > 1 and len({handle for handle in handles if handle.once}) < once:
        raise Duplicate("a one-shot handle carried twice")
    return len(handles)


def promise(handles: list[Handle] | None) -> list[Any] | None:
    """What a message will carry: copies, but one-shot handles themselves, busy until they move."""
    if not handles:
        return None
    carried = []
    for handle in handles:
        if handle.once:
            handle.busy = True
            carried.append(handle)
        else:
            carried.append(copy(handle))
    return carried


def copy(handle: Handle) -> Handle:
    """A new handle beside one that is held or offered. An offer is how the owner makes one, and so
    need not hear that there was none."""
    if handle.hand:
        handle.node.hush()
    return mint(handle.node, False, 0)


def land(message: Message, queue: Queue) -> None:
    """The order point: promised handles become the receiver's; to nodes gone before it, None."""
    handles: Any = message.handles
    for place, handle in enumerate(handles):
        if handle.once:
            depart(handle)
        if handle.node.gone:
            handles[place] = None
            handle.holder = None
            queue.account.give(message.share, 0, 0, 1, 0)  # type: ignore[arg-type]
        else:
            handle.holder = queue
            handle.link()


def depart(handle: Handle) -> None:
    """A one-shot handle leaves its sender, who hears no more about it."""
    handle.remove()
    handle.unlink()
    handle.hush()
    handle.busy = handle.hand = False


def spend(handle: Handle, message: Message) -> None:
    """A one-shot handle dies of its use, and the message says which it was."""
    message.once = True
    message.cookie = handle.cookie
    handle.remove()
    handle.unlink()
    handle.holder = None


def at_hand(sender: Queue, handle: Handle | None) -> None:
    """What can be passed on: what is held, and what is in hand of one's own."""
    if handle is None or not handle.hand or handle.node.queue is not sender:
        held(sender, handle)
    elif handle.busy:
        raise Busy("a staged transaction is about to use this handle")


def held(sender: Queue, handle: Handle | None) -> None:
    """The capability rule: what a peer does not hold, it cannot use."""
    if handle is None or handle.table is None or handle.holder is not sender:
        raise Unknown("no such handle here")
    if handle.busy:
        raise Busy("a staged transaction is about to use this handle")
