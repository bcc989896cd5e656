"""The command-line tools of systemd, GLib and dbus, as people use them."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.buses import Bus, need
from tests.raw import DRIVER, Client

DRIVER_ARGS = [DRIVER, "/org/freedesktop/DBus", DRIVER]
SEND = ["dbus-send", "--session", "--print-reply", f"--dest={DRIVER}", "/org/freedesktop/DBus"]


@contextmanager
def running(bus: Bus, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """A program on this bus, for a while."""
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=bus.environment()
    ) as process:
        try:
            yield process
        finally:
            process.kill()


# ------------------------------------------------------------------------ busctl


@pytest.fixture
def busctl(bus: Bus) -> list[str]:
    return [need("busctl"), f"--address={bus.address}"]


def test_busctl_list(bus: Bus, a: Client, name: str, busctl: list[str]) -> None:
    a.own(name)
    listed = json.loads(bus.said(*busctl, "list", "--json=short"))
    found = {each["name"]: each for each in listed}
    assert {DRIVER, a.name, name} <= set(found)
    assert found[name]["connection"] == a.name
    assert found[name]["pid"] == os.getpid()
    assert found[DRIVER]["pid"] == bus.pid
    assert bus.said(*busctl, "list", "--unique", "--no-legend")
    assert bus.said(*busctl, "list", "--acquired", "--no-legend")
    assert DRIVER in bus.said(*busctl, "list", "--activatable", "--no-legend")


def test_busctl_status(bus: Bus, a: Client, name: str, busctl: list[str]) -> None:
    a.own(name)
    for each in (name, a.name):
        text = bus.said(*busctl, "status", each)
        assert f"PID={os.getpid()}" in text
        assert f"UniqueName={a.name}" in text
    assert f"PID={bus.pid}" in bus.said(*busctl, "status", DRIVER)
    assert bus.run(*busctl, "status", "com.example.Nobody").returncode != 0


def test_busctl_tree_and_introspect(bus: Bus, busctl: list[str]) -> None:
    assert "/org/freedesktop/DBus" in bus.said(*busctl, "tree", DRIVER)
    text = bus.said(*busctl, "introspect", DRIVER, "/org/freedesktop/DBus")
    for word in (".RequestName", ".NameOwnerChanged", ".Features", "org.freedesktop.DBus.Peer"):
        assert word in text


def test_busctl_call_and_get_property(bus: Bus, a: Client, busctl: list[str]) -> None:
    assert bus.said(*busctl, "call", *DRIVER_ARGS, "GetNameOwner", "s", DRIVER) == f's "{DRIVER}"\n'
    assert bus.said(*busctl, "call", *DRIVER_ARGS, "NameHasOwner", "s", "a.b") == "b false\n"
    assert "HeaderFiltering" in bus.said(*busctl, "get-property", *DRIVER_ARGS, "Features")
    assert bus.said(*busctl, "get-property", *DRIVER_ARGS, "Interfaces").startswith("as ")
    failed = bus.run(*busctl, "call", *DRIVER_ARGS, "GetNameOwner", "s", "com.example.Nobody")
    assert failed.returncode == 1
    assert "no such name" in failed.stderr
    assert bus.run(*busctl, "set-property", *DRIVER_ARGS, "Features", "as", "0").returncode == 1


def test_busctl_emit(bus: Bus, a: Client, busctl: list[str]) -> None:
    a.match("interface=t.Busctl")
    bus.said(*busctl, "emit", "/t", "t.Busctl", "S", "si", "x", "3")
    assert a.receive("S").args == ["x", 3]


# ------------------------------------------------------------------------- gdbus


def test_gdbus_call_and_introspect(bus: Bus) -> None:
    at = ["--session", f"--dest={DRIVER}", "--object-path=/org/freedesktop/DBus"]
    said = bus.said(need("gdbus"), "call", *at, f"--method={DRIVER}.GetNameOwner", DRIVER)
    assert said == f"('{DRIVER}',)\n"
    text = bus.said("gdbus", "introspect", *at)
    assert "RequestName(in  s" in text
    assert "readonly as Features = [" in text
    assert (
        "ServiceUnknown"
        in bus.run(
            "gdbus",
            "call",
            "--session",
            "--dest=com.example.Nobody",
            "--object-path=/",
            "--method=a.b.C",
        ).stderr
    )


def test_gdbus_emit_and_monitor(bus: Bus, a: Client, name: str) -> None:
    need("gdbus")
    a.own(name)
    a.match("interface=t.Gdbus")
    with running(bus, "gdbus", "monitor", "--session", f"--dest={name}") as monitor:
        assert monitor.stdout
        assert monitor.stdout.readline() == f"Monitoring signals from all objects owned by {name}\n"
        assert monitor.stdout.readline() == f"The name {name} is owned by {a.name}\n"
        while not select.select([monitor.stdout], [], [], 0.05)[0]:
            a.signal("S", "su", "x", 3, interface="t.Gdbus")  # it subscribes after that line
        assert monitor.stdout.readline() == "/t: t.Gdbus.S ('x', uint32 3)\n"
    a.take()
    bus.said(
        "gdbus",
        "emit",
        "--session",
        "--object-path=/t",
        "--signal=t.Gdbus.Bang",
        "'x'",
        "(1, true)",
    )
    assert a.receive("Bang").args == ["x", (1, 1)]
    bus.said(
        "gdbus", "emit", "--session", f"--dest={a.name}", "--object-path=/t", "--signal=t.X.One"
    )
    assert a.receive("One").destination == a.name


def test_gdbus_wait(bus: Bus, a: Client, name: str) -> None:
    need("gdbus")
    assert bus.run("gdbus", "wait", "--session", "--timeout=1", name).returncode == 1
    with running(bus, "gdbus", "wait", "--session", "--timeout=10", name) as waiting:
        time.sleep(0.1)
        a.own(name)
        assert waiting.wait(10) == 0


# --------------------------------------------------------------------- dbus-send

EVERY_KIND = [
    "string:a b", "int16:-1", "uint16:2", "int32:-3", "uint32:4", "int64:-5", "uint64:6",
    "double:0.5", "byte:7", "boolean:true", "objpath:/a/b", "array:string:a,b", "array:int32:1,2",
    "dict:string:int32:one,1,two,2", "variant:uint32:9",
]  # fmt: skip
VALUES = [
    "a b", -1, 2, -3, 4, -5, 6, 0.5, 7, 1, "/a/b", ["a", "b"], [1, 2], {"one": 1, "two": 2}, 9
]  # fmt: skip
SIGNATURE = "snqiuxtdyboasaia{si}v"


def test_dbus_send_every_kind_of_argument(bus: Bus, a: Client) -> None:
    need("dbus-send")
    to = ["dbus-send", "--session", f"--dest={a.name}"]
    bus.said(*to, "--type=method_call", "/t", "t.T.M", *EVERY_KIND)
    bus.said(*to, "--type=signal", "/t", "t.T.S", *EVERY_KIND)
    for member in ("M", "S"):
        got = a.receive(member)
        assert (got.signature, got.args) == (SIGNATURE, VALUES)


def test_dbus_send_broadcast(bus: Bus, a: Client) -> None:
    need("dbus-send")
    a.match("interface=t.Send")
    bus.said("dbus-send", "--session", "/t", "t.Send.S", "string:x")
    assert (got := a.receive("S")).args == ["x"]
    assert got.destination is None


def test_dbus_send_prints_the_reply(bus: Bus, a: Client) -> None:
    need("dbus-send")
    text = bus.said(*SEND, f"{DRIVER}.GetNameOwner", f"string:{DRIVER}")
    assert f"sender={DRIVER} -> destination=:1." in text
    assert f'string "{DRIVER}"' in text
    with running(
        bus, "dbus-send", "--session", "--print-reply", f"--dest={a.name}", "/t", "t.T.Ask"
    ) as asking:
        call = a.receive("Ask")
        a.reply(call, "a{sv}ad", {"k": ("(sb)", ("x", 1))}, [0.5])
        out, _ = asking.communicate(timeout=10)
    assert f"sender={a.name}" in out
    assert 'string "x"' in out
    assert "double 0.5" in out


def test_dbus_send_prints_errors(bus: Bus, a: Client) -> None:
    need("dbus-send")
    failed = bus.run(*SEND, f"{DRIVER}.GetNameOwner", "string:com.example.Nobody")
    assert failed.returncode == 1
    assert failed.stderr.startswith(
        "Error org.freedesktop.DBus.Error.NameHasNoOwner: Could not get owner of name"
    )
    with running(
        bus, "dbus-send", "--session", "--print-reply", f"--dest={a.name}", "/t", "t.T.Ask"
    ) as asking:
        a.refuse(a.receive("Ask"), "t.Error.No", "not today")
        out, _ = asking.communicate(timeout=10)
    assert out == "Error t.Error.No: not today\n"


def test_dbus_send_gives_up(bus: Bus, a: Client) -> None:
    need("dbus-send")
    failed = bus.run(
        "dbus-send",
        "--session",
        "--reply-timeout=100",
        "--print-reply",
        f"--dest={a.name}",
        "/t",
        "t.T.M",
    )
    assert failed.stderr.startswith("Error org.freedesktop.DBus.Error.NoReply:")


# ---------------------------------------------------------------- dbus-test-tool


def test_echo_and_spam(bus: Bus, a: Client, name: str) -> None:
    need("dbus-test-tool")
    with running(bus, "dbus-test-tool", "echo", "--session", f"--name={name}") as echo:
        a.until(lambda: a.ask("NameHasOwner", "s", name).args == [1])
        done = bus.run(
            "dbus-test-tool", "spam", "--session", f"--dest={name}", "--count=2000", "--queue=50",
            "--payload=hello world",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert a.ask("Anything", "s", "x", to=name, interface="t.T").args == []
        echo.send_signal(signal.SIGTERM)


def test_spam_without_answers(bus: Bus, a: Client) -> None:
    need("dbus-test-tool")
    bus.said("dbus-test-tool", "spam", "--session", f"--dest={a.name}", "--count=500", "--no-reply")
    calls = [a.wait(lambda m: m.kind == 1) for _ in range(500)]
    assert all(m.flags & 1 for m in calls)


def test_black_hole(bus: Bus, a: Client, name: str) -> None:
    need("dbus-test-tool")
    with running(bus, "dbus-test-tool", "black-hole", "--session", f"--name={name}") as hole:
        a.until(lambda: a.ask("NameHasOwner", "s", name).args == [1])
        serial = a.call("M", to=name, interface="t.T")
        hole.kill()
        assert str(a.answer(serial)) == "!NoReply"
