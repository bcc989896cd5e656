"""The name registry: against a slow model that is written as the specification reads."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.errors import INVALID_ARGS, LIMITS_EXCEEDED, Refused
from bridge.routing.names import Change, Names
from bus1.bus import Bus
from policy.limits import Limits

ALLOW_REPLACEMENT, REPLACE_EXISTING, DO_NOT_QUEUE = 1, 2, 4
PRIMARY_OWNER, IN_QUEUE, EXISTS, ALREADY_OWNER = 1, 2, 3, 4
RELEASED, NON_EXISTENT, NOT_OWNER = 1, 2, 3
PLENTY = 100


class World:
    """A registry, and clients for it."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.driver = self.bus.connect(0)
        self.names = Names()

    def stranger(self) -> Client:
        return Client(self.bus.connect(1000), self.driver, Credentials(1000, 1), True, Limits())

    def join(self) -> Client:
        client = self.stranger()
        self.names.join(client)
        return client


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def names(world: World) -> Names:
    return world.names


@pytest.fixture
def a(world: World) -> Client:
    return world.join()


@pytest.fixture
def b(world: World, a: Client) -> Client:
    return world.join()


@pytest.fixture
def c(world: World, b: Client) -> Client:
    return world.join()


# ------------------------------------------------------------------ unique names


def test_unique_names_are_never_reused(world: World, names: Names) -> None:
    first = world.join()
    assert (first.unique, first.number) == (":1.0", 0)
    names.leave(first)
    second = world.join()
    assert (second.unique, second.number) == (":1.1", 1)
    assert names.client(0) is None
    assert names.client(1) is second
    assert names.listing() == [":1.1"]


def test_owner_of_a_unique_name(names: Names, a: Client, b: Client) -> None:
    assert names.owner(":1.1") is b
    assert names.queue(":1.1") == [b]
    for text in (":1.01", ":1.", ":1.x", ":1.-1", ":1.²", ":2.1", "1", "", ":1.2", ":1.1 ", "a.b"):
        assert names.owner(text) is None, text
        assert names.queue(text) == []
    assert names.owner(":1." + "1" * 400) is None


# -------------------------------------------------------------- one law, one test


def test_first_come(names: Names, a: Client, b: Client) -> None:
    assert names.request(a, "x.y", 0, PLENTY) == (PRIMARY_OWNER, Change("x.y", None, a))
    assert names.request(b, "x.y", 0, PLENTY) == (IN_QUEUE, None)
    assert names.queue("x.y") == [a, b]
    assert (names.owned(a), names.owned(b)) == (["x.y"], [])


def test_asking_again_updates_the_flags(names: Names, a: Client, b: Client) -> None:
    names.request(a, "x.y", 0, PLENTY)
    assert names.request(a, "x.y", ALLOW_REPLACEMENT | DO_NOT_QUEUE, PLENTY) == (
        ALREADY_OWNER,
        None,
    )
    assert names.request(b, "x.y", REPLACE_EXISTING, PLENTY) == (
        PRIMARY_OWNER,
        Change("x.y", a, b),
    )
    assert names.queue("x.y") == [b], "a said that it does not queue"


def test_the_replaced_owner_is_next(names: Names, a: Client, b: Client, c: Client) -> None:
    names.request(a, "x.y", ALLOW_REPLACEMENT, PLENTY)
    names.request(c, "x.y", 0, PLENTY)
    names.request(b, "x.y", REPLACE_EXISTING, PLENTY)
    assert names.queue("x.y") == [b, a, c]


def test_replacing_jumps_the_queue_even_in_vain(
    names: Names, a: Client, b: Client, c: Client
) -> None:
    names.request(a, "x.y", 0, PLENTY)
    names.request(b, "x.y", 0, PLENTY)
    assert names.request(c, "x.y", REPLACE_EXISTING, PLENTY) == (IN_QUEUE, None)
    assert names.queue("x.y") == [a, c, b]
    names.request(b, "x.y", REPLACE_EXISTING, PLENTY)
    assert names.queue("x.y") == [a, b, c]


