"""Activation and monitors against a small slow model: clients, services and systemd come, go, fail
and take too long in any order, and everybody reads exactly what the model says, in its order.

MODEL_RUNS=N makes it longer (default 150).
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.driver import announce
from policy.configuration import Configuration, Quota
from policy.limits import Limits
from policy.rule import Origin
from tests import policies
from tests.activation.bench import service
from tests.raw import (
    CALL,
    DESTINATION,
    DRIVER,
    ERROR,
    NO_AUTO_START,
    NO_REPLY,
    REPLY_SERIAL,
    RETURN,
    SIGNAL,
    Message,
    call_fields,
)
from tests.routing.world import UID, Party, World

RUNS = int(os.environ.get("MODEL_RUNS", "150"))
ROOT, STRANGER = 0, 7  # besides UID, whose bus it is; root only watches, and has little room
SYSTEMD = "org.freedesktop.systemd1"
SERVICES = {
    each.name: each
    for each in (
        service("n.A"),
        service("n.B"),  # the same words as n.A
        service("n.C", "/run/c"),
        service("n.Unit", "/bin/false", unit="one.service"),
        service("n.Units", "/bin/false", unit="one.service"),
        service("n.Denied"),
    )
}
NAMES = [*SERVICES, SYSTEMD, "n.Plain"]
TO_START = [*NAMES, "n.Unit", "n.Units"]
TO_OWN = [SYSTEMD, *(name for name in NAMES if name != "n.Denied")]
OWNERS = "type='signal',member='NameOwnerChanged'"
WATCHED: dict[str, tuple[str, set[int]]] = {
    "all": ("", {CALL, RETURN, ERROR, SIGNAL}),
    "signals": ("type='signal'", {SIGNAL}),
    "asked": ("type='method_call'", {CALL}),
    "answers": ("type='error'", {ERROR}),
}
ROOM = Quota("0", None, (("max_outgoing_messages", 6),), Origin("test", 1))


class Line(NamedTuple):
    """A message in short. The number is its serial, or that of what it answers; the bus's own
    serials are not foretold."""

    kind: int
    sender: str | None
    to: str | None
    text: str
    number: int


def line_of(message: Message) -> Line:
    number = message.reply_to or (0 if message.sender == DRIVER else message.serial)
    return Line(message.kind, message.sender, message.destination, str(message), number)


@dataclass(eq=False)
class Somebody:
    """A client: `due` is what it is to read next, `owes` are the calls that it has not answered,
    `watches` the types of messages that it sees as a monitor."""

    party: Party
    uid: int
    fds: bool
    hears: bool
    due: list[Line] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    owes: list[tuple[Somebody, int]] = field(default_factory=list)
    watches: set[int] | None = None
    gone: bool = False
    stuck: bool = False

    @property
    def name(self) -> str:
        return self.party.name

    def is_client(self) -> bool:
        return not self.gone and self.watches is None


class Parked(NamedTuple):
    """A message that waits; of the bus itself if it has no sender."""

    sender: Somebody | None
    line: Line
    flags: int = 0
    fds: int = 0
    start: bool = False


@dataclass(eq=False)
class Start:
    """A service on its way; `words` are those of its process, if it is one."""

    name: str
    unit: str | None
    words: str | None
    due: float
    parked: list[Parked] = field(default_factory=list)


class Model:
    """What should happen: who is there, who owns what, what waits for what. It does everything
    the obvious way."""

    def __init__(self, by_systemd: bool) -> None:
        self.by_systemd = by_systemd
        self.everybody: list[Somebody] = []
        self.owners: dict[str, Somebody] = {}
        self.starts: dict[str, Start] = {}
        self.processes: list[Start | None] = []
        self.shelf = dict(SERVICES)
        self.limits = Limits()
        self.unsendable: set[str] = set()
        self.unreceivable: set[str] = set()
        self.broken = False
        self.now = 0.0

    # ------------------------------------------------------------------ who reads what

    def show(self, line: Line, fds: int = 0) -> None:
        for each in self.everybody:
            if each.watches is not None and line.kind in each.watches and (each.fds or not fds):
                each.due.append(line)

    def tell(self, one: Somebody, kind: int, text: str, number: int = 0) -> None:
        line = Line(kind, DRIVER, one.name, text, number)
        self.show(line)
        one.due.append(line)

    def refuse(self, one: Somebody, line: Line, error: str) -> None:
        self.tell(one, ERROR, f"!{error}", line.number)

    def cast(self, text: str) -> None:
        line = Line(SIGNAL, DRIVER, None, text, 0)
        self.show(line)
        for each in self.everybody:
            if each.is_client() and each.hears and text.startswith("NameOwnerChanged"):
                each.due.append(line)

    def asked(self, one: Somebody, text: str) -> Line:
        """It calls the bus."""
        line = Line(CALL, one.name, DRIVER, text, one.party.serial)
        self.show(line)
        return line

    # ------------------------------------------------------------------ messages

    def owner(self, name: str) -> Somebody | None:
        found = [each for each in self.everybody if each.is_client() and each.name == name]
        return found[0] if found else self.owners.get(name)

    def send(self, sender: Somebody, line: Line, flags: int, fds: int) -> None:
        owner = self.owner(str(line.to))
        if owner is not None:
            self.show(line, fds)
            self.deliver(owner, Parked(sender, line, flags, fds))
            return
        error = self.park(Parked(sender, line, flags, fds), str(line.to))
        self.show(line, fds)
        if error:
            self.refuse(sender, line, error)

    def deliver(self, owner: Somebody, parked: Parked) -> None:
        sender, line = parked.sender, parked.line
        member = line.text.partition("(")[0]
        if sender is None:
            if member not in self.unreceivable:
                owner.due.append(line)
        elif member in self.unsendable | self.unreceivable:
            self.refuse(sender, line, "AccessDenied")
        elif parked.fds and not owner.fds:
            self.refuse(sender, line, "NotSupported")
        else:
            owner.due.append(line)
            if line.kind == CALL and not parked.flags & NO_REPLY:
                owner.owes.append((sender, line.number))

    # ------------------------------------------------------------------ activation

    def waiting(self) -> list[Parked]:
        return [parked for start in self.starts.values() for parked in start.parked]

    def park(self, parked: Parked, name: str) -> str:
        """An error, or it waits."""
        sender, line = parked.sender, parked.line
        assert sender is not None
        if name.startswith(":"):
            return "NameHasNoOwner" if parked.flags & NO_AUTO_START else "ServiceUnknown"
        if parked.flags & NO_AUTO_START:
            return "NameHasNoOwner"
        mine = sum(1 for each in self.waiting() if each.sender and each.sender.uid == sender.uid)
        if mine >= self.limits.max_pending_service_starts:
            return "LimitsExceeded"
        itself = self.by_systemd and name == SYSTEMD
        if not itself and name not in self.shelf:
            return "ServiceUnknown"
        if parked.start and name in self.owners:
            self.tell(sender, RETURN, "=(2)", line.number)
            return ""
        denied = name == "n.Denied" or line.text.partition("(")[0] in self.unsendable
        if denied and not itself and not parked.start:
            return "AccessDenied"
        return self.wait(parked, name)

    def wait(self, parked: Parked, name: str) -> str:
        if name not in self.starts:
            half = self.limits.service_start_timeout / 2000
            start = Start(name, None, None, self.now + half + half)
            self.starts[name] = start
            error = "" if self.by_systemd and name == SYSTEMD else self.begin(start)
            if error:
                del self.starts[name]
                return error
        self.starts[name].parked.append(parked)
        return ""

    def begin(self, start: Start) -> str:
        found = self.shelf[start.name]
        if self.by_systemd and found.unit:
            start.unit = found.unit
            return self.tell_systemd(SIGNAL, SYSTEMD, f"ActivationRequest({found.unit})")
        if self.broken:
            return "ExecFailed"
        start.words = found.command
        self.processes.append(start)
        return ""

    def tell_systemd(self, kind: int, to: str, text: str) -> str:
        line, owner = Line(kind, DRIVER, to, text, 0), self.owners.get(SYSTEMD)
        self.show(line)
        if owner is not None:
            denied = text.partition("(")[0] in self.unreceivable
            self.deliver(owner, Parked(None, line))
            return "AccessDenied" if denied else ""
        own = [each for each in self.waiting() if each.sender is None]
        if len(own) >= self.limits.max_pending_service_starts:
            return "LimitsExceeded"
        return self.wait(Parked(None, line), SYSTEMD)

    def own(self, one: Somebody, name: str, line: Line) -> None:
        result = 1
        if name in self.owners:
            result = 4 if self.owners[name] is one else 3
        else:
            self.owners[name] = one
            one.names.append(name)
            self.cast(f"NameOwnerChanged({name},,{one.name})")
            start = self.starts.pop(name, None)
            parked = start.parked if start else []
            for each in parked:
                if each.start and each.sender:
                    self.tell(each.sender, RETURN, "=(1)", each.line.number)
            self.tell(one, SIGNAL, f"NameAcquired({name})")
            for each in parked:
                if not each.start:
                    self.deliver(one, each)
        self.tell(one, RETURN, f"=({result})", line.number)

    def release(self, one: Somebody, name: str, line: Line) -> None:
        result = 2 if name not in self.owners else 1 if self.owners[name] is one else 3
        if result == 1:
            self.drop(one, name, there=True)
        self.tell(one, RETURN, f"=({result})", line.number)

    def drop(self, one: Somebody, name: str, there: bool) -> None:
        if name != one.name:
            one.names.remove(name)
            del self.owners[name]
        lost = Line(SIGNAL, DRIVER, one.name, f"NameLost({name})", 0)
        self.show(lost)
        if there:
            one.due.append(lost)
        self.cast(f"NameOwnerChanged({name},{one.name},)")

    def fail(self, start: Start, error: str) -> None:
        del self.starts[start.name]
        for each in start.parked:
            if each.sender:
                self.refuse(each.sender, each.line, error)

    def ended(self, number: int, status: int) -> None:
        start, self.processes[number] = self.processes[number], None
        if start is None or self.starts.get(start.name) is not start or not status:
            return
        error = "ChildExited" if status > 0 else "ChildSignaled"
        for each in list(self.starts.values()):
            if each.words == start.words:
                self.fail(each, error)

    def turn(self, seconds: float) -> None:
        self.now += seconds
        for each in sorted(self.starts.values(), key=lambda each: each.due):
            if each.due <= self.now:
                self.fail(each, "TimedOut")

    # ------------------------------------------------------------------ coming and going

    def forget(self, one: Somebody) -> None:
        """What it has waiting for services, and who listens."""
        for start in self.starts.values():
            start.parked = [each for each in start.parked if each.sender is not one]
        one.hears = False

    def unanswered(self, one: Somebody) -> None:
        for caller, serial in one.owes:
            if caller.is_client():
                caller.due.append(Line(ERROR, DRIVER, caller.name, "!NoReply", serial))
        one.owes.clear()

    def leave(self, one: Somebody) -> None:
        was = one.is_client()
        one.gone = True
        self.everybody.remove(one)
        if not was:
            return
        self.forget(one)
        for name in [*one.names[::-1], one.name]:
            self.drop(one, name, there=False)
        self.unanswered(one)

    def watch(self, one: Somebody, types: set[int], line: Line) -> None:
        self.tell(one, RETURN, "=()", line.number)
        self.forget(one)
        for name in [one.name, *one.names]:
            self.drop(one, name, there=True)
        one.watches = types
        self.unanswered(one)


# ------------------------------------------------------------------------------ the two


def copies(fd: int) -> int:
    """How many descriptors of this process are of the same file."""
    file = os.fstat(fd)
    found = 0
    for each in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the listing itself
            found += os.path.samestat(os.stat(f"/proc/self/fd/{each}"), file)
    return found


who = st.integers(0, 11)


class Busy(RuleBasedStateMachine):
    """Each step happens in the world and in the model, and then all read who are not stuck."""

    @initialize(by_systemd=st.booleans(), there=st.booleans())
    def begin(self, by_systemd: bool, there: bool) -> None:
        self.pipe = os.pipe()
        self.model = Model(by_systemd)
        self.world = World(
            configuration=self.configuration(), services=[*SERVICES.values()], by_systemd=by_systemd
        )
        for uid in (UID, UID, STRANGER):
            self.arrive(uid, True, True)
        if there:
            self.own(0, SYSTEMD)

    def configuration(self) -> Configuration:
        model = self.model
        rules = [policies.rule(False, "send", member=each) for each in sorted(model.unsendable)]
        rules += [policies.rule(False, "receive", member=e) for e in sorted(model.unreceivable)]
        denied = policies.rule(False, "send", name="n.Denied")
        return policies.rules(*rules, denied, limits=model.limits, quotas=(ROOM,))

    def pick(self, number: int) -> Somebody:
        clients = [each for each in self.model.everybody if each.is_client()]
        return clients[number % len(clients)]

    def room(self) -> bool:
        return len(self.model.everybody) < 8

    def watchers(self) -> int:
        """More that are full would leave no room for one that is not."""
        return sum(each.uid == ROOT for each in self.model.everybody)

    def clients(self) -> int:
        return sum(1 for each in self.model.everybody if each.is_client())

    # ------------------------------------------------------------------ clients

    @precondition(room)
    @rule(uid=st.sampled_from([UID, UID, STRANGER]), fds=st.booleans(), hears=st.booleans())
    def join(self, uid: int, fds: bool, hears: bool) -> None:
        self.arrive(uid, fds, hears)

    def arrive(self, uid: int, fds: bool, hears: bool) -> Somebody:
        party, model = self.world.connect(uid=uid, fds=fds), self.model
        model.show(Line(CALL, None, DRIVER, "Hello()", 1))
        model.show(Line(RETURN, DRIVER, party.name, f"=({party.name})", 1))
        model.cast(f"NameOwnerChanged({party.name},,{party.name})")
        model.show(Line(SIGNAL, DRIVER, party.name, f"NameAcquired({party.name})", 0))
        one = Somebody(party, uid, fds, hears)
        model.everybody.append(one)
        if hears:
            party.call("AddMatch", "s", OWNERS)
            model.tell(one, RETURN, "=()", model.asked(one, f"AddMatch({OWNERS})").number)
        return one

    @precondition(lambda self: self.clients() > 1 or len(self.model.everybody) > 2)
    @rule(number=who)
    def leave(self, number: int) -> None:
        one = self.model.everybody[number % len(self.model.everybody)]
        if one.is_client() and self.clients() < 2:
            return
        one.party.close()
        self.model.leave(one)

    @precondition(lambda self: self.clients() > 1)
    @rule(number=who, wanted=st.sampled_from(sorted(WATCHED)))
    def watch(self, number: int, wanted: str) -> None:
        self.become_monitor(self.pick(number), wanted)

    @precondition(lambda self: self.room() and self.watchers() < 3)
    @rule(wanted=st.sampled_from(sorted(WATCHED)), fds=st.booleans(), stuck=st.booleans())
    def look_on(self, wanted: str, fds: bool, stuck: bool) -> None:
        one = self.arrive(ROOT, fds, False)
        self.become_monitor(one, wanted)
        one.stuck = stuck

    def become_monitor(self, one: Somebody, wanted: str) -> None:
        text, types = WATCHED[wanted]
        rules = [text] if text else []
        one.party.call("BecomeMonitor", "asu", rules, 0, interface=DRIVER + ".Monitoring")
        line = self.model.asked(one, f"BecomeMonitor({rules},0)")
        if one.uid == STRANGER:
            self.model.refuse(one, line, "AccessDenied")
        else:
            self.model.watch(one, types, line)

    @rule(number=who)
    def stick(self, number: int) -> None:
        """A monitor stops reading, or begins again."""
        watching = [each for each in self.model.everybody if each.watches]
        if watching:
            one = watching[number % len(watching)]
            one.stuck = not one.stuck

    # ------------------------------------------------------------------ names and messages

    @rule(number=who, name=st.sampled_from(TO_OWN))
    def own(self, number: int, name: str) -> None:
        one = self.pick(number)
        one.party.call("RequestName", "su", name, 4)
        self.model.own(one, name, self.model.asked(one, f"RequestName({name},4)"))

    @rule(number=who, name=st.sampled_from(NAMES))
    def release(self, number: int, name: str) -> None:
        one = self.pick(number)
        one.party.call("ReleaseName", "s", name)
        self.model.release(one, name, self.model.asked(one, f"ReleaseName({name})"))

    @rule(
        number=who,
        to=st.one_of(st.sampled_from(TO_START), who),
        kind=st.sampled_from([CALL, CALL, SIGNAL]),
        member=st.sampled_from(["M", "Secret"]),
        flags=st.sampled_from([0, 0, NO_REPLY, NO_AUTO_START]),
        fds=st.booleans(),
        times=st.integers(1, 3),
    )
    def send(
        self, number: int, to: str | int, kind: int, member: str, flags: int, fds: bool, times: int
    ) -> None:
        one = self.pick(number)
        to = self.pick(to).name if isinstance(to, int) else to
        for _ in range(times):
            body: tuple[str, list[Any]] = ("h", [0]) if fds else ("", [])
            numbers = [self.pipe[0]] if fds else []
            fields = call_fields(to, "/p", "a.b", member)
            serial = one.party.send(kind, fields, *body, fds=numbers, flags=flags)
            line = Line(kind, one.name, to, f"{member}({'0' if fds else ''})", serial)
            self.model.send(one, line, flags, int(fds))

    @rule(number=who)
    def broadcast(self, number: int) -> None:
        one = self.pick(number)
        serial = one.party.signal("B")
        self.model.show(Line(SIGNAL, one.name, None, "B()", serial))

    @rule(number=who, which=who)
    def answer(self, number: int, which: int) -> None:
        """One that it owes, in any order; who asked may be gone."""
        one = self.pick(number)
        if one.owes:
            caller, serial = one.owes.pop(which % len(one.owes))
            fields = [(DESTINATION, caller.name), (REPLY_SERIAL, serial)]
            own = one.party.send(RETURN, fields, "s", ["answer"])
            line = Line(RETURN, one.name, caller.name, "=(answer)", serial)
            self.model.show(line)
            if caller.is_client():
                caller.due.append(line)
            else:
                self.model.refuse(one, line._replace(number=own), "ServiceUnknown")

    # ------------------------------------------------------------------ services

    @rule(number=who, name=st.sampled_from(TO_START))
    def start(self, number: int, name: str) -> None:
        one = self.pick(number)
        one.party.call("StartServiceByName", "su", name, 0)
        line = self.model.asked(one, f"StartServiceByName({name},0)")
        error = self.model.park(Parked(one, line, start=True), name)
        if error:
            self.model.refuse(one, line, error)

    @rule(number=who, status=st.sampled_from([0, 3, -9]))
    def end(self, number: int, status: int) -> None:
        """A process ends, in time or long after."""
        running = [at for at, each in enumerate(self.model.processes) if each is not None]
        if running:
            at = running[number % len(running)]
            self.world.bench.started[at].ended(status)
            self.model.ended(at, status)

    @rule(seconds=st.sampled_from([0.7, 1.9, 5.3]))
    def turn(self, seconds: float) -> None:
        self.world.bench.turn(seconds)
        self.model.turn(seconds)

    @rule(broken=st.booleans())
    def break_programs(self, broken: bool) -> None:
        self.model.broken = broken
        self.world.bench.wrong = FileNotFoundError(2, "No such file") if broken else None

    @rule(
        most=st.sampled_from([2, 5, 500]),
        time=st.sampled_from([3000, 7000]),
        unsendable=st.sets(st.sampled_from(["M", "Secret"]), max_size=1),
        unreceivable=st.sets(st.sampled_from(["Secret", "ActivationRequest"])),
        absent=st.sets(st.sampled_from(sorted(SERVICES)), max_size=2),
    )
    def reload(
        self, most: int, time: int, unsendable: set[str], unreceivable: set[str], absent: set[str]
    ) -> None:
        model = self.model
        model.limits = Limits(max_pending_service_starts=most, service_start_timeout=time)
        model.unsendable, model.unreceivable = unsendable, unreceivable
        model.shelf = {name: each for name, each in SERVICES.items() if name not in absent}
        configuration = self.configuration()
        self.world.shelf.held = dict(model.shelf)
        self.world.hub.adopt(configuration, policies.policy(configuration))
        announce.services_changed(self.world.hub)
        model.cast("ActivatableServicesChanged()")

    @rule(number=who, unit=st.sampled_from(["one.service", "other.service"]))
    def complain(self, number: int, unit: str) -> None:
        """ActivationFailure, of systemd or forged."""
        one, model = self.pick(number), self.model
        if SYSTEMD in model.owners and number % 3:
            one = model.owners[SYSTEMD]
        place = {"to": DRIVER, "path": "/p", "interface": f"{SYSTEMD}.Activator"}
        said = (unit, "e.Nope", "no")
        serial = one.party.signal("ActivationFailure", "sss", *said, **place)
        if model.by_systemd and model.owners.get(SYSTEMD) is one and one.uid != STRANGER:
            for start in [each for each in model.starts.values() if each.unit == unit]:
                model.fail(start, "Nope")
        text = f"ActivationFailure({','.join(said)})"
        model.show(Line(SIGNAL, one.name, DRIVER, text, serial))

    @rule(number=who)
    def set_environment(self, number: int) -> None:
        one, model = self.pick(number), self.model
        one.party.call("UpdateActivationEnvironment", "a{ss}", {"A": "1"})
        line = model.asked(one, "UpdateActivationEnvironment({'A': '1'})")
        error = "AccessDenied" if one.uid == STRANGER else ""
        if not error and model.by_systemd:
            to = model.owners[SYSTEMD].name if SYSTEMD in model.owners else SYSTEMD
            error = model.tell_systemd(CALL, to, "SetEnvironment(['A=1'])")
        if error:
            model.refuse(one, line, error)
        else:
            model.tell(one, RETURN, "=()", line.number)

    # ------------------------------------------------------------------ the law

    @invariant()
    def all_read_what_is_due(self) -> None:
        for each in [each for each in self.model.everybody if each.is_client()]:
            assert [line_of(m) for m in each.party.take()] == each.due
            for line in each.due:
                if line.text == "!NoReply":  # made when it is read
                    self.model.show(line)
            each.due.clear()
            each.party.kept.clear()
        for each in self.model.everybody:
            if each.watches is not None and not each.stuck:
                self.read(each)

    def read(self, one: Somebody) -> None:
        """A monitor reads up to its gap, and beyond."""
        shown = [line_of(m) for m in one.party.take()]
        while one.party.client.missed:
            self.world.hub.catch_up(one.party.client)
            shown += [line_of(m) for m in one.party.take()]
        for line in shown:
            if line.text.startswith("Lost("):
                count = int(line.text[5:-1])
                assert count <= len(one.due)
                del one.due[:count]
            else:
                assert line == one.due.pop(0)
        assert one.due == []
        one.party.kept.clear()

    @invariant()
    def who_waits_pays(self) -> None:
        activation, model = self.world.activation, self.model
        assert list(activation.pending) == list(model.starts)
        waiting = [each for each in model.waiting() if each.sender]
        users = Counter(each.sender.uid for each in waiting if each.sender)
        assert activation.room.users == users
        for one in [each for each in model.everybody if each.is_client()]:
            mine = [each for each in waiting if each.sender is one]
            held = one.party.client.peer.query()
            assert (held.messages, held.fds) == (len(mine), sum(each.fds for each in mine))
            assert bool(held.bytes) == bool(mine)
            awaited = [each for other in model.everybody for each in other.owes]
            assert one.party.client.awaited == sum(caller is one for caller, _ in awaited)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        for one in self.model.everybody:
            one.stuck = False
        self.all_read_what_is_due()
        self.turn(100)
        self.all_read_what_is_due()
        assert self.world.activation.pending == {}
        assert [each for each in self.world.bench.alarms if not each.over] == []
        self.world.bench.wrong = None
        self.world.end()
        os.close(self.pipe[1])
        with os.fdopen(self.pipe[0]):
            assert copies(self.pipe[0]) == 1


Busy.TestCase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
test_all_goes_as_the_model_says = Busy.TestCase
