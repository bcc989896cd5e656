"""Who pays: what a receiving user holds, shared fairly among the users that send to it.

It knows numbers only, neither messages nor queues. Four things are counted: bytes, messages,
handles and fds. A charge is made in two layers, all or nothing:

* Peer: an account holds at most its own limit, and at most half of what the user's other peers
  leave, so that one stuck peer cannot starve its sisters.
* User: with n users holding something of this one, the sender counted, a sender may grow its share
  up to 1/(n+1) of what the others have left. So k senders, in whatever order, leave the next one
  at least 1/((k+1)*(k+2)) of the limit. The user's own share is bounded by the limit alone.

A charge is remembered where the thing charged is (a message's `share`), and given back where that
thing dies.
"""

from typing import Any

from bus1.errors import Invalid

# Above this the products below could leave 63 bits (with four million users on one bus).
HIGHEST = 1 << 40


class Limits:
    """The most of each kind that one user, or one peer, may hold. Immutable.

    The default numbers are those of the 2016 proposal (ipc/bus1/user.c, module parameters).
    """

    bytes: int
    messages: int
    handles: int
    fds: int

    def __init__(
        self, bytes: int = 1 << 24, messages: int = 16384, handles: int = 65536, fds: int = 4096
    ) -> None:
        for limit in (bytes, messages, handles, fds):
            if limit < 0 or limit > HIGHEST:
                raise Invalid(f"a limit of {limit}")
        self.bytes = bytes
        self.messages = messages
        self.handles = handles
        self.fds = fds

    def __repr__(self) -> str:
        return (
            f"Limits(bytes={self.bytes}, messages={self.messages}, "
            f"handles={self.handles}, fds={self.fds})"
        )


class User:
    """All peers of one uid on a bus: as a receiver it has limits and shares, as a sender debts."""

    uid: int
    limits: Limits
    bytes: int
    messages: int
    handles: int
    fds: int
    actors: int
    peers: int
    debts: int
    users: "dict[int, User]"
    shares: "dict[User, Share]"
    last: "Share | None"

    def __init__(self, uid: int, limits: Limits, users: "dict[int, User]") -> None:
        self.uid = uid
        self.limits = limits
        self.bytes = self.messages = self.handles = self.fds = 0
        self.actors = 0  # shares of this user that hold something
        self.peers = 0  # open peers
        self.debts = 0  # shares of any user that hold something for this one as a sender
        self.users = users
        self.shares = {}
        self.last = None

    def share(self, actor: "User") -> "Share":
        """What `actor` holds of this user. Senders come in runs, so the last one is at hand."""
        share = self.last
        if share is not None and share.actor is actor:
            return share
        share = self.shares.get(actor)
        if share is None:
            share = Share(self, actor)
            self.shares[actor] = share
        self.last = share
        return share

    def join(self) -> None:
        """One more open peer."""
        self.peers += 1

    def leave(self) -> None:
        """One open peer less."""
        self.peers -= 1
        self.settle()

    def settle(self) -> None:
        """Leave the bus's users when no peer is open and nothing is charged to it or for it."""
        if self.peers or self.debts or self.actors or self.users.get(self.uid) is not self:
            return
        del self.users[self.uid]
        self.shares.clear()
        self.last = None
        for user in self.users.values():
            user.forget(self)

    def forget(self, actor: "User") -> None:
        """Drop the empty share of a user that left."""
        self.shares.pop(actor, None)
        if self.last is not None and self.last.actor is actor:
            self.last = None


class Share:
    """What one sending user holds of one receiving user or, as a part of that, of one of its peers:
    `whole` is then what it holds of the user."""

    user: User
    actor: User
    whole: "Share | None"
    bytes: int
    messages: int
    handles: int
    fds: int

    def __init__(self, user: User, actor: User, whole: "Share | None" = None) -> None:
        self.user = user
        self.actor = actor
        self.whole = whole
        self.bytes = self.messages = self.handles = self.fds = 0

    def empty(self) -> bool:
        return not (self.bytes or self.messages or self.handles or self.fds)

    def add(self, bytes: int, messages: int, handles: int, fds: int) -> None:
        self.bytes += bytes
        self.messages += messages
        self.handles += handles
        self.fds += fds


