"""How much whom: the limits of a bus, and what its quotas say otherwise for users and names."""

from collections.abc import Iterable
from dataclasses import replace
from typing import final

from policy.configuration import Configuration
from policy.limits import Limits
from policy.people import People


@final
class Allowances:
    """The limits for everybody, by the number of a user, and by name what is other there."""

    def __init__(self, configuration: Configuration, people: People) -> None:
        self.limits = configuration.limits
        self.users: dict[int, Limits] = {}
        self.names: dict[str, dict[str, int]] = {}
        for quota in configuration.quotas:
            said = dict(quota.limits)
            if quota.name is not None:
                self.names.setdefault(quota.name, {}).update(said)
            elif quota.user is not None:
                uid = people.user(quota.user, quota.origin)
                if uid is not None:
                    self.users[uid] = replace(self.of_user(uid), **said)

    def of_user(self, uid: int | None) -> Limits:
        """For all connections of a user (None: anonymous)."""
        return self.limits if uid is None else self.users.get(uid, self.limits)

    def of(self, uid: int | None, names: Iterable[str]) -> Limits:
        """For one connection of this user that owns these names: a name's quota stands above
        its user's, and of several names the last one's."""
        limits = self.of_user(uid)
        for name in names if self.names else ():
            if name in self.names:
                limits = replace(limits, **self.names[name])
        return limits
