"""What the bus imports only when somebody asks for it, and when that would be too late. It knows
no bus, and imports none of this by itself.
"""

import os
import stat
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from bridge.transport.process import program_version

# For the first reload, the first question to org.bus1.Policy1 and to org.bus1.Status1, the first
# grant that is refused, the first file in each form.
LATE: Final = (
    "bridge.transport.changes",
    "bridge.driver.question",
    "bridge.driver.state",
    "policy.report",
    "policy.files.busconfig",
    "policy.files.toml_form",
)
# Of others: where these are, all that LATE imports is.
OTHERS: Final = ("pydantic", "pydantic_core", "tomllib")
LOOK: Final = stat.S_IROTH | stat.S_IXOTH


def import_what_is_hidden() -> None:
    """Import it now, if not everybody may read it: some installations are for root's eyes, and a
    bus that has become somebody else cannot read them any more. Elsewhere it would cost each start
    of a system bus as much as all else, for what most of them are never asked."""
    if all(map(may_be_imported, (*LATE, *OTHERS))):
        return
    program_version()
    for name in LATE:
        import_module(name)


def may_be_imported(module: str) -> bool:
    """By everybody?"""
    found = find_spec(module)
    return found is not None and found.origin is not None and is_open(found.origin)


def is_open(path: str) -> bool:
    """May everybody read this file, and look into the directories on the way there?"""
    return may_be_reached(path) and may_be_reached(os.path.realpath(path))


def may_be_reached(path: str) -> bool:
    if not os.stat(path).st_mode & stat.S_IROTH:
        return False
    while path != os.path.dirname(path):
        path = os.path.dirname(path)
        if os.stat(path).st_mode & LOOK != LOOK:
            return False
    return True
