"""Programs that the kernel's limit of descriptors on their way concerns, and nobody else's do.

It counts those of all processes of a user, and other tests have some on their way meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.buses import ROOT
from tests.readable import READING_ALL, need_reading_all

# Root may exceed the limit, unless it gives these up.
LIMITED = ["--bounding-set", "-sys_admin,-sys_resource"]


def run(program: str, user: int, directory: Path) -> None:
    """The program, with the directory as its argument, writes "done" and succeeds. Root runs it as
    this user, who has no other processes."""
    command: list[str] = []
    if os.geteuid() == 0:
        need_reading_all()
        os.chown(directory, user, -1)
        command = [*READING_ALL, *LIMITED, f"--reuid={user}", "--clear-groups"]
    done = subprocess.run(
        [*command, sys.executable, "-B", "-c", program, str(directory)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
