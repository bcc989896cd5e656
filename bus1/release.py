"""The ends of nodes, handles and messages, and the notices of them. It knows no payloads."""

from typing import Any

from bus1.message import NO_HANDLES_LEFT, NODE_GONE, ONCE_DROPPED, Message, notice
from bus1.node import Handle, Node, heard
from bus1.queue import Queue, after


def release(sender: Queue, nodes: list[Node], handles: list[Handle]) -> int:
    """Destroy nodes and let go of handles, all under one stamp, and tell everybody concerned."""
    clock = sender.clock
    for handle in handles:
        clock = max(clock, handle.node.queue.clock)
    for node in nodes:
        clock = latest(node, clock)
    stamp = after(clock)
    for node in nodes:
        node.hush()
        node.gone = stamp
    for handle in handles:
        let_go(handle, stamp, sender.number)
    for node in nodes:
        announce(node, stamp, sender.number)
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


def latest(node: Node, clock: int) -> int:
    """The highest clock among a node's holders, or `clock`."""
    handle = node.first
    while handle is not None:
        holder = handle.holder
        if holder is not None and holder.clock > clock:
            clock = holder.clock
        handle = handle.following
    return clock


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


def announce(node: Node, stamp: int, tie: int) -> None:
    """Tell each holder once that the node is gone. The handles stay theirs to release."""
    handle = node.first
    while handle is not None:
        handle.unlink()
        holder = handle.holder
        if holder is not None:
            handle.notice = notice(NODE_GONE, handle, handle.cookie)
            holder.append(handle.notice, stamp, tie)
        handle = node.first
