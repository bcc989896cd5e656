"""How long a bus takes for an answer, on a machine that may have much else to do."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

NANO = 1e-9


def stopwatch(pid: int) -> Callable[[], float]:
    """Seconds from now on, without those in which this bus or who asks it could have gone on and
    got no processor."""
    tasks = f"/proc/{pid}/task/{pid}", f"/proc/{os.getpid()}/task/{threading.get_native_id()}"
    began, before = time.monotonic(), waited(*tasks)
    return lambda: time.monotonic() - began - (waited(*tasks) - before)


def waited(*tasks: str) -> float:
    """How long these tasks have waited for a processor, as far as the kernel says."""
    texts = [Path(f"{task}/schedstat") for task in tasks]
    return sum(int(text.read_text().split()[1]) for text in texts if text.exists()) * NANO
