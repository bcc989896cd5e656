"""The workloads: what loadgen is asked to do. Knows nothing of targets or of measuring."""

from __future__ import annotations

import re
from typing import NamedTuple


class Case(NamedTuple):
    """Bus and clients share one CPU, unless the name ends in @free."""

    name: str
    arguments: str
    raw: bool = False  # the relay can run it, too
    long: bool = False  # bulk takes a while to reach its steady state
    heavy: bool = False  # long to set up: longer runs, but every third round only

    @property
    def free(self) -> bool:
        return self.name.endswith("@free")

    @property
    def stretch(self) -> int:
        """How many times the usual duration it takes."""
        return 3 if self.long or self.heavy else 1


IDLE = "idle --holders 1000 --rules 10 --rule-kind object --window 64"
FILTERED = "filtered --batch 8 --holders"
BULK = "call --payload 65536 --window 64"

CASES = [
    Case("call/8B/w1", "call", raw=True),
    Case("call/8B/w64", "call --window 64", raw=True),
    Case("call/1K/w64", "call --window 64 --payload 1024", raw=True),
    Case("call/64K/w1", "call --payload 65536", raw=True),
    Case("call/64K/w64", BULK, raw=True, long=True),
    Case("call/64K/w64/str", BULK + " --body s", long=True),
    Case("call/8B/w64/name", "call --window 64 --dest wellknown"),
    Case("fdpass/w16", "fdpass --window 16"),
    Case("fanout/1", "fanout"),
    Case("fanout/10", "fanout --subs 10"),
    Case("fanout/100", "fanout --subs 100"),
    Case("filtered/10", FILTERED + " 10 --rules 1"),
    Case("filtered/1000", FILTERED + " 100 --rules 10"),
    Case("filtered/100000", FILTERED + " 100 --rules 1000", heavy=True),
    Case("connect/c1", "connect"),
    Case("connect/c16", "connect --conc 16"),
    Case("connect/c1/noc", "connect --holders 200 --rules 10 --rule-kind noc"),
    Case("idle/1000", IDLE, heavy=True),
    Case("names/w1", "names"),
    Case("names/w16", "names --window 16"),
    Case("call/8B/w1@free", "call", raw=True),
    Case("call/8B/w64@free", "call --window 64", raw=True),
    Case("fanout/100@free", "fanout --subs 100"),
]


def named(*names: str) -> list[Case]:
    """These, in the order of the table."""
    return [case for case in CASES if case.name in names]


def matching(pattern: str) -> list[Case]:
    return [case for case in CASES if re.search(pattern, case.name)]
