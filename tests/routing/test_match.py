"""The match index: it finds what a slow model finds, and what it costs.

Invariant of the state machine: whatever rules came and went, the index yields each client with
a matching rule once; and when all are gone, nothing is left.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.match import Index
from bridge.routing.names import Names
from bridge.routing.question import Question
from bridge.routing.rule import Rule
from bridge.routing.shape import Shape, shape_of
from bridge.wire.build import build
from bridge.wire.frame import Frame
from bus1.bus import Bus
from policy.limits import Limits

DRIVER = "org.freedesktop.DBus"
SIGNAL = 4
Keys = dict[str, str]


class World:
    """Some clients with names, and an index."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.driver = self.bus.connect(0)
        self.names = Names()
        self.index = Index()

    def join(self) -> Client:
        client = Client(self.bus.connect(1000), self.driver, Credentials(1000, 1), True, Limits())
        self.names.join(client)
        return client

    def leave(self, client: Client) -> None:
        self.index.drop(client)
        self.names.drop(client)
        self.names.leave(client)

    def add(self, client: Client, text: str) -> None:
        self.index.add(Rule.parse(text), client)

    def remove(self, client: Client, text: str) -> bool:
        return self.index.remove(Rule.parse(text), client)

    def is_empty(self) -> bool:
        index = self.index
        left = [index.shapes, index.order, index.overhearing, index.senders, index.naming]
        return not any(left) and not index.count and not index.eavesdropping


@pytest.fixture
def world() -> World:
    return World()


def message(
    signature: str = "",
    *body: object,
    kind: int = SIGNAL,
    path: str = "/a/b",
    interface: str | None = "i.A",
    member: str = "M",
    destination: str | None = None,
) -> Frame:
    return build(
        kind,
        serial=1,
        path=path,
        interface=interface,
        member=member,
        destination=destination,
        signature=signature,
        body=body,
    )


# -------------------------------------------------------------------------- the model


def below(text: str, prefix: str, border: str) -> bool:
    return text == prefix or text.startswith(prefix + border)


def argument_fits(key: str, wanted: str, kind: str, text: object) -> bool:
    if key.endswith("path"):
        if kind not in "so":
            return False
        assert isinstance(text, str)
        return (
            text == wanted
            or (text[-1:] == "/" and wanted.startswith(text))
            or (wanted[-1:] == "/" and text.startswith(wanted))
        )
    if kind != "s":
        return False
    assert isinstance(text, str)
    return below(text, wanted, ".") if key.endswith("namespace") else text == wanted


def fits(
    keys: Keys, frame: Frame, types: str, body: list[object], names: Callable[[bool], set[str]]
) -> bool:
    """Does a message satisfy a rule? `names` are those of the sender, or of the receiver."""
    kinds = ["", "method_call", "method_return", "error", "signal"]
    for key, wanted in keys.items():
        if key == "type":
            good = wanted == kinds[frame.kind]
        elif key in ("interface", "member", "path"):
            good = getattr(frame, key)() == wanted
        elif key == "path_namespace":
            path = frame.path()
            good = path is not None and (wanted == "/" or below(path, wanted, "/"))
        elif key == "sender":
            good = wanted in names(True)
        elif key == "destination":
            good = (
                keys.get("eavesdrop") == "true"
                and frame.destination() is not None
                and wanted in names(False)
            )
        elif key == "eavesdrop":
            good = True
        else:
            number = int(key[3:].removesuffix("path").removesuffix("namespace"))
            good = number < len(types) and argument_fits(key, wanted, types[number], body[number])
        if not good:
            return False
    return True


# ---------------------------------------------------------------------- the machine

