"""Rules that would allow what a log says was denied: as few and as narrow as it takes, as TOML.

They are for somebody to read before a bus does: a log tells what was tried, not what is right.
"""

import pwd
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

from policy.files.write_toml import inline, rule_keys, text
from policy.rule import Rule
from policy.study.cover import REPLIES
from policy.study.denial import Denial, Party
from policy.text import printable

MOST_EXAMPLES: Final = 3
HEAD: Final = (
    "# Drawn from a log: {denials}. Read each rule before you use it: what was",
    "# denied may well be what should be.",
)
INCOMPLETE: Final = (
    "# Of a client that was denied much the bus logs only some: learn again when these hold."
)


@final
@dataclass(slots=True)
class Lesson:
    """A rule for one user, how often it would have helped and whom; `doubt` is why it is not
    to be used as it stands."""

    user: str
    rule: Rule
    doubt: str = ""
    count: int = 0
    told: dict[str, None] = field(default_factory=dict)

    def learn(self, example: str) -> None:
        """One more denial that it would have prevented."""
        self.count += 1
        self.told[example] = None

    @property
    def examples(self) -> list[str]:
        """Whom it would have helped, each once, in the order of the log."""
        return list(self.told)


def lessons(denials: Sequence[Denial]) -> list[Lesson]:
    """One for each thing that each user was denied, those of one user together."""
    names = names_of(denials)
    found: dict[tuple[str, Rule], Lesson] = {}
    for denial in denials:
        lesson = lesson_of(denial, names)
        kept = found.setdefault((lesson.user, lesson.rule), lesson)
        kept.learn(example(denial))
    return sorted(found.values(), key=lambda each: (each.user, bool(each.doubt)))


def names_of(denials: Iterable[Denial]) -> dict[str | int, str]:
    """The one well-known name that a connection or process is known to have or to want."""
    names: dict[str | int, set[str]] = {}
    for denial in denials:
        asks = denial.about in ("own", "delegate")
        party = denial.sender if asks else denial.target
        name = denial.name if asks else party.name
        if name and not name.startswith(":"):
            for key in (party.name, party.pid):
                names.setdefault(key or name, set()).add(name)
    return {key: known.pop() for key, known in names.items() if len(known) == 1}


def lesson_of(denial: Denial, names: Mapping[str | int, str]) -> Lesson:
    """The narrowest rule that would have allowed it."""
    if denial.about == "own":
        doubt = "" if denial.sender.uid is not None else "who? the log does not say"
        rule = Rule(allow=True, about="own", name=denial.name)
        return Lesson(user_name(denial.sender), rule, doubt)
    if denial.about == "delegate":
        return granting(denial)
    if denial.about == "send":
        return sending(denial, names)
    rule = Rule(
        allow=True,
        about="receive",
        type=denial.type,
        path=denial.path,
        interface=denial.interface,
        member=denial.member,
        error=denial.error,
    )
    return Lesson(user_name(denial.target), rule, reply_doubt(denial))


def granting(denial: Denial) -> Lesson:
    """For a right that the owner of a name may not grant."""
    rule = Rule(
        allow=True,
        about="delegate",
        name=denial.name or None,
        path=denial.path,
        interface=denial.interface,
        member=denial.member,
    )
    doubt = "" if denial.name else "whose? it owned no name: any client could grant this then"
    return Lesson(user_name(denial.sender), rule, doubt)


def sending(denial: Denial, names: Mapping[str | int, str]) -> Lesson:
    """For a message that its sender may not send."""
    target = denial.target
    name = target.name
    broadcast = denial.type == "signal" and name is None
    if name is None or name.startswith(":"):
        name = names.get(name or "") or names.get(target.pid or "")
    doubt = reply_doubt(denial)
    if name is None and not broadcast and not doubt:
        doubt = f"to whom? the log knows it only as {target.name or 'nobody'}{process(target)}"
    rule = Rule(
        allow=True,
        about="send",
        name=None if broadcast else name,
        type=None if denial.type == "method_call" else denial.type,
        broadcast=True if broadcast else None,
        path=denial.path,
        interface=denial.interface,
        member=denial.member if denial.interface or denial.path else None,
        error=denial.error,
    )
    return Lesson(user_name(denial.sender), rule, doubt)


def reply_doubt(denial: Denial) -> str:
    if denial.type in REPLIES and not denial.requested:
        return "a reply that nobody waited for: it came too late, or is forged"
    return ""


def user_name(party: Party) -> str:
    """A user's name, or its number where it has none here; "" if the log does not know."""
    if party.uid is None:
        return ""
    try:
        return pwd.getpwuid(party.uid).pw_name
    except (KeyError, OverflowError):
        return str(party.uid)


def example(denial: Denial) -> str:
    """Who was denied it."""
    party = denial.target if denial.about == "receive" else denial.sender
    return f"{party.name or 'somebody'}{process(party)}"


def process(party: Party) -> str:
    words = [f"pid {party.pid}"] if party.pid is not None else []
    words += [" ".join(party.comm.split())] if party.comm.strip() else []
    return f" ({', '.join(words)})" if words else ""


# -------------------------------------------------------------------------------- as TOML


def write(denials: Sequence[Denial]) -> str:
    """A file of the TOML form. What is in doubt stands there as a comment."""
    learnt = lessons(denials)
    lines = [*head(denials), ""]
    for user in dict.fromkeys(each.user for each in learnt):
        lines += [
            "[[policy]]",
            f"user = {text(user)}" if user else 'for = "default"',
            "rules = [",
        ]
        for each in learnt:
            if each.user == user:
                lines += rule_lines(each)
        lines += ["]", ""]
    return "\n".join(lines)


def head(denials: Sequence[Denial]) -> Iterator[str]:
    """Where it comes from, and for which bus it is, if the log tells."""
    count = "1 denial" if len(denials) == 1 else f"{len(denials)} denials"
    yield from (line.format(denials=count) for line in HEAD)
    if any(each.count for each in denials):
        yield INCOMPLETE
    buses = {each.bus for each in denials}
    if len(buses) == 1 and (bus := buses.pop()):
        yield from ("", f"bus = {text(bus)}")


def rule_lines(lesson: Lesson) -> Iterator[str]:
    """One rule and where it comes from."""
    often = "once" if lesson.count == 1 else f"{lesson.count} times"
    more = ", ..." if len(lesson.examples) > MOST_EXAMPLES else ""
    yield f"    # {often}: {printable(', '.join(lesson.examples[:MOST_EXAMPLES]))}{more}"
    if lesson.doubt:
        yield f"    # {printable(lesson.doubt)}"
    yield f"    {'# ' if lesson.doubt else ''}{inline(dict(rule_keys(lesson.rule)))},"
