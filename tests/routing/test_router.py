"""Where messages go, what is left behind when their senders and receivers go, and who pays."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
)

from bridge.routing.client import Client
from bridge.routing.errors import Disconnect
from tests.raw import (
    CALL,
    DESTINATION,
    DRIVER,
    ERROR,
    ERROR_NAME,
    NO_AUTO_START,
    NO_REPLY,
    REPLY_SERIAL,
    RETURN,
    SIGNAL,
    call_fields,
)
from tests.routing.world import UID, Party, World, quota

NAME = "com.example.Name"
PEER = "org.freedesktop.DBus.Peer"


def rights(party: Party) -> tuple[int, int, int]:
    """Its routes, its handles, and what it is charged for: one node and the handles."""
    peer = party.client.peer
    return len(party.client.routes or {}), len(peer.handles), peer.query().handles - 1


# -------------------------------------------------------------------------- unicast


@pytest.mark.parametrize("by", ["unique name", "name"])
@pytest.mark.parametrize("kind", [CALL, SIGNAL])
def test_a_unicast_reaches_its_receiver_and_nobody_else(
    a: Party, b: Party, c: Party, by: str, kind: int
) -> None:
    b.own(NAME)
    b.take()
    to = NAME if by == "name" else b.name
    a.send(kind, call_fields(to, "/t", "t.T", "M"), "s", ["x"], serial=77)
    (message,) = b.take()
    assert (message.kind, message.sender, message.destination) == (kind, a.name, to)
    assert (message.serial, message.args) == (77, ["x"])
    assert a.seen() == c.seen() == []


def test_a_message_to_oneself(a: Party) -> None:
    a.signal("S", to=a.name)
    assert a.seen() == ["S()"]


def test_a_name_leads_to_its_owner_now(a: Party, b: Party, c: Party) -> None:
    b.own(NAME, 1)  # ALLOW_REPLACEMENT
    a.signal("First", to=NAME)
    c.own(NAME, 2)  # REPLACE_EXISTING
    a.signal("Second", to=NAME)
    c.close()
    a.signal("Third", to=NAME)
    assert [m.member for m in b.take() if m.sender == a.name] == ["First", "Third"]


def test_the_right_to_send_is_granted_once(a: Party, b: Party) -> None:
    b.own(NAME)
    assert rights(a) == (0, 0, 0)
    for to in (b.name, NAME, b.name, NAME):
        a.signal("S", to=to)
    assert rights(a) == (1, 1, 1)
    assert a.client.routes is not None
    handle = a.client.routes[b.client.number]
    assert handle.node is b.client.node
    assert handle.holder is a.client.peer.queue
    assert rights(b) == (0, 0, 0)


def test_the_right_ends_with_its_receiver(a: Party, b: Party) -> None:
    a.signal("S", to=b.name)
    b.close()
    assert a.seen() == []
    assert rights(a) == (0, 0, 0)


def test_what_a_client_held_goes_with_it(world: World, a: Party, b: Party) -> None:
    before = world.hub.peer.user.handles
    c = world.connect()
    for other in (a, b):
        c.signal("S", to=other.name)
        other.signal("S", to=c.name)
    c.close()
    for other in (a, b):
        other.take()
    assert world.hub.peer.user.handles == before
    assert a.client.node.count == 1  # the driver's


@pytest.mark.parametrize("to", [":1.999", "com.example.Nobody", ":2.1"])
@pytest.mark.parametrize(
    ("kind", "flags", "error"),
    [
        (CALL, 0, "ServiceUnknown"),
        (CALL, NO_REPLY, "ServiceUnknown"),
        (CALL, NO_AUTO_START, "NameHasNoOwner"),
        (SIGNAL, 0, "ServiceUnknown"),
        (SIGNAL, NO_AUTO_START, "NameHasNoOwner"),
        (RETURN, 0, "ServiceUnknown"),
    ],
)
def test_nobody_is_there(a: Party, to: str, kind: int, flags: int, error: str) -> None:
    fields = call_fields(to, "/t", "t.T", "M") if kind != RETURN else [(DESTINATION, to)]
    a.send(kind, [*fields, (REPLY_SERIAL, 3)], serial=77, flags=flags)
    (answer,) = a.take()
    assert (str(answer), answer.reply_to, answer.sender) == (f"!{error}", 77, DRIVER)
    assert to in answer.args[0]


def test_a_name_of_a_client_that_left(a: Party, b: Party) -> None:
    a.signal("S", to=b.name)
    b.close()
    a.signal("S", to=b.name)
    assert a.seen() == ["!ServiceUnknown"]


# ------------------------------------------------- no destination, no name, no meaning


@pytest.mark.parametrize(
    ("interface", "member", "answer"),
    [
        (PEER, "Ping", "=()"),
        (PEER, "Pong", "!UnknownMethod"),
        (DRIVER, "GetId", "!UnknownMethod"),
        ("t.T", "M", "!UnknownMethod"),
    ],
)
@pytest.mark.parametrize("hello", [True, False])
def test_a_call_to_nobody_is_the_drivers(
    world: World, hello: bool, interface: str, member: str, answer: str
) -> None:
    a = world.connect(hello=hello)
    said = a.ask(member, to=None, path="/", interface=interface)
    assert (str(said), said.sender) == (answer, None)


@pytest.mark.parametrize("kind", [RETURN, ERROR])
def test_a_reply_to_nobody(a: Party, kind: int) -> None:
    a.send(kind, [(REPLY_SERIAL, 3), (ERROR_NAME, "e.E")], serial=77)
    (answer,) = a.take()
    assert (str(answer), answer.reply_to) == ("!AccessDenied", 77)


@pytest.mark.parametrize("kind", [5, 77, 255])
@pytest.mark.parametrize("to", ["b", DRIVER, "com.example.Nobody", None])
def test_types_that_mean_nothing(a: Party, b: Party, kind: int, to: str | None) -> None:
    b.match("sender=" + a.name)
    a.send(kind, call_fields(b.name if to == "b" else to, "/t", "t.T", "M"))
    assert a.seen() == ([] if to is None else ["!AccessDenied"])
    assert b.seen() == []


@pytest.mark.parametrize(
    "send",
    [
        lambda a, b: a.signal("S"),
        lambda a, b: a.signal("S", to=b),
        lambda a, b: a.call("M", to=b),
        lambda a, b: a.call("M", to="com.example.Nobody"),
        lambda a, b: a.send(RETURN, [(REPLY_SERIAL, 3), (DESTINATION, b)]),
        lambda a, b: a.send(RETURN, [(REPLY_SERIAL, 3)]),
    ],
)
def test_who_has_no_name_may_only_talk_to_the_bus(
    world: World, b: Party, send: Callable[[Party, str], int]
) -> None:
    a = world.connect(hello=False)
    b.match("type=signal")
    with pytest.raises(Disconnect, match="before Hello"):
        send(a, b.name)
    assert b.seen() == []


def test_errors_before_hello_are_addressed(world: World) -> None:
    answer = world.connect(hello=False).ask("ListNames")
    assert (str(answer), answer.destination) == ("!AccessDenied", ":not.active.yet")


# ------------------------------------------------------------------------ broadcasts


def test_a_broadcast_has_one_stamp_and_one_payload(a: Party, b: Party, c: Party) -> None:
    for each in (b, c):
        each.match("member=S")
        each.take()
    b.signal("Other", to=c.name)  # their clocks differ
    a.signal("S", "s", "x")
    assert b.seen() == ["S(x)"]
    assert c.seen() == ["Other()", "S(x)"]
    assert b.stamps[-1] == c.stamps[-1] > c.stamps[-2]
    assert b.kept[-1] is c.kept[-1]


def test_everybody_sees_broadcasts_in_one_order(a: Party, b: Party, c: Party) -> None:
    for each in (a, b, c):
        each.match("member=S")
        each.take()
    for number in range(9):
        (a, b, c)[number % 3].signal("S", "u", number)
    assert a.seen() == b.seen() == c.seen() == [f"S({number})" for number in range(9)]


def test_a_broadcast_gives_no_rights(a: Party, b: Party) -> None:
    b.match("member=S")
    a.signal("S")
    b.take()
    assert rights(a) == rights(b) == (0, 0, 0)


@pytest.mark.parametrize("rules", [1, 3])
def test_a_signal_comes_once_however_many_rules_want_it(a: Party, b: Party, rules: int) -> None:
    for rule_text in ("member=S", "type=signal", f"sender={a.name}")[:rules]:
        b.match(rule_text)
    a.signal("S")
    assert b.seen() == ["S()"]


# ---------------------------------------------------------------------- eavesdropping


def test_who_eavesdrops_hears_unicasts_too(a: Party, b: Party, c: Party) -> None:
    c.match("eavesdrop=true,interface=t.T")
    c.match(f"eavesdrop=true,type=method_return,sender={b.name}")
    c.take()
    a.signal("S", to=b.name)
    a.call("M", to=b.name, interface="t.T")
    call = b.take()[-1]
    b.reply(call, "s", "done")
    assert c.seen() == ["S()", "M()", "=(done)"]
    assert a.seen() == ["=(done)"]


def test_who_eavesdrops_hears_calls_of_the_bus_and_not_the_bus(a: Party, c: Party) -> None:
    c.match(f"eavesdrop=true,sender={a.name}")
    c.match(f"eavesdrop=true,destination={a.name}")
    c.take()
    a.ask("GetId")
    a.ask("GetNameOwner", "s", "not.there")  # refused
    assert c.seen() == ["GetId()"]


def test_who_eavesdrops_hears_once_what_is_addressed_to_it(a: Party, b: Party, c: Party) -> None:
    """The receiver's own rules do not double what is addressed to it."""
    b.match("eavesdrop=true,member=S")
    b.take()
    a.signal("S", to=b.name)
    assert b.seen() == ["S()"]


