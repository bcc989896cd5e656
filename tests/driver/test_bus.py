"""org.freedesktop.DBus: results, errors and their texts, and the order of what each client sees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.routing.credentials import Credentials
from policy.limits import Limits
from tests import raw
from tests.buses import Bus
from tests.driver.desk import GUID, Caller, Desk, text
from tests.raw import DRIVER, Client

QUEUED, EXISTS, ALREADY = 2, 3, 4
ALLOW, REPLACE, DO_NOT_QUEUE = 1, 2, 4
LONG = "a." + "b" * 254


# -------------------------------------------------------------------------- Hello


def test_hello_reply_then_owner_changed_then_acquired(desk: Desk) -> None:
    caller = desk.connect(hello=False)
    caller.call("Hello")
    name = caller.client.unique
    assert desk.told == [
        (name, f"=({name})"),
        ("", f"NameOwnerChanged({name},,{name})"),
        (name, f"NameAcquired({name})"),
    ]


def test_hello_as_the_client_sees_it(both: Desk | Bus, a: Client) -> None:
    a.ask("AddMatch", "s", f"sender='{DRIVER}'")
    client = both.connect(hello=False)
    client.call("Hello")
    answer = client.next()
    name = answer.args[0]
    assert (answer.destination, answer.sender) == (name, DRIVER)
    acquired = client.next()
    assert str(acquired) == f"NameAcquired({name})"
    assert (acquired.path, acquired.interface) == ("/org/freedesktop/DBus", DRIVER)
    assert (acquired.destination, acquired.flags) == (name, raw.NO_REPLY)
    assert client.seen() == []
    (changed,) = a.take()
    assert str(changed) == f"NameOwnerChanged({name},,{name})"
    assert (changed.destination, changed.sender) == (None, DRIVER)


def test_second_hello(a: Client) -> None:
    assert text(a.ask("Hello")) == "!Failed Already handled an Hello message"


def test_hello_over_the_bus_limit_may_be_repeated() -> None:
    desk = Desk(replace(Limits(), max_completed_connections=1))
    first, second = desk.connect(), desk.connect(hello=False)
    refused = "!LimitsExceeded The maximum number of active connections has been reached"
    assert text(second.ask("Hello")) == refused
    assert not second.client.active()
    first.close()
    assert second.ask("Hello").kind == raw.RETURN


def test_hello_over_the_limit_of_one_user() -> None:
    desk = Desk(replace(Limits(), max_connections_per_user=1))
    desk.connect(credentials=Credentials(1000, 1))
    same = desk.connect(credentials=Credentials(1000, 2), hello=False)
    assert text(same.ask("Hello")) == (
        "!LimitsExceeded The maximum number of active connections for UID 1000 has been reached"
    )
    for other in (Credentials(1001, 3), Credentials(None, None), Credentials(None, None)):
        desk.connect(credentials=other)


# -------------------------------------------------------------------------- names


def test_request_and_release_as_all_see_it(a: Client, b: Client, name: str) -> None:
    b.ask("AddMatch", "s", f"sender='{DRIVER}',member='NameOwnerChanged',arg0='{name}'")
    a.call("RequestName", "su", name, 0)
    a.call("RequestName", "su", name, 0)
    a.call("ReleaseName", "s", name)
    a.call("ReleaseName", "s", name)
    me, lost = a.name, f"NameLost({name})"
    assert a.seen() == [f"NameAcquired({name})", "=(1)", "=(4)", lost, "=(1)", "=(2)"]
    assert b.seen() == [f"NameOwnerChanged({name},,{me})", f"NameOwnerChanged({name},{me},)"]


def test_the_reply_comes_after_the_callers_own_signals(a: Client, name: str) -> None:
    a.ask("AddMatch", "s", f"arg0='{name}'")
    a.call("RequestName", "su", name, 0)
    a.call("ReleaseName", "s", name)
    assert a.seen() == [
        f"NameOwnerChanged({name},,{a.name})",
        f"NameAcquired({name})",
        "=(1)",
        f"NameLost({name})",
        f"NameOwnerChanged({name},{a.name},)",
        "=(1)",
    ]


def test_replacing_lost_then_changed_then_acquired_then_reply(desk: Desk) -> None:
    old, new = desk.connect(), desk.connect()
    old.ask("RequestName", "su", "x.y", ALLOW)
    desk.told.clear()
    new.call("RequestName", "su", "x.y", REPLACE)
    assert desk.told == [
        (old.name, "NameLost(x.y)"),
        ("", f"NameOwnerChanged(x.y,{old.name},{new.name})"),
        (new.name, "NameAcquired(x.y)"),
        (new.name, "=(1)"),
    ]


def test_releasing_hands_over_in_the_same_order(desk: Desk) -> None:
    old, new = desk.connect(), desk.connect()
    old.ask("RequestName", "su", "x.y", 0)
    assert new.ask("RequestName", "su", "x.y", 0).args == [QUEUED]
    desk.told.clear()
    old.call("ReleaseName", "s", "x.y")
    assert desk.told == [
        (old.name, "NameLost(x.y)"),
        ("", f"NameOwnerChanged(x.y,{old.name},{new.name})"),
        (new.name, "NameAcquired(x.y)"),
        (old.name, "=(1)"),
    ]


def test_queues(a: Client, b: Client, c: Client, name: str) -> None:
    def queue() -> list[str]:
        owners: list[str] = a.ask("ListQueuedOwners", "s", name).args[0]
        return owners

    assert a.ask("RequestName", "su", name, ALLOW).args == [1]
    assert b.ask("RequestName", "su", name, 0).args == [QUEUED]
    assert c.ask("RequestName", "su", name, ALLOW | REPLACE).args == [1]
    assert queue() == [c.name, a.name, b.name]
    assert b.ask("RequestName", "su", name, DO_NOT_QUEUE).args == [EXISTS]
    assert queue() == [c.name, a.name]
    assert a.ask("ReleaseName", "s", name).args == [1]
    assert a.ask("ReleaseName", "s", name).args == [3]
    assert c.ask("RequestName", "su", name, 0xFFF0).args == [ALREADY]
    assert queue() == [c.name]


RESERVED = (
    'Connection "{name}" is not allowed to own the service "org.freedesktop.DBus"because it is '
    "reserved for D-Bus' use only"
)


@pytest.mark.parametrize(
    ("wanted", "requested", "released"),
    [
        *(
            (
                bad,
                f'Requested bus name "{bad}" is not valid',
                f'Given bus name "{bad}" is not valid',
            )
            for bad in ("", "x", "a b.c", "1.2", "a..b", ":1.", LONG)
        ),
        (
            ":1.999999",
            "Cannot acquire a service starting with ':' such as \":1.999999\"",
            "Cannot release a service starting with ':' such as \":1.999999\"",
        ),
        (DRIVER, RESERVED, f"Cannot release the {DRIVER} service because it is owned by the bus"),
    ],
)
def test_names_that_nobody_can_have(a: Client, wanted: str, requested: str, released: str) -> None:
    answer = text(a.ask("RequestName", "su", wanted, 0))
    assert answer == "!InvalidArgs " + requested.format(name=a.name)
    assert text(a.ask("ReleaseName", "s", wanted)) == f"!InvalidArgs {released}"


def test_names_over_the_limit() -> None:
    desk = Desk(replace(Limits(), max_names_per_connection=2))
    caller = desk.connect()
    assert caller.ask("RequestName", "su", "x.y", 0).args == [1]
    for name in ("x.z", "x.y"):  # even the name that it has
        assert text(caller.ask("RequestName", "su", name, 0)) == (
            f'!LimitsExceeded Connection "{caller.name}" is not allowed to own more services '
            "(increase limits in configuration file if required; max_names_per_connection=2)"
        )


# ------------------------------------------------------------------------ queries


@pytest.mark.parametrize("name", ["", "x", "not a name", "com.example.Nobody", ":1.999999", ":1."])
def test_queries_for_nobody(a: Client, name: str) -> None:
    assert a.ask("NameHasOwner", "s", name).args == [False]
    unknown = f"of name '{name}': no such name"
    error = "!NameHasNoOwner Could not get"
    assert text(a.ask("GetNameOwner", "s", name)) == f"{error} owner {unknown}"
    assert text(a.ask("ListQueuedOwners", "s", name)) == f"{error} owners {unknown}"
    nothing = f"!ServiceUnknown The name {name} was not provided by any .service files"
    assert text(a.ask("StartServiceByName", "su", name, 0)) == nothing


def test_queries_for_the_bus_itself(a: Client) -> None:
    assert a.ask("NameHasOwner", "s", DRIVER).args == [True]
    assert a.ask("GetNameOwner", "s", DRIVER).args == [DRIVER]
    assert a.ask("ListQueuedOwners", "s", DRIVER).args == [[DRIVER]]
    assert a.ask("ListActivatableNames").args[0][0] == DRIVER
    assert a.ask("ListNames").args[0][0] == DRIVER


def test_queries_for_somebody(a: Client, b: Client, name: str) -> None:
    b.ask("RequestName", "su", name, 0)
    for each in (name, b.name):
        assert a.ask("NameHasOwner", "s", each).args == [True]
        assert a.ask("GetNameOwner", "s", each).args == [b.name]
        assert a.ask("ListQueuedOwners", "s", each).args == [[b.name]]
    listed = a.ask("ListNames").args[0]
    assert {DRIVER, a.name, b.name, name} <= set(listed)
    assert len(listed) == len(set(listed))


def test_nothing_is_started(a: Client, name: str) -> None:
    """Whoever has no service file cannot be started, not even one who runs already."""
    a.ask("RequestName", "su", name, 0)
    for each in (name, a.name, "x.y"):
        nothing = f"!ServiceUnknown The name {each} was not provided by any .service files"
        assert text(a.ask("StartServiceByName", "su", each, 0)) == nothing


def test_id_and_reload(caller: Caller) -> None:
    assert caller.ask("GetId").args == [GUID]
    assert caller.ask("ReloadConfig").args == []


def test_reload(a: Client) -> None:
    assert str(a.ask("ReloadConfig")) == "=()"


# ------------------------------------------------------------------------ matches


def test_a_rule_holds_for_the_next_message_of_the_batch(a: Client, name: str) -> None:
    a.call("AddMatch", "s", f"arg0='{name}'", flags=raw.NO_REPLY)
    a.call("RequestName", "su", name, 0)
    a.call("RemoveMatch", "s", f"arg0='{name}'", flags=raw.NO_REPLY)
    a.call("ReleaseName", "s", name)
    changed = f"NameOwnerChanged({name},,{a.name})"
    assert a.seen() == [changed, f"NameAcquired({name})", "=(1)", f"NameLost({name})", "=(1)"]


def test_each_rule_is_removed_once(a: Client) -> None:
    rule, same = "type='signal',member='Foo'", "member='Foo',type=signal"
    missing = "!MatchRuleNotFound The given match rule wasn't found and can't be removed"
    assert str(a.ask("AddMatch", "s", rule)) == "=()"
    assert str(a.ask("AddMatch", "s", rule)) == "=()"
    assert [str(a.ask("RemoveMatch", "s", same)) for _ in "12"] == ["=()", "=()"]
    assert text(a.ask("RemoveMatch", "s", same)) == missing


@pytest.mark.parametrize("member", ["AddMatch", "RemoveMatch"])
@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ("x", "Match rule has a key with no subsequent '=' character"),
        ("type='signal',bad='x'", 'Unknown key "bad" in match rule'),
    ],
)
def test_bad_rules(a: Client, member: str, rule: str, error: str) -> None:
    assert text(a.ask(member, "s", rule)) == f"!MatchRuleInvalid {error}"


def test_rules_over_the_limit() -> None:
    desk = Desk(replace(Limits(), max_match_rules_per_connection=1))
    caller = desk.connect()
    assert str(caller.ask("AddMatch", "s", "member='A'")) == "=()"
    for rule in ("member='B'", "bad"):  # the limit is looked at first
        assert text(caller.ask("AddMatch", "s", rule)) == (
            f'!LimitsExceeded Connection "{caller.name}" is not allowed to add more match rules '
            "(increase limits in configuration file if required; max_match_rules_per_connection=1)"
        )
    caller.ask("RemoveMatch", "s", "member='A'")
    assert str(caller.ask("AddMatch", "s", "member='B'")) == "=()"
