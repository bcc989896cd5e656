"""Hostile clients against a running bus, while well-behaved ones watch that they notice nothing.

Invariant: the bus never dies, never stops answering, never grows, and a stranger's garbage changes
no answer of anybody else. FUZZ_MESSAGES=1000000 makes it longer (default 100000); FUZZ_SEED=N
repeats a run.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.files import Files
from tests.buses import ROOT, Bus
from tests.frames import BAD, GOOD
from tests.pace import stopwatch
from tests.raw import (
    CALL,
    DESTINATION,
    DRIVER,
    ERROR_NAME,
    INTERFACE,
    MEMBER,
    PATH,
    REPLY_SERIAL,
    RETURN,
    SENDER,
    SIGNAL,
    Client,
    build,
    call_fields,
    size_of,
    socket_to,
    split,
)

MESSAGES = int(os.environ.get("FUZZ_MESSAGES", "100000"))
SEED = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(1 << 32))
HOSTILE = 8  # sockets at once
LONGEST = 2.0  # seconds for an answer to a good client
GROWTH = 30_000_000  # bytes: the allocator's slack; what leaks per message shows long before

HELLO = build(CALL, 1, call_fields(DRIVER, "/org/freedesktop/DBus", DRIVER, "Hello"))
EXTERNAL = b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n"
BARRIER = build(CALL, 0xBA44, call_fields(DRIVER, "/org/freedesktop/DBus", DRIVER, "GetId"))
ANSWER = b"\x44\xba\0\0"  # REPLY_SERIAL of the answer
START = EXTERNAL + b"NEGOTIATE_UNIX_FD\r\nBEGIN\r\n" + HELLO


class Watch(threading.Thread):
    """Two good clients that talk to each other and to the bus, and check every answer."""

    def __init__(self, bus: Bus) -> None:
        super().__init__()
        self.clients, self.pid = (Client(bus.address), Client(bus.address)), bus.pid
        self.rounds, self.slowest, self.wrong = 0, 0.0, ""
        self.stop = threading.Event()

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                seconds = stopwatch(self.pid)
                self.once()
                self.slowest = max(self.slowest, seconds())
                self.rounds += 1
                time.sleep(0.001)
        except BaseException as error:
            self.wrong = repr(error)

    def once(self) -> None:
        asking, answering = self.clients
        text = f"question {self.rounds}"
        serial = asking.call("Ask", "s", text, to=answering.name, interface="t.Good")
        call = answering.wait(lambda m: m.interface == "t.Good")
        assert (call.sender, call.args) == (asking.name, [text])
        answering.reply(call, "s", text.upper())
        answer = asking.wait(lambda m: m.sender == answering.name)
        assert (answer.kind, answer.reply_to, answer.args) == (RETURN, serial, [text.upper()])
        serial = asking.call("GetNameOwner", "s", answering.name)
        answer = asking.wait(lambda m: m.sender == DRIVER and m.reply_to == serial)
        assert answer.args == [answering.name]
        for each in self.clients:
            each.unread.clear()  # what strangers sent them

    def finish(self) -> None:
        self.stop.set()
        self.join()
        for each in self.clients:
            each.close()
        assert self.wrong == ""
        assert self.rounds > 1
        assert self.slowest < LONGEST


@contextmanager
def unharmed(bus: Bus) -> Iterator[Watch]:
    """The good clients before, during and after; the bus must be as small as it was, and alone."""
    size, descriptors = warm(bus)
    watching = Watch(bus)
    watching.start()
    yield watching
    watching.finish()
    with Client(bus.address) as client:
        client.until(lambda: children(bus) == "" and bus.usage()[1] <= descriptors)
        assert len(client.ask("ListNames").args[0]) == 2
    assert bus.usage()[0] < size + GROWTH, (size, bus.usage())


@pytest.fixture
def watch(fresh: Bus) -> Iterator[Watch]:
    with unharmed(fresh) as watching:
        yield watching


def children(bus: Bus) -> str:
    """The processes that the bus started and that are there, though they may have ended."""
    return Path(f"/proc/{bus.pid}/task/{bus.pid}/children").read_text()


def warm(bus: Bus) -> tuple[int, int]:
    """Whatever the bus allocates once, it has allocated; what it uses then, with one client."""
    for _ in range(100):
        with Client(bus.address) as client:
            client.match("type=signal")
    with Client(bus.address) as client:
        client.until_gone(f":1.{int(client.name[3:]) - 1}")
        return bus.usage()


class Stranger:
    """A connection that comes back whenever it is thrown out."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.sock: socket.socket | None = None
        self.received = b""
        self.thrown_out = 0

    def send(self, data: bytes, start: bytes = START) -> None:
        """Send, without a look at what comes back."""
        if self.sock is None:
            self.sock = socket_to(self.address)
            data = start + data
        try:
            self.sock.sendall(data)
        except ConnectionError:
            self.leave()
            self.thrown_out += 1

    def settle(self) -> None:
        """Until the bus has dealt with what was sent: it answers the barrier, or hangs up."""
        while self.sock and ANSWER not in self.received:
            try:
                more = self.sock.recv(1 << 16)
            except ConnectionError:
                more = b""
            self.received = self.received[-40:] + more
            if not more:
                self.leave()
                self.thrown_out += 1
        self.received = b""

    def finish(self) -> None:
        """No more to send; until the bus hangs up."""
        if self.sock:
            with suppress(ConnectionError):
                self.sock.shutdown(socket.SHUT_WR)
                while self.sock.recv(1 << 16):
                    pass
        self.leave()

    def leave(self) -> None:
        if self.sock:
            self.sock.close()
        self.sock = None


