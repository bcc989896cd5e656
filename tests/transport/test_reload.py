"""A reload is one step for everybody, however long it takes to prepare, and one answer for each
who asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.transport import reload as module
from policy.configuration import ConfigError, Configuration, Rate
from policy.rule import Rule
from tests import raw
from tests.raw import Client, Closed
from tests.transport.running import SECONDS, Running, allowing

Make = Callable[..., Running]
DENY = Rule(allow=False, about="own", name="a.b")


class Slow:
    """A configuration that takes as long to read as the test wants."""

    def __init__(self, here: Running) -> None:
        self.here = here
        self.began = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.count = 0
        self.wrong: Exception | None = None
        settings = here.server.settings
        here.do(lambda: setattr(here.server, "settings", replace(settings, read=self.read)))

    def read(self) -> Configuration:
        self.count += 1
        self.began.release()
        assert self.go_on.acquire(timeout=SECONDS)
        if self.wrong is not None:
            raise self.wrong
        return self.here.configuration


@pytest.fixture
def slow(here: Running) -> Slow:
    return Slow(here)


def texts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_the_bus_goes_on_meanwhile(here: Running, slow: Slow, a: Client, b: Client) -> None:
    here.configuration = allowing(DENY)
    asked = a.call("ReloadConfig")
    assert slow.began.acquire(timeout=SECONDS)
    assert b.ask("GetId").error is None
    assert b.own("a.b") == 1
    a.signal("S", to=b.name)
    b.receive("S")
    assert here.connect().is_open()
    slow.go_on.release()
    assert a.answer(asked).error is None
    assert str(a.ask("RequestName", "su", "a.b", 0)) == "!AccessDenied"
    assert b.ask("GetNameOwner", "s", "a.b").args == [b.name]


def test_requests_are_answered_by_a_run_that_began_after_them(
    here: Running, slow: Slow, a: Client, b: Client
) -> None:
    first = a.call("ReloadConfig")
    assert slow.began.acquire(timeout=SECONDS)
    later = [b.call("ReloadConfig") for _ in range(10)]
    b.settle()
    here.configuration = allowing(DENY)
    slow.go_on.release()
    assert a.answer(first).error is None
    assert slow.began.acquire(timeout=SECONDS)
    assert not any(message.reply_to in later for message in b.take())
    slow.go_on.release()
    assert all(b.answer(serial).error is None for serial in later)
    assert slow.count == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (ConfigError("/a/b.conf:7: nonsense"), "/a/b.conf:7: nonsense"),
        (PermissionError(13, "Permission denied", "/x"), 'Failed to open "/x": Permission denied'),
        (PermissionError(13, "no", "/\udcff"), 'Failed to open "/\\udcff": no'),
        (ConfigError("/a\n\0\udcff: " + 5000 * "x"), "/a\\n\\x00\\udcff: " + 1993 * "x"),
        (RuntimeError("oops"), "an error of the bus itself: RuntimeError('oops')"),
    ],
)
def test_what_goes_wrong_changes_nothing(
    here: Running,
    slow: Slow,
    a: Client,
    caplog: pytest.LogCaptureFixture,
    wrong: Exception,
    said: str,
) -> None:
    here.configuration = allowing(DENY)
    slow.wrong = wrong
    slow.go_on.release()
    answer = a.ask("ReloadConfig")
    assert (str(answer), answer.args) == ("!Failed", [said])
    assert texts(caplog)[-1] == f"Unable to reload configuration: {said}"
    assert a.own("a.b") == 1
    slow.wrong = None
    slow.go_on.release()
    assert a.ask("ReloadConfig").error is None


def test_a_mistake_when_it_changes_is_told(
    here: Running, a: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def mistake(_: object) -> None:
        raise RuntimeError("oops")

    here.do(lambda: setattr(here.server, "adopt", mistake))
    assert str(a.ask("ReloadConfig")) == "!Failed"
    assert "an error of the bus itself: RuntimeError('oops')" in texts(caplog)[-1]
    assert a.is_open()


def test_the_end_does_not_wait_for_a_look_up(here: Running, slow: Slow, a: Client) -> None:
    a.call("ReloadConfig")
    assert slow.began.acquire(timeout=SECONDS)
    began = time.monotonic()
    here.stop()
    assert time.monotonic() - began < 5
    slow.go_on.release()


def test_a_run_that_outlives_the_bus_changes_nothing(
    here: Running, slow: Slow, a: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sockets are closed by then."""
    a.call("ReloadConfig")
    assert slow.began.acquire(timeout=SECONDS)
    thread = here.server.reloader.thread
    assert thread is not None
    changed: list[object] = []
    monkeypatch.setattr(here.server, "adopt", changed.append)
    here.do(here.server.reloader.stop)
    slow.go_on.release()
    thread.join(SECONDS)
    here.do(lambda: None)
    assert changed == []


