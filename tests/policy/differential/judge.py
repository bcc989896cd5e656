"""Do all buses do what the model says, and the same? Says what differs, and what was sent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.policy.differential.court import DIFFERENCES, Decision
from tests.policy.differential.letters import DENIED, Letter, Seen
from tests.policy.differential.members import Member
from tests.raw import DRIVER

REFERENCE, OURS = "dbus-daemon", "ours"
COMMAND = re.compile(r'comm="[^"]*"')

# What the log of ours says otherwise (differences.toml, "log"), and both are made alike.
LOGGED = (
    (COMMAND, "comm"),
    (re.compile(r' path="[^"]*"'), ""),
    (re.compile(r'sender="[^"]*" \(+bus\)+'), "bus"),
    (re.compile(r'destination="(org\.freedesktop\.DBus|\(unset\))" \('), "destination ("),
)

Outcome = Mapping[int, Sequence[Seen]]  # what each client saw
Place = tuple[object, ...]  # a client's number, and the key of what it saw


@dataclass
class Tally:
    """What was decided, by sort, what differed on purpose, and what differed otherwise."""

    decisions: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.decisions.total()} decisions {dict(self.decisions)}, "
            f"on purpose {dict(self.kept)}"
        )

    def count(self, decisions: Sequence[Decision]) -> None:
        for each in decisions:
            (self.kept if each.sort in DIFFERENCES else self.decisions)[each.sort] += 1

    def add(self, other: Tally) -> None:
        self.decisions += other.decisions
        self.kept += other.kept
        self.wrong += other.wrong


@dataclass
class Case:
    """What the clients sent at once, what the model decided, and what came of it on each bus."""

    members: Mapping[int, Member]
    letters: Mapping[int, Sequence[Letter]]
    decisions: Sequence[Decision]
    outcomes: Mapping[str, Outcome]
    wrong: list[str] = field(default_factory=list)

    def judge(self) -> list[str]:
        """All that differs; nothing if all is as it should be."""
        for kind, outcome in self.outcomes.items():
            self.count(kind, outcome)
            self.read(kind, outcome)
        if len(self.outcomes) == 2 and not self.wrong:
            self.compare(*self.outcomes)
        return self.wrong

    def count(self, kind: str, outcome: Outcome) -> None:
        """Everybody saw what the model says, and no more."""
        wanted: Counter[Place] = Counter()
        for each in self.decisions:
            wanted[each.at, *each.key] += each.reference if kind == REFERENCE else each.ours
        texts = {(at, *seen.key): f"{seen}" for at, each in outcome.items() for seen in each}
        found = Counter((at, *seen.key) for at, each in outcome.items() for seen in each)
        for place in sorted((wanted - found) + (found - wanted), key=str):
            times = f"came {found[place]} times, in the model {wanted[place]}"
            self.fail(f"{kind}: {texts.get(place, place)} {times}", place)

    def read(self, kind: str, outcome: Outcome) -> None:
        """Refusals say which side refused, and how many rules matched."""
        words = {(each.at, *each.key): each.words for each in self.decisions}
        for at, each in outcome.items():
            for seen in each:
                said = words.get((at, *seen.key), "")
                if seen.error == DENIED and not seen.text.startswith(said):
                    self.fail(f"{kind} says {seen.text}, the model {said}", (at, *seen.key))

    def compare(self, first: str, second: str) -> None:
        """Everybody saw the same on both, to the letter."""
        kept = {(each.at, *each.key) for each in self.decisions if each.sort in DIFFERENCES}
        for at in self.members:
            one, other = (
                Counter(
                    plain(seen) for seen in self.outcomes[kind][at] if (at, *seen.key) not in kept
                )
                for kind in (first, second)
            )
            for seen in sorted((one - other) + (other - one), key=str):
                where = first if one[seen] > other[seen] else second
                self.fail(f"only {where}: {seen}", (at, *seen.key))

    # --------------------------------------------------------------------- failures

    def fail(self, what: str, place: Place) -> None:
        """Something differs: what was sent, who received it, and which rules the model sees."""
        lines = [what, *self.sent(place)]
        for number, member in self.members.items():
            if number == place[0]:
                lines.append(f"  seen by {member.unique}, {member.identity}, {member.names}")
        for each in self.decisions:
            if (each.at, *each.key) == place:
                lines.append(f"  model: {each}")
        self.wrong.append("\n".join(lines))

    def sent(self, place: Place) -> list[str]:
        """What was sent, if this is that or an answer to it."""
        return [
            f"  sent by {self.members[number].unique}: {letter}"
            for number, each in self.letters.items()
            for letter in each
            if place[1:] == (self.members[number].unique, letter.serial)
            or (place[:2] == (number, DRIVER) and place[-1] == letter.serial)
        ]


def plain(seen: Seen) -> Seen:
    """Without what differs on purpose."""
    return replace(seen, text=COMMAND.sub("comm", seen.text))


def only_in(ours: Counter[str], theirs: Counter[str]) -> list[str]:
    """Complaints that only the log of ours has; the reference's has more, if there are many.

    What ours refuses on purpose, and the reference does not, is answered with AccessDenied:
    that this answer is refused in turn is no news.
    """
    left = Counter(map(alike, ours.elements())) - Counter(map(alike, theirs.elements()))
    return sorted(text for text in left if f'error name="{DENIED}"' not in text)


def alike(text: str) -> str:
    for pattern, word in LOGGED:
        text = pattern.sub(word, text)
    return text
