"""For test programs that start the bus as another user: he may read what only root may.

It knows no program. Python and the checkout often lie below directories that others may not enter,
such as /root; an installed bus does not. So the program gets one right which, here, the kernel
takes neither from a process that becomes another user nor from what it then executes. A bus judges
by uids, and those change as ever.
"""

from __future__ import annotations

import subprocess
from functools import cache

from tests.buses import missing, need, need_root

RIGHT = "+dac_override"  # a container has it where it has neither dac_read_search nor mounts
READING_ALL = [
    "setpriv",
    f"--inh-caps={RIGHT}",
    f"--ambient-caps={RIGHT}",
    "--securebits=+no_setuid_fixup",
]


@cache
def need_reading_all() -> None:
    """READING_ALL before a program's words works here."""
    need_root()
    need("setpriv")
    done = subprocess.run([*READING_ALL, "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"nobody else may be given the right to read all: {done.stderr}")
