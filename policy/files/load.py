"""The configuration of one bus from all its files: one that is given, or the standard ones.

Their forms are read elsewhere (policy/files/draft.py); here is only which files there are.
"""

import os
from importlib import import_module
from typing import Final

from policy.configuration import Bus, Configuration
from policy.files.draft import Draft, read
from policy.rule import Origin, Rule, Section

REFERENCE: Final = "/usr/share/dbus-1"  # the reference's own files
OWN: Final = "/etc/bus1"  # what the administrator says to this bus alone

# What conf/session.toml says of grants, and busconfig has no word for. To read TOML for it would
# take longer than all else does when a session begins.
BUILT_IN: Final = Origin("standard session policy", 0, "default")
DELEGATION: Final = Section(
    "default", "", (Rule(allow=True, about="delegate", origin=BUILT_IN),), BUILT_IN
)


def load(path: str) -> Configuration:
    """The bus that this file describes, with what it includes. Raises ConfigError, OSError."""
    draft = Draft(os.path.abspath(path))
    read(draft)
    return draft.finish()


def standard(bus: Bus) -> Configuration:
    """The bus that --session or --system means. Raises ConfigError, OSError.

    What the reference would read and this bus adds (conf/bus1.conf), or this program's own text
    of it where the reference is not installed; for a session the right to delegate; and then what
    the administrator says in /etc/bus1: session.toml, or system.toml, and all files of session.d,
    or system.d, and of policy.d. One that is broken there is left out, as in all directories.
    """
    path = os.path.join(REFERENCE, f"{bus}.conf")
    installed = os.path.exists(path)
    draft = Draft(path if installed else shipped(f"{bus}.conf"), bus=bus)
    read(draft)
    if installed:
        add(draft, shipped("bus1.conf"))
    if bus == "session":
        draft.policy.append(DELEGATION)
    add(draft, os.path.join(OWN, f"{bus}.toml"))
    for directory in (os.path.join(OWN, name) for name in (f"{bus}.d", "policy.d")):
        draft.include_directory(directory, Origin(directory))
    draft.directories += [OWN, REFERENCE]
    return draft.finish()


def shipped(name: str) -> str:
    """One of the files that come with the program."""
    # Not by importlib.resources: it takes longer to import than a whole session bus to load.
    return os.path.join(import_module("policy.conf").__path__[0], name)


def add(draft: Draft, path: str) -> None:
    """Read one more file, if it is there, as if it stood at the end of the draft's."""
    more = Draft(path, bus=draft.bus, count=draft.count, limits=draft.limits)
    try:
        read(more)
    except (FileNotFoundError, NotADirectoryError):
        return
    draft.absorb(more)
