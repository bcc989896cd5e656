"""Who wants a message: the match rules of all clients. Decides only; sends nothing.

Broadcasts are looked up by the rules' shapes (shape.py), so that they cost what the matching
rules cost, not what all rules cost. Eavesdropping is a debugging aid: its rules are read one
by one.
"""

from collections.abc import Iterator
from typing import Final

from bridge.routing.bucket import Bucket, file, unfile
from bridge.routing.client import Client
from bridge.routing.name import Name, owns
from bridge.routing.question import Question, within
from bridge.routing.rule import Rule
from bridge.routing.shape import Shape, shape_of
from bridge.routing.values import less, more
from bridge.wire.frame import Frame

DRIVER: Final = "org.freedesktop.DBus"
STEP: Final = 64  # rules of one who leaves that go in one step


class Index:
    """The match rules of one bus. A client's own, `client.rules`, are kept here, too.

    `senders` counts the rules by sender: a message asks only for its sender's names that
    some rule has. `naming` counts by unique name, and by client, the rules that have the name.
    `stamp` marks the clients already found for a message, and `looked` is how much was looked at
    for the last one. `count` is how many subscriptions there are, `most` the highest that was,
    `most_of_one` the most that one client ever had.
    """

    def __init__(self) -> None:
        self.count = self.most = self.most_of_one = 0
        self.eavesdropping = False
        self.shapes: dict[tuple[object, ...], Shape] = {}
        self.order: list[Shape] = []
        self.overhearing: dict[Rule, object] = {}
        self.senders: dict[str, int] = {}
        self.naming: dict[str, dict[Client, int]] = {}
        self.question = Question()
        self.depth = 0
        self.looked = 0
        self.stamp = 0

    # ---------------------------------------------------------------------- messages

    def broadcast(self, frame: Frame, sender: Client | None) -> list[Client]:
        """Who gets a signal without destination: each client once, in a fixed order
        (shapes by age, then rules by age). The list is not the caller's to change."""
        hits: list[object] = []
        question = self.question
        question.open(frame, self.names_of(sender), self.depth)
        for shape in self.order:
            shape.search(question, hits)
        question.close()
        self.looked = question.asked + len(self.order)
        return self.clients(hits, None)

    def eavesdrop(
        self, frame: Frame, sender: Client | None, receiver: Client | None
    ) -> list[Client]:
        """Who overhears a message to somebody: rules with eavesdrop='true', any type.

        No receiver: the driver, or nobody knows yet. The receiver itself is left out.
        """
        hits: list[object] = []
        question = self.question
        question.open(frame, None, 64)
        for rule, entry in self.overhearing.items():
            if self.overhears(rule, sender, receiver):
                hits.append(entry)
        question.close()
        return self.clients(hits, receiver)

    def names_of(self, sender: Client | None) -> list[str] | None:
        """The sender's names that some rule has; None: there are none."""
        if sender is None:
            return [DRIVER] if DRIVER in self.senders else None
        found: list[str] | None = None
        if sender.unique in self.senders:
            found = [sender.unique]
        for name in sender.names or ():
            if isinstance(name, Name) and name.owner is sender and name.text in self.senders:
                if found is None:
                    found = []
                found.append(name.text)
        return found

    def clients(self, hits: list[object], but: Client | None) -> list[Client]:
        """The clients of all entries found, each once."""
        if len(hits) == 1 and but is None:
            entry = hits[0]
            if isinstance(entry, Bucket):
                bucket = entry
                return bucket.lend()
            assert isinstance(entry, Client)
            return [entry]
        found: list[Client] = []
        self.stamp += 1
        for entry in hits:
            if isinstance(entry, Bucket):
                bucket = entry
                for client in bucket.clients:
                    self.mark(client, but, found)
            else:
                assert isinstance(entry, Client)
                self.mark(entry, but, found)
        return found

    def mark(self, client: Client, but: Client | None, found: list[Client]) -> None:
        """One more client, unless it was found before."""
        if client.mark != self.stamp and client is not but:
            client.mark = self.stamp
            found.append(client)

    def overhears(self, rule: Rule, sender: Client | None, receiver: Client | None) -> bool:
        """Does the message of the question satisfy the whole rule?"""
        question = self.question
        frame = question.frame
        assert frame is not None
        if (
            (rule.kind and rule.kind != frame.kind)
            or (rule.interface is not None and rule.interface != question.interface)
            or (rule.member is not None and rule.member != question.member)
            or (rule.sender is not None and not is_called(sender, rule.sender, DRIVER))
        ):
            return False
        path = question.path
        if rule.namespace and rule.path is not None:
            if path is None or not within(path, rule.path):
                return False
        elif rule.path is not None and rule.path != path:
            return False
        if rule.destination is not None:
            destination = frame.destination()
            if destination is None or not is_called(receiver, rule.destination, destination):
                return False
        return question.fits(rule)

    # ------------------------------------------------------------------------- rules

    def add(self, rule: Rule, client: Client) -> None:
        """The client subscribes. The same rule again counts again."""
        rules = client.rules
        if rules is None:
            rules = client.rules = {}
            client.mark = 0  # another index may have marked it
        if rule in rules:
            rules[rule] += 1
        else:
            rules[self.subscribe(rule, client)] = 1
        client.subscriptions += 1
        client.most_rules = max(client.most_rules, client.subscriptions)
        self.count += 1
        self.most_of_one = max(self.most_of_one, client.subscriptions)
        self.most = max(self.most, self.count)

    def remove(self, rule: Rule, client: Client) -> bool:
        """The client takes back one subscription to an equal rule. False: it has none."""
        rules = client.rules
        if rules is None or rule not in rules:
            return False
        if rules[rule] == 1:
            self.forget(rule, client)
        else:
            rules[rule] -= 1
            client.subscriptions -= 1
            self.count -= 1
        return True

    def drop(self, client: Client) -> None:
        """The client leaves. If it had rules, they go, and with them all rules that name it:
        its unique name is nobody's again. (If it had none, the reference keeps those.)"""
        for _ in self.dropping(client):
            pass

    def dropping(self, client: Client) -> Iterator[int]:
        """The same in steps, with how many rules went: between two of them anything may happen."""
        if client.rules is None:
            return
        yield from self.shed(list(client.rules), client)
        for other in list(self.naming.get(client.unique, ())):
            about = [rule for rule in other.rules or () if is_about(rule, client.unique)]
            yield from self.shed(about, other)

    def shed(self, rules: list[object], client: Client) -> Iterator[int]:
        """The client has none of these any more, the newest first."""
        while rules:
            some = rules[-STEP:]
            del rules[-STEP:]
            for rule in reversed(some):
                if client.rules is not None and rule in client.rules:
                    self.forget(rule, client)
            yield len(some)

    def forget(self, rule: object, client: Client) -> None:
        """The client has this rule no more, however often it had it."""
        rules = client.rules
        assert isinstance(rule, Rule)
        assert rules is not None
        count = rules.pop(rule)
        if not rules:
            client.rules = None
        client.subscriptions -= count
        self.count -= count
        self.unsubscribe(rule, client)

    def shape(self, rule: Rule) -> Shape | None:
        """The rule's shape; None if no broadcast can satisfy it."""
        if rule.destination is not None or rule.kind not in (0, 4):
            return None
        key = shape_of(rule)
        shape = self.shapes.get(key)
        if shape is None:
            shape = self.shapes[key] = Shape(rule)
            self.order.append(shape)
        return shape

    def subscribe(self, rule: Rule, client: Client) -> Rule:
        """The client has this rule from now on. Answers with the rule object that it shares."""
        shape = self.shape(rule)
        if shape is not None:
            table = shape.table(rule)
            if rule not in table:
                shape.enter(rule)
            rule = file(table, rule, client)
        if rule.eavesdrop:
            rule = file(self.overhearing, rule, client)
            self.eavesdropping = True
        if rule.places:
            self.depth = max(self.depth, (rule.places[-1] >> 2) + 1)
        if rule.sender is not None:
            more(self.senders, rule.sender)
        for name in unique_names(rule):
            more(self.naming.setdefault(name, {}), client)
        return rule

    def unsubscribe(self, rule: Rule, client: Client) -> None:
        """The client has this rule no more, not even once."""
        shape = self.shape(rule)
        if shape is not None:
            if unfile(shape.table(rule), rule, client):
                shape.strike(rule)
            if not shape.entries:
                del self.shapes[shape.key]
                self.order.remove(shape)
        if rule.eavesdrop:
            unfile(self.overhearing, rule, client)
            self.eavesdropping = bool(self.overhearing)
        if rule.sender is not None:
            less(self.senders, rule.sender)
        for name in unique_names(rule):
            others = self.naming[name]
            if less(others, client) and not others:
                del self.naming[name]


def is_called(client: Client | None, text: str, nobody: str) -> bool:
    """Is this the client's name, or if there is no client, what it is called then?"""
    return text == nobody if client is None else owns(client, text)


def is_about(rule: object, unique: str) -> bool:
    """Is the rule about this unique name?"""
    return isinstance(rule, Rule) and unique in unique_names(rule)


def unique_names(rule: Rule) -> list[str]:
    """The unique names that the rule is about."""
    names: list[str] = []
    if rule.sender is not None and rule.sender.startswith(":"):
        names.append(rule.sender)
    if rule.destination is not None and rule.destination.startswith(":"):
        names.append(rule.destination)
    return names
