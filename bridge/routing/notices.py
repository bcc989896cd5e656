"""What clients hear of handles that died: missing replies, receivers that are gone.

The core tells each holder and each owner (bus1/release.py); here that becomes an error for the
client that waits, or only the bus takes note.
"""

import logging
from collections import deque
from typing import Any, Final

from bridge.routing.client import Client
from bridge.routing.entry import Kind, connection, entry
from bridge.routing.errors import NO_REPLY
from bridge.routing.grant import Grant
from bridge.routing.hub import Hub, is_power_of_two
from bridge.wire.frame import Frame
from bus1.message import ONCE_DROPPED, Message
from bus1.node import Handle, Node

GONE: Final = "Message recipient disconnected from message bus without replying"
TOO_LATE: Final = "Message did not receive a reply (timeout by message bus)"
LOST: Final = "The reply was lost: too many file descriptors are on their way"

log = logging.getLogger("bus1.notices")


class Notices:
    """The notices of one bus."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def no_reply(self, client: Client, notice: Message) -> Frame | None:
        """What a client reads when the core says that a reply handle died unused; None if the
        policy keeps it from the client: then the notice is as one that comes late."""
        client.awaited -= 1
        frame = self.hub.error(client, notice.cookie, NO_REPLY, GONE)
        if self.hub.monitors.watching:
            self.hub.show(None, client, frame)
        if self.hub.gate.reaches(None, client, frame):
            return frame
        if self.hub.monitors.watching:
            self.hub.show_denial(None, client, frame)
        make_late(client, notice.cookie)
        return None

    def is_late(self, client: Client, notice: Message) -> bool:
        """Does the core tell of a reply handle whose time was over before?"""
        return client.late is not None and notice.cookie in client.late

    def forget(self, client: Client, notice: Message) -> None:
        """Somebody is gone whom this client could send to, or owed a reply; or a reply handle
        is whose time was over; or a right that somebody granted has ended."""
        if client.late is not None and notice.kind == ONCE_DROPPED:
            client.late[notice.cookie] -= 1
            if not client.late[notice.cookie]:
                del client.late[notice.cookie]
        handle = notice.target
        if isinstance(handle, (Handle, Node)) and isinstance(tag_of(handle), Grant):
            self.hub.grants.hear(client, handle)
        elif isinstance(handle, Handle):
            number = number_of(handle)
            if handle.once:
                self.hub.replies.excuse(number, client, handle.cookie)
            elif client.routes is not None:
                client.routes.pop(number, None)
                client.recent = client.right = None
            client.peer.release([handle])

    def expire(self, number: int, callee: Client, serial: int) -> None:
        """reply_timeout: the caller hears that nothing came, and nothing may come any more.

        The reply handle dies with the call, which the callee may not even have read: of that
        the caller hears no second time.
        """
        caller = self.hub.names.client(number)
        if caller is None:
            return
        once = self.hub.replies.find(caller, callee, serial)
        if once is None:
            return
        self.hub.replies.settle(caller, callee, serial)
        make_late(caller, serial)
        self.hub.tell(caller, self.hub.error(caller, serial, NO_REPLY, TOO_LATE))
        if callee.stale is None:
            callee.stale = deque()
        callee.stale.append(once)
        sweep(callee)

    def undelivered(self, client: Client, message: Message | None) -> None:
        """The kernel does not take a message to this client: it has too many descriptors on
        their way. Whoever waits for the reply, or for this as a reply, gets NoReply."""
        if message is None:
            return
        handles = [handle for handle in message.handles or () if handle is not None]
        for handle in handles:
            self.hub.replies.excuse(number_of(handle), client, handle.cookie)
        client.peer.release(handles)
        frame: Any = message.payload
        if frame.reply_serial:
            self.hub.tell(client, self.hub.error(client, frame.reply_serial, NO_REPLY, LOST))
        client.dropped += 1
        if is_power_of_two(client.dropped):
            log.warning(
                "A message from %s to %s (%s) is lost: too many descriptors are on their way",
                frame.sender(),
                client.unique,
                client.credentials,
                extra=entry(
                    Kind.DROPPED,
                    connection(client),
                    dropped=client.dropped,
                    sender=frame.sender(),
                ),
            )


def sweep(callee: Client) -> None:
    """Let go of the reply handles whose time was over, as far as their calls have been read."""
    while callee.stale and (callee.stale[0].table is not None or callee.stale[0].holder is None):
        once = callee.stale.popleft()
        if once.table is not None:
            callee.peer.release([once])


def make_late(client: Client, serial: int) -> None:
    """The end of the reply handle to this call is still to come, and is no news then."""
    if client.late is None:
        client.late = {}
    client.late[serial] = client.late.get(serial, 0) + 1


def tag_of(thing: Handle | Node) -> object:
    """What the owner of the node wants to find there."""
    node = thing.node if isinstance(thing, Handle) else thing
    return node.tag


def number_of(handle: Handle) -> int:
    """The number of the client that a handle leads, or led, to."""
    client: Any = handle.node.tag
    return client.number if isinstance(client, Client) else int(client)
