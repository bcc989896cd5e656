"""What should happen: who is there, who waits for what, and who sees what of a message."""

from __future__ import annotations

from collections.abc import Iterator

from policy.policy import Policy
from tests.policy.differential.court import Court, Decision, Ruling
from tests.policy.differential.desk import Desk
from tests.policy.differential.letters import HELLO, Letter, answer, key_of, notice
from tests.policy.differential.members import Member
from tests.policy.differential.visitors import Identity
from tests.raw import CALL, DRIVER, ERROR, NO_AUTO_START, NO_REPLY, RETURN

Slot = tuple[str, str, int]  # who asked, who answers, and the serial of the question


class World:
    """The model of one bus. `awaited` are replies that somebody waits for, in the reference
    and in ours; `lingering` those that only ours still waits for."""

    def __init__(self, policy: Policy) -> None:
        self.court = Court(policy)
        self.members: dict[int, Member] = {}
        self.desk = Desk(self)
        self.awaited: set[Slot] = set()
        self.lingering: set[Slot] = set()
        self.arrivals = 0

    def adopt(self, policy: Policy) -> None:
        """Another policy holds from now on, for those who are here, too."""
        self.court = Court(policy)
        for member in self.members.values():
            member.access = self.court.access(member.identity)

    def find(self, unique: str) -> Member | None:
        for member in self.members.values():
            if member.unique == unique:
                return member
        return None

    # --------------------------------------------------------------- coming and going

    def may_enter(self, identity: Identity) -> tuple[bool, bool]:
        """In the reference, which asks the name service, and in ours, which does not."""
        registered = identity.registered()
        theirs = registered is not None and self.court.connects(identity.user, registered)
        return theirs, self.court.connects(identity.user, identity.groups)

    def enter(self, number: int, identity: Identity) -> list[Decision]:
        """A client says Hello."""
        member = Member(number, f":1.{self.arrivals}", identity, self.court.access(identity))
        self.arrivals += 1
        self.members[number] = member
        return [
            *self.renamed(member.unique, "", member.unique),
            *self.tell(member, answer(member.unique, RETURN, 1), "hello"),
            *self.told(member, "NameAcquired", member.unique),
            *self.spread(member, None, HELLO, "Hello", ours=False),
        ]

    def leave(self, number: int) -> list[Decision]:
        """A client is gone; who waited for its answers is told so."""
        leaver = self.members.pop(number)
        decisions: list[Decision] = []
        for name in list(leaver.names):
            decisions += self.desk.release(leaver, name, gone=True)
        decisions += self.renamed(leaver.unique, leaver.unique, "")
        for slots, sort in ((self.awaited, "receive"), (self.lingering, "second try")):
            for slot in [each for each in slots if leaver.unique in each[:2]]:
                slots.discard(slot)
                caller = self.find(slot[0])
                if caller is not None:
                    error = answer(caller.unique, ERROR, slot[2], "NoReply")
                    decisions += self.tell(caller, error, sort)
        return decisions

    # ----------------------------------------------------------------- what is sent

    def post(self, number: int, letter: Letter) -> Iterator[Decision]:
        """One client sends one message: all that follows."""
        sender = self.members[number]
        if letter.destination is None:
            yield from self.spread(sender, None, letter, "broadcast")
        elif letter.destination == DRIVER:
            yield from self.desk.ask(sender, letter)
        else:
            owner = self.desk.owner(letter.destination)
            if owner is None:
                error = "NameHasNoOwner" if letter.flags & NO_AUTO_START else "ServiceUnknown"
                refusal = answer(sender.unique, ERROR, letter.serial, error)
                yield from self.tell(sender, refusal, "receive")
            else:
                yield from self.deliver(sender, owner, letter)

    def deliver(self, sender: Member, owner: Member, letter: Letter) -> Iterator[Decision]:
        """To the one that it is addressed to, and to those who overhear what gets there."""
        slot = (owner.unique, sender.unique, letter.reply_serial)
        awaited, lingers = slot in self.awaited, slot in self.lingering
        theirs = ours = self.court.rule(sender, owner, letter, requested=awaited)
        sort, reply = "send", letter.kind in (RETURN, ERROR)
        if lingers:
            sort, ours = "second try", self.court.rule(sender, owner, letter, requested=True)
        elif reply and not awaited:
            sort, ours = "unrequested", Ruling(False)
        key = key_of(sender.unique, letter)
        yield Decision(sort, owner.number, key, theirs.allowed, ours.allowed, theirs)
        yield from self.refuse(sender, letter, sort, theirs, ours)
        self.use_up(slot, reply and ours.allowed)
        if theirs.allowed and letter.kind == CALL and not letter.flags & NO_REPLY:
            self.awaited.add((sender.unique, owner.unique, letter.serial))
        sort = "eavesdrop" if sort == "send" else sort
        yield from self.spread(sender, owner, letter, sort, theirs.allowed, ours.allowed)

    def refuse(
        self, sender: Member, letter: Letter, sort: str, theirs: Ruling, ours: Ruling
    ) -> Iterator[Decision]:
        """The sender is told what did not pass in the reference, or in ours."""
        if theirs.allowed and ours.allowed:
            return
        refusal = answer(sender.unique, ERROR, letter.serial)
        hears = self.court.rule(None, sender, refusal, requested=True)
        plain = sort == "send"
        yield Decision(
            "receive" if plain else sort,
            sender.number,
            key_of(DRIVER, refusal),
            hears.allowed and not theirs.allowed,
            hears.allowed and not ours.allowed,
            hears,
            theirs.words if plain else "",
        )

    def use_up(self, slot: Slot, answered: bool) -> None:
        """Something with this REPLY_SERIAL was sent: all that the reference looks at."""
        if slot in self.awaited:
            self.awaited.discard(slot)
            self.lingering.add(slot)
        if answered:
            self.lingering.discard(slot)

    def spread(
        self,
        sender: Member | None,
        owner: Member | None,
        letter: Letter,
        sort: str,
        theirs: bool = True,
        ours: bool = True,
    ) -> Iterator[Decision]:
        """To all who want it and are not the one that it is addressed to, unless it was refused,
        by the reference or by ours."""
        key = key_of(DRIVER if sender is None else sender.unique, letter)
        overheard = letter.destination is not None
        for member in self.members.values() if theirs or ours else ():
            if member is not owner and member.wants(letter):
                ruling = self.court.rule(sender, member, letter, eavesdropping=overheard)
                passes = ruling.allowed
                yield Decision(sort, member.number, key, passes and theirs, passes and ours, ruling)

    # ------------------------------------------------------------- what the bus sends

    def tell(self, member: Member, letter: Letter, sort: str) -> list[Decision]:
        """Something of the bus for one client."""
        ruling = self.court.rule(None, member, letter, requested=bool(letter.reply_serial))
        theirs = ruling.allowed and sort != "second try"
        key = key_of(DRIVER, letter)
        return [Decision(sort, member.number, key, theirs, ruling.allowed, ruling)]

    def told(self, member: Member, what: str, name: str) -> list[Decision]:
        return self.tell(member, notice(what, member.unique, name), "receive")

    def renamed(self, name: str, old: str, new: str) -> list[Decision]:
        letter = notice("NameOwnerChanged", None, name, old, new)
        return list(self.spread(None, None, letter, "broadcast"))
