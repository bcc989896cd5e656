"""Where descriptors are closed for which somebody might make us wait: in threads. It knows numbers,
and for whom they are closed.

Until the room is open, and in a fork of its process, everything is closed at once: a program that
is no bus does not want threads of ours.
"""

def open() -> None:
    """From now on there may be threads, at most nine of them. Nobody waits for them at the end."""

def let_go(fd: int, payer: int) -> None:
    """Close a descriptor that this user sent: at once if that takes no time, else in a thread."""

def hang_up(fd: int) -> None:
    """Close a connection of ours, in a thread: the other end sees it now."""

def put_away(fd: int) -> None:
    """Close a socket that others may go on with, in a thread: they notice nothing."""

def crowded(payer: int) -> bool:
    """Are so many of this user's still open that nothing more should be read of what it sends? One
    may have 256 here, and no more than are left of a quarter of all that this process may open."""

def held() -> int:
    """How many are waiting to be closed, or being closed."""
