"""Rights and offers: what a policy denies to somebody, he can be given."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from dbus_fast import DBusError, Message

import bus1.client as bus1
from bridge.client import DBus, call
from bus1.client import Handle, Service, method
from tests.bridge_client.thing import ERROR, INTERFACE, PATH, Thing, attached, run, said
from tests.bridge_client.thing import call as asked
from tests.buses import Bus, start
from tests.readable import READING_ALL, need_reading_all

SECRET, DOOR = "com.example.Secret", "com.example.Door"
CONFIGURATION = """<busconfig><type>session</type><listen>unix:path={place}/bus</listen>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*"/><allow receive_sender="*"/>
<deny send_destination="com.example.Secret"/></policy>
<policy user="root"><allow send_destination="com.example.Secret"/></policy></busconfig>"""


@pytest.fixture
def strict_bus() -> Iterator[Bus]:
    """A bus for everybody, on which only root may call com.example.Secret."""
    with TemporaryDirectory(prefix="bus1-right-") as directory:
        place = Path(directory)
        place.chmod(0o711)
        file = place / "bus.conf"
        file.write_text(CONFIGURATION.format(place=place))
        bus = start("ours", place, f"--native=unix:path={place}/native",
                    argv=(f"--config-file={file}",))  # fmt: skip
        yield bus
        bus.stop()


class Doorkeeper(Service):
    """Gives others the right to one method of com.example.Secret."""

    def __init__(self, dbus: DBus, secret: DBus) -> None:
        self.dbus = dbus
        self.secret = secret

    @method
    async def give(self, member: str) -> Handle:
        return await self.dbus.right(SECRET, PATH, INTERFACE, member)

    @method
    async def close_down(self) -> None:
        await self.secret.disown(SECRET)


def test_a_right_for_another_user(strict_bus: Bus) -> None:
    """The file denies it to him; who may call gives him the right, and for one method only."""
    need_reading_all()
    stranger = [
        *READING_ALL, "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable,
        "-m", "tests.bridge_client.programs.stranger", f"unix:path={strict_bus.directory}/native",
    ]  # fmt: skip

    async def scenario() -> None:
        async with attached(strict_bus) as secret, attached(strict_bus) as door:
            secret.export(PATH, Thing())
            await secret.own(SECRET)
            keeper = await Doorkeeper(door, secret).export(door.bus.peer)
            await door.own(DOOR)
            await door.offer(DOOR, keeper)
            assert (await said(strict_bus, *stranger)).splitlines() == [
                "uid 65534",
                ERROR + "AccessDenied",
                ERROR + "AccessDenied",
                "com.example.Refused",  # so it was called
                "com.example.Refused",
                ERROR + "AccessDenied",
                ERROR + "AccessDenied",
                "heir com.example.Refused",
                ERROR + "ServiceUnknown",  # nobody has the name any more
            ]

    run(scenario())


def test_a_right_to_a_unique_name_ends_with_it(native_bus: Bus) -> None:
    async def scenario() -> None:
        async with attached(native_bus) as two:
            async with attached(native_bus) as one:
                one.export(PATH, Thing())
                right = await two.right(one.unique_name, PATH)
                reply = await two.call(asked(one.unique_name, "Open", "s", "x"), on=right)
                bus1.Fd(reply.unix_fds[0]).close()
                gone = asyncio.create_task(two.bus.peer.until_gone(right))
            await gone
            with pytest.raises(DBusError) as error:
                await call(right, asked(one.unique_name, "End"))
            assert error.value.type == ERROR + "ServiceUnknown"

    run(scenario())


class Greeter(Service):
    """What is offered."""

    @method
    def greet(self, name: str) -> str:
        return f"hello, {name}"


@asynccontextmanager
async def offering(bus: Bus, name: str) -> AsyncIterator[DBus]:
    async with attached(bus) as dbus:
        node = await Greeter().export(dbus.bus.peer)
        await dbus.own(name)
        await dbus.offer(name, node)
        yield dbus


def test_offers_are_found_by_name(native_bus: Bus) -> None:
    name = "com.example.Offered"

    async def scenario() -> None:
        async with attached(native_bus) as seeker:
            async with offering(native_bus, name) as dbus:
                handle = await seeker.find(name)
                assert await bus1.call(handle, "greet", "you") == "hello, you"
                await seeker.offer(name, handle)  # while the name is another's nobody finds that
                assert await bus1.call(await seeker.find(name), "greet", "me") == "hello, me"
                await dbus.disown(name)
                with pytest.raises(DBusError) as error:
                    await seeker.find(name)
                assert error.value.type == ERROR + "NameHasNoOwner"
                assert await bus1.call(handle, "greet", "you") == "hello, you"
            with pytest.raises((bus1.Gone, bus1.Dropped)):
                await bus1.call(handle, "greet", "you")

    run(scenario())


def test_wrong_asks_are_refused(native_bus: Bus) -> None:
    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            for asked_for in (
                dbus.right("no name"),
                dbus.right("com.example.N", "no path"),
                dbus.right("org.freedesktop.DBus"),
            ):
                with pytest.raises(DBusError) as error:
                    await asked_for
                assert error.value.type == ERROR + "InvalidArgs"
            with pytest.raises(DBusError) as error:
                await dbus.right(":1.99999")
            assert error.value.type == ERROR + "NameHasNoOwner"
            right = await dbus.right(dbus.unique_name)
            signal = Message.new_signal("/", "a.b", "C")
            with pytest.raises(ValueError, match="no answer"):
                await call(right, signal)

    run(scenario())