def test_who_will_not_wait_loses_its_place(names: Names, a: Client, b: Client) -> None:
    names.request(a, "x.y", 0, PLENTY)
    names.request(b, "x.y", 0, PLENTY)
    assert names.request(b, "x.y", DO_NOT_QUEUE, PLENTY) == (EXISTS, None)
    assert names.queue("x.y") == [a]
    assert b.names is None


def test_unknown_flags_pass(names: Names, a: Client) -> None:
    assert names.request(a, "x.y", 0xFFFFFFF0, PLENTY)[0] == PRIMARY_OWNER


def test_release(names: Names, a: Client, b: Client, c: Client) -> None:
    assert names.release(a, "x.y") == (NON_EXISTENT, None)
    names.request(a, "x.y", 0, PLENTY)
    names.request(b, "x.y", 0, PLENTY)
    assert names.release(c, "x.y") == (NOT_OWNER, None)
    assert names.release(a, "x.y") == (RELEASED, Change("x.y", a, b))
    names.request(c, "x.y", 0, PLENTY)
    assert names.release(c, "x.y") == (RELEASED, None)
    assert names.release(b, "x.y") == (RELEASED, Change("x.y", b, None))
    assert names.owner("x.y") is None


def test_names_go_newest_first_and_places_silently(names: Names, a: Client, b: Client) -> None:
    names.request(a, "x.one", 0, PLENTY)
    names.request(b, "x.two", 0, PLENTY)
    names.request(a, "x.two", 0, PLENTY)
    names.request(a, "x.three", 0, PLENTY)
    names.request(b, "x.three", 0, PLENTY)
    assert names.drop(a) == [Change("x.three", a, b), Change("x.one", a, None)]
    assert names.queue("x.two") == [b]
    assert a.names is None


def test_the_limit_counts_the_unique_name_and_places(names: Names, a: Client, b: Client) -> None:
    names.request(a, "x.one", 0, 3)
    names.request(b, "x.two", 0, 3)
    assert names.request(a, "x.two", 0, 3) == (IN_QUEUE, None)
    for text in ("x.three", "x.one", "x.two"):
        with pytest.raises(Refused) as caught:
            names.request(a, text, 0, 3)
        assert caught.value.name == LIMITS_EXCEEDED
        assert caught.value.text == (
            'Connection ":1.0" is not allowed to own more services (increase limits in '
            "configuration file if required; max_names_per_connection=3)"
        )
    assert names.owner("x.three") is None


@pytest.mark.parametrize(
    ("text", "request_text", "release_text"),
    [
        ("", 'Requested bus name "" is not valid', 'Given bus name "" is not valid'),
        ("x", 'Requested bus name "x" is not valid', 'Given bus name "x" is not valid'),
        (
            ":1.0",
            "Cannot acquire a service starting with ':' such as \":1.0\"",
            "Cannot release a service starting with ':' such as \":1.0\"",
        ),
        (
            "org.freedesktop.DBus",
            'Connection ":1.0" is not allowed to own the service "org.freedesktop.DBus"because it '
            "is reserved for D-Bus' use only",
            "Cannot release the org.freedesktop.DBus service because it is owned by the bus",
        ),
    ],
)
def test_refused_names(
    names: Names, a: Client, text: str, request_text: str, release_text: str
) -> None:
    with pytest.raises(Refused) as caught:
        names.check(a, text)
    assert (caught.value.name, caught.value.text) == (INVALID_ARGS, request_text)
    with pytest.raises(Refused) as caught:
        names.release(a, text)
    assert (caught.value.name, caught.value.text) == (INVALID_ARGS, release_text)


# -------------------------------------------------------------------- the machine