# -------------------------------------------------------------------------------- fds


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for fd in (read, write):
        os.close(fd)


@pytest.mark.parametrize("kind", ["call", "signal"])
def test_fds_go_only_to_who_takes_them(
    world: World, a: Party, b: Party, pipe: tuple[int, int], kind: str
) -> None:
    send = {"call": a.call, "signal": a.signal}[kind]
    poor = world.connect(fds=False)
    send("M", "h", 0, to=poor.name, fds=[pipe[1]])
    assert a.seen() == ["!NotSupported"]
    assert poor.seen() == []
    assert a.client.awaited == 0
    send("M", "h", 0, to=b.name, fds=[pipe[1]])
    ((fd,),) = (message.fds for message in b.take())
    os.write(fd, b"through")
    assert os.read(pipe[0], 10) == b"through"


def test_a_reply_with_fds_to_who_takes_none_may_be_sent_again(
    world: World, b: Party, pipe: tuple[int, int]
) -> None:
    poor = world.connect(fds=False)
    poor.call("M", to=b.name)
    (call,) = b.take()
    b.reply(call, "h", 0, fds=[pipe[0]])
    assert b.seen() == ["!NotSupported"]
    b.reply(call, "s", "plain")
    assert poor.seen() == ["=(plain)"]


def test_a_broadcast_with_fds_leaves_out_who_takes_none(
    world: World, a: Party, b: Party, pipe: tuple[int, int]
) -> None:
    poor = world.connect(fds=False)
    for each in (poor, b):
        each.match("member=S")
        each.take()
    a.signal("S", "h", 0, fds=[pipe[0]])
    assert (len(b.take()), len(poor.take()), poor.client.dropped) == (1, 0, 0)