def test_no_more_threads(here: Running, a: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the bus waits for its files, once."""

    def none(_: object) -> None:
        raise RuntimeError("can't start new thread")

    here.configuration = allowing(DENY)
    with monkeypatch.context() as patch:
        patch.setattr(module.threading.Thread, "start", none)
        assert a.ask("ReloadConfig").error is None
    assert str(a.ask("RequestName", "su", "a.b", 0)) == "!AccessDenied"


def test_a_thread_that_never_began_is_not_waited_for(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = make()

    def none(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(module.threading.Thread, "start", none)

        def end() -> None:
            here.server.reloader.request(module.nobody)
            here.server.reloader.stop()

        here.do(end)
    assert here.connect().is_open()


def test_it_rests_as_long_as_it_worked(
    here: Running, slow: Slow, a: Client, b: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So whoever asks all the time does not take all the time."""
    worked = iter([1_000.0, 5_000.0])
    monkeypatch.setattr(module.time, "thread_time", lambda: next(worked))
    slow.go_on.release()
    assert a.ask("ReloadConfig").error is None
    monkeypatch.undo()
    serial = b.call("ReloadConfig")
    b.settle()
    reloader = here.server.reloader
    rest = here.do(lambda: reloader.resting)
    assert rest is not None
    assert rest.when() - here.loop.time() > 3_000
    assert slow.count == 1

    def now() -> None:
        rest.cancel()
        reloader.rested()

    slow.go_on.release()
    here.do(now)
    assert b.answer(serial).error is None
    assert slow.count == 2


def test_no_more_wait_than_may(
    here: Running, slow: Slow, a: Client, b: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes to read, and however many ask meanwhile."""
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    first = a.call("ReloadConfig")
    assert slow.began.acquire(timeout=SECONDS)
    waiting = [a.call("ReloadConfig") for _ in range(3)]
    for _ in range(10):
        answer = b.ask("ReloadConfig")
        assert (str(answer), answer.args) == ("!Failed", ["too many wait for a reload already"])
    for _ in range(10):
        here.do(lambda: here.server.reloader.request(module.nobody))  # a signal always counts
    assert here.do(lambda: len(here.server.reloader.waiting)) == 3
    for _ in range(2):
        slow.go_on.release()
    for serial in (first, *waiting):
        assert a.answer(serial).error is None
    assert slow.count == 2


def test_one_client_does_not_take_all_the_room(
    here: Running, slow: Slow, a: Client, b: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_OF_ONE", 2)
    first = a.call("ReloadConfig")
    assert slow.began.acquire(timeout=SECONDS)
    waiting = [a.call("ReloadConfig") for _ in range(2)]
    assert str(a.ask("ReloadConfig")) == "!Failed"
    other = b.call("ReloadConfig")
    for _ in range(2):
        slow.go_on.release()
    for serial in (first, *waiting):
        assert a.answer(serial).error is None
    assert b.answer(other).error is None
    again = a.call("ReloadConfig")  # what was answered does not count any more
    assert slow.began.acquire(timeout=SECONDS)
    slow.go_on.release()
    assert a.answer(again).error is None


def test_a_signal_counts_though_nobody_waits(here: Running, slow: Slow, a: Client) -> None:
    first = a.call("ReloadConfig")
    assert slow.began.acquire(timeout=SECONDS)
    here.do(lambda: here.server.reloader.request(module.nobody))
    slow.go_on.release()
    assert a.answer(first).error is None
    assert slow.began.acquire(timeout=SECONDS)
    slow.go_on.release()


def test_what_the_files_look_like_may_be_unknown(
    here: Running, a: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error there is one of the bus itself, and not the end of reloading."""

    def mistake(_: object) -> None:
        raise RuntimeError("oops")

    with monkeypatch.context() as patch:
        patch.setattr(module, "places", mistake)
        assert a.ask("ReloadConfig").error is None
    here.configuration = allowing(DENY)
    assert a.ask("ReloadConfig").error is None
    assert str(a.ask("RequestName", "su", "a.b", 0)) == "!AccessDenied"
    assert any("when it began to watch its files" in text for text in texts(caplog))


# ------------------------------------------------------------------- limits of the transport


def again(here: Running, client: Client, **more: Any) -> None:
    here.configuration = allowing(**more)
    assert client.ask("ReloadConfig").error is None


def test_the_door_takes_other_limits(make: Make) -> None:
    here = make(max_incomplete_connections=2)
    a = here.connect()
    door = here.server.door
    waiting = [here.socket() for _ in range(3)]
    here.until(lambda: len(door.incomplete) == 2)
    again(here, a, limits={"max_incomplete_connections": 10})
    here.until(lambda: len(door.incomplete) == 3)
    again(here, a, limits={"max_incomplete_connections": 1})
    assert here.do(lambda: door.listening) is False
    for each in waiting:
        each.close()
    assert here.connect().is_open()


def test_who_is_on_its_way_gets_the_other_time(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    here = make(auth_timeout=1_000_000)
    a, slow = here.connect(), here.socket()
    here.until(lambda: len(here.server.door.incomplete) == 1)
    again(here, a, limits={"auth_timeout": 100})
    assert slow.recv(100) == b""
    assert texts(caplog)[-1].endswith("it did not authenticate within 100 ms")
    slow.close()


def test_what_waits_for_one_connection(make: Make) -> None:
    """Also for those who are there; what waits already stays."""
    here = make(max_outgoing_messages=1000)
    a, stuck = here.connect(), here.connect()
    here.narrow(stuck)
    client = here.client(stuck)
    for _ in range(100):
        a.signal("S", "s", "x" * 5000, to=stuck.name)
    assert a.take() == []
    before = client.peer.query().messages
    assert before > 60
    again(here, a, limits={"max_outgoing_messages": 50})
    a.signal("S", "s", "x" * 5000, to=stuck.name)
    assert [str(message) for message in a.take()] == ["!LimitsExceeded"]
    assert client.peer.query().messages == before
    assert client.peer.query().limits.messages == 50


def test_replies_have_a_time_from_now_on(here: Running, a: Client, b: Client) -> None:
    def late() -> Any:
        serial = a.call("M", to=b.name, interface="t.T")
        b.receive("M")
        return serial

    endless = late()
    again(here, a, limits={"reply_timeout": 200})
    serial = late()
    assert a.answer(serial).args == ["Message did not receive a reply (timeout by message bus)"]
    again(here, a, limits={"reply_timeout": 1_000_000})
    serial = late()
    again(here, a, limits={"reply_timeout": 1})
    assert str(a.answer(serial)) == "!NoReply"
    again(here, a)
    late()
    assert here.server.hub.replies.deadlines is None
    assert not any(message.reply_to == endless for message in a.take())


def test_too_many_connections(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    here = make(anyone=True)
    a = here.connect()
    own = here.server.credentials
    may = Rule(allow=True, about="connect", user="*")
    here.configuration = allowing(may, connection_rate=Rate(0.001, 3))
    assert a.ask("ReloadConfig").error is None
    for _ in range(10):
        here.connect()
    # Our own user, which is root in most tests, becomes a stranger.
    trusted = here.server.door.is_trusted
    here.do(lambda: setattr(here.server.door, "is_trusted", lambda uid: False))
    for _ in range(3):
        assert here.connect().is_open()
    for _ in range(9):
        with pytest.raises((Closed, OSError)):
            here.connect()
    said = [text for text in texts(caplog) if "too often" in text]
    assert [text.rpartition(" ")[2] for text in said] == ["(1)", "(2)", "(4)", "(8)"]
    assert f"uid={own.uid} pid=" in said[0]
    here.do(lambda: setattr(here.server.door, "is_trusted", trusted))
    assert here.connect().is_open()


def test_who_does_not_read_is_cut_off_where_that_is_wanted(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    here = make(max_outgoing_messages=50)
    a, b, stuck = (here.connect() for _ in range(3))
    for each in (b, stuck):
        each.match("member=S")
    again(here, a, limits={"max_outgoing_messages": 50}, slow_receivers="disconnect")
    here.narrow(stuck)
    for number in range(300):
        a.signal("S", "us", number, "x" * 2000)
        assert b.receive("S").args[0] == number
    a.until_gone(stuck.name)
    said = [text for text in texts(caplog) if text.startswith(f"Disconnecting {stuck.name} (")]
    assert len(said) == 1
    assert any(text.endswith("): it does not read") for text in texts(caplog))
    assert a.is_open()


def test_who_misses_many_at_once_is_cut_off_once(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    here = make(max_outgoing_messages=50)
    a, stuck = here.connect(), here.connect()
    stuck.match("member=S")
    again(here, a, limits={"max_outgoing_messages": 50}, slow_receivers="disconnect")
    fields = [(raw.PATH, "/t"), (raw.INTERFACE, "t.T"), (raw.MEMBER, "S")]
    a.write(raw.build(raw.SIGNAL, 7, fields) * 200)
    a.until_gone(stuck.name)
    assert sum(text.startswith(f"Disconnecting {stuck.name}") for text in texts(caplog)) == 1
    assert here.client(a).dropped == 0
