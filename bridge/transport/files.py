"""Where a configuration's files are, symbolic links followed, and how they look now.

It only looks: who watches those places is watch.py.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from bridge.activation.directory import ENDING, stamp
from bridge.activation.service import Services
from policy.configuration import Configuration
from policy.files.draft import FORMS

# Of a directory, what counts in it: names of files, or ANY_FILE for all that have a form, and
# ANY_SERVICE for all service files.
Places = dict[str, set[str]]
# Of a file, which one it is and when it was written; of a directory, the files in it.
Stamps = dict[str, tuple[object, ...]]

ANY_FILE: Final = "*"
ANY_SERVICE: Final = "*" + ENDING
ENDINGS: Final = {ANY_FILE: FORMS, ANY_SERVICE: (ENDING,)}
NO_SERVICES: Final = Services()
MOST_LINKS: Final = 40  # as many as the kernel follows (path_resolution(7))


def places(configuration: Configuration, services: Services = NO_SERVICES) -> Places:
    """All directories in which something can happen that concerns the configuration.

    They are those of its files, those where one more file would count, those of services, and
    those of all links on the way there. Of what is missing it is the nearest directory that is
    there.
    """
    found: Places = {}

    def follow(path: str) -> None:
        for directory, name in steps(path):
            found.setdefault(directory, set()).add(name)

    def follow_all(directory: str, any_of_them: str) -> None:
        follow(directory)
        names = files_in(directory, ENDINGS[any_of_them])
        if names is not None:
            found.setdefault(os.path.realpath(directory), set()).add(any_of_them)
            for path in [os.path.join(directory, name) for name in names]:
                if os.path.islink(path):  # else it counts as any file of the directory
                    follow(path)

    for directory in configuration.directories:
        follow_all(directory, ANY_FILE)
    for each in services.directories:
        if each.watched:
            follow_all(each.path, ANY_SERVICE)
    for source in configuration.sources:
        if os.path.dirname(source) not in configuration.directories:
            follow(source)
    return found


def steps(path: str) -> Iterator[tuple[str, str]]:
    """The links on the way to a path, and its end: each as directory and name.

    What is missing is the end of the way, too.
    """
    here, links = "/", 0
    rest = path.split("/")[::-1]
    while rest:
        name = rest.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        step = os.path.join(here, name)
        target = link(step)
        if target is not None and links < MOST_LINKS:
            yield here, name
            links += 1
            rest += target.split("/")[::-1]
            here = "/" if target.startswith("/") else here
            continue
        if not any(rest) or not os.path.lexists(step):
            yield here, name
            return
        here = step


def link(path: str) -> str | None:
    """Where a symbolic link leads; None if it is none."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def files_in(directory: str, endings: tuple[str, ...] = FORMS) -> tuple[str, ...] | None:
    """The names in a directory that count there, sorted; None if it cannot be read."""
    try:
        return tuple(sorted(name for name in os.listdir(directory) if name.endswith(endings)))
    except OSError:
        return None


def stamps(configuration: Configuration, services: Services = NO_SERVICES) -> Stamps:
    """How the files and directories look now: the same again if nothing has happened."""
    found: Stamps = {path: files_in(path) or () for path in configuration.directories}
    found |= {each.path: stamp(each.path) for each in services.directories if each.watched}
    for path in configuration.sources:
        found[path] = ()
        with suppress(OSError):
            now = os.stat(path)
            if stat.S_ISREG(now.st_mode):  # a pipe, as some harnesses have, looks always new
                found[path] = (now.st_dev, now.st_ino, now.st_mtime_ns, now.st_size)
    return found
