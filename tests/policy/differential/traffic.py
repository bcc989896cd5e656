"""Random traffic, from few words, so that rules and messages often meet."""

from __future__ import annotations

import random

from tests.policy.differential.desk import DO_NOT_QUEUE, METHODS, PEER, PROPERTIES
from tests.policy.differential.letters import Letter
from tests.policy.differential.members import Interest, Member
from tests.policy.differential.world import World
from tests.raw import CALL, DRIVER, DRIVER_PATH, ERROR, NO_AUTO_START, NO_REPLY, RETURN, SIGNAL

NAMES = ("com.example.A", "com.example.A.B", "com.example.Ab", "com.example", "org.other.C")
# The reference takes a broadcast signal of the first for a call to itself, and answers.
INTERFACES = (PEER, "com.example.I", "com.example.J", DRIVER, PROPERTIES)
MEMBERS = ("M", "N", "Ping", "NameOwnerChanged", "Get")
PATHS = ("/", "/a", "/a/b", DRIVER_PATH)
ERRORS = ("com.example.E", "com.example.F", "org.freedesktop.DBus.Error.AccessDenied")
QUERIES = ("GetId", "ListNames", "NameHasOwner", "GetNameOwner", "ListQueuedOwners")
LONGEST = 12  # letters of one client in one round
CHANGES = ("RequestName", "ReleaseName", "AddMatch")
NEVER_SENT = 1 << 19  # as a serial


