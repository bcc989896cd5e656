"""What an operation of the bus refuses with. Whoever catches one may rely on this: nothing changed.

Each error is named by a noun. `errno` is the number that the 2016 proposal gives; where the 2026
rewrite has another one, the text names it second.
"""

import errno


class BusError(Exception):
    """Any refusal of the bus."""

    errno: int = errno.EINVAL


class Invalid(BusError):
    """An argument that makes no sense: EINVAL in both."""

    errno = errno.EINVAL


class Closed(BusError):
    """The peer, or the transaction, has ended: ESHUTDOWN, 2026 EBADF."""

    errno = errno.ESHUTDOWN


class Unknown(BusError):
    """The peer holds no such handle: ENXIO, 2026 EBADRQC."""

    errno = errno.ENXIO


class Stranger(BusError):
    """The node belongs to another peer: EREMOTE, 2026 EBADRQC."""

    errno = errno.EREMOTE


class Gone(BusError):
    """The node is destroyed: ESTALE. (2026 skips such a destination in silence.)"""

    errno = errno.ESTALE


class Duplicate(BusError):
    """The same thing twice in one operation: ENOTUNIQ, 2026 EINVAL."""

    errno = errno.ENOTUNIQ


class Busy(BusError):
    """A one-shot handle that a staged transaction is about to use: EBUSY. Not in 2026."""

    errno = errno.EBUSY


class Quota(BusError):
    """The receiver may not hold more, or not more from this sender: EDQUOT in both."""

    errno = errno.EDQUOT


class TooLong(BusError):
    """The message does not fit in the room offered and stays at the head: ERANGE, 2026 EMSGSIZE."""

    errno = errno.ERANGE


class Foreign(BusError):
    """The other peer belongs to another bus: EOPNOTSUPP in both."""

    errno = errno.EOPNOTSUPP
