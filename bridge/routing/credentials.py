"""Who is at the other end of a socket, as the kernel says. No name service, no guessing."""

from typing import NamedTuple

from bus1.fds.descriptors import Descriptors
from policy.text import printable


class Credentials(NamedTuple):
    """Taken once, when the connection is accepted.

    `uid`, `pid`: SO_PEERCRED. `groups`: SO_PEERGROUPS with the primary group, sorted, or
    None where the kernel does not tell. `pidfd`: SO_PEERPIDFD, shared with the answers that
    carry it, or None. `label`: SO_PEERSEC
    with its closing NUL, or None where there is no security module. An anonymous
    connection has the uid None.
    """

    uid: int | None
    pid: int | None
    groups: tuple[int, ...] | None = None
    pidfd: Descriptors | None = None
    label: bytes | None = None

    def __str__(self) -> str:
        """For the log: `uid=1000 pid=42 comm="cat"`, with what is known."""
        parts = [f"uid={self.uid}"] if self.uid is not None else ["anonymous"]
        if self.pid is not None:
            parts += [f"pid={self.pid}", f'comm="{command(self.pid)}"']
        return " ".join(parts)


def command(pid: int) -> str:
    """The name of a process now, `?` if it is gone. Only for people: pids are reused, and a
    process calls itself what it likes: it cannot make a line of the log, though."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            text = file.read().rstrip("\n")
    except OSError:
        return "?"
    return printable(text)


def is_trusted(uid: int | None, bus: Credentials) -> bool:
    """Is it root, or the bus's own user? Either could do worse than what only they may."""
    return uid is not None and uid in (0, bus.uid)