def test_descriptors_are_closed_when_nobody_has_them(
    world: World, a: Party, b: Party, pipe: tuple[int, int]
) -> None:
    b.match("member=S")
    count = len(os.listdir("/proc/self/fd"))
    a.signal("S", "h", 0, fds=[pipe[0]])
    a.signal("S", "h", 0, to=b.name, fds=[pipe[0]])
    assert len(os.listdir("/proc/self/fd")) == count + 2
    b.close()
    assert len(os.listdir("/proc/self/fd")) == count


# ----------------------------------------------------------------------------- quotas


@pytest.mark.parametrize("kind", [CALL, SIGNAL])
def test_above_the_quota_a_unicast_is_refused(kind: int) -> None:
    world = World(peer=quota(messages=5))
    a, b = world.connect(), world.connect()
    for _ in range(6):
        a.send(kind, call_fields(b.name, "/t", "t.T", "M"))
    assert a.seen() == ["!LimitsExceeded"]
    assert len(b.take()) == 5
    assert (a.client.awaited, b.client.dropped) == (5 if kind == CALL else 0, 0)
    a.send(kind, call_fields(b.name, "/t", "t.T", "M"))
    assert (a.seen(), b.seen()) == ([], ["M()"])
    world.end()


def test_a_right_that_cannot_be_paid_is_not_granted() -> None:
    world = World(peer=quota(handles=3))
    a, *others = (world.connect() for _ in range(4))
    for other in others:
        a.signal("S", to=other.name)
    assert a.seen() == ["!LimitsExceeded"]
    assert rights(a) == (2, 2, 2)
    others[0].close()
    a.take()
    a.signal("S", to=others[2].name)
    assert others[2].seen() == ["S()"]
    world.end()