class Account:
    """What one receiving peer holds. The only place where charges are made and given back.

    `most_bytes` and `most_fds` are the most that it ever held of these.
    """

    user: User
    own: Share
    limits: Limits
    bytes: int
    messages: int
    handles: int
    fds: int
    actors: int
    shares: "dict[User, Share] | None"
    last: "Share | None"
    most_bytes: int
    most_fds: int

    def __init__(self, user: User, limits: Limits) -> None:
        self.user = user
        self.own = Share(user, user, user.share(user))
        self.limits = limits
        self.actors = 0  # shares of this account that hold something
        self.shares = None  # of other users; nobody but its own has ever sent anything
        self.last = None
        self.bytes = self.messages = self.handles = self.fds = 0
        self.most_bytes = self.most_fds = 0

    def share(self, actor: User) -> Share:
        """What `actor` holds of this account. Senders come in runs, so the last one is at hand."""
        if actor is self.user:
            return self.own
        share = self.last
        if share is not None and share.actor is actor:
            return share
        share = None if self.shares is None else self.shares.get(actor)
        if share is None:
            share = self.admit(actor)
        self.last = share
        return share

    def admit(self, actor: User) -> Share:
        """One more sender; those that hold nothing are forgotten when they are many."""
        shares = self.shares
        if shares is None or len(shares) > 8 + 2 * self.actors:
            old = {} if shares is None else shares
            shares = {each: share for each, share in old.items() if not share.empty()}
            self.shares = shares
        share = Share(self.user, actor, self.user.share(actor))
        shares[actor] = share
        return share

    def take(self, share: Share, bytes: int, messages: int, handles: int, fds: int) -> bool:
        """Charge all of it to this account, its user and the sender's shares, or nothing of it."""
        if not self.may_take(share, bytes, messages, handles, fds):
            return False
        self.begin(share)
        self.add(share, bytes, messages, handles, fds)
        if self.bytes > self.most_bytes:  # noqa: PLR1730 (max() would write each time)
            self.most_bytes = self.bytes
        if fds and self.fds > self.most_fds:
            self.most_fds = self.fds
        return True

    def give(self, share: Share, bytes: int, messages: int, handles: int, fds: int) -> None:
        """Return what was taken."""
        if not (bytes or messages or handles or fds):
            return
        self.add(share, -bytes, -messages, -handles, -fds)
        if share.empty():
            self.actors -= 1
            whole: Any = share.whole
            if whole.empty():
                whole.user.actors -= 1
                whole.actor.debts -= 1
                if not whole.actor.peers:
                    whole.actor.settle()

    def adopt(self, share: Share, handles: int) -> None:
        """Handles arrive: what their sender was charged is the receiver's own from here on."""
        if handles:
            self.begin(self.own)
        self.add(self.own, 0, 0, handles, 0)
        self.give(share, 0, 0, handles, 0)

    def begin(self, share: Share) -> None:
        """It is about to hold something."""
        if share.empty():
            self.actors += 1
            whole: Any = share.whole
            if whole.empty():
                whole.user.actors += 1
                whole.actor.debts += 1

    def may_take(self, share: Share, bytes: int, messages: int, handles: int, fds: int) -> bool:
        user = self.user
        most = user.limits
        hard = self.limits
        whole: Any = share.whole
        parts = here = 1
        if share.actor is not user:
            parts = user.actors + 1 + whole.empty()
            here = self.actors + 1 + share.empty()
        return (
            fits(bytes, most.bytes - user.bytes, whole.bytes, parts,
                 hard.bytes - self.bytes, share.bytes, here)
            and fits(messages, most.messages - user.messages, whole.messages, parts,
                     hard.messages - self.messages, share.messages, here)
            and fits(handles, most.handles - user.handles, whole.handles, parts,
                     hard.handles - self.handles, share.handles, here)
            and fits(fds, most.fds - user.fds, whole.fds, parts,
                     hard.fds - self.fds, share.fds, here)
        )  # fmt: skip

    def add(self, share: Share, bytes: int, messages: int, handles: int, fds: int) -> None:
        user = self.user
        self.bytes += bytes
        user.bytes += bytes
        self.messages += messages
        user.messages += messages
        self.handles += handles
        user.handles += handles
        self.fds += fds
        user.fds += fds
        share.add(bytes, messages, handles, fds)
        whole: Any = share.whole
        whole.add(bytes, messages, handles, fds)


def fits(charge: int, left: int, whole: int, parts: int, room: int, share: int, here: int) -> bool:
    """Whether one kind allows a charge: `left` in the user's limit, `room` in the account's; of
    them the sender holds `whole` and `share`, and is one of so many senders."""
    if charge == 0:
        return True
    if charge < 0 or charge > left or charge > room:
        return False
    return (
        left + whole >= parts * (whole + charge)
        and room + share >= here * (share + charge)
        and left + share >= 2 * (share + charge)
    )
