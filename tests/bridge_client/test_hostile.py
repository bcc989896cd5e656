"""What strangers on D-Bus can do to a native service: nothing that lasts.

Invariant: whatever was sent, the service goes on to answer, and holds neither descriptors nor
reply handles of messages that are over.
"""

import asyncio
import gc
import os
from collections.abc import Iterator

import pytest
from dbus_fast import DBusError, Message, MessageType, Variant
from dbus_fast.annotations import DBusUnixFd
from dbus_fast.service import dbus_method

from tests.bridge_client.thing import INTERFACE, PATH, Thing, attached, call, run
from tests.buses import Bus
from tests.raw import ERROR, RETURN, Client

TO = {"path": PATH, "interface": INTERFACE}
PROPERTIES = "org.freedesktop.DBus.Properties"


@pytest.fixture
def raw(native_bus: Bus) -> Iterator[Client]:
    yield native_bus.connect()
    native_bus.hang_up()


@pytest.fixture
def fds() -> Iterator[list[int]]:
    read, write = os.pipe()
    os.write(write, b"text")
    os.close(write)
    yield [read] * 8
    os.close(read)


class Failing(Thing):
    """Closes what it gets, and fails."""

    @dbus_method()
    def Fail(self, fd: DBusUnixFd) -> None:
        os.close(fd)
        raise ValueError("as it does")


def held() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


async def answer(raw: Client, serial: int) -> tuple[int, list[object]]:
    message = await asyncio.to_thread(raw.answer, serial)
    return message.kind, message.args


def test_descriptors_that_nobody_takes_are_closed(
    native_bus: Bus, raw: Client, fds: list[int]
) -> None:
    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            dbus.export(PATH, Failing())
            me = dbus.unique_name
            proxy = await dbus.proxy(me, PATH)
            proxy.get_interface(INTERFACE).on_changed(print)  # type: ignore[attr-defined]
            await dbus.subscribe("type='signal',member='Wanted'", lambda _: None)
            raw.ask("GetId")
            before = held()
            kinds = [
                await answer(raw, raw.call("NoSuch", to=me, fds=fds, **TO)),
                await answer(raw, raw.call("Echo", "v", ("s", "x"), to=me, fds=fds, **TO)),
                await answer(raw, raw.call("Read", "s", "x", to=me, fds=fds, **TO)),
                await answer(raw, raw.call("Read", "h", 5, to=me, fds=fds, **TO)),  # it takes one
                await answer(raw, raw.call("Ping", to=me, fds=fds, path="/", interface=None)),
            ]
            for values in (("no.such", "Level"), (INTERFACE, "Level"), (INTERFACE, "No")):
                raw.call("Set", "ssv", *values, ("h", 0), to=me, fds=fds, path=PATH,
                         interface=PROPERTIES)  # fmt: skip
            raw.call("Fail", "h", 0, to=me, fds=fds, flags=1, **TO)
            raw.signal("Changed", "h", 0, to=me, fds=fds)
            raw.signal("Unwanted", to=me, fds=fds)
            raw.call("Echo", to=me, flags=1, fds=fds, **TO)
            assert [kind for kind, _ in kinds] == [ERROR, RETURN, ERROR, RETURN, ERROR]
            assert kinds[3][1] == ["text"]
            assert await answer(raw, raw.call("Echo", "v", ("s", "x"), to=me, **TO))
            assert held() == before
            assert not dbus.bus.answers

    run(scenario())


def test_descriptors_in_answers(native_bus: Bus, raw: Client, fds: list[int]) -> None:
    """Of an error, and of what only the library has asked for."""

    def serve() -> None:
        call = raw.receive("M")
        raw.send(ERROR, [(4, "a.b"), (5, call.serial), (6, call.sender)], fds=fds)
        call = raw.receive("Introspect")
        xml = "<node/>"
        raw.send(RETURN, [(5, call.serial), (6, call.sender)], "s", [xml], fds=fds)

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            before = held()
            serving = asyncio.create_task(asyncio.to_thread(serve))
            with pytest.raises(DBusError) as error:
                await dbus.call(call(raw.name, "M"))
            assert error.value.type == "a.b"
            await dbus.introspect(raw.name, "/")
            await serving
            assert held() == before

    run(scenario())


