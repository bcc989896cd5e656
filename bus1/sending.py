"""Sending in one step: messages put into queues under one stamp. It knows no ids.

An operation takes a stamp above the clock of everybody it touches, so it follows all that any of
them has seen; its sender's clock moves with it, so what the sender does next follows in turn.
Equal stamps of operations that touch nobody in common are ordered by `tie`, the sender's number.
(One sender never uses a stamp twice, so no count of its transactions is needed.)

Check all that can fail first; from the first change on nothing fails.
"""

from bus1.cargo import held, land, may_carry, promise, spend
from bus1.errors import BusError, Closed, Duplicate, Gone, Invalid, Quota
from bus1.message import Message, data
from bus1.node import Handle, Node
from bus1.queue import Queue, after
from bus1.quota import Share, User


def unicast(
    sender: Queue,
    user: User,
    handle: Handle,
    payload: object,
    size: int,
    fds: object,
    fd_count: int,
    handles: list[Handle] | None,
) -> int:
    """Stage and commit to one destination in one step. `user` pays."""
    node = reach(sender, handle, size, fd_count)
    carried = may_carry(sender, handle, handles) if handles else 0
    queue = node.queue
    share = charge(queue, user, size, carried, fd_count)
    message = data(node, payload, size, fds, fd_count, promise(handles), share)
    stamp = after(queue.clock if queue.clock > sender.clock else sender.clock)
    if carried:
        land(message, queue)
    queue.append(message, stamp, sender.number)
    sender.clock = stamp
    if handle.once:
        spend(handle, message)
    return stamp


def cast(
    sender: Queue,
    targets: list[Handle],
    payload: object,
    size: int,
    fds: object,
    fd_count: int,
    handles: list[Handle] | None,
    refused: list[tuple[int, BusError]] | None,
) -> int:
    """Stage and commit to many destinations in one step. Who cannot take it fails the whole; or it
    is left out, if there is a list for its place and its error."""
    check(sender, size, fd_count)
    ready: list[Handle] = []
    messages = reserve(sender, targets, payload, size, fds, fd_count, handles, refused, ready)
    clock = sender.clock
    for handle in ready:
        queue = handle.node.queue
        clock = max(clock, queue.clock)
    stamp = after(clock)
    for place, message in enumerate(messages):
        handle = ready[place]
        queue = handle.node.queue
        if handles:
            message.handles = promise(handles)
            land(message, queue)
        queue.append(message, stamp, sender.number)
        if handle.once:
            spend(handle, message)
    sender.clock = stamp
    return stamp


def reserve(
    sender: Queue,
    targets: list[Handle],
    payload: object,
    size: int,
    fds: object,
    fd_count: int,
    handles: list[Handle] | None,
    refused: list[tuple[int, BusError]] | None,
    ready: list[Handle],
) -> list[Message]:
    """What `cast` puts into the queues, one for each handle in `ready`: all charged, or nothing."""
    messages: list[Message] = []
    nodes: set[Node] = set()
    carried = -1 if handles else 0  # not checked yet
    try:
        for place, handle in enumerate(targets):
            try:
                node = reach(sender, handle, size, fd_count)
                if node in nodes:
                    raise Duplicate("the same node twice")
                if carried < 0:  # of one-shot handles there are none if there is another target
                    carried = may_carry(sender, handle, handles)  # type: ignore[arg-type]
                share = charge(node.queue, sender.account.user, size, carried, fd_count)
            except (Gone, Quota) as error:
                if refused is None:
                    raise
                refused.append((place, error))
                continue
            nodes.add(node)
            ready.append(handle)
            messages.append(data(node, payload, size, fds, fd_count, None, share))
    except BusError:
        for place, message in enumerate(messages):
            handle = ready[place]
            account = handle.node.queue.account
            account.give(message.share, size, 1, carried, fd_count)  # type: ignore[arg-type]
        raise
    return messages


def multicast(
    sender: Queue,
    user: User,
    targets: list[Node],
    payload: object,
    size: int,
    fds: object,
    fd_count: int,
) -> list[Node] | None:
    """One payload to many nodes under one stamp, without the capability check: whoever has the
    nodes can send. Only for an embedding whose right is not a handle, such as the bridge, whose
    match index says who gets a broadcast; never for what a peer asks in its own name. Who is gone
    or over quota is left out and returned."""
    check(sender, size, fd_count)
    clock = sender.clock
    for node in targets:
        if node is None:
            raise Invalid("None is no node")
        queue = node.queue
        clock = max(clock, queue.clock)
    stamp = after(clock)
    refused = None
    for node in targets:
        queue = node.queue
        share = queue.account.share(user)
        if node.gone or not queue.account.take(share, size, 1, 0, fd_count):
            if refused is None:
                refused = []
            refused.append(node)
        else:
            message = data(node, payload, size, fds, fd_count, None, share)
            queue.append(message, stamp, sender.number)
    sender.clock = stamp
    return refused


def check(sender: Queue, size: int, fd_count: int) -> None:
    if sender.closed:
        raise Closed("the peer is closed")
    if size < 0 or fd_count < 0:
        raise Invalid("a negative size")


def reach(sender: Queue, handle: Handle | None, size: int, fd_count: int) -> Node:
    """The node that a handle of the sender leads to."""
    check(sender, size, fd_count)
    held(sender, handle)
    node = handle.node  # type: ignore[union-attr]
    if node.gone:
        raise Gone("the node is destroyed")
    return node


def charge(queue: Queue, actor: User, size: int, handles: int, fds: int) -> Share:
    share = queue.account.share(actor)
    if not queue.account.take(share, size, 1, handles, fds):
        raise Quota("the receiver's quota")
    return share
