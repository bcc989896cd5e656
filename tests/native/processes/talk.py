"""Processes that multicast at random and write down what they live through; some are killed.

A registrar, the one peer of the process that runs the test, introduces everybody to everybody.
"""

from __future__ import annotations

import json
import os
import random
import time
from contextlib import suppress
from pathlib import Path

from tests.native.elsewhere import Elsewhere
from tests.native.peer import (
    DATA,
    NODE_GONE,
    SEND,
    Arrival,
    Fd,
    Peer,
    Refused,
    memfd,
    parcel,
)
from tests.native.peer import handle as the_handle
from tests.native.processes.checker import Done, Got, Process, Start, line, read

TOKEN = 24  # bytes of a note in the pipe: one write is one note
BIG = 100_000  # bytes of a payload that goes as a memfd


class Talker:
    """One process: whom it can reach, and its story."""

    def __init__(self, peer: Peer, name: str, story: str, notes: tuple[Fd, Fd]) -> None:
        self.peer, self.name = peer, name
        self.story = os.open(story, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.notes = notes
        self.others: dict[str, int] = {}
        self.count = 0
        self.random = random.Random(name)

    def write(self, event: Start | Done | Got) -> None:
        os.write(self.story, line(event).encode())

    def hear(self, arrival: Arrival) -> None:
        if arrival.kind == NODE_GONE:
            self.others = {name: id for name, id in self.others.items() if id != arrival.id}
            self.peer.release(arrival.id)
        elif arrival.kind == DATA:
            self.listen(arrival, json.loads(arrival.payload.rstrip(b" ")))

    def listen(self, arrival: Arrival, said: dict[str, list[str]]) -> None:
        """An introduction, or what somebody said."""
        if "join" in said:
            self.others |= {
                n: id for n, id in zip(said["join"], arrival.handles, strict=True) if id
            }
        else:
            id, to, after = said["talk"]
            self.write(Got(id, tuple(to), after, arrival.place))

    def hear_all(self) -> None:
        while self.peer.arrived or self.peer.read(0):
            while self.peer.arrived:
                self.hear(self.peer.arrived.pop(0))

    def note(self) -> str:
        """An operation of which somebody tells by the pipe that it is done."""
        with suppress(BlockingIOError):
            return os.read(self.notes[0].number, TOKEN).decode().strip()
        return ""

    def tell(self, id: str) -> None:
        with suppress(BlockingIOError):
            os.write(self.notes[1].number, id.encode().ljust(TOKEN))

    def speak(self) -> None:
        """One multicast, in one of the ways there are."""
        after = self.note()
        names = self.random.sample(sorted(self.others), self.random.randint(1, len(self.others)))
        self.count += 1
        id = f"{self.name}:{self.count}"
        text = json.dumps({"talk": [id, names, after]}).encode()
        self.write(Start(id, tuple(names), after, time.monotonic()))
        to, way = [self.others[name] for name in names], self.random.random()
        if way < 0.3:
            self.peer.quiet(to, text)
        else:
            self.aloud(id, to, text, big=way > 0.97)

    def aloud(self, id: str, to: list[int], text: bytes, big: bool) -> None:
        """With an answer, which is awaited, and then told by the pipe."""
        try:
            if big:
                fd = memfd(text.ljust(BIG))
                body = parcel(to, size=BIG)
                stamp = self.peer.ask(SEND, body, 2, [Fd(fd)]).stamp
                os.close(fd)
            else:
                stamp = self.peer.send(to, text).stamp
        except Refused:
            self.write(Done(id, True, 0, time.monotonic()))
            return
        self.write(Done(id, False, stamp, time.monotonic()))
        self.tell(id)


def talk(peer: Peer, name: str, story: str, notes: tuple[Fd, Fd], until: float) -> int:
    """Until the time is over; how often it spoke."""
    talker = Talker(peer, name, story, notes)
    peer.talker = talker  # type: ignore[attr-defined]
    while time.monotonic() < until:
        talker.hear_all()
        if talker.others:
            talker.speak()
        time.sleep(talker.random.random() * 0.002)
    return talker.count


def hear_out(peer: Peer) -> None:
    """When nobody speaks any more."""
    talker: Talker = peer.talker  # type: ignore[attr-defined]
    for arrival in peer.drain():
        talker.hear(arrival)


class Party:
    """All of them, as the test has them in its hands."""

    def __init__(self, native: str, directory: Path, until: float, seed: int) -> None:
        self.native, self.directory, self.until = native, directory, until
        self.random = random.Random(seed)
        self.registrar = Peer(native)
        reader, writer = os.pipe2(os.O_NONBLOCK)
        self.notes = Fd(reader), Fd(writer)
        self.here: dict[str, tuple[Elsewhere, int]] = {}
        self.killed: list[str] = []

    def invite(self) -> None:
        """One more, known to all before it speaks."""
        name = f"p{len(self.here) + len(self.killed)}"
        guest = Elsewhere(self.native)
        own = guest.handle(guest.create())
        handle = guest.transfer(own, self.registrar.socket())
        guest.release(own)
        self.here[name] = guest, handle
        handles = {each: found[1] for each, found in self.here.items()}
        everybody = json.dumps({"join": list(handles)}).encode()
        self.registrar.send(handle, everybody, [the_handle(each) for each in handles.values()])
        newcomer = json.dumps({"join": [name]}).encode()
        for other in [found[1] for each, found in self.here.items() if each != name]:
            self.registrar.send(other, newcomer, [the_handle(handle)])
        guest.start(talk, name, str(self.directory / name), self.notes, self.until)

    def kill_one(self) -> None:
        """Wherever it is, which may be in the middle of anything."""
        name = self.random.choice(sorted(self.here))
        guest, handle = self.here.pop(name)
        guest.kill()
        self.killed.append(name)
        self.until_gone(handle)

    def until_gone(self, handle: int) -> None:
        while True:
            notice = self.registrar.take()
            if notice.kind == NODE_GONE and notice.id == handle:
                self.registrar.release(handle)
                return

    def end(self) -> list[Process]:
        """All stories, once everybody is silent and has heard everything."""
        for guest, _ in self.here.values():
            guest.finish()
        for guest, _ in self.here.values():
            guest.query()  # whatever it sent without an answer is done, too
        for guest, _ in self.here.values():
            guest.run(hear_out)
        for guest, _ in self.here.values():
            guest.kill()
        return [self.story(name, False) for name in self.here] + [
            self.story(name, True) for name in self.killed
        ]

    def story(self, name: str, killed: bool) -> Process:
        file = self.directory / name
        return read(name, file.read_text() if file.exists() else "", killed)


def party(native: str, directory: Path, seconds: float, guests: int, seed: int) -> list[Process]:
    """So many, of whom one is killed and another comes, again and again."""
    all = Party(native, directory, time.monotonic() + seconds, seed)
    for _ in range(guests):
        all.invite()
    while time.monotonic() < all.until - 0.3:
        time.sleep(all.random.uniform(0.05, 0.4))
        all.kill_one()
        all.invite()
    return all.end()
