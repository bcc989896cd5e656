"""Match rules with the same keys, filed by their values. Knows rules and messages, no clients.

A message asks each shape for the one rule of that shape that it would satisfy: the rule's
hash and equality do the search, and no other rule is looked at. A key that many values can
satisfy (path_namespace, arg0namespace, argNpath) is asked for each value in use that fits.
At most one such key of a rule is searched; the rest is checked rule by rule.
"""

from bisect import bisect_left, insort
from typing import Any, Final

from bridge.routing.rule import (
    EXACT,
    NAMESPACE,
    PATH,
    Rule,
    mix_interface,
    mix_member,
    mix_path,
    mix_sender,
    mix_values,
)
from bridge.wire.frame import Frame

# Only these arguments are searched: it bounds the shapes, and clients use hardly any others.
SEARCHED: Final = 4


class Question:
    """What a message says under the keys of rules; its arguments are read when first asked for.

    `senders` are the names of the sender that any rule has under `sender`; `asked` counts the
    rules that were looked for.
    """

    def __init__(self) -> None:
        self.frame: Frame | None = None
        self.interface: str | None = None
        self.member: str | None = None
        self.path: str | None = None
        self.senders: list[str] | None = None
        self.arguments: list[tuple[str, str] | None] | None = None
        self.depth = 0
        self.asked = 0

    def open(self, frame: Frame, senders: list[str] | None, depth: int) -> None:
        self.frame = frame
        self.interface = frame.interface()
        self.member = frame.member()
        self.path = frame.path()
        self.senders = senders
        self.arguments = None
        self.depth = depth
        self.asked = 0

    def close(self) -> None:
        """Keep no message alive."""
        self.frame = self.interface = self.member = self.path = None
        self.senders = self.arguments = None

    def argument(self, place: int) -> str | None:
        """The text that a rule's place is compared with."""
        if self.arguments is None:
            assert self.frame is not None
            self.arguments = self.frame.arguments(self.depth)
        number = place >> 2
        if number >= len(self.arguments):
            return None
        argument = self.arguments[number]
        if argument is None or (argument[0] != "s" and (place & 3 != PATH or argument[0] != "o")):
            return None
        return argument[1]

    def fits(self, rule: Rule) -> bool:
        """Do the arguments satisfy the rule?"""
        for at, place in enumerate(rule.places):
            text = self.argument(place)
            if text is None or not fits(place & 3, rule.values[at], text):
                return False
        return True


def fits(mode: int, wanted: str, text: str) -> bool:
    """Does an argument's text satisfy what the rule wants?"""
    if wanted == text:
        return True
    if mode == PATH:
        # The reference reads before the start of an empty text; here it is no prefix.
        return (wanted.endswith("/") and text.startswith(wanted)) or (
            text.endswith("/") and wanted.startswith(text)
        )
    return mode == NAMESPACE and text.startswith(wanted) and text[len(wanted)] == "."


def within(path: str, namespace: str) -> bool:
    """Is the path the namespace's root or below it?"""
    if namespace in (path, "/"):
        return True
    return path.startswith(namespace) and path[len(namespace)] == "/"


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

    Of a key that many values can satisfy, `texts` counts the values in use, `ordered` has them
    sorted, `lengths` counts the lengths of those that fit longer ones, too. `opened` is the
    place of such an argument, or -1; a value fits up to a `border`, which for argNpath is
    the value's last character (`inner`), and otherwise follows it.
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
        self.inner = False
        self.border = "/"
        for at, place in enumerate(self.places):
            if place & 3 != EXACT:
                self.opened = at
                self.inner = place & 3 == PATH
                self.border = "/" if self.inner else "."
        self.probe = Rule(
            kind=rule.kind, namespace=rule.namespace, eavesdrop=rule.eavesdrop, places=self.places
        )
        self.form = self.probe.digest
        self.entries: dict[Rule, object] = {}
        self.members: dict[str | None, int] = {}
        self.firsts: dict[str, int] = {}
        self.texts: dict[str, int] = {}
        self.ordered: list[str] = []
        self.lengths: dict[int, int] = {}

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
        if question.path is not None:
            for text in self.fitting(question.path):
                self.probe.path = text
                self.ask(question, digest ^ mix_path(text), hits)

    def search_values(self, question: Question, digest: int, hits: list[object]) -> None:
        """Ask for the values of the arguments, and for each in use that fits the open one."""
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
        elif self.opened < 0:
            self.probe.values = tuple(values)
            self.ask(question, digest ^ mix_values(self.probe.values), hits)
        else:
            for text in self.fitting(values[self.opened]):
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

    def fitting(self, text: str) -> list[str]:
        """The values in use that this path or argument satisfies."""
        size = len(text)
        found: list[str] = []
        for length in self.lengths:
            if length < size and (
                text[length - self.inner] == self.border or (length == 1 and self.namespace)
            ):
                part = text[:length]
                if part in self.texts:
                    found.append(part)
        if text in self.texts:
            found.append(text)
        if self.inner and text.endswith("/"):
            self.below(text, found)
        return found

    def below(self, text: str, found: list[str]) -> None:
        """argNpath works both ways: a message about a directory concerns all below it."""
        for at in range(bisect_left(self.ordered, text), len(self.ordered)):
            longer = self.ordered[at]
            if not longer.startswith(text):
                return
            if len(longer) > len(text):
                found.append(longer)

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
        text = self.open_value(rule)
        if text is not None and more(self.texts, text):
            insort(self.ordered, text)
            if not self.inner or text.endswith("/"):
                more(self.lengths, len(text))

    def strike(self, rule: Rule) -> None:
        """The rule has left its table."""
        if self.partial:
            part = self.part(rule)
            if not self.entries[part]:
                del self.entries[part]
        if self.places:
            less(self.members, rule.member)
            less(self.firsts, self.first(rule))
        text = self.open_value(rule)
        if text is not None and less(self.texts, text):
            del self.ordered[bisect_left(self.ordered, text)]
            if not self.inner or text.endswith("/"):
                less(self.lengths, len(text))

    def first(self, rule: Rule) -> str:
        """The rule's value at the first place that is searched."""
        return rule.values[rule.places.index(self.places[0])]

    def open_value(self, rule: Rule) -> str | None:
        """The rule's value under the key that many values can satisfy."""
        if self.namespace:
            return rule.path
        if self.opened < 0:
            return None
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


def more(counts: dict[Any, int], key: object) -> bool:
    """Count one more. True: it is the first."""
    count = counts.get(key, 0)
    counts[key] = count + 1
    return count == 0


def less(counts: dict[Any, int], key: object) -> bool:
    """Count one less. True: it was the last."""
    count = counts[key] - 1
    if count:
        counts[key] = count
        return False
    del counts[key]
    return True