def golden(to: str) -> list[bytes]:
    """Every message of the tables, small ones, in both byte orders."""
    frames = [
        frame(to, order) for frame in itertools.chain(GOOD.values(), BAD.values()) for order in "<>"
    ]
    calls = [
        build(
            CALL, 9, call_fields(DRIVER, "/org/freedesktop/DBus", DRIVER, member), signature, args
        )
        for member, signature, args in (
            ("AddMatch", "s", ["type=signal,arg0path=/a,path_namespace=/x"]),
            ("RemoveMatch", "s", ["type=signal"]),
            ("RequestName", "su", ["com.example.Fuzz", 3]),
            ("ReleaseName", "s", ["com.example.Fuzz"]),
            ("GetConnectionCredentials", "s", [DRIVER]),
            ("ListQueuedOwners", "s", ["com.example.Fuzz"]),
        )
    ]
    return [frame for frame in frames + calls if len(frame) < 2000]


def changed(frame: bytes, chance: random.Random) -> bytes:
    """A golden message with some bytes changed, cut or doubled: mostly wrong, and thrown out."""
    data = bytearray(frame)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        at = chance.randrange(len(data))
        match chance.randrange(6):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 3:
                del data[at : at + chance.randrange(1, 9)]
            case 4:
                data[at:at] = data[at : at + chance.randrange(1, 9)]
            case _:
                word = at & ~3
                data[word : word + 4] = chance.choice(ODD_WORDS)
        data = data or bytearray(b"l")
    return bytes(data)


ODD_WORDS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\4", b"\0\0\0\x08", b"\1\0\0\0")
TEXTS = (
    "",
    "a",
    "a.b",
    ":1.0",
    "/a",
    "x" * 300,
    "ä",
    "type=signal",
    "member=S,arg0='x'",
    "a=b,",
    DRIVER,
)
MEMBERS = (
    "AddMatch", "RemoveMatch", "RequestName", "ReleaseName", "GetNameOwner", "ListNames", "Hello",
    "GetId", "NameHasOwner", "ListQueuedOwners", "StartServiceByName", "GetConnectionCredentials",
    "Introspect", "GetAll", "Get", "Set", "Ping", "GetConnectionUnixUser",
    "UpdateActivationEnvironment", "S", "M",
)  # fmt: skip
INTERFACES = (
    DRIVER, "t.T", f"{DRIVER}.Properties", f"{DRIVER}.Peer", f"{DRIVER}.Introspectable",
    f"{DRIVER}.Monitoring", f"{DRIVER}.Debug.Stats",
)  # fmt: skip
VALUES: dict[str, tuple[object, ...]] = {
    "s": TEXTS,
    "u": (0, 1, 3, 7, 0xFFFFFFFF),
    "b": (0, 1),
    "o": ("/", "/a/b"),
    "g": ("", "a{sv}", "ii"),
    "y": (0, 255),
    "v": (("s", "x"), ("au", [1]), ("v", ("y", 1))),
    "as": ([], ["a", "b"]),
    "a{sv}": ({}, {"k": ("s", "v")}),
    "a{ss}": ({}, {"k": "v"}),
    "(us)": ((1, "x"),),
    "ay": (b"", b"x" * 500),
}
SHAPES = ["", "s", "su", "ss", "ssv", "as", "asu", "a{ss}", "u", "sss"]


