"""The one order of the bus, across processes: total, causal, atomic, FIFO, whoever is killed."""

from __future__ import annotations

import os
from pathlib import Path

from tests.buses import Bus
from tests.native.processes.checker import counted, violations
from tests.native.processes.talk import party

SECONDS = float(os.environ.get("ORDER_SECONDS", "4"))  # tests/run --long: a minute
GUESTS = 6


def test_processes_that_multicast_at_random(native_bus: Bus, native: str, tmp_path: Path) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    stories = party(native, tmp_path, SECONDS, GUESTS, seed)
    looked_at = dict(counted(stories))
    print(f"seed {seed}: {looked_at}, {sum(each.killed for each in stories)} killed")
    assert looked_at["deliveries"] > 100 * SECONDS
    assert looked_at["told by a pipe"] > 10
    found = violations(stories)
    assert not found, f"seed {seed}: {len(found)}, {found[:10]}"