def test_a_refused_reply_may_be_sent_again() -> None:
    world = World(peer=quota(messages=5))
    a, b = world.connect(), world.connect()
    a.call("M", to=b.name)
    (call,) = b.take()
    for _ in range(5):
        b.signal("S", to=a.name)
    b.reply(call, "s", "one")
    assert b.seen() == ["!LimitsExceeded"]
    assert a.client.awaited == 1
    a.take()
    b.reply(call, "s", "two")
    assert (a.seen(), b.seen(), a.client.awaited) == (["=(two)"], [], 0)
    world.end()


def test_a_greedy_user_leaves_room_for_the_others() -> None:
    """The receiver's user pays, and each sending user gets a share of what is left."""
    world = World(user=quota(messages=600))
    victim, greedy, modest = (world.connect(uid=uid) for uid in (1, 2, 3))
    sent = 0
    while not greedy.take():
        greedy.signal("S", to=victim.name)
        sent += 1
        assert sent < 600
    modest.signal("Modest", to=victim.name)
    assert modest.seen() == []
    assert victim.seen()[-1] == "Modest()"
    world.end()


def test_a_broadcast_that_does_not_fit_is_dropped_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(peer=quota(messages=5))
    a, slow, quick = world.connect(), world.connect(pid=1), world.connect()
    for each in (slow, quick):
        each.match("member=S")
        each.take()
    slow.own(NAME)
    slow.take()
    caplog.set_level(logging.WARNING, "bus1.router")
    heard = []
    for number in range(25):
        a.signal("S", "u", number)
        heard += quick.seen()
    assert heard == [f"S({number})" for number in range(25)]
    assert a.seen() == []
    assert slow.client.dropped == 20
    texts = [record.getMessage() for record in caplog.records]
    with open("/proc/1/comm") as file:
        comm = file.read().strip()
    assert texts == [
        f'{slow.name} {NAME} (uid={UID} pid=1 comm="{comm}") does not read: {count} messages to it '
        f"dropped, the last from {a.name}"
        for count in (1, 2, 4, 8, 16)
    ]
    assert slow.seen() == [f"S({number})" for number in range(5)]
    a.signal("S", "u", 99)
    assert slow.seen() == ["S(99)"]
    world.end()