class Traffic:
    def __init__(self, dice: random.Random, world: World) -> None:
        self.dice = dice
        self.world = world
        self.serials: dict[int, int] = {}
        self.old = 0  # all clients have used this serial before the round that is being made

    def serial(self, number: int) -> int:
        self.serials[number] = self.serials.get(number, 1) + 1
        return self.serials[number]

    def maybe(self, chance: float) -> bool:
        return self.dice.random() < chance

    # ---------------------------------------------------------------------- rounds

    def orders(self, member: Member) -> list[Letter]:
        """What one client asks of the bus that changes what may happen later."""
        return [self.order(member) for _ in range(self.dice.randint(1, 4))]

    def order(self, member: Member) -> Letter:
        what = self.dice.choices(CHANGES, (6, 1, 3))[0]
        if what == "AddMatch":
            return self.call_bus(member, what, str(self.interest()))
        name = self.dice.choice(NAMES)
        if what == "ReleaseName":
            return self.call_bus(member, what, name)
        flags = DO_NOT_QUEUE if self.maybe(0.2) else 0
        return self.call_bus(member, what, name, flags)

    def interest(self) -> Interest:
        """A match rule; half of them overhear what is for others."""
        dice = self.dice
        return Interest(
            self.maybe(0.5),
            dice.choice((0, 0, SIGNAL, SIGNAL, CALL, RETURN)),
            dice.choice(INTERFACES) if self.maybe(0.15) else None,
            dice.choice(PATHS) if self.maybe(0.15) else None,
        )

    def letters(self) -> dict[int, list[Letter]]:
        """What all clients send at once; none of it changes what the others may."""
        self.old = min((self.serials.get(number, 1) for number in self.world.members), default=1)
        return {
            number: [self.letter(member) for _ in range(self.dice.randint(1, LONGEST))]
            for number, member in self.world.members.items()
        }

    def letter(self, member: Member) -> Letter:
        roll = self.dice.random()
        if roll < 0.12:
            return self.query(member)
        if roll < 0.35:
            return self.signal(member, None)
        if roll < 0.45:
            return self.signal(member, self.destination())
        if roll < 0.75:
            return self.call(member)
        return self.reply(member)

    # -------------------------------------------------------------------- messages

    def guess(self) -> int:
        """A serial that has been used, or never will be: no matter whose letter is read first."""
        return self.dice.choice((self.dice.randint(1, self.old), NEVER_SENT))

    def destination(self) -> str:
        """Somebody, by unique or other name; rarely nobody."""
        if self.maybe(0.5):
            return self.dice.choice([each.unique for each in self.world.members.values()])
        taken = [name for name, queue in self.world.desk.queues.items() if queue]
        if taken and self.maybe(0.85):
            return self.dice.choice(taken)
        return self.dice.choice((*NAMES, DRIVER, ":1.99"))

    def signal(self, member: Member, destination: str | None) -> Letter:
        return self.make(
            SIGNAL,
            member,
            destination=destination,
            path=self.dice.choice(PATHS),
            interface=self.dice.choice(INTERFACES[destination is None :]),
            member_name=self.dice.choice(MEMBERS),
        )

    def call(self, member: Member) -> Letter:
        destination = self.destination()
        while destination == DRIVER:
            destination = self.destination()
        return self.make(
            CALL,
            member,
            destination=destination,
            path=self.dice.choice(PATHS),
            interface=None if self.maybe(0.25) else self.dice.choice(INTERFACES),
            member_name=self.dice.choice(MEMBERS),
            flags=self.dice.choice((0, 0, 0, 0, NO_REPLY, NO_AUTO_START)),
        )

    def reply(self, member: Member) -> Letter:
        """Mostly one that somebody waits for."""
        waiting = sorted(slot for slot in self.world.awaited if slot[1] == member.unique)
        again = sorted(slot for slot in self.world.lingering if slot[1] == member.unique)
        if again and self.maybe(0.15):
            destination, _, serial = self.dice.choice(again)
        elif waiting and self.maybe(0.85):
            destination, _, serial = self.dice.choice(waiting)
        else:
            destination, serial = self.destination(), self.guess()
        kind = self.dice.choice((RETURN, ERROR))
        error = self.dice.choice(ERRORS) if kind == ERROR else None
        return self.make(kind, member, destination=destination, reply_serial=serial, error=error)

    def make(
        self, kind: int, member: Member, *, member_name: str | None = None, **fields: object
    ) -> Letter:
        """The message, sometimes with a field that its kind needs not have."""
        dice = self.dice
        extras = {
            "path": dice.choice(PATHS),
            "interface": dice.choice(INTERFACES),
            "member": dice.choice(MEMBERS),
            "error": dice.choice(ERRORS),
            "reply_serial": self.guess() if kind != CALL else NEVER_SENT,
        }
        said = {"member": member_name, **fields}
        for name, value in extras.items():
            if (
                said.get(name) is None
                and self.maybe(0.04)
                and (kind != CALL or name != "interface")
            ):
                said[name] = value
        fds = dice.randint(1, 3) if self.maybe(0.2) else 0
        return Letter(
            kind=kind,
            serial=self.serial(member.number),
            fds=fds,
            strange=self.maybe(0.04),
            **said,  # type: ignore[arg-type]
        )

    # ------------------------------------------------------------------------- bus

    def query(self, member: Member) -> Letter:
        """A call to the bus that changes nothing."""
        dice = self.dice
        if self.maybe(0.5):
            what = dice.choice(QUERIES)
            wants_name = METHODS[what][1] == "s"
            args = (dice.choice((*NAMES, DRIVER, ":1.0")),) if wants_name else ()
            return self.call_bus(member, what, *args)
        if self.maybe(0.3):
            return self.call_bus(member, "Nope", interface=dice.choice((None, *INTERFACES)))
        if self.maybe(0.2):
            kind = dice.choice((SIGNAL, RETURN, ERROR))  # the bus takes no notice of these
            serial = 0 if kind == SIGNAL else NEVER_SENT
            error = dice.choice(ERRORS) if kind == ERROR else None
            fields = {"path": dice.choice(PATHS), "interface": dice.choice(INTERFACES)}
            return self.make(
                kind,
                member,
                destination=DRIVER,
                member_name="M",
                reply_serial=serial,
                error=error,
                **fields,
            )
        if self.maybe(0.3):
            return self.call_bus(member, "Get", DRIVER, "Features")
        what = dice.choice(("Ping", "GetMachineId", "Introspect"))
        return self.call_bus(member, what)

    def call_bus(
        self, member: Member, what: str, *args: object, interface: str | None = ""
    ) -> Letter:
        known, signature = METHODS.get(what, ("", ""))
        if interface == "":
            interface = None if self.maybe(0.2) else known
        path = DRIVER_PATH if known == PROPERTIES or self.maybe(0.7) else self.dice.choice(PATHS)
        changes = what in CHANGES
        return Letter(
            kind=CALL,
            serial=self.serial(member.number),
            fds=0 if changes or self.maybe(0.9) else self.dice.randint(1, 3),
            reply_serial=0 if changes or self.maybe(0.95) else NEVER_SENT,
            strange=self.maybe(0.04),
            destination=DRIVER,
            path=path,
            interface=interface,
            member=what,
            signature=signature,
            args=args,
        )
