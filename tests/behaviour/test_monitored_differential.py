"""The same traffic, made by chance, on ours and on dbus-daemon: clients and a monitor see the same.

Services come when a client of the test takes their name, or fail at once. SEED=N gives other
traffic, MONITORED_RUNS=N more of it.
"""

from __future__ import annotations

import itertools
import os
import random
import re
from pathlib import Path

import pytest

from tests.behaviour.test_activation import Place
from tests.behaviour.test_monitoring import Monitor, line
from tests.buses import KINDS, Bus
from tests.raw import (
    CALL,
    ERROR,
    NO_AUTO_START,
    NO_REPLY,
    SIGNAL,
    Client,
    Message,
    call_fields,
)

RUNS = int(os.environ.get("MONITORED_RUNS", "6"))
SEED = int(os.environ.get("SEED", "1"))
STEPS = 60
NAMES = ("com.example.A", "com.example.B", "com.example.Plain")
FAILING = ("com.example.False", "com.example.Nothing")


class Play:
    """One bus, and who is on it; the same seed does the same."""

    def __init__(self, place: Place, seed: int) -> None:
        for name in NAMES[:2]:
            place.service(name, "/bin/sleep 60")
        place.service(FAILING[0], "/bin/false")
        self.bus: Bus = place.start("", '<deny receive_interface="a.b" receive_member="Secret"/>')
        self.chance = random.Random(seed)
        self.monitor = Monitor(self.bus)
        self.clients: list[Client] = []
        self.roles = {self.monitor.herald.name: "herald"}
        self.views: dict[str, list[str]] = {"monitor": []}
        self.owed: dict[Client, list[Message]] = {}
        for _ in range(3):
            self.join()

    def role(self, client: Client) -> str:
        return self.roles[client.name]

    def join(self) -> None:
        client = self.bus.connect()
        self.roles[client.name] = f"<{len(self.roles)}>"
        self.clients.append(client)
        self.views[self.role(client)] = []
        self.owed[client] = []
        client.match("type='signal',member='NameOwnerChanged',arg0namespace='com.example'")

    def leave(self) -> None:
        if len(self.clients) > 2:
            client = self.clients.pop(self.chance.randrange(len(self.clients)))
            del self.owed[client]
            client.close()
            self.clients[0].until_gone(client.name)

    def step(self) -> None:
        client = self.chance.choice(self.clients)
        actions = (self.send, self.send, self.send, self.own, self.release, self.start, self.reply)
        chosen = self.chance.randrange(len(actions) + 2)
        if chosen < len(actions):
            actions[chosen](client)
        elif self.chance.random() < 0.3:
            self.leave()
            self.join()
        else:
            client.signal("Broadcast")
        self.look()

    def send(self, client: Client) -> None:
        others = [each.name for each in self.clients]
        to = self.chance.choice([*NAMES, *NAMES, *FAILING, self.chance.choice(others)])
        kind = self.chance.choice((CALL, CALL, SIGNAL))
        flags = self.chance.choice((0, 0, NO_REPLY, NO_AUTO_START))
        member = self.chance.choice(("M", "M", "Secret"))
        serial = client.send(kind, call_fields(to, "/t", "a.b", member), flags=flags)
        if to in FAILING:
            self.failed(client, serial)

    def start(self, client: Client) -> None:
        name = self.chance.choice(NAMES + FAILING)
        serial = client.call("StartServiceByName", "su", name, 0)
        if name in FAILING:
            self.failed(client, serial)

    def failed(self, client: Client, serial: int) -> None:
        """A process ends in its own time: until then nothing else happens."""
        client.unread.append(client.answer(serial))

    def own(self, client: Client) -> None:
        client.call("RequestName", "su", self.chance.choice(NAMES), self.chance.randrange(8))

    def release(self, client: Client) -> None:
        client.call("ReleaseName", "s", self.chance.choice(NAMES))

    def reply(self, client: Client) -> None:
        calls = self.owed[client]
        if calls:
            client.reply(calls.pop(self.chance.randrange(len(calls))), "s", "answer")

    def look(self) -> None:
        """All that came of it; nobody does anything meanwhile."""
        for client in self.clients:
            client.settle()
        for client in self.clients:
            for message in client.take():
                self.views[self.role(client)].append(self.said(message))
                if message.kind == CALL and not message.flags & NO_REPLY:
                    self.owed[client].append(message)
        self.views["monitor"] += [self.said(each) for each in self.monitor.seen()]

    def said(self, message: Message) -> str:
        if message.member == "Hello":  # whom it is from is known too early there
            return "Hello"
        body = message.args[0] if message.kind == ERROR else message.args
        text = f"{line(message)} {body} {message.reply_to}"
        # settle asks GetId; and how a process is named in errors is a known difference.
        text = re.sub(r'[0-9a-f]{32}|comm="[^"]*"', "...", text)
        for name, role in sorted(self.roles.items(), key=lambda each: -len(each[0])):
            text = text.replace(name, role)
        return text


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
def test_all_see_the_same(tmp_path: Path, seed: int) -> None:
    views = {}
    for kind in KINDS:
        (tmp_path / kind).mkdir()
        place = Place(tmp_path / kind, kind)
        play = Play(place, seed)
        try:
            for _ in range(STEPS):
                play.step()
        finally:
            play.bus.stop()
        views[kind] = {name: ordered(view) for name, view in play.views.items()}
    first, *others = views.values()
    assert len(first["monitor"]) > STEPS
    for other in others:
        for name, view in first.items():
            assert other[name] == view, name


def ordered(view: list[str]) -> list[str]:
    """Of several calls to one that leaves the reference first tells of the last, this bus of the
    first: the same errors, in another order."""
    found: list[str] = []
    for is_no_reply, lines in itertools.groupby(view, lambda each: "Error.NoReply" in each):
        run = list(lines)
        found += sorted(run) if is_no_reply else run
    return found
