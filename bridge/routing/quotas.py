"""What a bus's limits mean in the core: how much may wait for a connection, and for a user."""

import resource
from typing import Final

from bus1 import quota
from policy.limits import Limits

MONITOR_BYTES: Final = 32 * 1024 * 1024  # who only looks on may not take much room
NATIVE_HANDLES: Final = 65536  # as many as go in a tenth of a second
NATIVE_MESSAGES: Final = 262_144  # the same
# All handles to a node are found in one step when it is destroyed: so many in a twentieth of a
# second. Half of them are more than a service holds that owes 2,048 clients 128 replies each.
USER_HANDLES: Final = 1_000_000
SHARES: Final = 4  # connections of one user that can be full at the same time, at least


def for_peer(limits: Limits) -> quota.Limits:
    """What may wait for one connection. Descriptors are the bus's own while they wait, so all
    users together leave it half of what it may have open."""
    most_open = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return quota.Limits(
        bytes=limits.max_outgoing_bytes,
        messages=limits.max_outgoing_messages,
        handles=limits.max_handles_per_connection,
        fds=min(limits.max_outgoing_unix_fds, most_open // (4 * SHARES)),
    )


def for_monitor(limits: Limits) -> quota.Limits:
    """What may wait for one monitor."""
    peer = for_peer(limits)
    return quota.Limits(
        bytes=min(peer.bytes, MONITOR_BYTES),
        messages=peer.messages,
        handles=peer.handles,
        fds=peer.fds,
    )


def for_native(peer: quota.Limits) -> quota.Limits:
    """What one native peer may hold. It makes nodes and handles itself, as many as it likes, and
    at its end they all go in one step, with the messages that wait."""
    return quota.Limits(
        bytes=peer.bytes,
        messages=min(peer.messages, NATIVE_MESSAGES),
        handles=min(peer.handles, NATIVE_HANDLES),
        fds=peer.fds,
    )


def for_user(limits: Limits) -> quota.Limits:
    """What may wait for all connections of one user together.

    One connection can take half of what its user's others leave (bus1/quota.py), so the
    user's limit is that of SHARES full connections and as much again.
    Handles have a bound besides, USER_HANDLES.
    """
    peer = for_peer(limits)
    return quota.Limits(
        bytes=peer.bytes * 2 * SHARES,
        messages=peer.messages * 2 * SHARES,
        handles=max(peer.handles, min(peer.handles * 2 * SHARES, USER_HANDLES)),
        fds=peer.fds * 2 * SHARES,
    )


def rights(limits: Limits) -> int:
    """How many Rights (bridge/gateway/rights.py) one user may have been given: for them, too, that
    of SHARES connections that grant all they may, and as much again."""
    return limits.max_grants_per_connection * 2 * SHARES