PATHS = ["/", "/a", "/a/b", "/a/bc", "/a/b/c", "/a/b/c/d"]
TEXTS = ["", "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "n", "n.o", "n.o.p", "n.op", "x"]
UNIQUE = [":1.0", ":1.1", ":1.2", ":1.3", ":1.4"]
WELL_KNOWN = ["n.o", "n.p", DRIVER]


def consistent(keys: Keys) -> Keys:
    """Without what may not stand together, and few keys enough to match now and then."""
    for winner, losers in (
        ("path", ["path_namespace"]),
        ("arg0namespace", ["arg0", "arg0path"]),
        ("arg0path", ["arg0"]),
        ("arg1path", ["arg1"]),
    ):
        if winner in keys:
            for loser in losers:
                keys.pop(loser, None)
    return keys


VALUES = {
    "type": ["signal", "signal", "signal", "method_call", "error"],
    "interface": ["i.A", "i.A", "i.B"],
    "member": ["M", "M", "N"],
    "path": PATHS,
    "path_namespace": PATHS,
    "sender": UNIQUE + WELL_KNOWN,
    "destination": UNIQUE + WELL_KNOWN,
    "eavesdrop": ["true", "false"],
    "arg0": TEXTS,
    "arg0path": TEXTS,
    "arg0namespace": ["n", "n.o", "n.o.p"],
    "arg1": TEXTS,
    "arg1path": TEXTS,
    "arg3path": TEXTS,
    "arg5": TEXTS,
    "arg6path": TEXTS,
}


def rules_with(keys: list[str]) -> st.SearchStrategy[Keys]:
    """Rules with some of these keys."""
    chosen = st.lists(st.sampled_from(keys), unique=True, max_size=4)
    return chosen.flatmap(
        lambda some: st.fixed_dictionaries({key: st.sampled_from(VALUES[key]) for key in some})
    ).map(consistent)


RULES = st.one_of(
    rules_with(["type", "interface", "member", "path", "path_namespace", "sender"]),
    rules_with(["member", "path", "path_namespace", *(key for key in VALUES if key[:3] == "arg")]),
    rules_with(["sender", "destination", "eavesdrop", "interface", "arg0"]),
    rules_with(list(VALUES)),
)


def text_of(keys: Keys) -> str:
    return ",".join(f"{key}='{value}'" for key, value in keys.items())


ARGUMENTS = st.lists(
    st.one_of(
        st.tuples(st.just("s"), st.sampled_from(TEXTS)),
        st.tuples(st.just("s"), st.sampled_from(TEXTS)),
        st.tuples(st.just("o"), st.sampled_from(PATHS)),
        st.tuples(st.just("u"), st.just(7)),
    ),
    max_size=8,
)


def open_value(shape: Shape, known: Rule) -> str | None:
    """The value of the key that many values can satisfy."""
    if shape.namespace:
        return known.path
    return (
        dict(zip(known.places, known.values, strict=True))[shape.places[shape.opened]]
        if (shape.opened >= 0)
        else None
    )


def texts(client: Client) -> list[str]:
    """Its rules, each as often as it has it."""
    return [str(rule) for rule, count in (client.rules or {}).items() for _ in range(count)]


WHO = st.integers(0, 2)


class Machine(RuleBasedStateMachine):
    """Clients with a few well-known names, whose rules come and go."""

    @initialize(rules=st.lists(st.tuples(WHO, RULES), min_size=3, max_size=12))
    def begin(self, rules: list[tuple[int, Keys]]) -> None:
        self.world = World()
        self.clients = [self.world.join() for _ in range(3)]
        self.held: list[tuple[Client, Keys]] = []
        for who, keys in rules:
            self.add(who, keys, 1)

    @rule(who=WHO, keys=RULES, times=st.integers(1, 2))
    def add(self, who: int, keys: Keys, times: int) -> None:
        for _ in range(times):
            self.world.add(self.clients[who], text_of(keys))
            self.held.append((self.clients[who], keys))

    @rule(who=WHO, which=st.integers(0, 40))
    def add_known(self, who: int, which: int) -> None:
        if self.held:
            self.add(who, self.held[which % len(self.held)][1], 1)

    @rule(who=WHO, which=st.integers(0, 40))
    def remove(self, who: int, which: int) -> None:
        if self.held:
            client, keys = self.clients[who], self.held[which % len(self.held)][1]
            asked = Rule.parse(text_of(keys))
            held = [
                at
                for at, (owner, rule_) in enumerate(self.held)
                if owner is client and Rule.parse(text_of(rule_)) == asked
            ]
            assert self.world.remove(client, text_of(keys)) == bool(held)
            if held:
                del self.held[held[-1]]

    @rule(who=WHO)
    def leave(self, who: int) -> None:
        """A rule goes with its client, and with one that has rules and whose unique name it has."""
        gone = self.clients[who]
        names = {gone.unique} if any(client is gone for client, _ in self.held) else set()
        self.world.leave(gone)
        self.clients[who] = self.world.join()
        self.held = [
            (client, keys)
            for client, keys in self.held
            if client is not gone and not names & {keys.get("sender"), keys.get("destination")}
        ]

    @rule(who=WHO, name=st.sampled_from(WELL_KNOWN[:2]), flags=st.integers(0, 7))
    def request(self, who: int, name: str, flags: int) -> None:
        self.world.names.request(self.clients[who], name, flags, 100)

    @rule(
        sender=st.integers(0, 3),
        path=st.sampled_from(PATHS),
        interface=st.sampled_from(["i.A", "i.A", "i.B"]),
        member=st.sampled_from(["M", "M", "N"]),
        arguments=ARGUMENTS,
    )
    def broadcast(
        self,
        sender: int,
        path: str,
        interface: str,
        member: str,
        arguments: list[tuple[str, object]],
    ) -> None:
        types = "".join(kind for kind, _ in arguments)
        body = [value for _, value in arguments]
        frame = message(types, *body, path=path, interface=interface, member=member)
        source = self.client(sender)
        found = self.world.index.broadcast(frame, source)
        names = lambda of_sender: self.names(source)  # noqa: E731
        self.expect(
            found, [who for who, keys in self.held if fits(keys, frame, types, body, names)]
        )

    @rule(which=st.integers(0, 40), sender=st.integers(0, 3), miss=st.booleans())
    def broadcast_what_is_wanted(self, which: int, sender: int, miss: bool) -> None:
        """A message made to a rule's measure, or with one argument that is not."""
        if not self.held:
            return
        keys = self.held[which % len(self.held)][1]
        wanted = {
            int(key[3:].removesuffix("path").removesuffix("namespace")): value
            for key, value in keys.items()
            if key.startswith("arg")
        }
        texts = [wanted.get(number, "x") for number in range(max(wanted, default=-1) + 1)]
        if miss and texts:
            texts[which % len(texts)] += "/"
        self.broadcast(
            sender,
            keys.get("path", keys.get("path_namespace", "/a/b")),
            keys.get("interface", "i.A"),
            keys.get("member", "M"),
            [("s", text) for text in texts],
        )

    @rule(
        sender=st.integers(0, 3),
        receiver=st.integers(0, 3),
        kind=st.integers(1, 4),
        interface=st.sampled_from(["i.A", None]),
        arguments=ARGUMENTS,
    )
    def unicast(
        self,
        sender: int,
        receiver: int,
        kind: int,
        interface: str | None,
        arguments: list[tuple[str, object]],
    ) -> None:
        types = "".join(kind for kind, _ in arguments)
        body = [value for _, value in arguments]
        source, sink = self.client(sender), self.client(receiver)
        to = DRIVER if sink is None else sink.unique
        if kind == SIGNAL:
            interface = "i.A"
        more: dict[str, Any] = {"reply_serial": 1} if kind in (2, 3) else {}
        if kind == 3:
            more["error_name"] = "e.E"
        frame = build(
            kind,
            serial=1,
            path="/a/b",
            interface=interface,
            member="M",
            destination=to,
            signature=types,
            body=body,
            **more,
        )
        found = self.world.index.eavesdrop(frame, source, sink)
        names = lambda of_sender: self.names(source if of_sender else sink)  # noqa: E731
        expected = [
            who
            for who, keys in self.held
            if keys.get("eavesdrop") == "true" and fits(keys, frame, types, body, names)
        ]
        self.expect(found, [who for who in expected if who is not sink])
        if expected:
            assert self.world.index.eavesdropping

    def client(self, which: int) -> Client | None:
        return self.clients[which] if which < 3 else None

    def names(self, client: Client | None) -> set[str]:
        if client is None:
            return {DRIVER}
        return {client.unique} | {n for n in WELL_KNOWN if self.world.names.owner(n) is client}

    @staticmethod
    def expect(found: list[Client], expected: list[Client]) -> None:
        assert len(set(found)) == len(found), "each client once"
        assert set(found) == set(expected)

    @invariant()
    def shapes_count_what_leads_to_their_rules(self) -> None:
        if not hasattr(self, "held"):
            return
        for shape in self.world.index.order:
            held = {
                known: known
                for client in self.clients
                for known in client.rules or ()
                if isinstance(known, Rule)
                and known.destination is None
                and shape_of(known) == shape.key
            }
            assert held, "a shape without rules"
            opened = [text for known in held if (text := open_value(shape, known)) is not None]
            values = shape.values
            assert (values is None) == (not opened)
            if values is not None:
                assert values.texts == Counter(opened)
                assert values.ordered == sorted(set(opened))
                shorter = [text for text in set(opened) if text.endswith("/") or not values.inner]
                assert values.lengths == Counter(map(len, shorter))
            assert not shape.places or shape.members == Counter(known.member for known in held)

    @invariant()
    def a_client_has_its_rules(self) -> None:
        if hasattr(self, "held"):
            assert self.world.index.count == len(self.held)
            for client in self.clients:
                mine = [str(Rule.parse(text_of(keys))) for who, keys in self.held if who is client]
                assert sorted(texts(client)) == sorted(mine)

    def teardown(self) -> None:
        if hasattr(self, "clients"):
            for client in self.clients:
                self.world.leave(client)
            assert self.world.is_empty()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


# --------------------------------------------------------------------- single laws


def test_order_is_by_age(world: World) -> None:
    clients = [world.join() for _ in range(20)]
    for client in reversed(clients):
        world.add(client, "member='M'")
    assert world.index.broadcast(message(), None) == clients[::-1]
    world.add(clients[5], "interface='i.A'")
    assert world.index.broadcast(message(), None) == clients[::-1]


def test_a_yielded_list_never_changes(world: World) -> None:
    one, two, three = (world.join() for _ in range(3))
    world.add(one, "member='M'")
    world.add(two, "member='M'")
    found = world.index.broadcast(message(), None)
    world.add(three, "member='M'")
    world.leave(one)
    assert found == [one, two]
    assert world.index.broadcast(message(), None) == [two, three]


def test_equal_rules_are_one_object_but_for_the_first(world: World) -> None:
    clients = [world.join() for _ in range(4)]
    for client in clients:
        world.add(client, "member='M',path='/a/b',arg5='x',eavesdrop='true'")
    _, *others = [next(iter(client.rules)) for client in clients if client.rules]
    assert len(set(map(id, others))) == 1


def test_a_rule_of_another_type_has_no_shape(world: World) -> None:
    world.add(world.join(), "type='method_call',member='M'")
    world.add(world.join(), "destination=':1.0'")
    assert not world.index.order


def test_the_driver_is_no_client(world: World) -> None:
    client = world.join()
    world.add(client, f"sender='{DRIVER}'")
    assert world.index.broadcast(message(), client) == []
    assert world.index.broadcast(message(), None) == [client]


def test_the_primary_owner_is_the_sender(world: World) -> None:
    first, second, listener = (world.join() for _ in range(3))
    world.add(listener, "sender='n.o'")
    world.names.request(first, "n.o", 1, 100)
    world.names.request(second, "n.o", 0, 100)
    assert world.index.broadcast(message(), first) == [listener]
    assert world.index.broadcast(message(), second) == []
    world.names.release(first, "n.o")
    assert world.index.broadcast(message(), first) == []
    assert world.index.broadcast(message(), second) == [listener]


def test_an_empty_argument_is_no_directory(world: World) -> None:
    client = world.join()
    world.add(client, "arg0path='/'")
    assert world.index.broadcast(message("s", ""), None) == []
    world.add(client, "arg0path=''")
    assert world.index.broadcast(message("s", "/"), None) == [client]
    assert world.index.broadcast(message("s", ""), None) == [client]


def test_a_long_argument_finds_its_directories(world: World) -> None:
    client = world.join()
    for depth in range(1, 100):
        world.add(client, f"arg0path='{'/a' * depth}/'")
    text = "/a" * 100_000
    assert world.index.broadcast(message("s", text), None) == [client]
    assert world.index.broadcast(message("s", "x" + text), None) == []


def test_a_shape_forgets_what_led_to_rules_that_left(world: World) -> None:
    client = world.join()
    for text in ("path_namespace='/a'", "path_namespace='/a/bc'"):
        world.add(client, text)
    world.remove(client, "path_namespace='/a/bc'")
    (shape,) = world.index.order
    values = shape.values
    assert values is not None
    assert (values.lengths, values.ordered, values.texts) == ({2: 1}, ["/a"], {"/a": 1})


def test_a_question_forgets_the_arguments_of_the_one_before() -> None:
    """It may not have been closed."""
    question = Question()
    for text in ("one", "two"):
        question.open(message("s", text), None, 1)
        assert question.fits(Rule.parse(f"arg0='{text}'"))


def test_a_rule_about_two_names_goes_with_either(world: World) -> None:
    for place in range(2):
        gone, other, listener = (world.join() for _ in range(3))
        pair = (gone, other) if place else (other, gone)
        text = f"sender='{pair[0].unique}',destination='{pair[1].unique}',eavesdrop='true'"
        both = f"sender='{gone.unique}',destination='{gone.unique}'"
        for each in (text, text, both, "member='M'"):
            world.add(listener, each)
        world.add(gone, "member='M'")
        world.leave(gone)
        assert list(map(str, listener.rules or ())) == ["member='M'"]
        world.leave(listener)
        assert world.is_empty()


def test_an_index_forgets_the_marks_of_another(world: World) -> None:
    """A client may have been in another one; the stamps of each begin anew."""
    client, other = world.join(), Index()
    for text in ("member='M'", "interface='i.A'"):
        world.add(client, text)
    assert world.index.broadcast(message(), None) == [client]
    world.index.drop(client)
    for text in ("member='M'", "interface='i.A'"):
        other.add(Rule.parse(text + ",eavesdrop='true'"), client)
    assert other.eavesdrop(message(), None, None) == [client]


def cost(index: Index, frame: Frame) -> float:
    """Seconds for a broadcast: the best of several rounds."""
    rounds = []
    for _ in range(15):
        start = time.perf_counter()
        for _ in range(300):
            index.broadcast(frame, None)
        rounds.append(time.perf_counter() - start)
    return min(rounds)


@pytest.mark.parametrize(
    "different",
    [
        "path='/x/{}'",
        "sender='x.x{}'",
        "arg0='{}'",
        "arg0path='/x/{}/'",
        "arg0namespace='x.x{}'",
        "path_namespace='/x/{}'",
        "path='/{}',sender='x.x{}',arg0='{}',arg1='{}'",
    ],
)
def test_rules_that_do_not_match_cost_nothing(world: World, different: str) -> None:
    """The target is 20 %; a busy machine gets more room, and any scan takes hundredfold."""
    frame = message("ss", "/a/b/c", "y")
    few, many = Index(), Index()
    for index, count in ((few, 10), (many, 2000)):
        client = world.join()
        for number in range(count):
            text = f"type='signal',interface='i.A',member='M',{different}"
            index.add(Rule.parse(text.replace("{}", str(number))), client)
    assert cost(many, frame) < 2 * cost(few, frame)
