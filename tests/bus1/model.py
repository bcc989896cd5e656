"""A slow and obvious bus to compare the real one with.

Every operation happens at one moment, its commit. A peer has an inbox: a list of entries in the
order of their commits, and of markers for what is staged; whatever lies behind a marker waits. No
stamps, no links, no counters: what is asked is counted from scratch.
"""

from dataclasses import dataclass, field
from typing import Any

from bus1 import (
    DATA,
    NO_HANDLES_LEFT,
    NODE_GONE,
    ONCE_DROPPED,
    Busy,
    Closed,
    Duplicate,
    Gone,
    Invalid,
    Quota,
    Stranger,
    Unknown,
)

KINDS = ("bytes", "messages", "handles", "fds")


@dataclass(eq=False)
class MPeer:
    uid: int
    limits: Any
    real: Any = None
    closed: bool = False
    nodes: list["MNode"] = field(default_factory=list)
    inbox: list["Entry"] = field(default_factory=list)
    seed: "Entry | None" = None
    staging: list["MTransaction"] = field(default_factory=list)


@dataclass(eq=False)
class MNode:
    owner: MPeer
    real: Any = None
    gone: bool = False


@dataclass(eq=False)
class MHandle:
    """`where`: held (by `holder`), message (in its inbox), promised, hand, dead."""

    node: MNode
    where: str
    holder: MPeer | None = None
    once: bool = False
    cookie: int = 0
    busy: bool = False
    real: Any = None


@dataclass(eq=False)
class Entry:
    kind: int
    target: Any
    op: int
    uid: int | None = None  # who pays
    payload: object = None
    size: int = 0
    fds: int = 0
    handles: list[MHandle | None] = field(default_factory=list)
    staged: bool = False
    on: MHandle | None = None  # the one-shot handle that was used up
    dropped: bool = False

    def charge(self) -> tuple[int, int, int, int]:
        return (self.size, 1, sum(h is not None for h in self.handles), self.fds)


@dataclass(eq=False)
class MTransaction:
    sender: MPeer
    real: Any = None
    open: bool = True
    staged: list[tuple[MHandle, Entry]] = field(default_factory=list)
    grips: list[MHandle] = field(default_factory=list)


