"""What the bus must show: limits, judged on the samples of one run with bus1 and dbus-daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.bench.cases import named
from tests.bench.report import Row, number, table
from tests.bench.samples import START, Estimate, Samples, estimate

OURS, THEIRS = "bus1", "dbus-daemon"
CPU = "bus_cpu_us"


class Requirement(NamedTuple):
    what: str
    limit: float
    unit: str
    values: Callable[[Samples], list[float]]
    least: bool = False  # judged by the least value, not by the median


def against_daemon(case: str, limit: float) -> Requirement:
    """CPU of the bus per message, relative to dbus-daemon's in the same round."""
    return Requirement(
        f"{case}: CPU per message vs {THEIRS}",
        limit,
        "x",
        lambda samples: samples.ratios((case, OURS), (case, THEIRS), CPU),
    )


def starting(how: str, least: bool) -> Requirement:
    return Requirement(
        f"startup: address printed, {how}",
        150,
        " ms",
        lambda samples: samples.values(START, OURS, "startup_ms"),
        least,
    )


REQUIREMENTS = [
    against_daemon("call/8B/w1", 0.6),
    against_daemon("call/8B/w64", 0.25),
    against_daemon("fanout/100", 0.1),
    Requirement(
        "filtered/1000 vs filtered/10: CPU per message",
        1.2,
        "x",
        lambda samples: samples.ratios(("filtered/1000", OURS), ("filtered/10", OURS), CPU),
    ),
    Requirement(
        "idle/1000: RSS per connection with 10 rules",
        11,
        " KiB",
        lambda samples: samples.values("idle/1000", OURS, "grown_kib"),
    ),
    starting("median", least=False),
    starting("least", least=True),
]

CASES = named(
    *("call/8B/w1", "call/8B/w64", "fanout/100", "filtered/10", "filtered/1000", "idle/1000")
)


def judge(requirement: Requirement, found: Estimate | None) -> str:
    if not found:
        return "FAILED"
    if requirement.least:
        return "met" if found.least <= requirement.limit else "MISSED"
    if found.median > requirement.limit:
        return "MISSED" if found.low > requirement.limit else "MISSED, perhaps"
    return "met" if found.high <= requirement.limit else "met, perhaps"


def row(requirement: Requirement, found: Estimate | None) -> Row:
    unit = requirement.unit
    value = (found.least if requirement.least else found.median) if found else 0
    return [
        requirement.what,
        judge(requirement, found),
        f"{requirement.limit:g}{unit}",
        f"{number(value)}{unit}" if found else "-",
        f"{number(found.low)}-{number(found.high)}" if found else "-",
        str(found.rounds) if found else "0",
    ]


def check(samples: Samples, requirements: Sequence[Requirement] = REQUIREMENTS) -> tuple[str, bool]:
    """The table, and whether all is met."""
    rows = [row(wanted, estimate(wanted.values(samples))) for wanted in requirements]
    head = ["requirement", "verdict", "at most", "measured", "95 % interval", "rounds"]
    return table(head, rows), all(line[1].startswith("met") for line in rows)
