"""A native peer calls others on D-Bus: GLib's services, with errors, descriptors and signals."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import DBusError, Message, MessageFlag, Variant
from dbus_fast.annotations import DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method

import bus1.client as bus1
from bridge.client import DBus
from tests.bridge_client.thing import ERROR, INTERFACE, PATH, Thing, attached, call, run
from tests.buses import SYSTEM_PYTHON, Bus, first_line, need_module, start
from tests.clients.test_python import PROGRAMS

GIO = "com.example.Gio"
OPENER = "com.example.Opener"


@contextmanager
def service(bus: Bus, script: Path, *argv: str) -> Iterator[None]:
    """A GLib service in a process of its own."""
    need_module("gi")
    with subprocess.Popen(
        [SYSTEM_PYTHON, str(script), *argv], stdout=subprocess.PIPE, env=bus.environment()
    ) as process:
        try:
            assert first_line(process) == "ready"
            yield
        finally:
            process.kill()


@pytest.fixture
def gio(native_bus: Bus) -> Iterator[None]:
    with service(native_bus, PROGRAMS / "gio.py", "serve"):
        yield


@pytest.fixture
def opener(native_bus: Bus) -> Iterator[None]:
    with service(native_bus, Path(__file__).parent / "programs" / "opener.py"):
        yield


def ask(member: str, *body: str) -> Message:
    """A call to the opener."""
    return call(
        OPENER, member, "s" * len(body), *body, path="/com/example/Opener", interface=OPENER
    )


@pytest.mark.usefixtures("gio")
def test_values_and_errors(native_bus: Bus) -> None:
    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            for value in (
                Variant("s", "text"),
                Variant("t", 2**63),
                Variant("a{sv}", {"a": Variant("as", ["b"])}),
                Variant("s", "x" * 200_000),  # a memfd on our side
            ):
                reply = await dbus.call(call(GIO, "Echo", "v", value))
                assert reply.body == [value]
                assert reply.sender == await dbus.owner(GIO)
            with pytest.raises(DBusError, match="no") as error:
                await dbus.call(call(GIO, "Refuse", "s", "no"))
            assert error.value.type == "com.example.Refused"
            for wrong, name in (
                (call(GIO, "NoSuchMethod"), "UnknownMethod"),
                (call("com.example.Nobody", "Echo"), "ServiceUnknown"),
                (call("org.freedesktop.DBus", "Echo"), "UnknownInterface"),
            ):
                with pytest.raises(DBusError) as error:
                    await dbus.call(wrong)
                assert error.value.type == ERROR + name

    run(scenario())


@pytest.mark.usefixtures("gio", "opener")
def test_descriptors_both_ways(native_bus: Bus) -> None:
    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            read, write = os.pipe()
            os.write(write, b"through a pipe")
            os.close(write)
            asked = call(GIO, "Read", "h", 0, unix_fds=[read])
            assert (await dbus.call(asked)).body == ["through a pipe"]
            os.close(read)  # it stayed ours
            reply = await dbus.call(ask("Open", "from afar"))
            (fd,) = reply.unix_fds
            with os.fdopen(fd, "rb") as file:
                assert file.read() == b"from afar"

    run(scenario())


@pytest.mark.usefixtures("gio")
def test_signals_in(native_bus: Bus) -> None:
    """Each subscriber gets what its own rule asks for, in the order of the bus."""

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            heard: list[Any] = []
            ended = asyncio.Event()

            async def gone(message: Message) -> None:
                heard.append(message.body[:2])
                ended.set()

            def changed(message: Message) -> None:
                heard.append(message.member)

            rule = f"type='signal',sender='{GIO}'"
            await dbus.subscribe(f"{rule},member='Changed'", changed)
            await dbus.subscribe(f"{rule},member='PropertiesChanged',arg0='{INTERFACE}'", changed)
            other = await dbus.subscribe(f"{rule},path='/elsewhere'", lambda _: heard.append("no"))
            cancelled = await dbus.subscribe(rule, lambda _: heard.append("too late"))
            await cancelled.cancel()
            owner = await dbus.owner(GIO)
            await dbus.subscribe(f"member='NameOwnerChanged',arg0='{GIO}'", gone)
            await dbus.call(
                call(GIO, "Set", "ssv", INTERFACE, "Level", Variant("i", 9),
                     interface="org.freedesktop.DBus.Properties")
            )  # fmt: skip
            await dbus.call(call(GIO, "End"))
            await ended.wait()
            assert heard == ["PropertiesChanged", "Changed", [GIO, owner]]
            assert not dbus.subscriptions.owners[GIO]
            await other.cancel()
            with pytest.raises(DBusError) as error:
                await dbus.subscribe("type='nonsense'", changed)
            assert error.value.type == ERROR + "MatchRuleInvalid"

    run(scenario())


@pytest.mark.usefixtures("gio")
def test_proxies(native_bus: Bus) -> None:
    """dbus-fast's own, made from introspection: methods, properties, signals, descriptors."""

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            thing: Any = (await dbus.proxy(GIO, PATH)).get_interface(INTERFACE)
            assert await thing.call_echo(Variant("u", 7)) == Variant("u", 7)
            assert await thing.get_level() == 7
            await thing.set_level(8)
            assert await thing.get_level() == 8
            with pytest.raises(DBusError, match="no"):
                await thing.call_refuse("no")
            heard: asyncio.Queue[str] = asyncio.Queue()
            thing.on_changed(heard.put_nowait)
            await thing.call_end()  # the rule goes out before: nothing is missed
            assert await heard.get() == "the end"

    run(scenario())


