"""`bus1 monitor` on our bus and on dbus-daemon: what it shows, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.buses import Bus, need_root, start
from tests.cli.watching import run, watching
from tests.configs import busconfig, written
from tests.raw import DRIVER, NO_REPLY, Client

Json = dict[str, Any]
Bus1 = Callable[..., tuple[object, str, str]]
DONE = "x.Done"
POLICY = """<type>session</type><policy context="default">
<allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/><allow receive_sender="*"/>
<deny send_interface="x.Forbidden"/></policy>"""


@pytest.fixture(scope="module")
def module_bus(bus_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """A bus that anybody may use, and that denies one interface."""
    directory = tmp_path_factory.mktemp("bus")
    file = written(directory, {"bus.conf": busconfig(POLICY)})
    bus = start(bus_kind, directory, argv=(f"--config-file={file}",))
    yield bus
    bus.stop()


def talk(a: Client, b: Client, name: str) -> None:
    """b gets two calls from a, of which it answers one well; and a signals."""
    for answer in (b.reply, b.refuse):
        asked = a.call("Ask", "sv", "so", ("u", 7), to=name, path="/o", interface="x.I")
        call = b.receive("Ask")
        if answer == b.reply:
            b.reply(call, "as", ["it", "is"])
        else:
            b.refuse(call, "x.Error.Never", "no, never")
        a.answer(asked)
    a.signal("Said", "s", "hello", path="/s", interface="x.S")


def denied(a: Client, name: str) -> None:
    """The bus does not pass it on."""
    answer = a.ask("Force", to=name, path="/d", interface="x.Forbidden")
    assert answer.error == "org.freedesktop.DBus.Error.AccessDenied"


def finish(a: Client) -> None:
    """A last message that every monitor of these tests shows: an error about x.Done."""
    a.ask("GetNameOwner", "s", DONE)


def short(records: list[Json]) -> list[str]:
    """What is shown, in few words."""
    return [
        each.get("member") or f"{each['verdict']} {each.get('answers', {}).get('member')}"
        for each in records
    ]


# ---------------------------------------------------------------------------- people


def test_lines_for_people(bus: Bus, a: Client, b: Client, name: str) -> None:
    b.own(name)
    with watching(bus) as watcher:
        talk(a, b, name)
        a.call("Tell", to=name, path="/o", interface="x.I", flags=NO_REPLY)
        denied(a, name)
        finish(a)
        text = watcher.until(f"'{DONE}'")
        status, out, err = watcher.end()
    clock, after = r"\d\d:\d\d:\d\d\.\d{6} ", r"after \d[\d.]* [um]?s: "
    ends = re.escape(f"{a.name} -> {name} ({b.name})")
    back = re.escape(f"{name} ({b.name}) -> {a.name}")
    lines = [
        rf'{ends}  call /o x\.I\.Ask\("so", 7\)',
        rf'{back}  reply to /o x\.I\.Ask {after}\["it", "is"\]',
        rf'{back}  error to /o x\.I\.Ask {after}x\.Error\.Never "no, never"',
        rf'{a.name} -> all  signal /s x\.S\.Said\("hello"\)',
        rf"{ends}  call /o x\.I\.Tell\(\) no reply wanted",
        rf"{re.escape(DRIVER)} -> {a.name}  denied to /d x\.Forbidden\.Force {after}.*Denied .*",
    ]
    for line in lines:
        assert re.search(f"^{clock}{line}$", text, re.MULTILINE), (line, text)
    assert "\x1b" not in text
    assert (status, err) == (0, "")
    counts = r"^\d+ messages in [\d.]+ s: \d+ calls, 1 reply, "
    counts += r"3 errors \(1 denied\), \d+ signals?, 0 unanswered\n"
    assert re.search(counts + r"latency: median .*, p99 .*\nlost: 0\n\Z", out), out


def test_calls_that_nobody_answered_are_counted(bus: Bus, a: Client, b: Client, name: str) -> None:
    b.own(name)
    with watching(bus, "--name", name) as watcher:
        a.call("Ask", to=name, path="/o", interface="x.I")
        a.call("Tell", to=name, path="/o", interface="x.I", flags=NO_REPLY)
        watcher.until("x.I.Tell")
        _, out, _ = watcher.end(signal.SIGTERM)
    assert "2 messages in " in out
    assert "2 calls, 0 replies, 0 errors (0 denied), 0 signals, 1 unanswered\n" in out
    assert out.endswith("\nlost: 0\n")


def test_what_clients_say_cannot_move_the_cursor(bus: Bus, a: Client) -> None:
    with watching(bus, "--member", "Evil") as watcher:
        a.signal("Evil", "say", "\x1b[2J\r\n\x9b\u202e", b"\x1bx\0")
        text = watcher.until("Evil")
    assert r"""Evil("\u001b[2J\r\n\x9b\u202e", b'\x1bx')""" in text
    assert text.count("\n") == 1


# --------------------------------------------------------------------------- programs


def test_json(bus: Bus, a: Client, b: Client, name: str) -> None:
    b.own(name)
    with watching(bus, "--json") as watcher:
        began = time.time()
        talk(a, b, name)
        finish(a)
        records = watcher.records(DONE)
        status, out, err = watcher.end()
    assert (status, out) == (0, "")
    assert "unanswered" in err
    ask, reply, _, error = [
        each for each in records if a.name in (each["sender"], each.get("destination"))
        and {name} & {each.get("destination"), *each.get("sender_names", ())}
    ]  # fmt: skip
    assert abs(ask.pop("time") - began) < 60
    assert ask.pop("serial") == reply["reply_serial"]
    assert ask.pop("size") > 100
    assert ask == {
        "type": "method_call",
        "sender": a.name,
        "destination": name,
        "destination_names": [name],
        "destination_owner": b.name,
        "path": "/o",
        "interface": "x.I",
        "member": "Ask",
        "signature": "sv",
        "body": ["so", {"type": "u", "data": 7}],
    }
    assert reply["body"] == [["it", "is"]]
    assert (reply["verdict"], error["verdict"]) == ("answered", "error")
    assert (error["error"], error["body"]) == ("x.Error.Never", ["no, never"])
    assert 0 <= reply["latency"] < 10
    assert reply["answers"] == {
        "destination": name, "path": "/o", "interface": "x.I", "member": "Ask"
    }  # fmt: skip


def test_names_are_known_from_before_and_followed(
    bus: Bus, a: Client, b: Client, name: str
) -> None:
    a.own(name)
    with watching(bus, "--json", "type='signal',interface='t.T'") as watcher:
        a.signal("One")
        a.ask("ReleaseName", "s", name)
        a.signal("Two")
        b.own(name)
        b.signal("Three")
        b.signal("Last")
        records = watcher.records("Last")
    assert [(each["member"], each.get("sender_names")) for each in records] == [
        ("One", [name]), ("Two", None), ("Three", [name])
    ]  # fmt: skip


def test_descriptors_are_counted_and_not_kept(bus: Bus, a: Client, b: Client, name: str) -> None:
    b.own(name)
    with watching(bus, "--json", "--name", name) as watcher:
        a.signal("First", to=name)
        watcher.until("First")
        held = len(os.listdir(f"/proc/{watcher.process.pid}/fd"))
        for _ in range(20):
            a.signal("Take", "h", 0, to=name, fds=[0])
        a.signal("Last", to=name)
        records = watcher.records("Last")
        assert len(os.listdir(f"/proc/{watcher.process.pid}/fd")) == held
    assert [(each["fds"], each["body"]) for each in records[1:]] == [(1, [0])] * 20


# ---------------------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("--name NAME", "Ask;answered Ask;Ask;error Ask;Force;denied Force"),
        ("--name B", "Ask;answered Ask;Ask;error Ask;Force;denied Force"),
        ("--interface x.I", "Ask;answered Ask;Ask;error Ask"),
        ("--member Ask", "Ask;answered Ask;Ask;error Ask"),
        ("--path /o", "Ask;answered Ask;Ask;error Ask"),
        ("--path /s", "Said"),
        ("--interface x.S", "Said"),
        ("--member Ask --type method_call", "Ask;Ask"),
        ("--member Ask --type method_return", "answered Ask"),
        ("--member Ask -t method_call -t error", "Ask;Ask;error Ask"),
        ("--type signal --interface x.S", "Said"),
        ("--errors --member Ask", "Ask;error Ask"),
        ("--errors --name NAME", "Ask;error Ask;Force;denied Force"),
        ("--errors --name A", "Ask;error Ask;Force;denied Force"),
        ("--denied", "Force;denied Force"),
        ("--denied --name A", "Force;denied Force"),
        ("--denied --name B", "Force;denied Force"),
        ("--denied --name x.Nobody", ""),
        ("type='signal',member='Said'", "Said"),
        ("type='signal',member='Said' type='signal',member='NameOwnerChanged',arg0='NAME.More'",
         "Said;NameOwnerChanged"),
        ("path='/o' --type method_call", "Ask;Ask"),
        ("sender='A',interface='x.I'", "Ask;Ask"),
    ],
)  # fmt: skip
def test_filters(
    bus: Bus, a: Client, b: Client, c: Client, name: str, words: str, shown: str
) -> None:
    for word, real in (("NAME", name), ("A", a.name), ("B", b.name)):
        words = re.sub(rf"\b{word}\b", real, words)
    expected = [each for each in shown.split(";") if each]
    b.own(name)
    with watching(bus, "--json", *words.split()) as watcher:
        talk(a, b, name)
        c.own(f"{name}.More")
        denied(a, name)
        while watcher.text.count("\n") < len(expected):
            watcher.more()
        time.sleep(0.1)  # for what should not come
        status, out, err = watcher.end()
    assert (status, "Traceback" in err) == (0, False)
    assert short([json.loads(line) for line in (watcher.text + out).splitlines()]) == expected


# ------------------------------------------------------------------------------- ends


def test_a_limit(bus: Bus, a: Client) -> None:
    with watching(bus, "--interface", "t.T", "--limit", "2") as watcher:
        for member in ("One", "Two", "Three"):
            a.signal(member)
        watcher.process.wait(20)
        status, out, err = watcher.end()
    assert (status, err) == (0, "")
    assert re.findall(r"signal /t t\.T\.(\w+)", out) == ["One", "Two"]
    assert "\n2 messages in " in out


@pytest.mark.parametrize("words", [(), ("--json",), ("--pcap", "-")])
def test_a_reader_that_has_seen_enough(bus: Bus, words: tuple[str, ...]) -> None:
    """It ends though nothing passes."""
    with watching(bus, "--interface", "t.Nothing", *words) as watcher:
        assert watcher.process.stdout
        watcher.process.stdout.close()
        assert watcher.process.wait(20) == 1
        assert watcher.process.stderr
        assert watcher.process.stderr.read() == b""
        watcher.process.stdout = None


def test_the_bus_ends(bus_kind: str, tmp_path: Path) -> None:
    bus = start(bus_kind, tmp_path)
    with watching(bus, "--name", "x.Y") as watcher:
        bus.stop()
        watcher.process.wait(20)
        status, out, err = watcher.end()
    assert (status, err) == (1, f"bus1 monitor: {bus.address} has hung up\n")
    assert out.startswith("0 messages in ")


def test_a_stranger_may_not(bus: Bus, bus1: Bus1) -> None:
    need_root()
    bus1("monitor", "--address", "nonsense")  # a stranger may not read what is imported late
    os.seteuid(65534)
    try:
        status, out, err = bus1("monitor", "--address", bus.address)
    finally:
        os.seteuid(0)
    assert (status, out) == (2, "")
    assert err == f"bus1 monitor: {bus.address} lets only root and its own user monitor it\n"


@pytest.mark.parametrize(
    ("words", "about"),
    [
        ("--address ADDRESS type=nonsense", "invalid rule 'type=nonsense': Invalid message type"),
        ("--address ADDRESS nonsense", "invalid rule 'nonsense': "),
        ("--address ADDRESS x.Name", "(perhaps --name x.Name?)"),
        ("--address ADDRESS --name a..b", "--name: 'a..b' cannot be the name of a client"),
        ("--address ADDRESS --interface x", "--interface: 'x' cannot be the interface"),
        ("--address ADDRESS --member a.b", "--member: 'a.b' cannot be the member"),
        ("--address ADDRESS --path x", "--path: 'x' cannot be the path of an object"),
        ("--address ADDRESS --type letter", "--type: 'letter' is none of method_call, "),
        ("--address ADDRESS --errors --type signal", "--errors and --denied"),
        ("--address ADDRESS --json --pcap -", "--json and --pcap -"),
        ("--address ADDRESS --pcap /no/such/file", "/no/such/file: No such file or directory"),
        ("--address ADDRESS --system", "only one of --system, --session and --address"),
        ("--address unix:path=/no", "unix:path=/no is not there: No such file or directory"),
        ("--address nonsense", "nonsense is no address to connect to: "),
        ("--address tcp:host=x", "only unix:path=, unix:abstract= and unix:runtime=yes"),
    ],
)
def test_errors_are_one_line(bus: Bus, words: str, about: str) -> None:
    status, out, err = run(bus, *words.replace("ADDRESS", bus.address).split())
    assert (status, out) == (2, "")
    assert err.startswith("bus1 monitor: ")
    assert about in err
    assert err.count("\n") == 1


def test_which_bus_is_meant(bus1: Bus1, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/no/system")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert "the system bus is not there: No such" in bus1("monitor", "--system")[2]
    assert "there is no session bus: DBUS_SESSION_BUS_ADDRESS " in bus1("monitor")[2]
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/no/such/directory")
    assert "the session bus is not there: No such" in bus1("monitor", "--session")[2]
