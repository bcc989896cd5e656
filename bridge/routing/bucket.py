"""Who is filed under a match rule: a client, or a bucket of several. It looks up nothing."""

from bridge.routing.client import Client
from bridge.routing.rule import Rule


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


def file(table: dict[Rule, object], rule: Rule, client: Client) -> Rule:
    """Enter a client under a rule that it did not have. Answers with the rule object that all but
    the first of several share."""
    entry = table.get(rule)
    if entry is None:
        table[rule] = client
    elif isinstance(entry, Bucket):
        bucket = entry
        rule = bucket.rule
        bucket.add(client)
    else:
        assert isinstance(entry, Client)
        table[rule] = Bucket(rule, [entry, client])
    return rule


def unfile(table: dict[Rule, object], rule: Rule, client: Client) -> bool:
    """Take a client out. True: nobody has the rule any more."""
    entry = table.get(rule)
    if entry is client:
        del table[rule]
        return True
    assert isinstance(entry, Bucket)
    bucket = entry
    bucket.remove(client)
    if len(bucket.clients) == 1:
        table[rule] = bucket.clients[0]
    return False