@pytest.mark.usefixtures("opener")
def test_who_waits_no_longer(native_bus: Bus) -> None:
    """A timeout and a cancelled task leave nothing behind, and the late answer is dropped."""

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            with pytest.raises(TimeoutError):
                await dbus.call(ask("Hold", "one"), timeout=0.05)
            waiting = asyncio.create_task(dbus.call(ask("Hold", "two")))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert not dbus.bus.peer.link.calls
            for each in ("one", "two"):
                await dbus.call(ask("Let", each))
            held = asyncio.create_task(dbus.call(ask("Hold", "three")))
            await asyncio.sleep(0.05)
            await dbus.call(ask("Let", "three"))
            assert (await held).body == []

    run(scenario())


@pytest.mark.usefixtures("opener")
def test_a_service_that_dies_owes_nobody(native_bus: Bus) -> None:
    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            waiting = [asyncio.create_task(dbus.call(ask("Hold", str(at)))) for at in range(3)]
            await asyncio.sleep(0.05)
            with pytest.raises(DBusError) as error:
                await dbus.call(ask("Die"))
            assert error.value.type == ERROR + "NoReply"
            for each in waiting:
                with pytest.raises(DBusError) as error:
                    await each
                assert error.value.type == ERROR + "NoReply"

    run(scenario())


def test_native_peers_call_each_other_by_name(native_bus: Bus) -> None:
    """And themselves. What leaves last is told first."""

    async def scenario() -> None:
        async with attached(native_bus) as one, attached(native_bus) as two:
            one.export(PATH, Thing())
            await one.own("com.example.One")
            for caller in (one, two):
                reply = await caller.call(call("com.example.One", "Echo", "v", Variant("b", True)))
                assert reply.body == [Variant("b", True)]
                opened = await caller.call(call("com.example.One", "Open", "s", "text"))
                with os.fdopen(opened.unix_fds[0], "rb") as file:
                    assert file.read() == b"text"
            waiting = asyncio.create_task(two.call(call("com.example.One", "Never")))
            await asyncio.sleep(0.05)
            await one.bus.peer.disconnect()
            with pytest.raises(DBusError) as error:
                await waiting
            assert error.value.type == ERROR + "NoReply"

    run(scenario())


class Counter(ServiceInterface):
    """Counts calls that want no answer."""

    def __init__(self) -> None:
        super().__init__("com.example.Counter")
        self.count = 0

    @dbus_method()
    def Add(self) -> None:
        self.count += 1

    @dbus_method()
    def Get(self) -> DBusUInt32:
        return self.count


def test_calls_without_answers_come_in_order(native_bus: Bus) -> None:
    async def scenario() -> None:
        async with attached(native_bus) as one, attached(native_bus) as two:
            one.export("/", Counter())

            def message(member: str, flags: MessageFlag = MessageFlag.NONE) -> Message:
                return Message(one.unique_name, "/", "com.example.Counter", member, flags=flags)

            for _ in range(500):
                await two.send(message("Add", MessageFlag.NO_REPLY_EXPECTED))
            assert (await two.call(message("Get"))).body == [500]
            with pytest.raises(ValueError, match="no answer"):
                await two.call(message("Add", MessageFlag.NO_REPLY_EXPECTED))

    run(scenario())


def test_serials_are_of_32_bits(native_bus: Bus) -> None:
    """However many calls there were."""

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            dbus.export(PATH, Thing())
            dbus.bus._serial = 2**32 - 3
            for number in range(6):
                echo = call(dbus.unique_name, "Echo", "v", Variant("u", number))
                assert (await dbus.call(echo, timeout=5)).body == [Variant("u", number)]

    run(scenario())


