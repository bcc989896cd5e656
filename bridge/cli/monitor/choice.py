"""Which messages are wanted: as match rules, for the bus to choose, and the rest of it here.

A match rule cannot say "a reply to a call of this interface", nor "a message of which this is one
end, whatever it is called": so replies come, and are chosen among here.
"""

from dataclasses import dataclass
from typing import Final, final

from bridge.cli.monitor.names import CHANGES, Names, is_change
from bridge.cli.monitor.pairs import Asked, Event
from bridge.routing.errors import Refused
from bridge.routing.question import Question, within
from bridge.routing.rule import Rule
from bridge.wire.frame import Frame
from bridge.wire.names import is_bus_name, is_interface, is_member, is_object_path
from bridge.wire.protocol import CALL, DRIVER, ERROR, RETURN, TYPES

KINDS: Final = TYPES[1:]
REPLIES: Final = (RETURN, ERROR)
ALL: Final = frozenset(range(1, len(TYPES)))
CHECKS: Final = {
    "name": (is_bus_name, "name of a client"),
    "interface": (is_interface, "interface"),
    "member": (is_member, "member"),
    "path": (is_object_path, "path of an object"),
}


class BadChoice(ValueError):
    """What was asked for cannot be; the text says why."""


@final
@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody wants to see. All that is given must hold; of the rules, one."""

    rules: tuple[str, ...] = ()
    name: str | None = None
    interface: str | None = None
    member: str | None = None
    path: str | None = None
    kinds: frozenset[int] = ALL
    errors: bool = False
    denied: bool = False

    # --------------------------------------------------------------------- the bus

    def check(self) -> None:
        """Raises BadChoice."""
        for key, (valid, what) in CHECKS.items():
            value = getattr(self, key)
            if value is not None and not valid(value):
                raise BadChoice(f"--{key}: {value!r} cannot be the {what}")
        if self.late() and ERROR not in self.kinds:
            raise BadChoice("--errors and --denied are about errors; --type leaves them out")
        for text in self.rules:
            try:
                Rule.parse(text)
            except Refused as error:
                hint = f" (perhaps --name {text}?)" if is_bus_name(text) else ""
                raise BadChoice(f"invalid rule {text!r}: {error.text.strip()}{hint}") from None

    def late(self) -> bool:
        """Does it depend on the reply whether a call is shown?"""
        return self.errors or self.denied

    def everything(self) -> bool:
        return self == Choice()

    def pairs(self) -> bool:
        """Will the replies to all calls that are shown come?"""
        return not self.rules and not self.late() and self.kinds.issuperset((CALL, *REPLIES))

    def match_rules(self) -> list[str]:
        """For BecomeMonitor; none at all mean everything. Changes of names always come."""
        if self.rules:
            return [*self.rules, CHANGES]
        if self.everything():
            return []
        return [rule for kind in sorted(self.watched()) for rule in self.about(kind)] + [CHANGES]

    def watched(self) -> set[int]:
        """The types that must come: replies mean little without the calls."""
        kinds = {ERROR} if self.late() else set(self.kinds)
        return kinds | {CALL} if kinds.intersection(REPLIES) else kinds

    def about(self, kind: int) -> list[str]:
        """The rules for messages of one type."""
        rule = f"type='{TYPES[kind]}'"
        if kind not in REPLIES:
            for key in ("interface", "member", "path"):
                if (value := getattr(self, key)) is not None:
                    rule += f",{key}='{value}'"
        of_bus = f"{rule},sender='{DRIVER}'"
        if kind == ERROR and self.denied:
            return [of_bus]
        if self.name is None:
            return [rule]
        # The bus's errors about messages to that name go to others.
        ends = [f"{rule},{end}='{self.name}'" for end in ("sender", "destination")]
        return [*ends, of_bus] if kind == ERROR else ends

    # ------------------------------------------------------------------------ here

    def shows(self, event: Event, names: Names) -> bool:
        """Is the message shown? One that only its error makes interesting is not, yet."""
        frame = event.seen.frame
        if self.everything():
            return True
        if (self.late() and not self.fails(event)) or (
            frame.kind not in self.kinds and self.kinds != ALL
        ):
            return False
        if self.rules and is_change(frame) and not any(wants(rule, frame) for rule in self.rules):
            return False
        return self.concerns(event, names) and self.fits(frame, event.answers)

    def fails(self, event: Event) -> bool:
        return event.verdict() in (("denied",) if self.denied else ("error", "denied"))

    def fits(self, frame: Frame, answers: Asked | None) -> bool:
        """Is it, or what it answers, of that path, interface and member?"""
        if answers is not None:
            said = (answers.path, answers.interface, answers.member)
        else:
            said = (frame.path(), frame.interface(), frame.member())
        wanted = (self.path, self.interface, self.member)
        return all(want in (None, have) for want, have in zip(wanted, said, strict=True))

    def concerns(self, event: Event, names: Names) -> bool:
        """Is the name at one of its ends, or of what it answers?"""
        if self.name is None:
            return True
        frame, answers = event.seen.frame, event.answers
        ends = [frame.sender(), frame.destination()]
        if answers is not None:
            ends += [answers.sender, answers.destination]
        return any(names.same(end, self.name) for end in ends)


def wants(text: str, frame: Frame) -> bool:
    """Does a rule want this signal of the bus to everybody? Any other message the bus has chosen
    by the rules; this one comes in any case."""
    rule = Rule.parse(text)
    question = Question()
    question.open(frame, None, 64)
    path = question.path or ""
    return (
        rule.kind in (0, frame.kind)
        and rule.interface in (None, question.interface)
        and rule.member in (None, question.member)
        and rule.sender in (None, DRIVER)
        and rule.destination is None
        and (rule.path in (None, path) or (rule.namespace and within(path, rule.path or "")))
        and question.fits(rule)
    )
