"""The end of a client, as the others hear of it."""

from __future__ import annotations

from tests.buses import Bus
from tests.driver.desk import Caller, Desk
from tests.raw import DRIVER, Client


def test_names_go_newest_first_and_the_unique_name_last(both: Desk | Bus, a: Client) -> None:
    watcher, dying, heir = a, both.connect(), both.connect()
    me, next_owner = dying.name, heir.name
    for name in ("e.first", "e.second", "e.third"):
        dying.ask("RequestName", "su", name, 0)
    heir.ask("RequestName", "su", "e.second", 0)
    dying.ask("RequestName", "su", "e.fourth", 0)
    watcher.ask("AddMatch", "s", f"sender='{DRIVER}',member='NameOwnerChanged'")
    watcher.seen()
    dying.close()
    watcher.wait(lambda message: message.member == "NameOwnerChanged" and message.args[0] == me)
    assert [*watcher.seen(), f"NameOwnerChanged({me},{me},)"] == [
        f"NameOwnerChanged(e.fourth,{me},)",
        f"NameOwnerChanged(e.third,{me},)",
        f"NameOwnerChanged(e.second,{me},{next_owner})",
        f"NameOwnerChanged(e.first,{me},)",
        f"NameOwnerChanged({me},{me},)",
    ]
    assert [str(message) for message in heir.take()][-1] == "NameAcquired(e.second)"


def test_the_dead_hear_nothing(desk: Desk, caller: Caller) -> None:
    caller.ask("AddMatch", "s", "")
    caller.ask("RequestName", "su", "x.y", 0)
    caller.seen()
    desk.told.clear()
    inbox = caller.inbox
    name = caller.name
    caller.close()
    assert inbox == []
    assert desk.told == [
        ("", f"NameOwnerChanged(x.y,{name},)"),
        ("", f"NameOwnerChanged({name},{name},)"),
    ]


def test_an_heir_hears_after_the_others(desk: Desk, caller: Caller) -> None:
    heir = desk.connect()
    caller.ask("RequestName", "su", "x.y", 0)
    heir.ask("RequestName", "su", "x.y", 0)
    desk.told.clear()
    name = caller.name
    caller.close()
    assert desk.told == [
        ("", f"NameOwnerChanged(x.y,{name},{heir.name})"),
        (heir.name, "NameAcquired(x.y)"),
        ("", f"NameOwnerChanged({name},{name},)"),
    ]


def test_a_place_in_a_queue_goes_silently(desk: Desk, caller: Caller) -> None:
    waiting = desk.connect()
    caller.ask("RequestName", "su", "x.y", 0)
    waiting.ask("RequestName", "su", "x.y", 0)
    desk.told.clear()
    name = waiting.name
    waiting.close()
    assert desk.told == [("", f"NameOwnerChanged({name},{name},)")]
    assert caller.ask("ListQueuedOwners", "s", "x.y").args == [[caller.name]]


def test_who_never_said_hello_leaves_silently(desk: Desk) -> None:
    caller = desk.connect(hello=False)
    caller.close()
    assert desk.told == []
