"""The bus itself, as far as it is asked here: its methods, and who has which name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.policy.differential.court import Decision
from tests.policy.differential.letters import Letter, answer, key_of
from tests.policy.differential.members import Interest, Member
from tests.raw import CALL, DRIVER, ERROR, RETURN

if TYPE_CHECKING:
    from tests.policy.differential.world import World

DO_NOT_QUEUE = 4
PEER = "org.freedesktop.DBus.Peer"
PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"

# The bus's own methods that are called here: their interfaces, and their arguments.
METHODS = {
    "RequestName": (DRIVER, "su"),
    "ReleaseName": (DRIVER, "s"),
    "AddMatch": (DRIVER, "s"),
    "GetId": (DRIVER, ""),
    "ListNames": (DRIVER, ""),
    "NameHasOwner": (DRIVER, "s"),
    "GetNameOwner": (DRIVER, "s"),
    "ListQueuedOwners": (DRIVER, "s"),
    "Ping": (PEER, ""),
    "GetMachineId": (PEER, ""),
    "Introspect": (INTROSPECTABLE, ""),
    "Get": (PROPERTIES, "ss"),
}


class Desk:
    """One bus's own methods. `queues` has who owns and who waits for a name."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.queues: dict[str, list[Member]] = {}

    def owner(self, name: str) -> Member | None:
        queue = self.queues.get(name)
        return queue[0] if queue else self.world.find(name)

    def exists(self, name: str) -> bool:
        return name == DRIVER or self.owner(name) is not None

    def ask(self, sender: Member, letter: Letter) -> Iterator[Decision]:
        """A message to the bus: only calls mean anything to it, and what it does not refuse
        can be overheard."""
        world = self.world
        ruling = world.court.rule(sender, None, letter)
        if not ruling.allowed:
            refusal = answer(sender.unique, ERROR, letter.serial)
            hears = world.court.rule(None, sender, refusal, requested=True).allowed
            key = key_of(DRIVER, refusal)
            yield Decision("send", sender.number, key, hears, hears, ruling, ruling.words)
            return
        error = ""
        if letter.kind == CALL:
            error, decisions = self.perform(sender, letter)
            yield from decisions
            said = answer(sender.unique, ERROR if error else RETURN, letter.serial, error)
            yield from world.tell(sender, said, "own" if letter.member == "RequestName" else "send")
        if not error:
            yield from world.spread(sender, None, letter, "eavesdrop")

    def perform(self, sender: Member, letter: Letter) -> tuple[str, list[Decision]]:
        """What a call does: its error ("": none), and what else is seen."""
        interface, signature = METHODS.get(letter.member or "", ("", None))
        if letter.interface not in (None, interface):
            known = letter.interface in (DRIVER, PEER, PROPERTIES, INTROSPECTABLE)
            return "UnknownMethod" if known else "UnknownInterface", []
        if signature is None:
            return "UnknownMethod", []
        match letter.member:
            case "RequestName":
                name, flags = letter.args
                if not self.world.court.owns(sender, name):
                    return "AccessDenied", []
                return "", self.request(sender, name, flags)
            case "ReleaseName":
                return "", self.release(sender, letter.args[0])
            case "AddMatch":
                interest = Interest.parse(letter.args[0])
                if interest.eavesdrop and sender.identity.user != 0:
                    return "AccessDenied", []  # only root and the bus's own user may overhear
                sender.interests.append(interest)
            case "GetNameOwner" | "ListQueuedOwners" if not self.exists(letter.args[0]):
                return "NameHasNoOwner", []
        return "", []

    def request(self, sender: Member, name: str, flags: int) -> list[Decision]:
        """Own a name, or wait for it."""
        queue = self.queues.setdefault(name, [])
        decisions: list[Decision] = []
        if not queue:
            decisions += self.world.renamed(name, "", sender.unique)
            decisions += self.world.told(sender, "NameAcquired", name)
        if sender not in queue:
            if not queue or not flags & DO_NOT_QUEUE:
                queue.append(sender)
                sender.names.append(name)
        elif flags & DO_NOT_QUEUE and queue[0] is not sender:
            queue.remove(sender)
            sender.names.remove(name)
        return decisions

    def release(self, sender: Member, name: str, *, gone: bool = False) -> list[Decision]:
        """No longer own or wait for it; `gone`: the client is not there any more."""
        queue = self.queues.get(name, [])
        if sender not in queue:
            return []
        decisions: list[Decision] = []
        if queue[0] is sender:
            heir = queue[1].unique if len(queue) > 1 else ""
            if not gone:
                decisions += self.world.told(sender, "NameLost", name)
            decisions += self.world.renamed(name, sender.unique, heir)
            if heir:
                decisions += self.world.told(queue[1], "NameAcquired", name)
        queue.remove(sender)
        sender.names.remove(name)
        return decisions
