"""One message at one receiver: what lies in a queue. It knows neither queues nor nodes.

A multicast makes one message a receiver; all of them share the payload object, which nothing ever
copies or looks into. `size` and `fd_count` are what the sender declares and the receiver's account
is charged; `fds` is any object that closes its descriptors when it dies.
"""

from typing import Any, Final

from bus1.quota import Share

DATA: Final = 0  # a payload for the node `target`
NODE_GONE: Final = 1  # to a holder: the node of the handle `target` was destroyed
NO_HANDLES_LEFT: Final = 2  # to the owner: nobody holds a handle to the node `target` any more
ONCE_DROPPED: Final = 3  # to the owner: the one-shot handle `cookie` to `target` died unused
ROLL: Final = 4  # many NODE_GONE of one operation in one entry of a queue, which makes them of it
VOID: Final = -1  # a notice that was withdrawn, until its queue clears it away: nobody sees it


class Message:
    """Odd stamp: staged, blocks what is behind it. Even stamp: its place in the total order.

    `tie` orders messages of equal stamp; `more` tells that the same operation put another payload
    into this queue, right behind. `handles` are the receiver's: it may use them once it has
    received the message, and finds None where a node was gone. `share` is who paid. A
    payload that came on a one-shot handle (`once`) has that handle's cookie. A roll has the handles
    that it is about in `handles`, the last to be told of first, and says in `size` of how many the
    holder has still to hear.
    """

    kind: int
    more: bool
    once: bool
    stamp: int
    tie: int
    cookie: int
    target: object
    payload: object
    size: int
    fds: object
    fd_count: int
    handles: "list[Any] | None"  # of Handle or None, which this layer does not know
    share: Share | None


def data(
    target: object,
    payload: object,
    size: int,
    fds: object,
    fd_count: int,
    handles: "list[Any] | None",
    share: Share | None,
) -> Message:
    """A payload on its way."""
    message = Message.__new__(Message)
    message.kind = 0  # DATA: a literal, because this runs once a receiver
    message.more = message.once = False
    message.stamp = message.tie = message.cookie = 0
    message.target = target
    message.payload = payload
    message.size = size
    message.fds = fds
    message.fd_count = fd_count
    message.handles = handles
    message.share = share
    return message


def notice(kind: int, target: object, cookie: int) -> Message:
    """A notice of the bus. Nobody pays: there is at most one for each handle or node."""
    message = data(target, None, 0, None, 0, None, None)
    message.kind = kind
    message.cookie = cookie
    return message


def roll(handles: "list[Any]") -> Message:
    """The notices that the nodes of these handles of one holder are gone, in this order."""
    handles.reverse()
    message = data(None, None, len(handles), None, 0, handles, None)
    message.kind = 4  # ROLL
    return message