def test_an_answer_of_the_bus_that_does_not_fit_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(peer=quota(messages=5))
    a = world.connect()
    for _ in range(7):
        a.call("GetId")
    assert (len(a.take()), a.client.dropped) == (5, 2)
    assert "the last from org.freedesktop.DBus" in caplog.text
    assert a.asked("GetId").startswith("=(")
    world.end()


# ---------------------------------------------------------------------- coming, going


def test_users_are_counted_by_their_uid(world: World) -> None:
    parties = [world.connect(uid=uid) for uid in (1, 2, 1)] + [world.connect(uid=1, hello=False)]
    count = world.hub.clients_of
    assert (count(1), count(2), count(3), world.hub.active) == (2, 1, 0, 3)
    parties[0].close()
    parties[3].close()
    assert (count(1), count(2), world.hub.active) == (1, 1, 2)


def test_anonymous_clients_are_one_user(world: World) -> None:
    one, two = world.connect(uid=None), world.connect(uid=None)
    assert world.hub.clients_of(None) == 2
    assert one.client.peer.user is two.client.peer.user
    assert one.client.peer.user is not world.hub.peer.user
    one.signal("S", to=two.name)
    assert two.seen() == ["S()"]


def test_who_has_no_room_is_turned_away_and_leaves_nothing() -> None:
    world = World(user=quota(handles=20))
    user = world.hub.peer.user
    with suppress(Disconnect):
        while True:
            world.connect()
    count = len(world.parties)
    held = user.handles
    assert user.peers == count + 1
    for _ in range(3):
        with pytest.raises(Disconnect, match="there is no room for one more client"):
            world.connect()
    assert (user.handles, user.peers) == (held, count + 1)
    world.parties[0].close()
    assert world.connect().asked("GetId").startswith("=(")
    world.end()


def test_the_bus_has_room_for_more_clients_than_one_client_for_rights() -> None:
    world = World(peer=quota(handles=3))
    assert len({world.connect().name for _ in range(20)}) == 20
    world.end()


def test_who_leaves_without_hello_leaves_nothing(world: World) -> None:
    before = world.hub.peer.query()
    world.connect(hello=False).close()
    assert world.hub.peer.query()[1:] == before[1:]


def test_serials_of_the_bus_are_never_zero_and_differ(world: World) -> None:
    numbers = [world.hub.serial() for _ in range(1000)]
    assert len(set(numbers)) == 1000
    assert 0 not in numbers


