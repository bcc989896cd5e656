"""Who connects: clients with the credentials of any user, all held by this one process.

Credentials belong to a thread on Linux; only the C library keeps those of all threads alike.
So a thread becomes somebody by system calls of its own, connects, and ends; the kernel tells
the bus who connected.
"""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tests.raw import Client, Closed

# setgroups, setresgid, setresuid: by machine (Linux, unistd.h).
CALLS = {"x86_64": (116, 119, 117), "aarch64": (159, 149, 147), "riscv64": (159, 149, 147)}
UNKNOWN = 4242  # a number that is no user's and no group's
T = TypeVar("T")

kernel = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Identity:
    """A user and the groups of a process; `group` is the primary one."""

    user: int
    group: int
    others: tuple[int, ...] = ()

    @property
    def groups(self) -> tuple[int, ...]:
        """What a bus makes of them."""
        return tuple(sorted({self.group, *self.others}))

    def registered(self) -> tuple[int, ...] | None:
        """What the name service says instead; None: it does not know the user."""
        try:
            entry = pwd.getpwuid(self.user)
        except KeyError:
            return None
        return tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))


def possible() -> bool:
    """Can this process become somebody else?"""
    return os.geteuid() == 0 and os.uname().machine in CALLS


def users() -> dict[str, tuple[int, int]]:
    """Users that every Debian has, with their primary groups; root is the bus."""
    wanted = ("root", "daemon", "bin", "games", "man", "mail", "www-data", "nobody", "messagebus")
    return {
        each.pw_name: (each.pw_uid, each.pw_gid)
        for each in pwd.getpwall()
        if each.pw_name in wanted
    }


def groups() -> dict[str, int]:
    """Groups that every Debian has."""
    wanted = (
        "root",
        "daemon",
        "games",
        "man",
        "adm",
        "dialout",
        "audio",
        "video",
        "staff",
        "nogroup",
    )
    return {each.gr_name: each.gr_gid for each in grp.getgrall() if each.gr_name in wanted}


def acting_as(identity: Identity, act: Callable[[], T]) -> T:
    """What `act` returns, or raises, in a thread that is somebody else."""
    results: list[T | BaseException] = []

    def run() -> None:
        try:
            become(identity)
            results.append(act())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    (result,) = results
    if isinstance(result, BaseException):
        raise result
    return result


def become(identity: Identity) -> None:
    """Change this thread for good."""
    setgroups, setgid, setuid = CALLS[os.uname().machine]
    user, group, others = identity.user, identity.group, identity.others
    array = (ctypes.c_uint32 * len(others))(*others)
    for call in (
        (setgroups, len(others), array),
        (setgid, group, group, group),
        (setuid, user, user, user),
    ):
        if kernel.syscall(*call):
            raise OSError(ctypes.get_errno(), "changing credentials")


def visit(address: str, identity: Identity) -> Client | None:
    """A connection that has not said Hello; None if it did not come to that."""
    try:
        return acting_as(identity, lambda: Client(address, hello=False))
    except (Closed, ConnectionError):
        return None
