"""Judges what processes have written down of their multicasts. It knows no bus.

Every process writes, in the order in which it lived through them:

* Start: it begins to send the operation;
* Done: the bus has said that it is done (not of one sent without an answer), or refused it;
* Got: the operation has come.

The clock is one for all processes of a machine, so "returned before another started" can be read
off it, whatever channel has told the one of the other. (The stamps of two
operations need not say so, unless one peer had to do with both.)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import NamedTuple

Place = tuple[int, int]  # stamp and sender: where the bus says that an operation is


class Start(NamedTuple):
    id: str
    to: tuple[str, ...]
    after: str  # an operation of which a side channel told that it is done
    time: float


class Done(NamedTuple):
    id: str
    refused: bool
    stamp: int
    time: float


class Got(NamedTuple):
    id: str
    to: tuple[str, ...]
    after: str
    place: Place


Event = Start | Done | Got


@dataclass
class Process:
    """One process's own story. Of one that was killed, it may lack the end."""

    name: str
    events: list[Event] = field(default_factory=list)
    killed: bool = False

    def got(self) -> list[Got]:
        return [event for event in self.events if isinstance(event, Got)]


def line(event: Event) -> str:
    return json.dumps([type(event).__name__, *event]) + "\n"


def read(name: str, text: str, killed: bool) -> Process:
    """The story from a file; a last line that is torn was never written."""
    whole = text[: text.rfind("\n") + 1]
    return Process(name, [parse(each) for each in whole.splitlines()], killed)


def parse(text: str) -> Event:
    kind, *rest = json.loads(text)
    if kind == "Start":
        return Start(rest[0], tuple(rest[1]), *rest[2:])
    if kind == "Done":
        return Done(*rest)
    return Got(rest[0], tuple(rest[1]), rest[2], (rest[3][0], rest[3][1]))


def violations(processes: Iterable[Process]) -> list[str]:
    """What is wrong; nothing, if the bus kept its word."""
    everybody = {process.name: process for process in processes}
    places, found = placed(everybody)
    found += out_of_order(everybody)
    found += out_of_turn(everybody)
    found += divided(everybody, places)
    found += refused(everybody)
    found += effect_before_cause(everybody, places)
    found += circles(everybody)
    return found


def placed(everybody: Mapping[str, Process]) -> tuple[dict[str, Place], list[str]]:
    """Each operation has one place, wherever it came, and no other one has the same."""
    places: dict[str, Place] = {}
    found = []
    for process in everybody.values():
        for got in process.got():
            if places.setdefault(got.id, got.place) != got.place:
                found.append(f"total order: {got.id} has two places")
    owners: dict[Place, str] = {}
    for id, place in places.items():
        if owners.setdefault(place, id) != id:
            found.append(f"total order: {id} and {owners[place]} have one place")
    return places, found


def out_of_order(everybody: Mapping[str, Process]) -> list[str]:
    """Total order: every process gets operations by their places, and each once."""
    found = []
    for process in everybody.values():
        got = process.got()
        for one, next in pairwise(got):
            if one.place >= next.place:
                found.append(f"total order: {process.name} got {next.id} after {one.id}")
        if len({each.id for each in got}) != len(got):
            found.append(f"total order: {process.name} got something twice")
    return found


def turn(id: str) -> tuple[str, int]:
    """Operations are named SENDER:NUMBER."""
    sender, number = id.split(":")
    return sender, int(number)


def out_of_turn(everybody: Mapping[str, Process]) -> list[str]:
    """FIFO: what one sends to another comes as it was sent."""
    found = []
    for process in everybody.values():
        last: dict[str, int] = {}
        for got in process.got():
            sender, number = turn(got.id)
            if number <= last.get(sender, -1):
                found.append(f"FIFO: {process.name} got {got.id} after {sender}:{last[sender]}")
            last[sender] = number
    return found


def divided(everybody: Mapping[str, Process], places: Mapping[str, Place]) -> list[str]:
    """Atomicity: what came to one comes to all who are left; and to those who were killed, if it
    was before the last that they got."""
    found = []
    had = {name: {got.id for got in process.got()} for name, process in everybody.items()}
    last = {name: [each.place for each in p.got()][-1:] for name, p in everybody.items()}
    done = ends_of_all(everybody)
    for id, to in destinations(everybody).items():
        happened = id in places or (id in done and not done[id].refused)
        for name in to:
            ends = everybody[name].killed and not (id in places and [places[id]] < last[name])
            if happened and not ends and id not in had[name]:
                found.append(f"atomicity: {id} did not come to {name}")
    return found


