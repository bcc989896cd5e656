"""One match rule: what it says, when two are the same, how it reads. Knows no index, no client."""

import sys
from typing import Final

from bridge.routing import grammar
from bridge.routing.grammar import KINDS

# The places of nearly all rules: not many tuples.
PLACES: Final[dict[tuple[int, ...], tuple[int, ...]]] = {}


class Rule:
    """One match rule, immutable; equal and of one hash when it says the same.

    `kind` is 0 for any type; text keys are None when absent. `path` is a path_namespace
    if `namespace` is true. `places` and `values` go together, in the order of the arguments.
    """

    def __init__(
        self,
        kind: int = 0,
        *,
        interface: str | None = None,
        member: str | None = None,
        path: str | None = None,
        namespace: bool = False,
        sender: str | None = None,
        destination: str | None = None,
        eavesdrop: bool = False,
        places: tuple[int, ...] = (),
        values: tuple[str, ...] = (),
    ) -> None:
        self.kind = kind
        self.interface = _shared(interface)
        self.member = _shared(member)
        self.path = path
        self.namespace = namespace
        self.sender = _shared(sender)
        self.destination = _shared(destination)
        self.eavesdrop = eavesdrop
        self.places = places
        self.values = values
        self.digest = (
            mix_interface(self.interface)
            ^ mix_member(self.member)
            ^ mix_path(path)
            ^ mix_sender(self.sender)
            ^ mix_destination(self.destination)
            ^ mix_values(values)
            ^ mix_form(kind, namespace, eavesdrop, places)
        )

    @staticmethod
    def parse(text: str) -> "Rule":
        """The rule that a client wrote. Raises Refused."""
        draft = grammar.read(text)
        texts = draft.texts
        numbers = sorted(draft.arguments)
        places = tuple([number << 2 | draft.arguments[number][0] for number in numbers])
        if places and numbers[-1] < 4:
            places = PLACES.setdefault(places, places)
        return Rule(
            KINDS.index(texts.get("type", "")),
            interface=texts.get("interface"),
            member=texts.get("member"),
            path=texts.get("path_namespace", texts.get("path")),
            namespace="path_namespace" in texts,
            sender=texts.get("sender"),
            destination=texts.get("destination"),
            eavesdrop=draft.eavesdrop,
            places=places,
            values=tuple([sys.intern(draft.arguments[number][1]) for number in numbers]),
        )

    def overhearing(self) -> "Rule":
        """The same rule, about messages to others, too."""
        return Rule(
            self.kind,
            interface=self.interface,
            member=self.member,
            path=self.path,
            namespace=self.namespace,
            sender=self.sender,
            destination=self.destination,
            eavesdrop=True,
            places=self.places,
            values=self.values,
        )

    def __hash__(self) -> int:
        return self.digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and self.same(other)

    def same(self, other: "Rule") -> bool:
        """Does the other rule say the same?"""
        return (
            self.digest == other.digest
            and self.member == other.member
            and self.path == other.path
            and self.interface == other.interface
            and self.sender == other.sender
            and self.kind == other.kind
            and self.namespace == other.namespace
            and self.eavesdrop == other.eavesdrop
            and self.destination == other.destination
            and (self.places is other.places or self.places == other.places)
            and (self.values is other.values or self.values == other.values)
        )

    def __str__(self) -> str:
        """The rule in dbus-daemon's own order of keys, as GetAllMatchRules prints it."""
        keys = [
            ("type", KINDS[self.kind] or None),
            ("interface", self.interface),
            ("member", self.member),
            ("path_namespace" if self.namespace else "path", self.path),
            ("sender", self.sender),
            ("destination", self.destination),
            ("eavesdrop", "true" if self.eavesdrop else None),
        ]
        suffixes = ("", "path", "namespace")
        for place, value in zip(self.places, self.values, strict=True):
            keys.append((f"arg{place >> 2}{suffixes[place & 3]}", value))
        return ",".join(
            "{}='{}'".format(key, value.replace("'", "'\\''"))
            for key, value in keys
            if value is not None
        )

    def __repr__(self) -> str:
        return f"Rule({str(self)!r})"


# The parts of a rule's hash. The index builds the hash of the rule that a message would
# satisfy from the same parts. Each is shifted differently, so that equal texts under two
# keys (sender and interface of the driver) do not cancel out.


def mix_interface(text: str | None) -> int:
    return 0 if text is None else hash(text) >> 1


def mix_member(text: str | None) -> int:
    return 0 if text is None else hash(text) >> 2


def mix_sender(text: str | None) -> int:
    return 0 if text is None else hash(text) >> 3


def mix_path(text: str | None) -> int:
    return 0 if text is None else hash(text) >> 4


def mix_values(values: tuple[str, ...]) -> int:
    return hash(values) >> 5 if values else 0


def mix_destination(text: str | None) -> int:
    return 0 if text is None else hash(text) >> 6


def mix_form(kind: int, namespace: bool, eavesdrop: bool, places: tuple[int, ...]) -> int:
    """What all rules of one shape share. A text's hash, unlike a number's, nobody can foresee."""
    return hash(f"{kind}{namespace:d}{eavesdrop:d}{places}") >> 7


def _shared(text: str | None) -> str | None:
    """One string for all rules that name the same interface, member or sender."""
    return None if text is None else sys.intern(text)
