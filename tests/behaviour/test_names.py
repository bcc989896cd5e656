"""Owning names: every flag, the queue, the order of what everybody hears (contract E.4 to E.9)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.buses import Bus
from tests.raw import DRIVER, SIGNAL, Client

ALLOW, REPLACE, NO_QUEUE = 1, 2, 4
PRIMARY, IN_QUEUE, EXISTS, ALREADY = 1, 2, 3, 4
INVALID_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"


def queue(client: Client, name: str) -> list[str]:
    return list(client.ask("ListQueuedOwners", "s", name).args[0])


def watch(client: Client, name: str) -> None:
    client.match(f"sender={DRIVER},member=NameOwnerChanged,arg0={name}")


def test_request_name_answers_last(a: Client, name: str) -> None:
    watch(a, name)
    a.call("RequestName", "su", name, 0)
    assert a.seen() == [f"NameOwnerChanged({name},,{a.name})", f"NameAcquired({name})", "=(1)"]


def test_signals_of_names_come_from_the_driver(a: Client, b: Client, name: str) -> None:
    watch(b, name)
    a.own(name)
    acquired, changed = a.receive("NameAcquired"), b.receive("NameOwnerChanged")
    for signal, to in ((acquired, a.name), (changed, None)):
        assert (signal.kind, signal.sender, signal.destination) == (SIGNAL, DRIVER, to)
        assert (signal.path, signal.interface) == ("/org/freedesktop/DBus", DRIVER)
    assert (acquired.signature, changed.signature) == ("s", "sss")


def test_release_name_loses_it_in_order(a: Client, name: str) -> None:
    watch(a, name)
    a.own(name)
    a.take()
    a.call("ReleaseName", "s", name)
    assert a.seen() == [f"NameLost({name})", f"NameOwnerChanged({name},{a.name},)", "=(1)"]


def test_release_hands_over_to_the_next_in_the_queue(
    a: Client, b: Client, c: Client, name: str
) -> None:
    assert [x.own(name) for x in (a, b, c)] == [PRIMARY, IN_QUEUE, IN_QUEUE]
    watch(c, name)
    for each in (a, b, c):
        each.take()
    a.ask("ReleaseName", "s", name)
    assert a.seen() == [f"NameLost({name})"]
    assert b.seen() == [f"NameAcquired({name})"]
    assert c.seen() == [f"NameOwnerChanged({name},{a.name},{b.name})"]
    assert queue(a, name) == [b.name, c.name]


def test_replace_tells_the_old_owner_then_all_then_the_new(a: Client, b: Client, name: str) -> None:
    a.own(name, ALLOW)
    for each in (a, b):
        each.take()
        watch(each, name)
    b.call("RequestName", "su", name, REPLACE)
    assert b.seen() == [
        f"NameOwnerChanged({name},{a.name},{b.name})",
        f"NameAcquired({name})",
        "=(1)",
    ]
    assert a.seen() == [f"NameLost({name})", f"NameOwnerChanged({name},{a.name},{b.name})"]


# (flags of each request in turn by client number) -> answers, and the queue at the end
REQUESTS: dict[str, tuple[list[tuple[int, int]], list[int], list[int]]] = {
    "first owns": ([(0, 0)], [PRIMARY], [0]),
    "again": ([(0, 0), (0, 0)], [PRIMARY, ALREADY], [0]),
    "second waits": ([(0, 0), (1, 0)], [PRIMARY, IN_QUEUE], [0, 1]),
    "second does not wait": ([(0, 0), (1, NO_QUEUE)], [PRIMARY, EXISTS], [0]),
    "replace not allowed waits": ([(0, 0), (1, REPLACE)], [PRIMARY, IN_QUEUE], [0, 1]),
    "replace not allowed, no queue": ([(0, 0), (1, REPLACE | NO_QUEUE)], [PRIMARY, EXISTS], [0]),
    "allowed but not asked": ([(0, ALLOW), (1, 0)], [PRIMARY, IN_QUEUE], [0, 1]),
    "replaced goes to second place": (
        [(0, ALLOW), (1, 0), (2, REPLACE)],
        [PRIMARY, IN_QUEUE, PRIMARY],
        [2, 0, 1],
    ),
    "replaced with no-queue goes": (
        [(0, ALLOW | NO_QUEUE), (1, 0), (2, REPLACE)],
        [PRIMARY, IN_QUEUE, PRIMARY],
        [2, 1],
    ),
    "replace, no queue wanted": ([(0, ALLOW), (1, REPLACE | NO_QUEUE)], [PRIMARY, PRIMARY], [1, 0]),
    "replace refused jumps to second place": (
        [(0, 0), (1, 0), (2, REPLACE)],
        [PRIMARY, IN_QUEUE, IN_QUEUE],
        [0, 2, 1],
    ),
    "waiting, then replace jumps": (
        [(0, 0), (1, 0), (2, 0), (2, REPLACE)],
        [PRIMARY, IN_QUEUE, IN_QUEUE, IN_QUEUE],
        [0, 2, 1],
    ),
    "waiting again keeps its place": (
        [(0, 0), (1, 0), (2, 0), (1, 0)],
        [PRIMARY, IN_QUEUE, IN_QUEUE, IN_QUEUE],
        [0, 1, 2],
    ),
    "waiting, then no-queue leaves": (
        [(0, 0), (1, 0), (2, 0), (1, NO_QUEUE)],
        [PRIMARY, IN_QUEUE, IN_QUEUE, EXISTS],
        [0, 2],
    ),
    "waiting, then replaces": (
        [(0, ALLOW), (1, 0), (1, REPLACE)],
        [PRIMARY, IN_QUEUE, PRIMARY],
        [1, 0],
    ),
    "owner allows later": ([(0, 0), (0, ALLOW), (1, REPLACE)], [PRIMARY, ALREADY, PRIMARY], [1, 0]),
    "owner forbids later": (
        [(0, ALLOW), (0, 0), (1, REPLACE)],
        [PRIMARY, ALREADY, IN_QUEUE],
        [0, 1],
    ),
    "owner takes no-queue later": (
        [(0, ALLOW), (0, ALLOW | NO_QUEUE), (1, REPLACE)],
        [PRIMARY, ALREADY, PRIMARY],
        [1],
    ),
    "owner asks to replace itself": ([(0, ALLOW), (0, REPLACE)], [PRIMARY, ALREADY], [0]),
    "unknown flags pass": ([(0, 0xFFFFFFF8), (1, 8)], [PRIMARY, IN_QUEUE], [0, 1]),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_request_name_flags(a: Client, b: Client, c: Client, name: str, case: str) -> None:
    requests, answers, order = REQUESTS[case]
    clients = [a, b, c]
    assert [clients[who].own(name, flags) for who, flags in requests] == answers
    assert queue(a, name) == [clients[who].name for who in order]
    assert a.ask("GetNameOwner", "s", name).args == [clients[order[0]].name]


def test_waiting_for_a_name_tells_nobody(a: Client, b: Client, name: str) -> None:
    a.own(name)
    watch(a, name)
    a.take()
    b.own(name)
    assert b.seen() == a.seen() == []


def test_leaving_the_queue_tells_nobody(a: Client, b: Client, name: str) -> None:
    a.own(name)
    b.own(name)
    watch(a, name)
    a.take()
    assert b.ask("ReleaseName", "s", name).args == [1]
    assert b.seen() == a.seen() == []
    assert queue(a, name) == [a.name]


def test_release_name_answers(
    a: Client, b: Client, c: Client, name: str, names: Callable[[], str]
) -> None:
    a.own(name)
    b.own(name)
    assert c.ask("ReleaseName", "s", name).args == [3]
    assert c.ask("ReleaseName", "s", names()).args == [2]
    assert b.ask("ReleaseName", "s", name).args == [1]
    assert a.ask("ReleaseName", "s", name).args == [1]
    assert a.ask("ReleaseName", "s", name).args == [2]
    assert a.ask("NameHasOwner", "s", name).args == [0]


BAD_NAMES = [
    "", "a", "a..b", ".a.b", "a.b.", "1a.b", "a.1b", "a.b/c", "a.b c", "a.é", "a." + "b" * 254,
    ":", "a:b.c",
]  # fmt: skip


@pytest.mark.parametrize("bad", [*BAD_NAMES, ":1.77", ":a.b", DRIVER])
@pytest.mark.parametrize("member", ["RequestName", "ReleaseName"])
def test_names_that_nobody_may_own(a: Client, member: str, bad: str) -> None:
    args = ("su", bad, 0) if member == "RequestName" else ("s", bad)
    assert a.ask(member, *args).error == INVALID_ARGS


@pytest.mark.parametrize("good", ["a.b", "_.-", "A-1._2", "a." + "b" * 253, "a.b.c.d.e.f.g"])
def test_names_that_one_may_own(a: Client, good: str) -> None:
    assert a.own(good) == PRIMARY
    a.ask("ReleaseName", "s", good)


def test_messages_to_a_name_follow_its_owner(a: Client, b: Client, c: Client, name: str) -> None:
    b.own(name, ALLOW)
    a.call("One", to=name, interface="t.T")
    a.take()
    c.own(name, REPLACE)
    a.call("Two", to=name, interface="t.T")
    a.take()
    assert b.receive("One").destination == name
    assert c.receive("Two").destination == name


def test_the_drivers_name_counts_as_owned(a: Client) -> None:
    assert a.ask("GetNameOwner", "s", DRIVER).args == [DRIVER]
    assert a.ask("NameHasOwner", "s", DRIVER).args == [1]
    assert DRIVER in a.ask("ListNames").args[0]
    assert DRIVER in a.ask("ListActivatableNames").args[0]
    assert queue(a, DRIVER) == [DRIVER]


def test_unique_names_are_owned_by_themselves(a: Client, b: Client) -> None:
    assert a.ask("GetNameOwner", "s", b.name).args == [b.name]
    assert queue(a, b.name) == [b.name]
    assert b.name in a.ask("ListNames").args[0]


def test_many_names_of_one_client(a: Client, b: Client) -> None:
    wanted = [f"com.example.Many.n{number}" for number in range(500)]
    for each in wanted:
        a.call("RequestName", "su", each, 0)
    a.take()
    assert set(wanted) <= set(b.ask("ListNames").args[0])
    a.close()
    b.until_gone(a.name)
    assert not set(wanted) & set(b.ask("ListNames").args[0])


def test_a_queue_outlives_the_clients_in_it(bus: Bus, a: Client, name: str) -> None:
    others = [bus.connect() for _ in range(4)]
    a.own(name)
    for each in others:
        each.own(name)
    others[1].close()
    a.until_gone(others[1].name)
    assert queue(a, name) == [each.name for each in (a, others[0], others[2], others[3])]
