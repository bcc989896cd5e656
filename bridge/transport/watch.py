"""Tells when something happens to the files of a configuration (inotify(7)).

It knows no event loop, and may be told in any thread what to watch.
"""

import errno
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, final

from bridge.transport.files import ENDINGS, Places

# inotify(7)
ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO = 0x4, 0x8, 0x40, 0x80
CREATE, DELETE, DELETE_SELF, MOVE_SELF = 0x100, 0x200, 0x400, 0x800
UNMOUNT, OVERFLOW, ONLYDIR = 0x2000, 0x4000, 0x01000000

IN_IT: Final = ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE
ITSELF: Final = DELETE_SELF | MOVE_SELF | UNMOUNT
# What has gone meanwhile, or is not for us to see, is no reason not to watch the rest.
UNSEEN: Final = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP)

log = logging.getLogger("bus1.watch")


@final
class Watch:
    """Directories of the kernel's interest. Without any, if the kernel has no room for one
    more watch: then the bus runs on, and who changes its files must tell it."""

    def __init__(self) -> None:
        self.inotify: Any = None
        self.names: dict[int, set[str]] = {}  # by the kernel's number of a directory
        self.lacks = False

    def follow(self, places: Places) -> None:
        """Watch these directories from now on, and no others."""
        before, names = set(self.names), dict[int, set[str]]()
        try:
            self.begin()
            for directory, wanted in places.items():
                number = self.add(directory)
                if number is not None:  # one directory can have several paths
                    names[number] = names.get(number, set()) | wanted
            self.lacks = False
        except OSError as error:
            if not self.lacks:
                log.warning("Changes of files are not seen before a reload: %s", error.strerror)
            self.lacks = True
        self.names = names
        for number in before - names.keys():
            with suppress(OSError):  # it is gone, and the kernel has forgotten it
                self.inotify.rm_watch(number)

    def begin(self) -> None:
        """Ask the kernel for the means, once. Raises OSError."""
        if self.inotify is None:
            self.inotify = prepare().INotify(nonblocking=True)

    def add(self, directory: str) -> int | None:
        """The kernel's number of a directory that it watches now. Raises OSError."""
        try:
            return int(self.inotify.add_watch(directory, IN_IT | ITSELF | ONLYDIR))
        except OSError as error:
            if error.errno in UNSEEN:
                return None
            raise

    def fileno(self) -> int | None:
        """What is readable when something has happened."""
        return None if self.inotify is None else int(self.inotify.fileno())

    def happened(self) -> bool:
        """Read what has happened: did anything that matters?"""
        return any(self.matters(*event) for event in self.events())

    def events(self) -> Iterable[tuple[int, int, int, str]]:
        try:
            return list(self.inotify.read(timeout=0))
        except BlockingIOError:
            return []

    def matters(self, number: int, mask: int, _cookie: int, name: str) -> bool:
        """Does it matter, that this has happened to that name in the directory of this number?"""
        if mask & OVERFLOW:
            return True
        wanted = self.names.get(number, set())
        if mask & ITSELF:
            return bool(wanted)
        endings = [ENDINGS[each] for each in wanted & ENDINGS.keys()]
        return name in wanted or any(map(name.endswith, endings))

    def close(self) -> None:
        """Watch no more."""
        if self.inotify is not None:
            self.inotify.close()
            self.inotify = None
        self.names = {}


def prepare() -> Any:
    """The kernel's interface. It is slow to import, so not before clients are served."""
    import ctypes

    import inotify_simple

    # To find the C library it would run other programs; it is in this process already.
    inotify_simple._libc = inotify_simple._libc or ctypes.CDLL(None, use_errno=True)
    return inotify_simple
