"""A Right: to call one name, as far as the policy lets him call it to whom it was given first.

Whoever has the handle has the right. It decides about messages, and sends none.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

from bridge.routing.credentials import Credentials
from bridge.routing.denials import reason
from bridge.routing.errors import ACCESS_DENIED, INVALID_ARGS, Refused
from bridge.wire.frame import Frame
from bridge.wire.names import is_bus_name, is_interface, is_member, is_object_path
from bridge.wire.protocol import CALL, DRIVER
from policy import console, explain
from policy.clause import Question

if TYPE_CHECKING:
    from bridge.routing.client import Client
    from bridge.routing.gate import Gate
    from bus1.node import Handle
    from policy.policy import Policy
    from policy.rule import Rule
    from policy.verdict import Access, Standing


@final
class Right:
    """The right to call `name`, only at this path, with this interface and this member, each if it
    is not None. `credentials` are those of whom it was given first. `guard` is a handle to the
    client of a unique name: with that the right ends, and `over` says that it has."""

    def __init__(
        self,
        credentials: Credentials,
        name: str,
        path: str | None = None,
        interface: str | None = None,
        member: str | None = None,
    ) -> None:
        # It may outlive that process, and shall not keep a descriptor of it open.
        self.credentials = credentials._replace(pidfd=None)
        self.name = name
        self.path = path
        self.interface = interface
        self.member = member
        self.guard: Handle | None = None
        self.over = False
        self.policy: Policy | None = None
        self.access: Access | None = None

    def standing(self, policy: "Policy") -> "Standing":
        """Where its first holder stands under this policy, whatever names that may have: the gate
        asks it for a message that its sender may not send (Frame.right)."""
        if self.policy is not policy:
            who = self.credentials
            at_console = policy.asks_console and console.is_at_console(who.uid)
            self.access = policy.access(who.uid, who.groups or (), at_console)
            self.policy = policy
        return policy.standing(self.access, ())

    def limit(self, frame: Frame) -> None:
        """Is this what one may send on it? Raises Refused."""
        if frame.kind != CALL:
            raise Refused(ACCESS_DENIED, "On a Right only method calls can be sent")
        for what, mine, said in (
            ("destination", self.name, frame.destination()),
            ("path", self.path, frame.path()),
            ("interface", self.interface, frame.interface()),
            ("member", self.member, frame.member()),
        ):
            if mine is not None and mine != said:
                text = f"The Right is for the {what} {mine}, not {said or 'for a call without'}"
                raise Refused(ACCESS_DENIED, text)


@final
class Own:
    """What a peer asks about itself (native1.py), it may ask like the bus itself."""

    def __init__(self, gate: "Gate") -> None:
        self.gate = gate

    def standing(self, _policy: "Policy") -> "Standing":
        return self.gate.own


def asked(credentials: Credentials, arguments: tuple[Any, ...]) -> Right:
    """The right that somebody asks for: a name, and what it is limited to. Raises Refused."""
    name, path, interface, member = arguments
    if not is_bus_name(name) or name == DRIVER:
        raise Refused(INVALID_ARGS, f'There is no Right to the bus name "{name}"')
    for text, what, good in (
        (path, "object path", is_object_path),
        (interface, "interface", is_interface),
        (member, "member", is_member),
    ):
        if text and not good(text):
            raise Refused(INVALID_ARGS, f'"{text}" is no {what}')
    return Right(credentials, name, path or None, interface or None, member or None)


def check(
    gate: "Gate", asker: "Client", source: "Standing", owner: "Client | None", right: Right
) -> None:
    """May who stands there make the calls that this right is for? Not where an interface is needed
    that it leaves open; but what denies only a part of it does not deny it, since each use is
    judged again. Raises Refused, with the rule."""
    question = Question()
    question.kind = CALL
    question.path, question.interface = right.path, right.interface
    question.member = right.member
    target = gate.policy.standing(None, (right.name,)) if owner is None else gate.standing(owner)
    for each in explain.messages(source, target, question):
        whole = tuple(rule for rule in each.rules if rule.allow or not is_part(rule, right))
        finding = replace(each, rules=whole)
        if finding.allowed or gate.permissive or (finding.rule and finding.rule.permissive):
            continue
        text = f'{asker.unique} ({asker.who()}) may not {finding.about} calls to "{right.name}"'
        gate.denials.record(asker, text, finding)
        raise Refused(ACCESS_DENIED, f"{text}: {reason(finding)}")


def is_part(rule: "Rule", right: Right) -> bool:
    """Is this rule about less than the right?"""
    named = (rule.path, right.path), (rule.interface, right.interface), (rule.member, right.member)
    return any(said is not None and mine is None for said, mine in named)
