"""Match rules with the same keys, filed by their values. Knows rules and messages, no clients.

A message asks each shape for the one rule of that shape that it would satisfy: the rule's
hash and equality do the search, and no other rule is looked at. A key that many values can
satisfy (path_namespace, arg0namespace, argNpath) is asked for each value in use that fits.
At most one such key of a rule is searched; the rest is checked rule by rule.
"""

from typing import Final

from bridge.routing.grammar import EXACT, PATH
from bridge.routing.question import Question
from bridge.routing.rule import (
    Rule,
    mix_interface,
    mix_member,
    mix_path,
    mix_sender,
    mix_values,
)
from bridge.routing.values import Values, less, more

# Only these arguments are searched: it bounds the shapes, and clients use hardly any others.
SEARCHED: Final = 4


def searched(rule: Rule) -> tuple[int, ...]:
    """The places that are searched; the rule's own tuple if these are all."""
    opened = rule.namespace
    places: list[int] = []
    for place in rule.places:
        if place >> 2 < SEARCHED:
            if place & 3 == EXACT:
                places.append(place)
            elif not opened:
                opened = True
                places.append(place)
    return rule.places if len(places) == len(rule.places) else tuple(places)


def shape_of(rule: Rule) -> tuple[object, ...]:
    """What the rules of one shape have in common."""
    places = searched(rule)
    return (
        rule.kind,
        rule.eavesdrop,
        rule.interface is not None,
        rule.member is not None,
        rule.sender is not None,
        rule.path is not None,
        rule.namespace,
        places,
        places == rule.places,
    )


class Shape:
    """The rules of one shape.

    `entries` leads from a rule to what is filed under it. In a `partial` shape it leads from
    the part of a rule that is searched to a table of whole rules. `probe` is the rule asked
    for, filled in anew for every message, and `form` its hash before that. `members` counts
    rules by member where there are arguments: those are read only for messages that may match;
    `firsts` counts the values of the first of them, if exact: most messages that differ do so
    there.

    `values` are those in use of the key that many values can satisfy, if there is one; `opened` is
    the place of such an argument, or -1.
    """

    def __init__(self, rule: Rule) -> None:
        self.key = shape_of(rule)
        self.places = searched(rule)
        self.partial = self.places != rule.places
        self.interface = rule.interface is not None
        self.member = rule.member is not None
        self.sender = rule.sender is not None
        self.path = rule.path is not None and not rule.namespace
        self.namespace = rule.namespace
        self.opened = -1
        self.values = Values("/", False, True) if rule.namespace else None
        for at, place in enumerate(self.places):
            if place & 3 != EXACT:
                self.opened = at
                inner = place & 3 == PATH
                self.values = Values("/" if inner else ".", inner, False)
        self.probe = Rule(
            kind=rule.kind, namespace=rule.namespace, eavesdrop=rule.eavesdrop, places=self.places
        )
        self.form = self.probe.digest
        self.entries: dict[Rule, object] = {}
        self.members: dict[str | None, int] = {}
        self.firsts: dict[str, int] = {}

    # ------------------------------------------------------------------- a message asks

    def search(self, question: Question, hits: list[object]) -> None:
        """Append what is filed under the rules that the message satisfies."""
        if self.sender and question.senders is None:
            return
        probe = self.probe
        digest = self.form
        if self.interface:
            probe.interface = question.interface
            digest ^= mix_interface(question.interface)
        if self.member:
            if self.places and question.member not in self.members:
                return
            probe.member = question.member
            digest ^= mix_member(question.member)
        if self.path:
            probe.path = question.path
            digest ^= mix_path(question.path)
        if self.places:
            self.search_values(question, digest, hits)
            probe.values = ()
        elif self.namespace:
            self.search_namespaces(question, digest, hits)
        else:
            self.ask(question, digest, hits)
        probe.path = None

    def search_namespaces(self, question: Question, digest: int, hits: list[object]) -> None:
        """Ask for each path_namespace in use that the path is within."""
        fitting = self.values
        if question.path is not None and fitting is not None:
            for text in fitting.fitting(question.path):
                self.probe.path = text
                self.ask(question, digest ^ mix_path(text), hits)

    def search_values(self, question: Question, digest: int, hits: list[object]) -> None:
        """Ask for the values of the arguments, and for each in use that fits the open one."""
        fitting = self.values
        values: list[str] = []
        for place in self.places:
            text = question.argument(place)
            if text is None or (not values and self.opened != 0 and text not in self.firsts):
                return
            values.append(text)
        if self.namespace:
            assert question.path is not None
            self.probe.values = tuple(values)
            self.search_namespaces(question, digest ^ mix_values(self.probe.values), hits)
        elif fitting is None:
            self.probe.values = tuple(values)
            self.ask(question, digest ^ mix_values(self.probe.values), hits)
        else:
            for text in fitting.fitting(values[self.opened]):
                values[self.opened] = text
                self.probe.values = tuple(values)
                self.ask(question, digest ^ mix_values(self.probe.values), hits)

    def ask(self, question: Question, digest: int, hits: list[object]) -> None:
        """The probe is filled in but for the sender."""
        if not self.sender:
            self.probe.digest = digest
            self.take(question, hits)
            return
        for name in question.senders or ():
            self.probe.sender = name
            self.probe.digest = digest ^ mix_sender(name)
            self.take(question, hits)

    def take(self, question: Question, hits: list[object]) -> None:
        """The probe is complete: is anything filed under it?"""
        question.asked += 1
        found = self.entries.get(self.probe)
        if found is None:
            return
        if not self.partial:
            hits.append(found)
            return
        assert isinstance(found, dict)
        question.asked += len(found)
        for rule, entry in found.items():
            if question.fits(rule):
                hits.append(entry)

    # --------------------------------------------------------------- rules come and go

    def table(self, rule: Rule) -> dict[Rule, object]:
        """Where the rule's entry is, or would be."""
        if not self.partial:
            return self.entries
        part = self.part(rule)
        table = self.entries.get(part)
        if table is None:
            table = {}
            self.entries[part] = table
        assert isinstance(table, dict)
        return table

    def enter(self, rule: Rule) -> None:
        """The rule is new in its table: remember what leads to it."""
        if self.places:
            more(self.members, rule.member)
            more(self.firsts, self.first(rule))
        if self.values is not None:
            self.values.add(self.open_value(rule))

    def strike(self, rule: Rule) -> None:
        """The rule has left its table."""
        if self.partial:
            part = self.part(rule)
            if not self.entries[part]:
                del self.entries[part]
        if self.places:
            less(self.members, rule.member)
            less(self.firsts, self.first(rule))
        if self.values is not None:
            self.values.discard(self.open_value(rule))

    def first(self, rule: Rule) -> str:
        """The rule's value at the first place that is searched."""
        return rule.values[rule.places.index(self.places[0])]

    def open_value(self, rule: Rule) -> str:
        """The rule's value under the key that many values can satisfy."""
        if self.namespace:
            assert rule.path is not None
            return rule.path
        return rule.values[rule.places.index(self.places[self.opened])]

    def part(self, rule: Rule) -> Rule:
        """The rule without the arguments that are not searched."""
        values = [rule.values[at] for at, place in enumerate(rule.places) if place in self.places]
        return Rule(
            rule.kind,
            interface=rule.interface,
            member=rule.member,
            path=rule.path,
            namespace=rule.namespace,
            sender=rule.sender,
            eavesdrop=rule.eavesdrop,
            places=self.places,
            values=tuple(values),
        )
