"""The laws of the bus, by random programs run on it and on the model side by side.

`Machine` has every operation. After each one, all that can be seen of the bus must be what the
model says: who holds what, who is charged for what, who can be read. Every operation that fails
must fail in both, and change nothing in either. At the end `check_order` judges what the receivers
saw, from the records alone.
"""

import importlib.util
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bus1 import DATA, NODE_GONE, ONCE_DROPPED, Bus, BusError, Limits, Message
from bus1.sending import multicast

spec = importlib.util.spec_from_file_location("model", Path(__file__).with_name("model.py"))
assert spec is not None
assert spec.loader is not None
model = importlib.util.module_from_spec(spec)
sys.modules["model"] = model
spec.loader.exec_module(model)

NUMBER = st.sampled_from(range(5040))  # even, where integers() would favour the small ones
NUMBERS = st.lists(NUMBER, min_size=0, max_size=3)
SIZE = st.sampled_from((0, 1, 5, 20, 60))
FEW = st.sampled_from((0, 0, 0, 1, 3))


class Sent:
    """A payload: which operation sent it, and when that began and ended."""

    def __init__(self, sender: Any, began: int, floor: int) -> None:
        self.sender = sender
        self.began = began
        self.floor = floor  # the highest stamp that its sender knows of
        self.ended: int | None = None


