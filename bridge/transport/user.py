"""Who the bus becomes when it has what only root can get: <user>.

The name is looked up once, before anything is changed.
"""

import logging
import os
import pwd
from functools import partial
from typing import NamedTuple

from bridge.transport.launch import StartError

log = logging.getLogger("bus1.daemon")


class User(NamedTuple):
    """A user of this machine, with its groups."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def find_user(name: str) -> User:
    """A user, by name or number. Raises StartError if there is none."""
    try:
        number = name.isascii() and name.isdecimal()
        entry = pwd.getpwuid(int(name)) if number else pwd.getpwnam(name)
    except (KeyError, ValueError, OverflowError):
        raise StartError(f'Could not get UID and GID for username "{name}"') from None
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid, tuple(sorted(groups)))


def become(user: User, keep_audit: bool = False) -> None:
    """Be this user from now on, with nothing left of root's rights; but for that to write to the
    audit log, if there will be something to write. Raises StartError.

    Who is not root stays who it is, as dbus-daemon does where it is built with libcap-ng.
    """
    if os.geteuid() != 0:
        if os.geteuid() != user.uid:
            log.warning("Running as uid %d: only root can become %s", os.geteuid(), user.name)
        return
    try:
        if keep_audit:
            from bridge.mediation.capabilities import keeping_audit

            keeping_audit(partial(change, user))
        else:
            change(user)
    except OSError as error:
        raise StartError(f"Failed to become user {user.name}: {error.strerror}") from None


def change(user: User) -> None:
    """All of it. Raises OSError."""
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)  # the kernel takes all capabilities with it
