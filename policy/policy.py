"""All rules of one bus, by whom they are for: gives every client its access and its standing."""

from collections.abc import Iterable, Sequence
from typing import Final, final

from policy.allowance import Allowances
from policy.clause import Clause, mark
from policy.configuration import Configuration
from policy.people import People
from policy.rule import Rule
from policy.verdict import Access, Standing, Verdict

MOST_VERDICTS: Final = 1 << 14  # kept at a time; clients can make as many as they have names


@final
class Policy:
    """All rules of one bus. Knows numbers of users and groups, no names: those were looked up
    when it was made, by `people`; what means nobody here is in `people.complaints`."""

    def __init__(self, configuration: Configuration, people: People) -> None:
        self.permissive = configuration.permissive
        self.everybody: list[Rule] = []
        self.groups: dict[int, list[Rule]] = {}
        self.users: dict[int, list[Rule]] = {}
        self.console: dict[bool, list[Rule]] = {True: [], False: []}
        self.last: list[Rule] = []
        for section in configuration.policy:
            rules = people.known(section.rules)
            match section.context:
                case "default":
                    self.everybody += rules
                case "mandatory":
                    self.last += rules
                case "at_console":
                    self.console[section.who == "true"] += rules
                case "user":
                    uid = people.user(section.who, section.origin)
                    if uid is not None:
                        self.users.setdefault(uid, []).extend(rules)
                case "group":
                    gid = people.group(section.who, section.origin)
                    if gid is not None:
                        self.groups.setdefault(gid, []).extend(rules)
        self.people = people
        self.allowances = Allowances(configuration, people)
        self.asks_console = any(self.console.values())
        every = [self.everybody, self.last, *self.console.values()]
        every += [*self.users.values(), *self.groups.values()]
        rules = [rule for each in every for rule in each if rule.about in ("send", "receive")]
        self.doors = [rule for rule in self.everybody + self.last if rule.about == "connect"]
        self.clauses: dict[int, Clause] = {}
        self.marks = {mark(rule) for rule in rules} - {None}
        self.depth = 1 + max((a.number for rule in rules for a in rule.arguments), default=-1)
        self.accesses: dict[tuple[object, ...], Access] = {}
        self.standings: dict[tuple[Access | None, frozenset[str]], Standing] = {}
        self.judging: list[Standing] = []  # those with verdicts, also those that are forgotten
        self.verdicts = 0

    def may_connect(self, uid: int | None, groups: Sequence[int], bus_uid: int) -> bool:
        """May this user (None: anonymous) connect to a bus that runs as `bus_uid`?"""
        rules = self.connecting(uid, groups)
        return rules[-1].allow if rules else uid == bus_uid

    def connecting(self, uid: int | None, groups: Sequence[int]) -> list[Rule]:
        """The rules for connecting that match this user; the last decides. Without one only
        the bus's own user may, not even root (dbus-daemon(1), "policy")."""
        return [rule for rule in self.doors if self.people.means(rule, uid, groups)]

    def access(self, uid: int | None, groups: Sequence[int], at_console: bool) -> Access:
        """What holds for this user: everybody's rules, its groups', its own, those of the
        console, and the mandatory ones (dbus-daemon(1), "policy")."""
        mine = tuple(gid for gid in groups if gid in self.groups)
        own = uid if uid in self.users else None
        key = (mine, own, None if uid is None else at_console)
        access = self.accesses.get(key)
        if access is None:
            rules = list(self.everybody)
            for gid in mine:
                rules += self.groups[gid]
            if uid is not None:
                rules += self.users.get(uid, []) + self.console[at_console]
            access = self.accesses[key] = Access(rules + self.last, self.clauses)
        return access

    def standing(self, access: Access | None, names: Iterable[str]) -> Standing:
        """That of whoever has this access and these names, unique or well-known, owned or
        waited for. The same one for the same clients."""
        held = frozenset(mark for name in names for mark in marks(name) if mark in self.marks)
        key = (access, held)
        standing = self.standings.get(key)
        if standing is None:
            if len(self.standings) >= MOST_VERDICTS:
                self.forget()
            standing = self.standings[key] = Standing(access, held)
        return standing

    def verdict(self, source: Standing, target: Standing) -> Verdict:
        """What `source` may send `target`."""
        verdict = source.verdicts.get(target)
        if verdict is None:
            if self.verdicts >= MOST_VERDICTS:
                self.forget()
            if not source.verdicts:
                self.judging.append(source)
            self.verdicts += 1
            verdict = source.verdicts[target] = Verdict(source, target)
        return verdict

    def forget(self) -> None:
        """Begin anew to collect standings and verdicts; those in use stay in use."""
        self.verdicts = 0
        for standing in self.judging:
            standing.verdicts.clear()
        self.judging.clear()
        self.standings.clear()


def marks(name: str) -> list[str]:
    """The marks that stand for a name: itself, and with a dot each of its beginnings."""
    words = name.split(".")
    return [name, *(".".join(words[:count]) + "." for count in range(1, len(words) + 1))]
