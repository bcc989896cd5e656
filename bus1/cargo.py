"""Handles on their way in messages: who may send them, and when they become the receiver's.

A handle that its sender holds is copied, a new one for each receiver. A one-shot handle moves.
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
        if handle is not None and handle.hand and handle.node.queue is sender:
            if handle.busy:
                raise Busy("a staged transaction is about to use this handle")
        else:
            held(sender, handle)
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
            carried.append(mint(handle.node, False, 0))
    return carried


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


def spend(handle: Handle) -> None:
    """A one-shot handle dies of its use."""
    handle.remove()
    handle.unlink()
    handle.holder = None


def held(sender: Queue, handle: Handle | None) -> None:
    """The capability rule: what a peer does not hold, it cannot use."""
    if handle is None or handle.table is None or handle.holder is not sender:
        raise Unknown("no such handle here")
    if handle.busy:
        raise Busy("a staged transaction is about to use this handle")
