"""Programs that know nothing of capabilities call a native service by its D-Bus name.

tests/clients has the same programs with services of their own libraries, and what they print.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from dbus_fast import Message, MessageType, Variant

from tests.bridge_client.thing import ERROR, INTERFACE, PATH, Thing, attached, run, said
from tests.buses import SYSTEM_PYTHON, Bus, need, need_module, start
from tests.clients.test_python import PROGRAMS

NAME = "com.example.Native"


def test_gdbus_library(native_bus: Bus) -> None:
    """Gio: methods, errors, a descriptor, properties, signals, the end of the name."""
    need_module("gi")

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            thing = Thing()
            dbus.export(PATH, thing)
            await dbus.own("com.example.Gio")
            client = asyncio.create_task(said(native_bus, SYSTEM_PYTHON, str(PROGRAMS / "gio.py")))
            await thing.ended.wait()
            await dbus.disown("com.example.Gio")
            assert (await client).splitlines() == [
                "echo",
                "com.example.Refused",
                ERROR + "UnknownMethod",
                "through a pipe",
                "property 7",
                "seen [{'Level': 9}, ['Changed', 'the end'], 'vanished']",
                "unique True fds True",
            ]

    run(scenario())


def test_dbus_python(native_bus: Bus) -> None:
    """The same for libdbus, with what dbus-fast's own interfaces have not: the sender, and a
    property that nobody declared, by a message handler."""
    need_module("dbus")
    need_module("gi")

    def handle(message: Message) -> Message | None:
        if message.message_type is MessageType.METHOD_CALL and message.member == "Who":
            return Message.new_method_return(message, "s", [message.sender])
        if message.member == "Get":
            value = Variant("s", ".".join(message.body))
            return Message.new_method_return(message, "v", [value])
        return None

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            thing = Thing()
            dbus.export(PATH, thing)
            dbus.bus.add_message_handler(handle)
            await dbus.own("com.example.PythonDBus")
            await dbus.subscribe(
                f"type='signal',interface='{INTERFACE}',member='End'", lambda _: thing.ended.set()
            )
            client = asyncio.create_task(
                said(native_bus, SYSTEM_PYTHON, str(PROGRAMS / "python_dbus.py"))
            )
            await thing.ended.wait()
            await dbus.send(Message.new_signal(PATH, INTERFACE, "Changed", "su", ["the end", 9]))
            await dbus.disown("com.example.PythonDBus")
            assert (await client).splitlines() == [
                "echo",
                "count 5",
                "com.example.Refused no",
                ERROR + "UnknownMethod",
                ERROR + "ServiceUnknown",
                "through a pipe",
                "who True",
                "a.b.C",
                "introspect True",
                "names True True True",
                "seen ['owned', ['the end', 9], 'lost']",
            ]

    run(scenario())


def test_busctl(native_bus: Bus) -> None:
    """Introspection of the object and its parents; properties; who the service is."""
    busctl = [need("busctl"), f"--address={native_bus.address}"]
    ours = (NAME, PATH, INTERFACE)

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            dbus.export(PATH, Thing())
            await dbus.own(NAME)
            tree = await said(native_bus, *busctl, "tree", "--list", NAME)
            assert tree.split() == ["/", "/com", "/com/example", PATH]
            members = await said(native_bus, *busctl, "introspect", *ours)
            assert ".Level" in members
            assert ".Changed" in members
            assert "Echo" in members
            assert f"PID={os.getpid()}" in await said(native_bus, *busctl, "status", NAME)
            listed = json.loads(await said(native_bus, *busctl, "list", "--json=short"))
            entry = {each["name"]: each for each in listed}[NAME]
            assert (entry["connection"], entry["pid"]) == (dbus.unique_name, os.getpid())
            assert await said(native_bus, *busctl, "get-property", *ours, "Level") == "i 7\n"
            await said(native_bus, *busctl, "set-property", *ours, "Level", "i", "9")
            assert await said(native_bus, *busctl, "get-property", *ours, "Level") == "i 9\n"
            answer = await said(native_bus, *busctl, "call", *ours, "Echo", "v", "as", "1", "x")
            assert answer == 'v as 1 "x"\n'
            wrong = await said(native_bus, *busctl, "call", *ours, "Refuse", "s", "no", status=1)
            assert wrong == "Call failed: no\n"
            timeout = await said(
                native_bus, *busctl, "--timeout=0.2", "call", *ours, "Never", status=1
            )
            assert "timed out" in timeout
            peer = (NAME, PATH, "org.freedesktop.DBus.Peer", "GetMachineId")
            assert (await said(native_bus, *busctl, "call", *peer)).startswith('s "')

    run(scenario())


def test_dbus_send(native_bus: Bus) -> None:
    send = [need("dbus-send"), f"--bus={native_bus.address}", "--print-reply", f"--dest={NAME}"]

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            dbus.export(PATH, Thing())
            await dbus.own(NAME)
            answer = await said(native_bus, *send, PATH, f"{INTERFACE}.Echo", "variant:uint32:7")
            assert answer.endswith("variant       uint32 7\n")
            wrong = await said(
                native_bus, *send, PATH, f"{INTERFACE}.Refuse", "string:no", status=1
            )
            assert wrong == "Error com.example.Refused: no\n"
            wrong = await said(native_bus, *send, "/elsewhere", f"{INTERFACE}.End", status=1)
            assert wrong.startswith(f"Error {ERROR}UnknownMethod")

    run(scenario())


def test_gdbus_monitor_sees_signals_in_their_order(native_bus: Bus) -> None:
    argv = [need("gdbus"), "monitor", "--address", native_bus.address, "--dest", NAME]

    async def knock(thing: Thing) -> None:
        """Until the monitor has subscribed."""
        while True:
            thing.Changed("are you there?")
            await asyncio.sleep(0.05)

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            thing = Thing()
            dbus.export(PATH, thing)
            await dbus.own(NAME)
            monitor = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
            assert monitor.stdout
            knocking = asyncio.create_task(knock(thing))
            while b"are you there" not in await monitor.stdout.readline():
                pass
            knocking.cancel()
            for number in range(20):
                thing.Changed(f"number {number}")
            thing.Level = 8
            dbus.export(f"{PATH}/child", Thing())
            lines = [""]
            while "InterfacesAdded" not in lines[-1]:
                lines.append((await monitor.stdout.readline()).decode().strip())
            monitor.kill()
            await monitor.communicate()
            changes = [f"{PATH}: {INTERFACE}.Changed ('number {at}',)" for at in range(20)]
            assert [line for line in lines if "number" in line] == changes
            assert lines[-2].endswith(
                "Properties.PropertiesChanged ('com.example.Thing', {'Level': <8>}, @as [])"
            )
            assert f"(objectpath '{PATH}/child'" in lines[-1]

    run(scenario())


def test_gdbus_object_manager(native_bus: Bus) -> None:
    argv = [need("gdbus"), "call", "--address", native_bus.address, "--dest", NAME]
    manager = "org.freedesktop.DBus.ObjectManager.GetManagedObjects"

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            dbus.export(PATH, Thing())
            await dbus.own(NAME)
            answer = await said(native_bus, *argv, "--object-path", "/", "--method", manager)
            assert answer == f"({{objectpath '{PATH}': {{'{INTERFACE}': {{'Level': <7>}}}}}},)\n"

    run(scenario())


WATCH = """
import sys
from gi.repository import Gio, GLib
loop = GLib.MainLoop()
bus = Gio.bus_get_sync(Gio.BusType.SESSION)
manager = Gio.DBusObjectManagerClient.new_sync(bus, 0, sys.argv[1], sys.argv[2], None, None, None)
def added(_, thing):
    print("added", thing.get_object_path(), flush=True)