def test_a_refused_reply_is_logged_with_both_ends(
    a: Party, b: Party, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(65):
        a.send(RETURN, [(DESTINATION, b.name), (REPLY_SERIAL, 3)])
    assert len(caplog.records) == 16 + 2  # not every time
    for count, record in enumerate(caplog.records, 1):
        text = record.getMessage()
        assert text.startswith("Rejected send message, 1 matched rules; ")
        assert f'sender="{a.name}"' in text
        assert f'destination="{b.name}"' in text
        so_far = {17: " (32 denials so far)", 18: " (64 denials so far)"}.get(count, "")
        assert text.endswith(f"; nobody waits for this reply{so_far}")


def test_a_client_that_left_is_in_no_cycle(world: World) -> None:
    def clients() -> int:
        return sum(isinstance(thing, Client) for thing in gc.get_objects())

    gc.collect()
    before = clients()
    a, b = world.connect(), world.connect()
    a.call("M", to=b.name)
    b.take()
    gc.disable()
    try:
        for each in (b, a):
            each.close()
            each.client = None  # type: ignore[assignment]
        assert clients() == before
    finally:
        gc.enable()


def test_eavesdroppers_do_not_hear_what_was_refused(a: Party, b: Party, c: Party) -> None:
    c.match("eavesdrop=true")
    c.take()
    a.send(RETURN, [(DESTINATION, b.name), (REPLY_SERIAL, 3)], "s", ["forged"])
    a.signal("S", to=b.name)
    assert [str(m) for m in c.take() if m.sender == a.name and m.destination == b.name] == ["S()"]


# -------------------------------------------------------------------------------- law


class Life(RuleBasedStateMachine):
    """Clients come, call, answer, and go, in any order. Every call has exactly one answer, and
    what each client holds follows from what it has been told."""

    parties = Bundle("parties")

    def __init__(self) -> None:
        super().__init__()
        self.world = World(bus_uid=0)
        self.inbox: dict[Party, list[tuple[str, int]]] = {}
        self.open: dict[tuple[str, int], Party] = {}  # the calls that wait, and for whom
        self.names: dict[str, Party] = {}

    @rule(target=parties, uid=st.sampled_from([0, 1, 2, None]))
    def join(self, uid: int | None) -> Party:
        party = self.world.connect(uid=uid)
        party.match("type=signal,member=S")
        party.take()
        self.inbox[party] = []
        self.names[party.name] = party
        return party

    @rule(caller=parties, callee=parties, silent=st.booleans())
    def call(self, caller: Party, callee: Party, silent: bool) -> None:
        serial = caller.call("M", to=callee.name, flags=NO_REPLY if silent else 0)
        if not silent:
            self.open[caller.name, serial] = callee

    @rule(party=parties)
    def signal(self, party: Party) -> None:
        party.signal("S")

    @rule(party=parties, name=st.sampled_from(["n.A", "n.B"]), take=st.booleans())
    def own(self, party: Party, name: str, take: bool) -> None:
        party.call("RequestName" if take else "ReleaseName", "su" if take else "s",
                   *([name, 3] if take else [name]))  # fmt: skip

    @rule(party=parties)
    def read(self, party: Party) -> None:
        for message in party.take():
            if message.member == "M" and not message.flags & NO_REPLY:
                self.inbox[party].append((message.sender, message.serial))
            elif str(message) in ("=(answer)", "!NoReply"):
                callee = self.open.pop((party.name, message.reply_to))
                assert str(message) == "=(answer)" or callee not in self.inbox
            else:
                assert message.kind != ERROR or str(message) == "!ServiceUnknown"
        peer, client = party.client.peer, party.client
        living = {each.client.number for each in self.inbox}
        assert set(client.routes or {}) <= living
        assert len(peer.handles) == len(client.routes or {}) + len(client.owed or {})
        assert peer.query().handles == 1 + len(peer.handles)
        waiting = [key for key in self.open if key[0] == party.name]
        assert client.awaited == len(waiting)

    @rule(party=parties)
    def answer(self, party: Party) -> None:
        self.read(party)
        while self.inbox[party]:
            caller, serial = self.inbox[party].pop()
            party.send(RETURN, [(DESTINATION, caller), (REPLY_SERIAL, serial)], "s", ["answer"])

    @rule(party=consumes(parties))
    def leave(self, party: Party) -> None:
        party.close()
        del self.inbox[party]
        for key in [key for key in self.open if key[0] == party.name]:
            del self.open[key]

    @invariant()
    def what_is_owed_is_awaited(self) -> None:
        """Somebody who left owes nothing; all that is owed to the living is awaited by them."""
        owed = [
            handle.node.tag
            for party in self.inbox
            for handle in (party.client.owed or {}).values()
            if not handle.node.gone
        ]
        for party in self.inbox:
            assert owed.count(party.client) <= party.client.awaited

    def teardown(self) -> None:
        for party in self.inbox:
            self.answer(party)
        for party in self.inbox:
            self.read(party)
        assert self.open == {}
        assert all(not party.client.owed and not party.client.awaited for party in self.inbox)
        self.world.end()


Life.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
test_life = Life.TestCase
