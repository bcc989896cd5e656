"""What may pass: asks the policy about messages and names, and says why something may not.

The choke point of all verdicts. For nearly every message it is one look at the verdict that
its sender has at hand; only rules that name fields of the message are asked anew.
"""

import logging

from bridge.routing.client import Client
from bridge.routing.denials import Denials
from bridge.routing.errors import ACCESS_DENIED, Refused
from bridge.routing.names import Name
from bridge.routing.refusals import complaint, not_to_own, with_path
from bridge.wire.frame import Frame
from bridge.wire.protocol import DRIVER
from policy import console, explain
from policy.clause import Question
from policy.policy import Policy
from policy.rule import Rule
from policy.verdict import Standing, Verdict

# policy/verdict.py: what a verdict says.
DENIED, ALLOWED, NOTED = 0, 1, 2

log = logging.getLogger("bus1.policy")


class Gate:
    """One bus's policy at work. `own` is the standing of the bus itself. While `permissive`,
    what is denied passes, and the log says that it should not."""

    def __init__(self, policy: Policy) -> None:
        self.question = Question()
        self.denials = Denials()
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

    def between(self, sender: Client, receiver: Client | None) -> Verdict:
        """What the sender may send the receiver; the last such verdict is at hand."""
        target = self.own if receiver is None else receiver.standing
        if target is None:
            target = self.standing(receiver)
        verdict = sender.verdict
        if verdict is None or sender.judged is not target:
            verdict = self.verdict(self.standing(sender), target)
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
        verdict = self.between(sender, receiver)
        if (requested or not frame.reply_serial) and is_allowed(verdict, frame.kind, frame):
            return
        if self.ask(verdict, frame, requested, False) != ALLOWED:
            self.complain(sender, receiver, frame, requested)

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
        return outcome != DENIED or self.permissive

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
        self, sender: Client | None, receiver: Client | None, frame: Frame, requested: bool
    ) -> None:
        """Log what the rules say of a message that is not simply allowed; Raises Refused if
        that is the end of it."""
        self.look(frame, requested, False)
        found = explain.messages(self.standing(sender), self.standing(receiver), self.question)
        denials = [each for each in found if not each.allowed]
        hard = [] if self.permissive else [e for e in denials if not is_permissive(e.rule)]
        for finding in hard[:1] or denials or found[:1]:
            what = f"Rejected {finding.about} message" if hard else "Would reject message"
            text = complaint(what, len(finding.rules), sender, receiver, frame, requested)
            if hard:
                self.denials.record(sender or receiver, with_path(text, frame), finding)
                raise Refused(ACCESS_DENIED, text)
            self.denials.remark(with_path(text, frame), finding)

    def unasked(self, sender: Client, receiver: Client | None, frame: Frame) -> Refused:
        """A reply that nobody waits for: whatever the rules say, it has no handle to go on."""
        self.look(frame, False, False)
        found = explain.messages(self.standing(sender), self.standing(receiver), self.question)
        what = "Rejected send message"
        text = complaint(what, len(found[0].rules), sender, receiver, frame, False)
        self.denials.record(sender, with_path(text, frame), None)
        return Refused(ACCESS_DENIED, text)

    # ----------------------------------------------------------------------- names

    def check_owning(self, client: Client, name: str) -> None:
        """May it own this name? Raises Refused."""
        assert client.access is not None  # it has said Hello
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