def strange(to: list[str | None], chance: random.Random) -> bytes:
    """A message that obeys the format, of odd content: mostly refused, or ignored."""
    shape = chance.choice(SHAPES)
    if chance.random() < 0.3:
        shape = "".join(chance.choices(list(VALUES), k=chance.randrange(5)))
    args = [chance.choice(VALUES[each]) for each in split(shape)]
    fields: list[Any] = [
        (PATH, chance.choice(("/", "/t", "/org/freedesktop/DBus"))),
        (INTERFACE, chance.choice(INTERFACES)),
        (MEMBER, chance.choice(MEMBERS)),
        (REPLY_SERIAL, chance.choice((1, 2, 77, 0xFFFFFFFF))),
        (ERROR_NAME, "t.Error"),
        (DESTINATION, chance.choice(to)),
        (SENDER, chance.choice((DRIVER, ":1.0", "a.b"))),
        (chance.randrange(11, 256), chance.choice(list(VALUES)), None),
    ]
    fields[-1] = (fields[-1][0], fields[-1][1], chance.choice(VALUES[fields[-1][1]]))
    keep = [each for each in fields[:6] if each[1] is not None and chance.random() < 0.97]
    keep += [each for each in fields[6:] if chance.random() < 0.1]
    chance.shuffle(keep)
    return build(
        chance.choice((1, 1, 1, 2, 3, 4, 4, 5, 200)),
        chance.choice((1, 2, 77, 0xFFFFFFFF)),
        keep,
        shape,
        args,
        flags=chance.choice((0, 0, 1, 2, 4, 0xFF)),
        order=chance.choice("<>"),
    )