def test_who_sends_more_than_there_is_room_for_waits_once(native_bus: Bus) -> None:
    """And may stop waiting without stopping others."""

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            before = len(asyncio.all_tasks())
            text = "x" * 30_000
            sent = [
                dbus.bus.send(Message.new_signal(PATH, INTERFACE, "Changed", "s", [text]))
                for _ in range(500)
            ]
            assert not sent[-1].done()
            assert len(asyncio.all_tasks()) == before + 1
            sent[-2].cancel()
            await sent[-1]
            assert not dbus.bus.peer.link.outbox.crowded()

    run(scenario())


def test_a_subscriber_that_fails(native_bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    """Be it at once or later: it is told, and the others have their signal."""

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            heard: asyncio.Queue[str] = asyncio.Queue()

            async def later(_: Message) -> None:
                await asyncio.sleep(0)
                raise ValueError("later")

            def at_once(_: Message) -> None:
                raise ValueError("at once")

            rule = f"type='signal',interface='{INTERFACE}'"
            for callback in (later, at_once, lambda message: heard.put_nowait(message.member)):
                await dbus.subscribe(rule, callback)
            await dbus.send(Message.new_signal(PATH, INTERFACE, "Changed"))
            assert await heard.get() == "Changed"
            await asyncio.sleep(0.01)

    run(scenario())
    failed = [record for record in caplog.records if record.msg == "a subscriber has failed"]
    told = [str(each.exc_info[1]) for each in failed if each.exc_info]
    assert told == ["at once", "later"]


def test_a_rule_that_nobody_waited_for_is_taken_back(native_bus: Bus) -> None:
    """And that of another, which is the same, stays."""
    rule = f"type='signal',interface='{INTERFACE}'"

    async def scenario() -> None:
        async with attached(native_bus) as dbus, attached(native_bus) as other:
            seen: list[str] = []
            dbus.bus.add_message_handler(lambda message: seen.append(message.member or ""))
            heard: asyncio.Queue[str] = asyncio.Queue()

            async def impatient() -> None:
                adding = asyncio.create_task(dbus.subscribe(rule, lambda _: seen.append("no")))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                adding.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await adding
                for _ in range(2):  # the bus has had both
                    await dbus.owner("org.freedesktop.DBus")

            await impatient()
            await other.send(Message.new_signal(PATH, INTERFACE, "Unwanted"))
            await other.owner("org.freedesktop.DBus")
            mine = await dbus.subscribe(rule, lambda message: heard.put_nowait(message.member))
            await impatient()
            await other.send(Message.new_signal(PATH, INTERFACE, "Wanted"))
            assert await heard.get() == "Wanted"
            assert set(seen) <= {"Wanted"}  # handlers come after subscriptions
            await mine.cancel()

    run(scenario())


def test_a_name_that_nobody_waited_for_is_given_up(native_bus: Bus) -> None:
    name = "com.example.Impatient"

    async def scenario() -> None:
        async with attached(native_bus) as other, attached(native_bus) as dbus:
            owning = asyncio.create_task(dbus.own(name))
            await asyncio.sleep(0)
            owning.cancel()
            with pytest.raises(asyncio.CancelledError):
                await owning
            await dbus.close()
            with pytest.raises(DBusError) as error:
                await other.owner(name)
            assert error.value.type == ERROR + "NameHasNoOwner"

    run(scenario())


def test_without_a_bridge(native_bus: Bus) -> None:
    """A peer that was made for others has what it was given, and no more."""

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            fd = await dbus.bus.peer.spawn()
            async with await bus1.connect(fd=fd) as peer:
                with pytest.raises(DBusError, match="no handle to the bridge"):
                    await DBus.attach(peer)
            fd = await dbus.bus.peer.spawn(handles=[dbus.bus.bridge])
            async with await bus1.connect(fd=fd) as peer, await DBus.attach(peer) as other:
                assert other.unique_name not in {"", dbus.unique_name}

    run(scenario())


def test_the_end_of_the_bus(tmp_path: Path) -> None:
    """Who waits hears of it, and what was exported is gone."""

    async def scenario(bus: Bus) -> None:
        async with attached(bus) as dbus:
            dbus.export(PATH, Thing())
            waiting = asyncio.create_task(dbus.call(call(dbus.unique_name, "Never")))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(bus.stop)
            with pytest.raises(ConnectionError):
                await waiting
            with pytest.raises(ConnectionError):
                await dbus.bus.wait_for_disconnect()
            assert not dbus.bus.connected

    run(scenario(start("ours", tmp_path, f"--native=unix:path={tmp_path}/native")))