def test_an_answer_to_what_was_only_sent(native_bus: Bus, raw: Client, fds: list[int]) -> None:
    """Its descriptors are a message handler's, if there is one, and nobody's else."""

    def serve() -> None:
        call = raw.receive("M")
        raw.send(RETURN, [(5, call.serial), (6, call.sender)], fds=fds)
        raw.ask("GetId")  # the bus has had it

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            await dbus.owner("org.freedesktop.DBus")
            before = held()
            await dbus.bus.send(call(raw.name, "M"))
            await asyncio.to_thread(serve)
            await dbus.owner("org.freedesktop.DBus")  # and so have we
            assert held() == before
            got: asyncio.Queue[list[int]] = asyncio.Queue()
            dbus.bus.add_message_handler(lambda message: got.put_nowait(message.unix_fds))
            await dbus.bus.send(call(raw.name, "M"))
            await asyncio.to_thread(serve)
            for fd in await got.get():
                os.close(fd)
            assert held() == before

    run(scenario())


def test_a_signal_with_descriptors_for_two(native_bus: Bus, raw: Client, fds: list[int]) -> None:
    """Each closes its own."""

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            read: list[str] = []
            done = asyncio.Event()

            async def take(message: Message) -> None:
                (fd,) = message.unix_fds
                read.append(os.pread(fd, 4, 0).decode() if message.body == ["x"] else "")
                os.close(fd)
                if len(read) == 3:
                    done.set()

            before = held()
            rule = "type='signal',member='Given'"
            subscriptions = [await dbus.subscribe(rule, take) for _ in range(3)]
            with open(__file__, "rb") as file:
                raw.signal("Given", "s", "x", to=dbus.unique_name, fds=[file.fileno()])
                await done.wait()
            assert read == ['"""W'] * 3
            assert held() == before
            assert len(subscriptions) == 3

    run(scenario())


def test_names_that_nobody_follows_are_not_kept(native_bus: Bus) -> None:
    """Strangers come and go as often as they like."""

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            heard: asyncio.Queue[str] = asyncio.Queue()
            rule = "type='signal',member='NameOwnerChanged'"
            await dbus.subscribe(rule, lambda message: heard.put_nowait(message.body[0]))
            await dbus.subscribe("sender='com.example.Followed'", lambda _: None)
            for _ in range(5):
                name = native_bus.connect().name
                native_bus.hang_up()
                while await heard.get() != name:
                    pass
            assert list(dbus.subscriptions.owners) == ["com.example.Followed"]

    run(scenario())


def test_callers_that_leave(native_bus: Bus) -> None:
    """Their answers go nowhere, and do no harm."""
    asked: list[Message] = []

    def keep(message: Message) -> bool:
        if message.member == "Later":
            asked.append(message)
        return message.member == "Later"

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            dbus.export(PATH, Thing())
            dbus.bus.add_message_handler(keep)
            for _ in range(3):
                raw = native_bus.connect()
                raw.call("Later", to=dbus.unique_name, **TO)
                raw.ask("GetId")
                native_bus.hang_up()
            while len(asked) < 3:
                await asyncio.sleep(0.01)
            for each in asked:
                await dbus.send(Message.new_method_return(each))
                await dbus.send(Message.new_method_return(each))  # and a second time
            reply = await dbus.call(call(dbus.unique_name, "Echo", "v", Variant("u", 1)))
            assert reply.body == [Variant("u", 1)]
            assert not dbus.bus.answers

    run(scenario())


def test_answers_that_cannot_be_written(native_bus: Bus) -> None:
    """A method's mistake is an error to who called, and not silence."""

    def wrong(message: Message) -> Message | None:
        if message.message_type is MessageType.METHOD_CALL and message.member == "Wrong":
            return Message.new_method_return(message, "u", ["no number"])
        return None

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            dbus.bus.add_message_handler(wrong)
            with pytest.raises(DBusError, match="internal error"):
                await dbus.call(call(dbus.unique_name, "Wrong"), timeout=5)
            assert not dbus.bus.answers

    run(scenario())


def test_unasked_answers_and_strange_calls(native_bus: Bus, raw: Client) -> None:
    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            dbus.export(PATH, Thing())
            me = dbus.unique_name
            raw.send(RETURN, [(5, 1), (6, me)])
            raw.call("Set", "ssv", INTERFACE, "Level", ("s", "no number"), to=me, path=PATH,
                     interface=PROPERTIES)  # fmt: skip
            raw.call("Get", "ss", "no.such.Interface", "Level", to=me, path=PATH,
                     interface=PROPERTIES)  # fmt: skip
            raw.call("Introspect", to=me, path="/no/such/path",
                     interface="org.freedesktop.DBus.Introspectable")  # fmt: skip
            raw.call("Echo", "v", ("s", "x"), to=me, path=PATH, interface=None)
            last = raw.call("Echo", "v", ("v", ("v", ("s", "deep"))), to=me, **TO)
            assert (await answer(raw, last))[0] == RETURN
            assert not dbus.bus.answers

    run(scenario())