def destinations(everybody: Mapping[str, Process]) -> dict[str, tuple[str, ...]]:
    """Of all operations that anybody knows."""
    known: dict[str, tuple[str, ...]] = {}
    for process in everybody.values():
        for event in process.events:
            if isinstance(event, Start | Got):
                known[event.id] = event.to
    return known


def ends_of_all(everybody: Mapping[str, Process]) -> dict[str, Done]:
    """What their senders were told of operations."""
    return {e.id: e for p in everybody.values() for e in p.events if isinstance(e, Done)}


def refused(everybody: Mapping[str, Process]) -> list[str]:
    """A refused operation has no effect, and one that is done has the place that was said."""
    done = ends_of_all(everybody)
    found = []
    for process in everybody.values():
        for got in process.got():
            end = done.get(got.id)
            if end and end.refused:
                found.append(f"atomicity: {got.id} was refused and came to {process.name}")
            elif end and end.stamp != got.place[0]:
                found.append(f"total order: {got.id} has two stamps")
    return found


def effect_before_cause(everybody: Mapping[str, Process], places: Mapping[str, Place]) -> list[str]:
    """Causality through the bus: what a process sends is behind all that it got before."""
    found = []
    for process in everybody.values():
        seen = (0, 0)
        for event in process.events:
            if isinstance(event, Got):
                seen = max(seen, event.place)
            elif isinstance(event, Start) and places.get(event.id, (seen[0] + 1, 0)) <= seen:
                found.append(f"causality: {event.id} is before what its sender had got")
    return found


def circles(everybody: Mapping[str, Process]) -> list[str]:
    """Causality by whatever channel: there is an order of all operations in which each process got
    them, each sender sent them, and whatever had returned is before all that started later."""
    before: dict[str, set[str]] = {}
    for one, next in [*seen(everybody), *told(everybody), *clocked(everybody)]:
        before.setdefault(next, set()).add(one)
        before.setdefault(one, set())
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        ring = [each for each in error.args[1] if ":" in each]
        return [f"causality: no order has {' after '.join(ring)}"]
    return []


def seen(everybody: Mapping[str, Process]) -> Iterator[tuple[str, str]]:
    """Which operation is right before which, for one process."""
    for process in everybody.values():
        for one, next in pairwise(process.got()):
            yield one.id, next.id
        starts = [event for event in process.events if isinstance(event, Start)]
        for first, second in pairwise(starts):
            yield first.id, second.id


def told(everybody: Mapping[str, Process]) -> Iterator[tuple[str, str]]:
    """What a sender knew of: by what it had got, and by a side channel."""
    for process in everybody.values():
        last = ""
        for event in process.events:
            if isinstance(event, Got):
                last = event.id
            if isinstance(event, Start) and last:
                yield last, event.id
            if not isinstance(event, Done) and event.after:
                yield event.after, event.id


def clocked(everybody: Mapping[str, Process]) -> Iterator[tuple[str, str]]:
    """Through points of time: an operation is before that at which it returned, and behind that
    at which it started."""
    times = [(e.time, e) for p in everybody.values() for e in p.events if not isinstance(e, Got)]
    times.sort(key=lambda each: (each[0], isinstance(each[1], Done)))
    point = "at 0"
    for number, (_, event) in enumerate(times, 1):
        if isinstance(event, Start):
            yield point, event.id
        elif not event.refused:
            yield event.id, f"at {number}"
            yield point, f"at {number}"
            point = f"at {number}"


def counted(processes: Iterable[Process]) -> Iterator[tuple[str, int]]:
    """What was looked at."""
    every = [event for process in processes for event in process.events]
    yield "operations", len({event.id for event in every if isinstance(event, Start | Got)})
    yield "deliveries", sum(isinstance(event, Got) for event in every)
    yield "refused", sum(isinstance(event, Done) and event.refused for event in every)
    yield "told by a pipe", sum(isinstance(event, Start) and bool(event.after) for event in every)