def removed(_, thing):
    print("removed", thing.get_object_path())
    loop.quit()
manager.connect("object-added", added)
manager.connect("object-removed", removed)
print("there", [each.get_object_path() for each in manager.get_objects()], flush=True)
GLib.timeout_add_seconds(10, loop.quit)
loop.run()
"""


@pytest.mark.parametrize("place", ["/", "/com/example"])
def test_an_object_manager_tells_who_comes_and_goes(native_bus: Bus, place: str) -> None:
    """Where GLib's client listens: at the manager, which need not be an object itself."""
    need_module("gi")

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            dbus.manage(place)
            dbus.export(PATH, Thing())
            await dbus.own(NAME)
            client = await asyncio.create_subprocess_exec(
                SYSTEM_PYTHON, "-c", WATCH, NAME, place, stdout=asyncio.subprocess.PIPE,
                env=native_bus.environment(),
            )  # fmt: skip
            assert client.stdout
            assert await client.stdout.readline() == f"there ['{PATH}']\n".encode()
            dbus.export(f"{PATH}/a/b", Thing())
            assert await client.stdout.readline() == f"added {PATH}/a/b\n".encode()
            dbus.unexport(f"{PATH}/a/b")
            assert await client.stdout.readline() == f"removed {PATH}/a/b\n".encode()
            await client.wait()

    run(scenario())


@pytest.mark.parametrize("size", [100, 70_000, 3_000_000])
def test_sizes(native_bus: Bus, size: int) -> None:
    """Beyond 64 KiB a message is a memfd on the native side: nobody sees that."""
    program = (
        "import dbus; bus = dbus.SessionBus();"
        f"thing = dbus.Interface(bus.get_object('{NAME}', '{PATH}'), '{INTERFACE}');"
        f"text = 'x' * {size}; assert thing.Echo(text) == text"
    )
    need_module("dbus")

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            dbus.export(PATH, Thing())
            await dbus.own(NAME)
            await said(native_bus, SYSTEM_PYTHON, "-c", program)

    run(scenario())


def test_a_descriptor_for_dbus_python(native_bus: Bus) -> None:
    program = (
        "import dbus, os; bus = dbus.SessionBus();"
        f"thing = dbus.Interface(bus.get_object('{NAME}', '{PATH}'), '{INTERFACE}');"
        "print(os.fdopen(thing.Open('from a native peer').take()).read())"
    )
    need_module("dbus")

    async def scenario() -> None:
        async with attached(native_bus) as dbus:
            dbus.export(PATH, Thing())
            await dbus.own(NAME)
            told = await said(native_bus, SYSTEM_PYTHON, "-c", program)
            assert told == "from a native peer\n"

    run(scenario())


def test_a_call_starts_a_native_service(tmp_path: Path) -> None:
    """As any other: by its service file. The call that started it is answered."""
    services = tmp_path / "data" / "dbus-1" / "services"
    services.mkdir(parents=True)
    program = Path(__file__).parent / "programs" / "activated.py"
    name = "com.example.Activated"
    (services / f"{name}.service").write_text(
        f"[D-BUS Service]\nName={name}\nExec={sys.executable} {program}\n"
    )
    native = f"--native=unix:path={tmp_path}/native"
    bus = start("ours", tmp_path, native, XDG_DATA_DIRS=str(tmp_path / "data"))
    try:
        place = ["--dest", name, "--object-path", "/com/example/Activated"]
        argv = [need("gdbus"), "call", "--session", *place, "--method", f"{name}.Twice", "ab"]
        assert bus.said(*argv) == "('abab',)\n"
    finally:
        bus.stop()
