"""Tells when something happens to the files of a configuration (inotify(7)).

It knows no event loop, and may be told in any thread what to watch.
"""

import errno
import logging
import os
from contextlib import suppress
from typing import Final, final

from bridge.transport import inotify
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
    more watch: then the bus runs on, and who changes its files must tell it. `fd` is readable when
    something has happened; there is none before the first directory."""

    def __init__(self) -> None:
        self.fd: int | None = None
        self.names: dict[int, set[str]] = {}  # by the kernel's number of a directory
        self.lacks = False

    def follow(self, places: Places) -> None:
        """Watch these directories from now on, and no others."""
        before, names = set(self.names), dict[int, set[str]]()
        try:
            if self.fd is None:
                self.fd = inotify.begin()
            for directory, wanted in places.items():
                number = add(self.fd, directory)
                if number is not None:  # one directory can have several paths
                    names[number] = names.get(number, set()) | wanted
            self.lacks = False
        except OSError as error:
            if not self.lacks:
                log.warning("Changes of files are not seen before a reload: %s", error.strerror)
            self.lacks = True
        self.names = names
        for number in before - names.keys():
            if self.fd is not None:
                with suppress(OSError):  # it is gone, and the kernel has forgotten it
                    inotify.drop(self.fd, number)

    def happened(self) -> bool:
        """Read what has happened: did anything that matters?"""
        return self.fd is not None and any(self.matters(*each) for each in inotify.read(self.fd))

    def matters(self, number: int, mask: int, name: str) -> bool:
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
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
        self.names = {}


def add(fd: int, directory: str) -> int | None:
    """The kernel's number of a directory that it watches now. Raises OSError."""
    try:
        return inotify.add(fd, os.fsencode(directory), IN_IT | ITSELF | ONLYDIR)
    except OSError as error:
        if error.errno in UNSEEN:
            return None
        raise