class Machine(RuleBasedStateMachine):
    limits = Limits(bytes=500, messages=40, handles=60, fds=20)
    peer_limits = Limits(bytes=300, messages=25, handles=30, fds=12)

    def __init__(self) -> None:
        super().__init__()
        self.bus = Bus(self.limits, self.peer_limits)
        self.model = model.Model(self.limits, self.peer_limits)
        self.nodes: list[Any] = []
        self.transactions: list[Any] = []
        self.clock = 0
        self.cookies = 0
        self.seen: dict[Any, list[tuple[Message, Any]]] = defaultdict(list)
        self.known: dict[Any, int] = defaultdict(int)
        self.readable: set[Any] = set()

    # Choosing: a number picks one of those that there are.

    def node(self, number: int) -> Any:
        """A node, half of the time one that something is staged for."""
        staged = [entry.target for t in self.transactions for _, entry in t.staged]
        return pick(staged if staged and number % 2 else self.nodes, number)

    def peer(self, number: int) -> Any:
        """An open peer, or now and then a closed one."""
        open_ones = [peer for peer in self.model.peers if not peer.closed]
        everybody = self.model.peers
        return pick(everybody if number % 16 == 15 else open_ones or everybody, number)

    def handle(self, peer: Any, number: int) -> Any:
        """A handle of the peer's, or now and then anybody's."""
        known = [h for h in self.model.handles if h.real is not None]
        return pick(known if number % 16 == 15 else self.model.held(peer) or known, number)

    def cargo(self, peer: Any, numbers: list[int]) -> list[Any]:
        """Handles to put into a message: held ones, or one-shot ones in hand."""
        hand = [h for h in self.model.handles if h.where == "hand" and h.node.owner is peer]
        found = []
        for number in numbers:
            handle = pick(hand, number) if hand and number % 2 else self.handle(peer, number)
            if handle is not None:
                found.append(handle)
        return found

    def both(self, expected: Callable[[], Any], actual: Callable[[], Any]) -> tuple[Any, Any]:
        """Run one operation in both; (None, None) if it fails, the same way, in both."""
        self.clock += 1
        try:
            wanted = expected()
        except BusError as error:
            with pytest.raises(type(error)):
                actual()
            return None, None
        return wanted, actual()

    def sent(self, peer: Any) -> Sent:
        return Sent(peer, self.clock, self.known[peer])

    # Operations.

    @initialize(numbers=st.lists(st.integers(0, 2), min_size=3, max_size=4))
    def begin(self, numbers: list[int]) -> None:
        """Some peers, everybody with handles to everybody."""
        for uid in numbers:
            self.connect(uid)
        for peer in self.model.peers:
            self.create(0, peer)
        for node in self.nodes[:]:
            self.mint(0, node)
            handle = self.model.held(node.owner)[-1]
            for peer in self.model.peers:
                if peer is not node.owner:
                    self.give(handle, peer)

    @rule(uid=st.integers(0, 2))
    def connect(self, uid: int) -> None:
        if sum(not peer.closed for peer in self.model.peers) < 5:
            self.model.connect(uid).real = self.bus.connect(uid)

    @rule(number=NUMBER)
    def create(self, number: int, peer: Any = None) -> None:
        peer = peer or self.peer(number)
        node, real = self.both(lambda: self.model.create(peer), lambda: peer.real.create("tag"))
        if node is not None:
            assert real.tag == "tag"
            node.real = real
            self.nodes.append(node)

    @rule(number=NUMBER)
    def mint(self, number: int, node: Any = None) -> None:
        node = node or pick(self.nodes, number)
        if node is not None:
            peer = self.peer(number) if number % 8 == 7 else node.owner
            self.born(
                self.both(
                    lambda: self.model.handle(peer, node), lambda: peer.real.handle(node.real)
                )
            )

    @rule(number=NUMBER, to=st.none() | NUMBER)
    def once(self, number: int, to: int | None) -> None:
        node = pick(self.nodes, number)
        if node is not None:
            self.make_once(node, None if to is None else self.peer(to))

    def make_once(self, node: Any, holder: Any) -> None:
        self.cookies += 1
        self.born(
            self.both(
                lambda: self.model.once(node.owner, node, holder, self.cookies),
                lambda: node.owner.real.once(node.real, holder and holder.real, self.cookies),
            )
        )

    @rule(number=NUMBER)
    def offer(self, number: int) -> None:
        node = pick(self.nodes, number)
        if node is not None:
            peer = self.peer(number) if number % 8 == 7 else node.owner
            self.born(
                self.both(lambda: self.model.offer(peer, node), lambda: peer.real.offer(node.real))
            )

    @rule(number=NUMBER, which=NUMBER, to=NUMBER)
    def transfer(self, number: int, which: int, to: int) -> None:
        peer = self.peer(number)
        handle = self.handle(peer, which)
        if handle is not None:
            self.give(handle, self.peer(to), peer)

    def give(self, handle: Any, to: Any, peer: Any = None) -> None:
        peer = peer or handle.holder
        self.born(
            self.both(
                lambda: self.model.transfer(peer, handle, to),
                lambda: peer.real.transfer(handle.real, to.real),
            )
        )

    def born(self, pair: tuple[Any, Any]) -> None:
        handle, real = pair
        if handle is not None:
            assert handle.real in (None, real)
            handle.real = real
            assert (real.once, real.cookie) == (handle.once, handle.cookie)

    @rule(number=NUMBER, whiches=NUMBERS, nodes=st.sampled_from(([], [], [1], [2, 3])))
    def release(self, number: int, whiches: list[int], nodes: list[int]) -> None:
        peer = self.peer(number)
        things = self.cargo(peer, whiches) + [pick(peer.nodes, n) for n in nodes if peer.nodes]
        real = [thing.real for thing in things]
        self.both(lambda: self.model.release(peer, things), lambda: peer.real.release(real))

    @rule(number=NUMBER)
    def forsake(self, number: int) -> None:
        """Everybody lets go of one node."""
        node = self.node(number)
        for handle in [h for h in self.model.handles if h.node is node and h.where == "held"]:
            peer = handle.holder
            self.both(
                lambda: self.model.release(peer, [handle]),  # noqa: B023
                lambda: peer.real.release([handle.real]),  # noqa: B023
            )

    @rule(number=NUMBER, again=st.booleans())
    def forsake_at_once(self, number: int, again: bool) -> None:
        """The same, but each holder lets go of all it has, a one-shot handle with the others, as
        one event. The owner may make a handle before it has read of it."""
        node = self.node(number)
        for holder in {h.holder: None for h in self.model.handles if h.where == "held"}:
            mine = [h for h in self.model.held(holder) if h.node is node]
            if mine:
                self.make_once(node, holder)
                mine = [h for h in self.model.held(holder) if h.node is node]
                mine = mine[::-1] if number % 3 else mine
                real = [handle.real for handle in mine]
                self.both(
                    lambda: self.model.release(holder, mine),  # noqa: B023
                    lambda: holder.real.release(real),  # noqa: B023
                )
        if node is not None and again:
            self.mint(0, node)

    @rule(number=NUMBER)
    def destroy(self, number: int) -> None:
        node = self.node(number)
        if node is not None and number % 3 == 0:
            peer = self.peer(number) if number % 8 == 7 else node.owner
            self.both(
                lambda: self.model.release(peer, [node]), lambda: peer.real.destroy([node.real])
            )

    @rule(number=NUMBER, which=NUMBER, size=SIZE, fds=FEW, whiches=NUMBERS)
    def send(self, number: int, which: int, size: int, fds: int, whiches: list[int]) -> None:
        peer = self.peer(number)
        to = self.handle(peer, which)
        if to is not None:
            self.post(peer, to, size, fds, self.cargo(peer, whiches))

    @rule(number=NUMBER, which=NUMBER)
    def call(self, number: int, which: int) -> None:
        """A message with a one-shot handle for the answer."""
        peer = self.peer(number)
        to = self.handle(peer, which)
        if to is not None and peer.nodes:
            self.once(16 * self.nodes.index(pick(peer.nodes, which)), None)
            self.post(peer, to, 1, 0, self.model.handles[-1:])

    @rule(number=NUMBER, which=NUMBER)
    def answer(self, number: int, which: int) -> None:
        peer = self.peer(number)
        to = pick([h for h in self.model.held(peer) if h.once], which)
        if to is not None:
            self.post(peer, to, 1, 0, [])

    def post(self, peer: Any, to: Any, size: int, fds: int, cargo: list[Any]) -> None:
        payload, real = self.sent(peer), [handle.real for handle in cargo]
        self.both(
            lambda: self.model.send(peer, to, payload, size, fds, cargo),
            lambda: peer.real.send(to.real, payload, size, "fds", fds, real),
        )
        payload.ended = self.clock

    @rule(
        number=NUMBER,
        to=st.lists(NUMBER, max_size=5),
        size=SIZE,
        fds=FEW,
        whiches=NUMBERS,
        proceed=st.booleans(),
    )
    def multicast(
        self,
        number: int,
        to: list[int],
        size: int,
        fds: int,
        whiches: list[int],
        proceed: bool,
    ) -> None:
        peer = self.peer(number)
        targets = [self.handle(peer, which) for which in to]
        if None in targets:
            return
        if number % 8 < 7:  # else duplicates stay, and fail
            targets = list({handle.node: handle for handle in targets}.values())
        payload, cargo = self.sent(peer), self.cargo(peer, whiches)
        reals, real = [handle.real for handle in targets], [handle.real for handle in cargo]
        refused, reports = self.both(
            lambda: self.model.multicast(peer, targets, payload, size, fds, cargo, proceed),
            lambda: peer.real.multicast(reals, payload, size, "fds", fds, real, proceed),
        )
        payload.ended = self.clock
        if refused is not None:
            assert [handle for handle, _ in reports] == [handle.real for handle in refused]

    @rule(number=NUMBER, to=st.lists(NUMBER, max_size=5), size=SIZE, fds=FEW)
    def signal(self, number: int, to: list[int], size: int, fds: int) -> None:
        peer = self.peer(number)
        targets = list({pick(self.nodes, which): None for which in to if self.nodes})
        payload, real = self.sent(peer), [node.real for node in targets]
        refused, reports = self.both(
            lambda: self.model.signal(peer, targets, payload, size, fds),
            lambda: multicast(
                peer.real.queue, peer.real.user, real, payload, size, "fds", fds
            ) or [],
        )  # fmt: skip
        payload.ended = self.clock
        if refused is not None:
            assert reports == [node.real for node in refused]

    @rule(
        number=NUMBER,
        to=st.lists(NUMBER, min_size=1, max_size=4),
        size=SIZE,
        fds=FEW,
        whiches=NUMBERS,
    )
    def stage(self, number: int, to: list[int], size: int, fds: int, whiches: list[int]) -> None:
        transaction = self.transaction(number)
        if transaction is None:
            return
        for which in to:
            target = self.fresh(transaction, which)
            cargo = self.cargo(transaction.sender, whiches)
            if target is None:
                return
            self.stage_one(transaction, target, size, fds, cargo)

    def fresh(self, transaction: Any, number: int) -> Any:
        """A handle to a node that the transaction has not got yet, or now and then any."""
        there = [entry.target for _, entry in transaction.staged]
        held = self.model.held(transaction.sender)
        others = [handle for handle in held if handle.node not in there and not handle.busy]
        return self.handle(transaction.sender, number) if number % 8 == 7 else pick(others, number)

    def stage_one(self, transaction: Any, to: Any, size: int, fds: int, cargo: list[Any]) -> None:
        payload, real = transaction.payload, [handle.real for handle in cargo]
        self.both(
            lambda: self.model.stage(transaction, to, payload, size, fds, cargo),
            lambda: transaction.real.stage(to.real, payload, size, "fds", fds, real),
        )

    def transaction(self, number: int) -> Any:
        """One of the open transactions, or a new one."""
        peer = self.peer(number)
        if number % 3 == 0 and not peer.closed and len(self.transactions) < 4:
            transaction = model.MTransaction(peer, peer.real.transaction())
            transaction.payload = self.sent(peer)
            self.transactions.append(transaction)
            return transaction
        if number % 8 < 7:  # else one that its sender's end has aborted is used once more
            self.transactions = [t for t in self.transactions if t.open]
        return pick(self.transactions, number)

    @rule(number=NUMBER, proceed=st.booleans())
    def commit(self, number: int, proceed: bool) -> None:
        transaction = pick(self.transactions, number)
        if transaction is None:
            return
        refused, reports = self.both(
            lambda: self.model.commit(transaction, proceed),
            lambda: transaction.real.commit(proceed),
        )
        transaction.payload.ended = self.clock
        self.transactions.remove(transaction)
        if refused is not None:
            assert [handle for handle, _ in reports] == [handle.real for handle in refused]

    @rule(number=NUMBER)
    def abort(self, number: int) -> None:
        transaction = pick(self.transactions, number)
        if transaction is not None:
            self.both(lambda: self.model.abort(transaction), transaction.real.abort)
            self.transactions.remove(transaction)

    @rule(number=NUMBER, many=st.integers(1, 12))
    def receive(self, number: int, many: int) -> None:
        peer = self.peer(number)
        for _ in range(many):
            self.take(peer)

    def take(self, peer: Any) -> None:
        self.clock += 1
        try:
            real = peer.real.receive()
        except BusError as error:
            with pytest.raises(type(error)):
                self.model.receive(peer, bool)
            return
        entry = self.model.receive(peer, lambda entry: same(entry, real))
        if entry is None or real is None:
            assert entry is None
            assert real is None
            return
        assert same(entry, real)
        self.seen[peer].append((real, entry.op))
        self.known[peer] = max(self.known[peer], real.stamp)
        for handle, there in zip(entry.handles, real.handles or [], strict=True):
            if handle is None or there is None:
                assert handle is None
                assert there is None
                continue
            assert handle.real in (None, there)
            handle.real = there
            assert there.node is handle.node.real
            assert peer.real.handles[there.id] is there

    @rule(number=NUMBER, size=SIZE, whiches=NUMBERS, giver=st.none() | NUMBER)
    def set_seed(self, number: int, size: int, whiches: list[int], giver: int | None) -> None:
        peer = self.peer(number)
        by = peer if giver is None else self.peer(giver)
        handles = self.cargo(by, whiches)
        real = [handle.real for handle in handles]
        self.both(
            lambda: self.model.set_seed(peer, size, 0, handles, by),
            lambda: peer.real.set_seed("seed", size, None, 0, real, by.real),
        )

    @rule(number=NUMBER)
    def seed(self, number: int) -> None:
        peer = self.peer(number)
        handles, real = self.both(lambda: self.model.seed(peer), peer.real.seed)
        if handles is not None:
            for handle, there in zip(handles, real.handles, strict=True):
                assert (handle is None) == (there is None)
                self.born((handle, there))

    @rule(number=NUMBER, flush_seed=st.booleans())
    def flush(self, number: int, flush_seed: bool) -> None:
        if number % 8 == 0:
            peer = self.peer(number)
            self.both(
                lambda: self.model.flush(peer, flush_seed),
                lambda: peer.real.reset(None, True, flush_seed),
            )

    @rule(number=NUMBER)
    def close(self, number: int) -> None:
        if number % 8 == 0:
            peer = self.peer(number)
            self.both(lambda: self.model.close(peer), peer.real.close)

    # What must hold after each operation.

    @invariant()
    def charges_equal_what_is_held(self) -> None:
        self.model.handles = [h for h in self.model.handles if h.where != "dead" or h.real]
        for peer in self.model.peers:
            account = peer.real.queue.account
            assert numbers(account) == self.model.sums([peer])
            assert len(peer.real.handles) == len(self.model.held(peer))
            assert len(peer.real.nodes) == len(peer.nodes)
            assert peer.real.queue.held() == len(peer.inbox)
        assert set(self.bus.users) == self.model.users()
        for uid, user in self.bus.users.items():
            peers = self.model.of(uid)
            assert numbers(user) == self.model.sums(peers)
            assert user.actors == len(self.model.actors(uid))
            for actor, share in user.shares.items():
                assert numbers(share) == self.model.sums(peers, actor.uid)

    @invariant()
    def only_what_can_be_read_wakes(self) -> None:
        """Nobody sees what is staged, nor anything behind it; who becomes readable is told."""
        ready = self.bus.take_ready()
        assert len(set(ready)) == len(ready)
        readable = set()
        for peer in self.model.peers:
            can = not peer.closed and bool(self.model.available(peer))
            assert (peer.real.queue.peek(0) is not None) == can
            if can:
                readable.add(peer)
                assert peer in self.readable or peer.real.queue in ready
        self.readable = readable

    def teardown(self) -> None:
        for transaction in self.transactions:
            self.both(lambda: self.model.abort(transaction), transaction.real.abort)  # noqa: B023
        for peer in self.model.peers:
            if not peer.closed:
                for _ in range(len(peer.inbox)):
                    self.take(peer)
        check_order(self.seen)
        for peer in self.model.peers:
            if not peer.closed:
                peer.real.close()
        assert not self.bus.users
        for peer in self.model.peers:
            assert numbers(peer.real.queue.account) == [0, 0, 0, 0]
            assert numbers(peer.real.user) == [0, 0, 0, 0]


