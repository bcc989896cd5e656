"""Users and groups of this machine: what the names in a policy mean, looked up while it loads.

Nothing else asks the system's name service, which may itself need the bus to answer.
"""

import grp
import pwd
from collections.abc import Sequence
from typing import Final, final

from policy.configuration import Complaint
from policy.integer import begins
from policy.rule import ANYBODY, Origin, Rule

NOBODY: Final = 2**32 - 1  # (uid_t) -1


@final
class People:
    """The users and groups that one policy names; each is looked up once.

    `complaints` has those that are unknown here: a rule for nobody is left out.
    """

    def __init__(self) -> None:
        self.complaints: list[Complaint] = []
        self.users: dict[str, int | None] = {}
        self.groups: dict[str, int | None] = {}

    def user(self, name: str, origin: Origin) -> int | None:
        """A user's number; complains of one that is unknown."""
        if name not in self.users:
            self.users[name] = find_user(name)
        if self.users[name] is None:
            self.complaints.append(Complaint(origin, f'unknown user "{name}"'))
        return self.users[name]

    def group(self, name: str, origin: Origin) -> int | None:
        """A group's number; complains of one that is unknown."""
        if name not in self.groups:
            self.groups[name] = find_group(name)
        if self.groups[name] is None:
            self.complaints.append(Complaint(origin, f'unknown group "{name}"'))
        return self.groups[name]

    def known(self, rules: Sequence[Rule]) -> list[Rule]:
        """The rules without those about connecting that are for nobody here."""
        return [rule for rule in rules if rule.about != "connect" or self.names_somebody(rule)]

    def names_somebody(self, rule: Rule) -> bool:
        if ANYBODY in (rule.user, rule.group):
            return True
        if rule.user is not None:
            return self.user(rule.user, rule.origin) is not None
        return rule.group is not None and self.group(rule.group, rule.origin) is not None

    def means(self, rule: Rule, uid: int | None, groups: Sequence[int]) -> bool:
        """Is this user one of those that a rule about connecting means?"""
        if ANYBODY in (rule.user, rule.group):
            return True
        if rule.user is not None:
            return uid is not None and self.users[rule.user] == uid
        return rule.group is not None and self.groups[rule.group] in groups


def find_user(name: str) -> int | None:
    """The number of a user, given by name or as a number that somebody here has."""
    number = as_number(name)
    try:
        return pwd.getpwnam(name).pw_uid if number is None else pwd.getpwuid(number).pw_uid
    except (KeyError, ValueError, OverflowError):
        return None


def find_group(name: str) -> int | None:
    """The number of a group, given by name or as a number that one here has."""
    number = as_number(name)
    try:
        return grp.getgrnam(name).gr_gid if number is None else grp.getgrgid(number).gr_gid
    except (KeyError, ValueError, OverflowError):
        return None


def as_number(name: str) -> int | None:
    """What a name means that is all number, in the reference's ways to write one.

    The highest is no number of a user: as a signed number it is -1, which says "nobody" to the
    kernel, and what is beyond it would mean another user after it has been cut to 32 bits.
    """
    found = begins(name)
    if found is None or found[1]:
        return None
    return found[0] if 0 <= found[0] < NOBODY else NOBODY
