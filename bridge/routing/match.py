"""Who wants a message: the match rules of all clients. Decides only; sends nothing.

Broadcasts are looked up by the rules' shapes (shape.py), so that they cost what the matching
rules cost, not what all rules cost. Eavesdropping is a debugging aid: its rules are read one
by one.
"""

from typing import Final

from bridge.routing.client import Client
from bridge.routing.names import Name, owns
from bridge.routing.rule import Rule
from bridge.routing.shape import Question, Shape, less, more, shape_of, within
from bridge.wire.frame import Frame

DRIVER: Final = "org.freedesktop.DBus"


class Bucket:
    """The clients that subscribed to one rule, when they are several.

    `lent`: the list was given away and may be in use; the next change makes a new one.
    """

    def __init__(self, rule: Rule, clients: list[Client]) -> None:
        self.rule = rule
        self.clients = clients
        self.lent = False

    def lend(self) -> list[Client]:
        """The list itself, as it is now; never changed afterwards."""
        self.lent = True
        return self.clients

    def has(self, client: Client) -> bool:
        """Is the client in it? It looks at the shorter list: the clients', or its rules."""
        rules = client.rules or []
        if len(self.clients) < len(rules):
            return client in self.clients
        return self.rule in rules

    def add(self, client: Client) -> None:
        self.own()
        self.clients.append(client)

    def remove(self, client: Client) -> None:
        self.own()
        self.clients.remove(client)

    def own(self) -> None:
        """Before a change: leave the list to those who have it."""
        if self.lent:
            self.clients = list(self.clients)
            self.lent = False


class Index:
    """The match rules of one bus. A client's own list, `client.rules`, is kept here, too.

    `senders` counts the rules by sender: a message asks only for its sender's names that
    some rule has. `naming` counts by unique name, and by client, the rules that have the name.
    `stamp` marks the clients already found for a message. `most` is the highest `count` so far,
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
            rules = client.rules = []
            client.mark = 0  # another index may have marked it
        shape = self.shape(rule)
        if shape is not None:
            table = shape.table(rule)
            if rule not in table:
                shape.enter(rule)
            rule = subscribe(table, rule, client)
        if rule.eavesdrop:
            rule = subscribe(self.overhearing, rule, client)
            self.eavesdropping = True
        rules.append(rule)
        self.count += 1
        client.most_rules = max(client.most_rules, len(rules))
        self.most_of_one = max(self.most_of_one, len(rules))
        self.most = max(self.most, self.count)
        if rule.places:
            self.depth = max(self.depth, (rule.places[-1] >> 2) + 1)
        if rule.sender is not None:
            more(self.senders, rule.sender)
        for name in unique_names(rule):
            more(self.naming.setdefault(name, {}), client)

    def remove(self, rule: Rule, client: Client) -> bool:
        """The client takes back one subscription to an equal rule. False: it has none."""
        rules = client.rules or []
        for at in range(len(rules) - 1, -1, -1):
            if rules[at] == rule:
                break
        else:
            return False
        held = rules.pop(at)
        assert isinstance(held, Rule)
        if held not in rules:
            self.unsubscribe(held, client)
        if not rules:
            client.rules = None
        self.uncount(held, client)
        return True

    def drop(self, client: Client) -> None:
        """The client leaves. If it had rules, they go, and with them all rules that name it:
        its unique name is nobody's again. (If it had none, the reference keeps those.)"""
        rules = client.rules
        if rules is None:
            return
        client.rules = None
        self.forget(rules, client)
        for other in list(self.naming.get(client.unique, ())):
            kept: list[object] = []
            gone: list[object] = []
            for rule in other.rules or ():
                assert isinstance(rule, Rule)
                about = client.unique in (rule.sender, rule.destination)
                (gone if about else kept).append(rule)
            other.rules = kept or None
            self.forget(gone, other)

    def forget(self, rules: list[object], client: Client) -> None:
        """These subscriptions end, and the client has no others to equal rules."""
        for rule in dict.fromkeys(rules):
            assert isinstance(rule, Rule)
            self.unsubscribe(rule, client)
        for rule in rules:
            assert isinstance(rule, Rule)
            self.uncount(rule, client)

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

    def unsubscribe(self, rule: Rule, client: Client) -> None:
        """The client has this rule no more, not even once."""
        shape = self.shape(rule)
        if shape is not None:
            table = shape.table(rule)
            if unsubscribe(table, rule, client):
                shape.strike(rule)
            if not shape.entries:
                del self.shapes[shape.key]
                self.order.remove(shape)
        if rule.eavesdrop:
            unsubscribe(self.overhearing, rule, client)
            self.eavesdropping = bool(self.overhearing)

    def uncount(self, rule: Rule, client: Client) -> None:
        """One subscription less."""
        self.count -= 1
        if rule.sender is not None:
            less(self.senders, rule.sender)
        for name in unique_names(rule):
            others = self.naming[name]
            if less(others, client) and not others:
                del self.naming[name]


def is_called(client: Client | None, text: str, nobody: str) -> bool:
    """Is this the client's name, or if there is no client, what it is called then?"""
    return text == nobody if client is None else owns(client, text)


def unique_names(rule: Rule) -> list[str]:
    """The unique names that the rule is about."""
    names: list[str] = []
    if rule.sender is not None and rule.sender.startswith(":"):
        names.append(rule.sender)
    if rule.destination is not None and rule.destination.startswith(":"):
        names.append(rule.destination)
    return names


def subscribe(table: dict[Rule, object], rule: Rule, client: Client) -> Rule:
    """Enter a client under a rule, once. Answers with the rule object that all share."""
    entry = table.get(rule)
    if entry is None:
        table[rule] = client
    elif entry is client:
        return held(client, rule)
    elif isinstance(entry, Bucket):
        bucket = entry
        rule = bucket.rule
        if not bucket.has(client):
            bucket.add(client)
    else:
        assert isinstance(entry, Client)
        rule = held(entry, rule)
        table[rule] = Bucket(rule, [entry, client])
    return rule


def unsubscribe(table: dict[Rule, object], rule: Rule, client: Client) -> bool:
    """Take a client out. True: nobody has the rule any more."""
    entry = table.get(rule)
    if entry is client:
        del table[rule]
        return True
    if isinstance(entry, Bucket) and client in entry.clients:
        bucket = entry
        bucket.remove(client)
        if len(bucket.clients) == 1:
            table[rule] = bucket.clients[0]
    return False


def held(client: Client, rule: Rule) -> Rule:
    """The client's own equal rule."""
    for other in client.rules or ():
        if isinstance(other, Rule) and other == rule:
            return other
    return rule