def pick(things: list[Any], number: int) -> Any:
    return things[number // 16 % len(things)] if things else None


def numbers(charged: Any) -> list[int]:
    return [charged.bytes, charged.messages, charged.handles, charged.fds]


def same(entry: Any, real: Message | None) -> bool:
    """Whether a message is what the model says."""
    if real is None or real.kind != entry.kind:
        return False
    if entry.kind == DATA:
        on = (True, entry.on.cookie) if entry.on is not None else (False, 0)
        return (
            real.payload is entry.payload
            and real.target is entry.target.real
            and (real.once, real.cookie) == on
        )
    if entry.kind == ONCE_DROPPED:
        return (real.target, real.cookie) == (entry.target[0].real, entry.target[1])
    return real.target is entry.target.real


def check_order(seen: dict[Any, list[tuple[Message, Any]]]) -> None:
    """The laws of order, from what each receiver saw."""
    told: list[object] = []
    stamps: dict[tuple[int, int], Any] = {}
    sent: dict[Any, dict[Any, int]] = defaultdict(dict)
    after: dict[Any, set[Any]] = defaultdict(set)
    for messages in seen.values():
        data = [message.payload for message, _ in messages if message.kind == DATA]
        told += [m.target for m, _ in messages if m.kind == NODE_GONE]
        check_stamps(messages, stamps)
        check_causality(data)
        for message, _ in messages:
            if message.kind == DATA:
                payload: Any = message.payload
                sent[payload.sender][payload] = message.stamp
        for (before, first), (behind, second) in pairwise(messages):
            if first != second:
                after[second].add(first)
            assert before.more == (before.kind == DATA and first == second)
            assert (before.stamp, before.tie) <= (behind.stamp, behind.tie)
    # A sender's stamps rise, also where no receiver could compare them.
    for mine in sent.values():
        check_causality(sorted(mine, key=mine.__getitem__))
    # One operation has one stamp.
    assert len(set(stamps.values())) == len(stamps)
    # One order for all receivers: no operation is both before and after another.
    TopologicalSorter(after).prepare()
    # Each handle hears of its node's end once.
    assert len({id(handle) for handle in told}) == len(told)


def check_stamps(messages: list[tuple[Message, Any]], stamps: dict[tuple[int, int], Any]) -> None:
    """No other operation has the same stamp, and it is above all that its sender knew."""
    for message, op in messages:
        assert message.stamp % 2 == 0
        assert stamps.setdefault((message.stamp, message.tie), op) == op
        if message.kind == DATA:
            payload: Any = message.payload
            assert message.stamp > payload.floor


def check_causality(payloads: Iterable[Any]) -> None:
    """What returned before something else began is before it, whoever sent the two. That covers
    FIFO, a reply, and a word passed outside the bus."""
    latest_began = -1
    for payload in payloads:
        assert payload.ended is not None
        assert payload.ended > latest_began
        latest_began = max(latest_began, payload.began)


class Orders(Machine):
    """Fewer kinds of operations and no quota errors: more of the steps are about order."""

    seed = set_seed = flush = release = transfer = None  # type: ignore[assignment]
    limits = Limits()
    peer_limits = Limits()


COMMON = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
)
TestEverything = Machine.TestCase
TestEverything.settings = settings(COMMON, max_examples=80, stateful_step_count=60)
TestOrders = Orders.TestCase
TestOrders.settings = settings(COMMON, max_examples=80, stateful_step_count=60)