class Model:
    def __init__(self, limits: Any, peer_limits: Any) -> None:
        self.limits = limits
        self.peer_limits = peer_limits
        self.peers: list[MPeer] = []
        self.handles: list[MHandle] = []
        self.op = 0

    # What is held, counted from scratch.

    def charges(self, peer: MPeer) -> list[tuple[int, tuple[int, int, int, int]]]:
        """All that a peer is charged for, with the uid that is the cause."""
        found = [(e.uid, e.charge()) for e in peer.inbox if e.uid is not None]
        found += [(peer.uid, (0, 0, 1, 0)) for _ in peer.nodes]
        found += [(peer.uid, (0, 0, 1, 0)) for _ in self.held(peer)]
        if peer.seed is not None:
            found.append((peer.uid, peer.seed.charge()))
        return found

    def sums(self, peers: list[MPeer], uid: int | None = None) -> list[int]:
        """The charges of some peers, by kind; those caused by one uid only, if given."""
        total = [0, 0, 0, 0]
        for peer in peers:
            for actor, charge in self.charges(peer):
                if uid is None or uid == actor:
                    total = [a + b for a, b in zip(total, charge, strict=True)]
        return total

    def of(self, uid: int) -> list[MPeer]:
        return [peer for peer in self.peers if peer.uid == uid]

    def actors(self, uid: int) -> set[int]:
        """The users that hold something of this one."""
        return {actor for peer in self.of(uid) for actor, c in self.charges(peer) if any(c)}

    def users(self) -> set[int]:
        charged = {(p.uid, actor) for p in self.peers for actor, c in self.charges(p) if any(c)}
        there = {peer.uid for peer in self.peers if not peer.closed}
        return there | {uid for pair in charged for uid in pair}

    def held(self, peer: MPeer) -> list[MHandle]:
        return [h for h in self.handles if h.where == "held" and h.holder is peer]

    def count(self, node: MNode) -> int:
        counted = (h for h in self.handles if not h.once and h.where not in ("dead", "hand"))
        return sum(h.node is node for h in counted)

    def fits(self, peer: MPeer, uid: int, charge: tuple[int, int, int, int]) -> bool:
        here = self.sums([peer])
        user = self.sums(self.of(peer.uid))
        share = self.sums(self.of(peer.uid), uid)
        part = self.sums([peer], uid)
        n = len(self.actors(peer.uid) | {uid})
        m = len({actor for actor, c in self.charges(peer) if any(c)} | {uid})
        for kind, c, h, u, s, p in zip(KINDS, charge, here, user, share, part, strict=True):
            limit, hard = getattr(self.limits, kind), getattr(peer.limits, kind)
            if c and (
                u + c > limit
                or h + c > hard
                or p + c > (limit - u + p) / 2
                or (uid != peer.uid and s + c > (limit - u + s) / (n + 1))
                or (uid != peer.uid and p + c > (hard - h + p) / (m + 1))
            ):
                return False
        return True

    # Checks.

    def check(self, peer: MPeer) -> None:
        if peer.closed:
            raise Closed

    def may_use(self, peer: MPeer, handle: MHandle) -> None:
        if handle.where != "held" or handle.holder is not peer:
            raise Unknown
        if handle.busy:
            raise Busy

    def owns(self, peer: MPeer, node: MNode) -> None:
        if node.owner is not peer:
            raise Stranger
        if node.gone:
            raise Gone

    def afford(self, peer: MPeer, count: int = 1) -> None:
        if not self.fits(peer, peer.uid, (0, 0, count, 0)):
            raise Quota

    def may_carry(self, peer: MPeer, to: MHandle, handles: list[MHandle]) -> None:
        for handle in handles:
            self.at_hand(peer, handle)
            if handle.once and handle is to:
                raise Duplicate
        once = [handle for handle in handles if handle.once]
        if len(set(once)) < len(once):
            raise Duplicate

    def at_hand(self, peer: MPeer, handle: MHandle) -> None:
        if handle.where != "hand" or handle.node.owner is not peer:
            self.may_use(peer, handle)
        elif handle.busy:
            raise Busy

    # Operations. Each begins with all its checks.

    def connect(self, uid: int) -> MPeer:
        peer = MPeer(uid, self.peer_limits)
        self.peers.append(peer)
        return peer

    def create(self, peer: MPeer) -> MNode:
        self.check(peer)
        self.afford(peer)
        node = MNode(peer)
        peer.nodes.append(node)
        return node

    def handle(self, peer: MPeer, node: MNode) -> MHandle:
        self.check(peer)
        self.owns(peer, node)
        self.afford(peer)
        self.forget(peer, NO_HANDLES_LEFT, node)
        return self.new(node, "held", peer)

    def once(self, peer: MPeer, node: MNode, holder: MPeer | None, cookie: int) -> MHandle:
        self.check(peer)
        self.owns(peer, node)
        if holder is not None:
            self.check(holder)
            self.afford(holder)
        handle = self.new(node, "hand" if holder is None else "held", holder)
        handle.once = True
        handle.cookie = cookie
        return handle

    def offer(self, peer: MPeer, node: MNode) -> MHandle:
        self.check(peer)
        self.owns(peer, node)
        return self.new(node, "hand", None)

    def transfer(self, peer: MPeer, handle: MHandle, to: MPeer) -> MHandle:
        self.check(peer)
        self.may_use(peer, handle)
        if handle.node.gone:
            raise Gone
        self.check(to)
        self.afford(to)
        if not handle.once:
            return self.new(handle.node, "held", to)
        handle.holder = to
        return handle

    def release(self, peer: MPeer, things: list[MNode | MHandle]) -> None:
        self.check(peer)
        if len(set(things)) < len(things):
            raise Duplicate
        for thing in things:
            if isinstance(thing, MNode):
                self.owns(peer, thing)
            elif thing.where != "hand":
                self.may_use(peer, thing)
            elif thing.node.owner is not peer:
                raise Unknown
            elif thing.busy:
                raise Busy
        nodes = [thing for thing in things if isinstance(thing, MNode)]
        self.end(nodes, [thing for thing in things if isinstance(thing, MHandle)])

    def send(
        self, peer: MPeer, to: MHandle, payload: object, size: int, fds: int, handles: list[MHandle]
    ) -> None:
        transaction = MTransaction(peer)
        self.stage(transaction, to, payload, size, fds, handles)
        self.commit(transaction, False)

    def multicast(
        self,
        peer: MPeer,
        targets: list[MHandle],
        payload: object,
        size: int,
        fds: int,
        handles: list[MHandle],
        proceed: bool,
    ) -> list[MHandle]:
        if len(targets) > 1 and any(handle.once for handle in handles):
            raise Duplicate
        self.check(peer)
        if any(handle.where == "hand" and not handle.once for handle in handles):
            self.rehearse(peer, targets, size, fds, handles, proceed)
        transaction = MTransaction(peer)
        refused = []
        for to in targets:
            try:
                if to in [done for done, _ in transaction.staged]:
                    raise Duplicate
                self.stage(transaction, to, payload, size, fds, handles)
            except (Gone, Quota):
                if not proceed:
                    self.abort(transaction)
                    raise
                refused.append(to)
            except Exception:
                self.abort(transaction)
                raise
        self.commit(transaction, False)
        return refused

    def rehearse(
        self,
        peer: MPeer,
        targets: list[MHandle],
        size: int,
        fds: int,
        handles: list[MHandle],
        proceed: bool,
    ) -> None:
        """Raise what the multicast would raise, before an offer has undone a notice."""
        for place, handle in enumerate(handles):
            if handle.where == "hand" and not handle.once and handle.node.owner is peer:
                handles = handles[:]
                handles[place] = MHandle(MNode(peer, gone=True), "held", peer)
        transaction = MTransaction(peer)
        try:
            for to in targets:
                try:
                    if to in [done for done, _ in transaction.staged]:
                        raise Duplicate
                    self.stage(transaction, to, None, size, fds, handles)
                except (Gone, Quota):
                    if not proceed:
                        raise
        finally:
            self.abort(transaction)

    def signal(
        self, peer: MPeer, targets: list[MNode], payload: object, size: int, fds: int
    ) -> list[MNode]:
        """The fast multicast: no handles asked for, none carried, who cannot take it left out."""
        self.check(peer)
        self.op += 1
        refused = []
        for node in targets:
            if node.gone or not self.fits(node.owner, peer.uid, (size, 1, 0, fds)):
                refused.append(node)
            else:
                entry = Entry(DATA, node, self.op, peer.uid, payload, size, fds)
                node.owner.inbox.append(entry)
        return refused

    def stage(
        self,
        transaction: MTransaction,
        to: MHandle,
        payload: object,
        size: int,
        fds: int,
        handles: list[MHandle],
    ) -> None:
        peer = transaction.sender
        if not transaction.open:
            raise Closed
        self.check(peer)
        self.may_use(peer, to)
        if to.node.gone:
            raise Gone
        if to.node in [entry.target for _, entry in transaction.staged]:
            raise Duplicate
        self.may_carry(peer, to, handles)
        owner = to.node.owner
        if not self.fits(owner, peer.uid, (size, 1, len(handles), fds)):
            raise Quota
        carried = [h if h.once else self.copy(h) for h in handles]
        for handle in [*carried, to]:
            handle.busy = handle.once
        entry = Entry(DATA, to.node, 0, peer.uid, payload, size, fds, [*carried], staged=True)
        owner.inbox.append(entry)
        transaction.staged.append((to, entry))
        if not to.once:
            transaction.grips.append(self.new(to.node, "promised", None))
        if transaction not in peer.staging:
            peer.staging.append(transaction)

    def commit(self, transaction: MTransaction, proceed: bool) -> list[MHandle]:
        if not transaction.open:
            raise Closed
        refused = [to for to, _ in transaction.staged if to.node.gone]
        if refused and not proceed:
            self.abort(transaction)
            raise Gone
        self.op += 1
        for to, entry in transaction.staged:
            to.busy = False
            if to.node.gone:
                self.take_back(transaction, entry)
                continue
            entry.handles = [self.land(h, to.node.owner) for h in entry.handles if h is not None]
            entry.staged, entry.op = False, self.op
            to.node.owner.inbox.remove(entry)
            to.node.owner.inbox.append(entry)
            if to.once:
                to.where = "dead"
                entry.on = to
        self.finish(transaction)
        return refused

    def abort(self, transaction: MTransaction) -> None:
        if transaction.open:
            for to, entry in transaction.staged:
                to.busy = False
                self.take_back(transaction, entry)
            self.finish(transaction)

    def receive(self, peer: MPeer, op_kind_target: Any) -> Entry | None:
        """Take the first entry that `op_kind_target` accepts among the first operation's."""
        self.check(peer)
        first = self.available(peer)
        if not first:
            return None
        group = [e for e in first if e.op == first[0].op and (e.kind or e is first[0])]
        entry = next((e for e in group if op_kind_target(e)), group[0])
        peer.inbox.remove(entry)
        for handle in entry.handles:
            if handle is not None:
                handle.where = "held"
        return entry

    def available(self, peer: MPeer) -> list[Entry]:
        blocked = [place for place, entry in enumerate(peer.inbox) if entry.staged]
        return peer.inbox[: blocked[0]] if blocked else list(peer.inbox)

    def set_seed(
        self, peer: MPeer, size: int, fds: int, handles: list[MHandle], giver: MPeer
    ) -> None:
        self.check(peer)
        self.check(giver)
        for handle in handles:
            self.at_hand(giver, handle)
            if handle.once:
                raise Invalid
        if not self.fits(peer, peer.uid, (size, 1, len(handles), fds)):
            raise Quota
        copies: list[MHandle | None] = [self.copy(handle) for handle in handles]
        self.drop_seed(peer)
        peer.seed = Entry(DATA, None, 0, peer.uid, None, size, fds, copies)

    def seed(self, peer: MPeer) -> list[MHandle | None] | None:
        self.check(peer)
        if peer.seed is None:
            return None
        copies = [h for h in peer.seed.handles if h is not None]
        self.afford(peer, sum(not h.node.gone for h in copies))
        return [None if h.node.gone else self.new(h.node, "held", peer) for h in copies]

    def flush(self, peer: MPeer, flush_seed: bool) -> None:
        self.check(peer)
        if flush_seed:
            self.drop_seed(peer)
        for transaction in list(peer.staging):
            self.abort(transaction)
        pinned = [h.node for h in peer.seed.handles if h is not None] if peer.seed else []
        left = self.drop(peer, [entry for entry in peer.inbox if not entry.staged])
        self.end([n for n in peer.nodes if n not in pinned], left + self.held(peer))

    def close(self, peer: MPeer) -> None:
        self.check(peer)
        for transaction in list(peer.staging):
            self.abort(transaction)
        self.end(list(peer.nodes), [])
        peer.closed = True
        self.end([], self.drop(peer, list(peer.inbox)))
        self.end([], self.held(peer))
        self.drop_seed(peer)

    # Steps.

    def new(self, node: MNode, where: str, holder: MPeer | None) -> MHandle:
        handle = MHandle(node, where, holder)
        self.handles.append(handle)
        return handle

    def copy(self, handle: MHandle) -> MHandle:
        if handle.where == "hand":
            self.forget(handle.node.owner, NO_HANDLES_LEFT, handle.node)
        return self.new(handle.node, "promised", None)

    def land(self, handle: MHandle, owner: MPeer) -> MHandle | None:
        handle.busy = False
        if handle.node.gone:
            if handle.once and handle.holder is not None:
                self.forget(handle.holder, NODE_GONE, handle)
            handle.where = "dead"
            return None
        handle.where, handle.holder = "message", owner
        return handle

    def forget(self, peer: MPeer, kind: int, target: object) -> None:
        peer.inbox = [e for e in peer.inbox if not (e.kind == kind and e.target is target)]

    def take_back(self, transaction: MTransaction, entry: Entry) -> None:
        for handle in entry.handles:
            if handle is None or handle.once:
                if handle is not None:
                    handle.busy = False
            else:
                transaction.grips.append(handle)
        if not entry.dropped:
            entry.target.owner.inbox.remove(entry)

    def finish(self, transaction: MTransaction) -> None:
        transaction.open = False
        if transaction in transaction.sender.staging:
            transaction.sender.staging.remove(transaction)
        self.end([], transaction.grips)
        transaction.staged, transaction.grips = [], []

    def drop(self, peer: MPeer, entries: list[Entry]) -> list[MHandle]:
        for entry in entries:
            entry.dropped = True
        peer.inbox = [entry for entry in peer.inbox if entry not in entries]
        ordered = [entry for entry in entries if not entry.staged]
        return [handle for entry in ordered for handle in entry.handles if handle is not None]

    def drop_seed(self, peer: MPeer) -> None:
        seed, peer.seed = peer.seed, None
        if seed is not None:
            self.end([], [handle for handle in seed.handles if handle is not None])

    def end(self, nodes: list[MNode], handles: list[MHandle]) -> None:
        """Nodes and handles end in one operation, and everybody concerned is told."""
        self.op += 1
        for node in nodes:
            node.gone = True
            node.owner.nodes.remove(node)
            self.forget(node.owner, NO_HANDLES_LEFT, node)
        for handle in handles:
            offered = handle.where == "hand" and not handle.once
            handle.where = "dead"
            node = handle.node
            if offered:
                continue
            if node.gone:
                if handle.holder is not None:
                    self.forget(handle.holder, NODE_GONE, handle)
            elif handle.once:
                node.owner.inbox.append(Entry(ONCE_DROPPED, (node, handle.cookie), self.op))
            elif self.count(node) == 0:
                node.owner.inbox.append(Entry(NO_HANDLES_LEFT, node, self.op))
        for handle in self.handles:
            if handle.node in nodes and handle.where in ("held", "message"):
                holder = handle.holder
                assert holder is not None
                holder.inbox.append(Entry(NODE_GONE, handle, self.op))
