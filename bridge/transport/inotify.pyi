"""The kernel's side of watching directories (inotify(7)): what to watch, and what has happened."""

def begin() -> int:
    """A descriptor that is readable when something has happened. Raises OSError."""

def add(fd: int, path: bytes, mask: int) -> int:
    """Watch a directory; the number by which its events know it. Raises OSError."""

def drop(fd: int, number: int) -> None:
    """Watch it no more. Raises OSError if the kernel has forgotten it already."""

def read(fd: int) -> list[tuple[int, int, str]]:
    """What has happened, as numbers, masks and names; of much the first part. Raises OSError."""
