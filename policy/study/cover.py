"""Which messages two rules share: whether one matches all that another does, or any of it.

Both answers err on the side of no: a rule that is said to be covered is.
"""

from policy.clause import SIGNAL, Clause
from policy.rule import ANYBODY, Argument, Rule, Section
from policy.verdict import covers as covers_name

REPLIES = ("method_return", "error")
TEXTS = ("path", "interface", "member", "error")
GRANTED = ("path", "interface", "member")


def covers(later: Rule, earlier: Rule) -> bool:
    """Does `later` match every message (or name, or user) that `earlier` matches?"""
    if later.about != earlier.about or not covers_names(later, earlier):
        return False
    if later.about == "own":
        return True
    if later.about == "connect":
        return ANYBODY in (later.user, later.group) or (
            (later.user, later.group) == (earlier.user, earlier.group)
        )
    if later.about == "delegate":
        return covers_grants(later, earlier)
    return covers_fields(later, earlier) and covers_ways(Clause(later), Clause(earlier))


def applies_to_all(later: Section, earlier: Section) -> bool:
    """Does a section that is read later hold for all for whom the earlier one holds, and after
    it (dbus-daemon(1), "policy")?"""
    if later.context == "mandatory":
        return True
    return (later.context, later.who) == (earlier.context, earlier.who)


def covers_names(later: Rule, earlier: Rule) -> bool:
    if later.name is None:
        return True
    if earlier.name is None or (earlier.prefix and not later.prefix):
        return False
    return covers_name(later, earlier.name)


def covers_fields(later: Rule, earlier: Rule) -> bool:
    """Texts and numbers. A message without interface is met by a deny that names one, and not
    by an allow."""
    for name in TEXTS:
        if getattr(later, name) not in (None, getattr(earlier, name)):
            return False
    if later.interface and later.allow and not earlier.allow and earlier.type != "signal":
        return False
    if later.type not in (None, earlier.type):
        return False
    if later.broadcast not in (None, earlier.broadcast):
        return False
    if not later.min_fds <= earlier.min_fds <= earlier.max_fds <= later.max_fds:
        return False
    return all(any(implies(b, a) for b in earlier.arguments) for a in later.arguments)


def implies(stricter: Argument, looser: Argument) -> bool:
    """Is an argument that is as the one says always as the other says?"""
    if stricter.number != looser.number:
        return False
    if looser.prefix:
        return stricter.value.startswith(looser.value)
    return not stricter.prefix and stricter.value == looser.value


def covers_grants(later: Rule, earlier: Rule) -> bool:
    """Does it decide about all grants that the earlier one decides about? A deny is about grants of
    more than it names, an allow is not."""
    said = [(getattr(later, name), getattr(earlier, name)) for name in GRANTED]
    if later.allow and not earlier.allow:
        return all(mine is None for mine, _ in said)
    return all(mine in (None, its) for mine, its in said)


def covers_ways(later: Clause, earlier: Clause) -> bool:
    """Ways to be received: overheard or not, as a reply that is waited for or not."""
    return overheard(later) >= overheard(earlier) and turns(later) >= turns(earlier, of(earlier))


def overheard(clause: Clause) -> set[bool]:
    """Does it match what the receiver overhears, and what is addressed to it?"""
    if clause.send:
        return {True, False}
    if clause.allow:
        return {False, clause.eavesdrop}
    return {True} if clause.eavesdrop else {True, False}


def of(clause: Clause) -> set[str]:
    """The turns that its messages take: calls and signals answer nothing, and replies have no
    interface that an allow could match."""
    if clause.allow and clause.interface is not None:
        return {"new"}
    kinds = {0: {"new", "awaited", "unasked"}, 1: {"new"}, SIGNAL: {"new"}}
    return kinds.get(clause.kind, {"awaited", "unasked"})


def turns(clause: Clause, among: set[str] | None = None) -> set[str]:
    """The turns of a message that it matches, as in Clause.in_turn."""
    found = {"new"}
    if clause.allow or clause.requested:
        found.add("awaited")
    if not clause.allow or not clause.requested or clause.eavesdrop:
        found.add("unasked")
    return found if among is None else found & among


def meet(one: Rule, other: Rule) -> bool:
    """May some message match both? Two names may have one owner; that is taken to be so only
    where they are the same, or one is among those that the other stands for."""
    if one.about != other.about or one.about == "connect":
        return False
    if not (covers_names(one, other) or covers_names(other, one)):
        return False
    return all(
        getattr(one, name) is None
        or getattr(other, name) is None
        or getattr(one, name) == getattr(other, name)
        for name in ("type", *TEXTS, "broadcast")
    )
