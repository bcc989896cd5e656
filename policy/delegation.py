"""Which rights the owner of a name may grant to others: the rules about that, asked for one grant.

Knows no grants that there are, only what one would be about.
"""

from collections.abc import Iterable
from typing import NamedTuple

from policy.rule import Rule
from policy.verdict import Access, covers


class Extent(NamedTuple):
    """What a grant is about: calls to this object, of this interface, of this member of it. None
    is any."""

    path: str | None
    interface: str | None = None
    member: str | None = None


def concerning(access: Access, names: Iterable[str], extent: Extent) -> tuple[Rule, ...]:
    """The rules that decide about such a grant by the owner of these names, in their order."""
    if not access.delegate:
        return ()
    owned = tuple(names)
    return tuple(rule for rule in access.delegate if concerns(rule, owned, extent))


def concerns(rule: Rule, names: Iterable[str], extent: Extent) -> bool:
    """Does this rule decide? To allow a grant it has to be about all of it; to deny it, about any
    part: so nobody gets a part that is denied by asking for more."""
    if rule.name is not None and not any(covers(rule, name) for name in names):
        return False
    for said, asked in zip((rule.path, rule.interface, rule.member), extent, strict=True):
        if said not in (None, asked) and (rule.allow or asked is not None):
            return False
    return True
