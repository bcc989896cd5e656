"""The ends of nodes, handles and messages, and the notices of them. It knows no payloads."""

from typing import Any

from bus1.message import NO_HANDLES_LEFT, NODE_GONE, ONCE_DROPPED, Message, notice, roll
from bus1.node import Handle, Node, heard
from bus1.queue import Queue, after


def release(sender: Queue, nodes: list[Node], handles: list[Handle]) -> int:
    """Destroy nodes and let go of handles, all under one stamp, and tell everybody concerned."""
    told: dict[Queue, list[Handle]] = {}
    clock = sender.clock
    for handle in handles:
        clock = max(clock, handle.node.queue.clock)
    for node in nodes:
        gather(node, told)
    for holder in told:
        clock = max(clock, holder.clock)
    stamp = after(clock)
    for node in nodes:
        node.hush()
        node.gone = stamp
    for handle in handles:
        let_go(handle, stamp, sender.number)
    for node in nodes:
        node.first = None
    for holder, gone in told.items():
        announce(holder, gone, stamp, sender.number)
    sender.clock = stamp
    return stamp


def drop(messages: list[Message]) -> list[Handle]:
    """Pay back messages that have left their queue and nobody will receive; returns the handles in
    them, for `release`. Those of a staged message are its transaction's to release."""
    left: list[Handle] = []
    for message in messages:
        share = message.share
        if share is None:
            heard(message)
            continue
        inside = [handle for handle in message.handles or () if handle is not None]
        node: Any = message.target
        node.queue.account.give(share, message.size, 1, len(inside), message.fd_count)
        message.share = None
        if not message.stamp & 1:
            left += inside
    return left


def gather(node: Node, told: dict[Queue, list[Handle]]) -> None:
    """Find the handles to a node, by their holders."""
    handle = node.first
    last: Any = None
    gone: Any = None
    while handle is not None:
        holder: Any = handle.holder
        if holder is not last:  # many of one holder often stand together
            last = holder
            gone = told.get(holder)
            if gone is None:
                gone = told[holder] = []
        gone.append(handle)
        handle = handle.following


def let_go(handle: Handle, stamp: int, tie: int) -> None:
    """One handle dies. The owner hears of it, unless the node is gone or the handle was the owner's
    own offer; the holder hears no more."""
    node = handle.node
    handle.remove()
    handle.unlink()
    if node.gone:
        handle.hush()
    elif handle.once:
        node.queue.append(notice(ONCE_DROPPED, node, handle.cookie), stamp, tie)
    elif not handle.hand:
        node.count -= 1
        if node.count == 0:
            node.notice = notice(NO_HANDLES_LEFT, node, 0)
            node.queue.append(node.notice, stamp, tie)
    handle.holder = None
    handle.hand = False


def announce(holder: Queue, gone: list[Handle], stamp: int, tie: int) -> None:
    """Tell a holder that these nodes are gone, but for handles let go in the same event. The others
    stay its to release."""
    kept: list[Handle] = []
    for handle in gone:
        handle.previous = handle.following = None
        if handle.holder is holder:
            kept.append(handle)
    if len(kept) == 1:
        handle = kept[0]
        handle.notice = notice(NODE_GONE, handle, handle.cookie)
        holder.append(handle.notice, stamp, tie)
    elif kept:
        many = roll(kept)
        for handle in kept:
            handle.notice = many
        holder.enrol(many, stamp, tie)
