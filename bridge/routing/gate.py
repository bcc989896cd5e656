"""What may pass: asks the policy about messages and names, and says why something may not.

The choke point of all verdicts. For nearly every message it is one look at the verdict that
its sender has at hand; only rules that name fields of the message are asked anew.
"""

import logging
from typing import TYPE_CHECKING

from bridge.routing.client import Client
from bridge.routing.denials import Denials
from bridge.routing.errors import ACCESS_DENIED, Refused
from bridge.routing.mediator import Mediator
from bridge.routing.name import Name
from bridge.routing.refusals import complaint, not_to_own, with_path
from bridge.wire.frame import Frame
from bridge.wire.protocol import DRIVER
from policy import console, explain
from policy.clause import Question
from policy.policy import Policy
from policy.rule import Rule
from policy.verdict import Standing, Verdict

if TYPE_CHECKING:
    from bridge.routing.grants import Grants

# policy/verdict.py: what a verdict says.
DENIED, ALLOWED, NOTED = 0, 1, 2

KERNEL = "a security module of the kernel denies it"

log = logging.getLogger("bus1.policy")


class Gate:
    """One bus's policy at work. `own` is the standing of the bus itself. While `permissive`,
    what is denied passes, and the log says that it should not. `mediator` is a security module of
    the kernel that is asked besides, if there is one: about each message, so no verdict is at hand
    then. `grants` are the rights that clients have granted each other, of a bus that has such."""

    def __init__(self, policy: Policy) -> None:
        self.question = Question()
        self.denials = Denials()
        self.mediator: Mediator | None = None
        self.grants: Grants | None = None
        self.policy = policy
        self.adopt(policy)

    def adopt(self, policy: Policy) -> None:
        """Judge by this policy from now on. Clients need an access under it: `admit`."""
        self.policy.forget()  # its verdicts are in cycles, which are seldom looked for
        self.policy = policy
        self.permissive = policy.permissive
        self.own: Standing = policy.standing(None, [DRIVER])
        self.depth = policy.depth
        self.denials.begin()

    def admit(self, client: Client) -> None:
        """Find the rules that hold for a client."""
        who = client.credentials
        at_console = self.policy.asks_console and console.is_at_console(who.uid)
        client.access = self.policy.access(who.uid, who.groups or (), at_console)
        client.unsettle()

    def set_permissive(self, on: bool, client: Client) -> None:
        """Somebody asks that denials be only logged, or that they happen again."""
        self.permissive = on
        log.warning("Permissive: %s, says %s (%s)", on, client.unique, client.who())

    # ------------------------------------------------------------------- standings

    def standing(self, client: Client | None) -> Standing:
        """Where the client stands with the names that it has now; None: the bus itself."""
        if client is None:
            return self.own
        if client.standing is None:
            names = [client.unique]
            for name in client.names or ():
                assert isinstance(name, Name)
                names.append(name.text)
            client.standing = self.policy.standing(client.access, names)
        return client.standing

    def between(
        self, sender: Client, receiver: Client | None, frame: Frame, requested: bool
    ) -> Verdict:
        """What the sender may send the receiver; the last such verdict is at hand. Raises Refused,
        if the kernel's security module says so."""
        target = self.own if receiver is None else receiver.standing
        if target is None:
            target = self.standing(receiver)
        verdict = sender.verdict
        if verdict is None or sender.judged is not target:
            verdict = self.verdict(self.standing(sender), target)
            if self.mediator is not None:
                self.mediate(sender, receiver, frame, requested)
                return verdict
            sender.verdict = verdict
            sender.judged = target
        return verdict

    def verdict(self, source: Standing, target: Standing) -> Verdict:
        """What may go from the one to the other."""
        verdict: Verdict | None = source.verdicts.get(target)
        if verdict is None:
            verdict = self.policy.verdict(source, target)
        return verdict

    # -------------------------------------------------------------------- messages

    def check(self, sender: Client, receiver: Client | None, frame: Frame, requested: bool) -> None:
        """May this be sent to the one it is addressed to (None: the bus)? Raises Refused."""
        verdict = self.between(sender, receiver, frame, requested)
        if (requested or not frame.reply_serial) and is_allowed(verdict, frame.kind, frame):
            return
        if self.ask(verdict, frame, requested, False) != ALLOWED:
            if frame.right is not None and self.entitled(frame, self.standing(receiver)):
                return
            if receiver is not None and self.granted(sender, receiver, frame):
                return
            self.complain(sender, receiver, frame, requested)

    def check_start(
        self, sender: Client, name: str, frame: Frame, label: str | None = None
    ) -> None:
        """May this be sent to a service that is not there yet? All that is known of it is this
        name, and what its file says of its label; what it may receive is asked when it is there.
        Raises Refused."""
        if self.mediator is not None:
            text = self.mediator.refuses_starting(sender, frame, label)
            self.refuse(sender, text)
        target = self.policy.standing(None, [name])
        if self.ask(self.verdict(self.standing(sender), target), frame, False, False) != ALLOWED:
            if frame.right is not None and self.entitled(frame, target):
                return
            self.complain(sender, None, frame, False, target)

    def entitled(self, frame: Frame, target: Standing) -> bool:
        """It came with a right that somebody had and passed on (bridge/gateway/right.py): may that
        one send it to whoever stands there?"""
        source: Standing = frame.right.standing(self.policy)
        return self.ask(self.verdict(source, target), frame, False, False) == ALLOWED

    def granted(self, sender: Client, receiver: Client, frame: Frame) -> bool:
        """Has the receiver itself granted the sender the right to this call?"""
        grants = self.grants
        if grants is None or not grants.count or frame.kind != 1 or frame.reply_serial:
            return False
        return grants.pass_by(sender, receiver, frame)

    def reaches(self, sender: Client | None, receiver: Client, frame: Frame) -> bool:
        """May the bus, or a broadcast of this sender, reach this client?"""
        verdict = self.verdict(self.standing(sender), self.standing(receiver))
        requested = sender is None and frame.reply_serial != 0
        if requested or not frame.reply_serial:
            slot = 5 if frame.destination_number < 0 and is_broadcast(frame) else frame.kind
            if is_allowed(verdict, slot, frame):
                return True
        outcome = self.ask(verdict, frame, requested, False)
        if outcome == ALLOWED:
            return True
        if outcome == DENIED and not self.permissive and is_broadcast(frame):
            return False  # as in the reference nobody is told of broadcasts
        try:
            self.complain(sender, receiver, frame, requested)
        except Refused:
            return False
        return True

    def overhears(self, sender: Client | None, receiver: Client, frame: Frame) -> bool:
        """May this client overhear a message to another? Nobody is told if not."""
        verdict = self.verdict(self.standing(sender), self.standing(receiver))
        outcome: int = self.ask(verdict, frame, False, True)
        if outcome == DENIED and not self.permissive:
            return False
        return self.mediator is None or bool(self.mediated(sender, [receiver], frame))

    def ask(self, verdict: Verdict, frame: Frame, requested: bool, eavesdropping: bool) -> int:
        """DENIED, ALLOWED or NOTED: looks at all fields of the message."""
        self.look(frame, requested, eavesdropping)
        return verdict.judge(self.question)

    def look(self, frame: Frame, requested: bool, eavesdropping: bool) -> None:
        """Have the message's fields in `question`."""
        question = self.question
        question.kind = frame.kind
        question.path = frame.path()
        question.interface = frame.interface()
        question.member = frame.member()
        question.error = frame.error_name()
        question.broadcast = is_broadcast(frame)
        question.reply = frame.reply_serial != 0
        question.requested = requested
        question.eavesdropping = eavesdropping
        question.fds = frame.fd_count
        question.texts = frame.arguments(self.depth) if self.depth else None

    def complain(
        self,
        sender: Client | None,
        receiver: Client | None,
        frame: Frame,
        requested: bool,
        target: Standing | None = None,
    ) -> None:
        """Log what the rules say of a message that is not simply allowed; Raises Refused if
        that is the end of it. `target`, if not where the receiver stands."""
        self.look(frame, requested, False)
        target = target or self.standing(receiver)
        found = explain.messages(self.standing(sender), target, self.question)
        denials = [each for each in found if not each.allowed]
        hard = [] if self.permissive else [e for e in denials if not is_permissive(e.rule)]
        for finding in hard[:1] or denials or found[:1]:
            what = f"Rejected {finding.about} message" if hard else "Would reject message"
            text = complaint(what, len(finding.rules), sender, receiver, frame, requested)
            if hard:
                self.denials.record(sender or receiver, with_path(text, frame), finding)
                raise Refused(ACCESS_DENIED, text)
            self.denials.remark(with_path(text, frame), finding)

    def objection(self, sender: Client | None, receiver: Client, frame: Frame) -> str:
        """What a sender (None: the bus) would be told of what may not reach this receiver."""
        self.look(frame, sender is None and frame.reply_serial != 0, False)
        found = explain.messages(self.standing(sender), self.standing(receiver), self.question)
        denials = [each for each in found if not each.allowed] or found
        what = f"Rejected {denials[0].about} message"
        return complaint(what, len(denials[0].rules), sender, receiver, frame, False)

    def unasked(self, sender: Client, receiver: Client | None, frame: Frame) -> Refused:
        """A reply that nobody waits for: whatever the rules say, it has no handle to go on."""
        self.look(frame, False, False)
        found = explain.messages(self.standing(sender), self.standing(receiver), self.question)
        what = "Rejected send message"
        text = complaint(what, len(found[0].rules), sender, receiver, frame, False)
        self.denials.record(sender, with_path(text, frame), None)
        return Refused(ACCESS_DENIED, text)

    # ---------------------------------------------------------------- the kernel's module

    def mediate(
        self, sender: Client, receiver: Client | None, frame: Frame, requested: bool
    ) -> None:
        """A message to one. Raises Refused: a bus that is permissive cannot change that."""
        assert self.mediator is not None
        text = self.mediator.refuses_sending(sender, receiver, frame, requested)
        if text is not None:
            self.denials.record(sender, with_path(text, frame), None, KERNEL)
            raise Refused(ACCESS_DENIED, text)

    def mediated(
        self, sender: Client | None, receivers: list[Client], frame: Frame
    ) -> list[Client]:
        """Those of them whom the sender may reach; nobody is told. The bus may reach all."""
        asked = self.mediator
        if asked is None or sender is None:
            return receivers
        return [each for each in receivers if not asked.refuses_sending(sender, each, frame, False)]

    def check_eavesdropping(self, client: Client) -> None:
        """May it see what is addressed to others? Raises Refused."""
        if self.mediator is not None:
            self.refuse(client, self.mediator.refuses_eavesdropping(client))

    def refuse(self, client: Client, text: str | None) -> None:
        """Log what the module said, if that is no, and say it to the client."""
        if text is not None:
            self.denials.record(client, f"{text} ({client.who()})", None, KERNEL)
            raise Refused(ACCESS_DENIED, text)

    # ----------------------------------------------------------------------- names

    def check_owning(self, client: Client, name: str) -> None:
        """May it own this name? Raises Refused."""
        assert client.access is not None  # it has said Hello
        if self.mediator is not None:
            self.refuse(client, self.mediator.refuses_owning(client, name))
        finding = explain.owning(client.access, name)
        if finding.allowed:
            return
        text = not_to_own(client, name)
        passes = self.permissive or is_permissive(finding.rule)
        logged = f"{text} ({client.who()})"
        if passes:
            self.denials.remark(f"Would refuse: {logged}", finding)
            return
        self.denials.record(client, logged, finding)
        raise Refused(ACCESS_DENIED, text)


def is_allowed(verdict: Verdict, slot: int, frame: Frame) -> bool:
    """Is it sure that an ordinary message of this slot passes? Its interface and member tell
    nearly always; if not, all its fields have to be asked."""
    if verdict.settled >> slot & 1:
        return bool(verdict.allowed >> slot & 1)
    case = verdict.case(slot, frame.interface())
    if case.outcome == 3:  # PERHAPS
        return case.with_member(frame.member()) == 1
    return case.outcome == 1  # ALLOWED


def is_broadcast(frame: Frame) -> bool:
    """A signal without a destination."""
    return frame.kind == 4 and frame.destination() is None


def is_permissive(rule: Rule | None) -> bool:
    """Does what this rule denies happen all the same?"""
    return rule is not None and rule.permissive