class Model:
    """Names as lists of (client, flags), the owner first; and each client's in order of asking."""

    def __init__(self) -> None:
        self.queues: dict[str, list[tuple[int, int]]] = {}
        self.held: dict[int, list[str]] = {}

    def owner(self, name: str) -> int | None:
        return self.queues[name][0][0] if name in self.queues else None

    def put(self, name: str, queue: list[tuple[int, int]]) -> None:
        """The queue as it is now, and who entered or left it."""
        before = {client for client, _ in self.queues.get(name, [])}
        after = {client for client, _ in queue}
        for client in before - after:
            self.held[client].remove(name)
        for client in after - before:
            self.held.setdefault(client, []).append(name)
        self.queues[name] = queue
        if not queue:
            del self.queues[name]

    def request(self, client: int, name: str, flags: int) -> int:
        queue = self.queues.get(name, [])
        others = [place for place in queue if place[0] != client]
        mine = (client, flags)
        if not queue:
            self.put(name, [mine])
            return PRIMARY_OWNER
        if queue[0][0] == client:
            self.put(name, [mine, *others])
            return ALREADY_OWNER
        owner, rest = others[0], others[1:]
        if flags & REPLACE_EXISTING and owner[1] & ALLOW_REPLACEMENT:
            self.put(name, [mine, *rest] if owner[1] & DO_NOT_QUEUE else [mine, owner, *rest])
            return PRIMARY_OWNER
        if flags & DO_NOT_QUEUE:
            self.put(name, others)
            return EXISTS
        if flags & REPLACE_EXISTING:
            self.put(name, [owner, mine, *rest])
        elif others == queue:
            self.put(name, [*queue, mine])
        else:
            self.put(name, [mine if place[0] == client else place for place in queue])
        return IN_QUEUE

    def release(self, client: int, name: str) -> int:
        if name not in self.queues:
            return NON_EXISTENT
        others = [place for place in self.queues[name] if place[0] != client]
        if others == self.queues[name]:
            return NOT_OWNER
        self.put(name, others)
        return RELEASED


NAMES = st.sampled_from(["x.a", "x.b", "x.c"])
WHO = st.integers(0, 3)


class Machine(RuleBasedStateMachine):
    """Four clients and three names."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.names = self.world.names
        self.model = Model()
        self.clients = [self.world.join() for _ in range(4)]

    def number(self, client: Client | None) -> int | None:
        return None if client is None else client.number

    def check(self, name: str, old: int | None, change: Change | None) -> None:
        """A change is told exactly if the owner is another."""
        new = self.model.owner(name)
        if old == new:
            assert change is None
        else:
            assert change is not None
            seen = (change.name, self.number(change.old), self.number(change.new))
            assert seen == (name, old, new)

    @rule(who=WHO, name=NAMES, flags=st.integers(0, 7))
    def request(self, who: int, name: str, flags: int) -> None:
        client, old = self.clients[who], self.model.owner(name)
        reply, change = self.names.request(client, name, flags, PLENTY)
        assert reply == self.model.request(client.number, name, flags)
        self.check(name, old, change)

    @rule(who=WHO, name=NAMES)
    def release(self, who: int, name: str) -> None:
        client, old = self.clients[who], self.model.owner(name)
        reply, change = self.names.release(client, name)
        assert reply == self.model.release(client.number, name)
        self.check(name, old, change)

    @rule(who=WHO)
    def leave(self, who: int) -> None:
        client = self.clients[who]
        changes = self.names.drop(client)
        for name in reversed(list(self.model.held.get(client.number, []))):
            old = self.model.owner(name)
            self.model.release(client.number, name)
            self.check(name, old, changes.pop(0) if old == client.number else None)
        assert not changes
        self.names.leave(client)
        self.clients[who] = self.world.join()

    @invariant()
    def registry_is_the_models(self) -> None:
        if not hasattr(self, "model"):
            return
        for name in ("x.a", "x.b", "x.c"):
            queue = [client for client, _ in self.model.queues.get(name, [])]
            assert [client.number for client in self.names.queue(name)] == queue
            assert self.number(self.names.owner(name)) == self.model.owner(name)
        for client in self.clients:
            held = self.model.held.get(client.number, [])
            owned = [name for name in held if self.model.owner(name) == client.number]
            assert self.names.owned(client) == owned
            assert len(client.names or []) == len(held)
        unique = [client.unique for client in self.clients]
        assert sorted(self.names.listing()) == sorted([*unique, *self.model.queues])
        assert self.names.count() == len(self.names.listing())

    def teardown(self) -> None:
        if hasattr(self, "names"):
            for client in self.clients:
                self.names.drop(client)
                self.names.leave(client)
            assert not self.names.count()
            assert not self.names.clients
            assert not self.names.table


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