def batches(watch: Watch, count: int, chance: random.Random) -> Iterator[tuple[bytes, bool]]:
    """`count` messages, four at a time: three strange ones, then one of changed bytes.

    Whether the bus will have read them to their end: the last is made as long as it says, unless
    it says too little for a header, or so much that the bus waits for more.
    """
    frames = golden(watch.clients[1].name)
    to: list[str | None] = [None, DRIVER, DRIVER, DRIVER, "com.example.Fuzz", "a.b", ":1.9"]
    to += [each.name for each in watch.clients]
    pool = [strange(to, chance) for _ in range(5000)]
    for _ in range(count // 4):
        last = changed(chance.choice(frames), chance)
        size = size_of(last)
        whole = 16 <= size < 100_000
        last = last[:size].ljust(size, b"\0") + BARRIER if whole else last
        yield b"".join(chance.choices(pool, k=3)) + last, whole


def test_mutated_messages(fresh: Bus, watch: Watch) -> None:
    chance = random.Random(SEED)
    print(f"FUZZ_SEED={SEED}")
    strangers = [Stranger(fresh.address) for _ in range(HOSTILE)]
    turn = itertools.cycle(strangers)
    for data, whole in batches(watch, MESSAGES, chance):
        stranger = next(turn)
        stranger.settle()
        stranger.send(data)
        if not whole:
            stranger.leave()
    for each in strangers:
        each.settle()
        each.finish()
    assert sum(each.thrown_out for each in strangers) > MESSAGES // 10
    assert fresh.process.poll() is None


def test_every_truncation_of_the_golden_messages(fresh: Bus, watch: Watch) -> None:
    """A message that stops at any byte, and then the connection ends."""
    for frame in GOOD.values():
        for order in "<>":
            data = frame(watch.clients[1].name, order)
            for end in range(len(data)) if len(data) < 600 else (1, 15, 16, 17, len(data) - 1):
                stranger = Stranger(fresh.address)
                stranger.send(data[:end])
                stranger.leave()
    assert fresh.process.poll() is None


def test_a_truncated_message_before_a_good_one(fresh: Bus, watch: Watch) -> None:
    """Its bytes are taken for the rest of the first: the stranger is thrown out, or waits."""
    whole = GOOD["everything"](watch.clients[1].name, "<")
    for end in range(1, len(whole)):
        stranger = Stranger(fresh.address)
        stranger.send(whole[:end] + whole + whole)
        stranger.finish()


WORDS = [
    b"AUTH", b"EXTERNAL", b"ANONYMOUS", b"DATA", b"CANCEL", b"ERROR", b"BEGIN",
    b"NEGOTIATE_UNIX_FD", b"OK", b"REJECTED", b"30", b"zz", b"", b" ", b"\0", b"\xff", b"A" * 1000,
    b"DBUS_COOKIE_SHA1", b"31", b"3",
]  # fmt: skip
ENDS = [b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n", b""]


def test_random_handshakes(fresh: Bus, watch: Watch) -> None:
    chance = random.Random(SEED)
    print(f"FUZZ_SEED={SEED}")
    for _ in range(MESSAGES // 50):
        lines = [
            b" ".join(chance.choices(WORDS, k=chance.randrange(4))) + chance.choice(ENDS)
            for _ in range(chance.randrange(12))
        ]
        text = chance.choice((b"\0", b"\0", b"\0", b"", b"\0" + EXTERNAL[1:])) + b"".join(lines)
        stranger = Stranger(fresh.address)
        stranger.send(text, start=b"")
        stranger.leave()
    for _ in range(200):
        stranger = Stranger(fresh.address)
        stranger.send(b"\0" + chance.randbytes(chance.randrange(1, 3000)), start=b"")
        stranger.leave()
    assert fresh.process.poll() is None


# --------------------------------------------------------- services, monitors, statistics

ANSWERS = """
import os, sys
sys.path.insert(0, {root!r})
from tests.raw import Client
client = Client(os.environ["DBUS_STARTER_ADDRESS"])
client.own("t.Answers")
for message in client.take():
    if message.kind == 1 and message.sender[0] == ":":
        client.reply(message)
client.settle()
"""
COMMANDS = {
    "t.Answers": "{python} {script}",
    "t.Hangs": "/bin/sleep 60",
    "t.Dies": "/bin/false",
    "t.Killed": "/bin/sh -c 'kill -9 $$'",
    "t.Missing": "/nonexistent/program",
    "t.Unclosed": "/bin/true 'a",
}
MOST = """<limit name="service_start_timeout">400</limit>
<limit name="max_pending_service_starts">12</limit>"""
MONITORING = f"{DRIVER}.Monitoring"
RULES = ([], ["type='error'"], ["arg0='x'", "sender='t.Hangs'"], ["nonsense"], [""])
# What only some may ask of the bus, with the right body.
QUESTIONS: tuple[tuple[str, str, str, tuple[Any, ...]], ...] = (
    (f"{DRIVER}.Debug.Stats", "GetStats", "", ()),
    (f"{DRIVER}.Debug.Stats", "GetConnectionStats", "s", ("t.Hangs",)),
    (f"{DRIVER}.Debug.Stats", "GetConnectionStats", "s", (":1.0",)),
    (f"{DRIVER}.Debug.Stats", "GetAllMatchRules", "", ()),
    ("org.bus1.Status1", "GetStatus", "", ()),
    ("org.bus1.Capability1", "Grant", "soss", (":1.1", "/x", "", "")),
    ("org.bus1.Capability1", "Destroy", "t", (1,)),
    ("org.bus1.Capability1", "Release", "t", (1,)),
    ("org.bus1.Capability1", "ListGrants", "", ()),
    ("org.bus1.Capability1", "ListRights", "", ()),
    (f"{DRIVER}.Verbose", "EnableVerbose", "", ()),
    (f"{DRIVER}.Verbose", "DisableVerbose", "", ()),
    (DRIVER, "UpdateActivationEnvironment", "a{ss}", ({"A": "b", "": "=", "B=": "x"},)),
    (DRIVER, "StartServiceByName", "su", ("t.Hangs", 7)),
    (DRIVER, "StartServiceByName", "su", ("t.Dies", 0)),
    (DRIVER, "StartServiceByName", "su", ("no name", 0)),
    (DRIVER, "ListActivatableNames", "", ()),
    (DRIVER, "ReloadConfig", "", ()),
)


@pytest.fixture
def busy(bus_kind: str, tmp_path: Path) -> Iterator[Bus]:
    """A bus with services that come, hang, die, or are not there."""
    script = tmp_path / "answers.py"
    script.write_text(ANSWERS.format(root=str(ROOT)))
    (tmp_path / "services").mkdir()
    for name, command in COMMANDS.items():
        text = command.format(python=sys.executable, script=script)
        file = tmp_path / "services" / f"{name}.service"
        file.write_text(f"[D-BUS Service]\nName={name}\nExec={text}\n")
    files = Files(tmp_path)
    files.configure(f"<servicedir>{tmp_path}/services</servicedir>{MOST}")
    bus = files.start(bus_kind)
    yield bus
    bus.stop()


def demanding(chance: random.Random) -> bytes:
    """A message that starts something, or asks what is not for everybody."""
    kind, flags, order = CALL, chance.choice((0, 0, 0, 1, 2)), chance.choice("<>")
    shape: str
    args: Any
    if chance.random() < 0.6:
        kind, to, shape = chance.choice((CALL, CALL, SIGNAL, RETURN)), chance.choice(TARGETS), "s"
        fields = [*call_fields(to, "/t", "t.T", "M"), (REPLY_SERIAL, 7)][
            : 5 if kind == RETURN else 4
        ]
        args = ["x" * chance.choice((1, 100, 20_000))]
    else:
        interface, member, shape, args = chance.choice(QUESTIONS)
        fields = call_fields(DRIVER, "/org/freedesktop/DBus", interface, member)
        if chance.random() < 0.3:
            shape = chance.choice(SHAPES)
            args = [chance.choice(VALUES[each]) for each in split(shape)]
    return build(kind, chance.randrange(1, 1 << 32), fields, shape, args, flags=flags, order=order)


TARGETS = [*COMMANDS, "t.Hangs", "t.Nowhere"]


def become_monitor(chance: random.Random) -> bytes:
    fields = call_fields(DRIVER, "/org/freedesktop/DBus", MONITORING, "BecomeMonitor")
    shape, args = chance.choice(
        (("asu", [chance.choice(RULES), 0]), ("asu", [[], 1]), ("s", ["x"]))
    )
    return build(CALL, 5, fields, shape, args)


def test_services_and_monitors_in_bad_hands(busy: Bus) -> None:
    """Some leave while others wait for the same service; some watch, and then send, or do not
    read."""
    chance = random.Random(SEED)
    print(f"FUZZ_SEED={SEED}")
    strangers = [Stranger(busy.address) for _ in range(HOSTILE)]
    stuck: list[Stranger] = []
    with unharmed(busy):
        for stranger in itertools.islice(itertools.cycle(strangers), MESSAGES // 100):
            stranger.settle()
            data = b"".join(demanding(chance) for _ in range(4))
            chosen = chance.randrange(8)
            if chosen == 0:  # all that it sends as a monitor ends it
                data += become_monitor(chance)
            elif chosen == 1:
                stuck.append(Stranger(busy.address))
                stuck[-1].send(become_monitor(chance))
            stranger.send(data + BARRIER)
            if chosen == 2:
                stranger.leave()
            if len(stuck) > 4:
                stuck.pop(0).leave()
        for each in strangers:
            each.settle()
        for each in strangers + stuck:
            each.leave()
        assert busy.process.poll() is None
        with Client(busy.address) as client:
            client.ask("DisableVerbose", interface=f"{DRIVER}.Verbose")
            client.until(lambda: children(busy) == "")
            assert client.ask("ListActivatableNames").kind == RETURN
