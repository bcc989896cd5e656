"""The command: what a message costs a native peer, beside a D-Bus client of ours and dbus-daemon's.

The same work three ways in many short rounds: through the native socket, through the bridge of the
same daemon, and on dbus-daemon; a payload of 1 MiB also as that many messages to one peer each.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from tests.bench.cases import Case
from tests.bench.check import Requirement
from tests.bench.main import options, prepare, rounds, verdict
from tests.bench.measure import Length, measure
from tests.bench.report import Row, median, table, workloads
from tests.bench.samples import Samples, estimate
from tests.bench.targets import Target, target

BRIDGE, NATIVE, THEIRS = "bridge", "native", "dbus-daemon"
UNICASTS = "unicasts"  # native, too, but one message for each receiver
MODES = (BRIDGE, NATIVE, UNICASTS, THEIRS)
BULK = "fanout --subs 100 --payload 1048576 --batch 1"
MILLION = 1e6  # deliveries a second


class Work(NamedTuple):
    case: Case  # as a D-Bus client does it
    unicasts: bool = False

    def by(self, mode: str) -> Case | None:
        """The same in this way, if there is one."""
        if mode == UNICASTS and not self.unicasts:
            return None
        if mode in (BRIDGE, THEIRS):
            return self.case
        more = " --unicast" if mode == UNICASTS else ""
        return self.case._replace(arguments=f"native-{self.case.arguments}{more}")


WORK = [
    Work(Case("call/8B/w1", "call")),
    Work(Case("call/8B/w64", "call --window 64")),
    Work(Case("call/8B/w1@free", "call")),
    Work(Case("fanout/100", "fanout --subs 100")),
    Work(Case("fanout/100@free", "fanout --subs 100")),
    Work(Case("fanout/100/1M", BULK, long=True), unicasts=True),
]


def latency(case: str, limit: float) -> Requirement:
    """The median of a call, relative to the bridge's in the same round."""
    return Requirement(
        f"{case}: median latency, {NATIVE} vs {BRIDGE}",
        limit,
        "x",
        lambda samples: samples.ratios((case, NATIVE), (case, BRIDGE), "p50_us"),
    )


def slower(case: str) -> Requirement:
    """A million deliveries a second; where the bridge has fewer, as many as it has."""

    def ratios(samples: Samples) -> list[float]:
        pairs = zip(
            samples.values(case, BRIDGE, "rate"), samples.values(case, NATIVE, "rate"), strict=False
        )
        return [min(MILLION, bridge) / native for bridge, native in pairs]

    return Requirement(
        f"{case}: a million deliveries/s, or {BRIDGE}'s, vs {NATIVE}", 1, "x", ratios
    )


def copied(case: str) -> Requirement:
    return Requirement(
        f"{case}: copies of the payload of a multicast",
        1,
        "",
        lambda samples: samples.values(case, NATIVE, "copies"),
    )


REQUIREMENTS = [
    latency("call/8B/w1", 0.8),
    latency("call/8B/w1@free", 0.8),
    slower("fanout/100"),
    slower("fanout/100@free"),
    copied("fanout/100/1M"),
]


def bus_for(mode: str) -> Target:
    """Which bus is started for this way."""
    return target({BRIDGE: "bus1", NATIVE: "native", UNICASTS: "native"}.get(mode, mode))


def run(only: str, most: int, length: Length) -> Samples:
    """Who goes first rotates."""
    samples = Samples()
    for number in rounds(most):
        first = number % len(MODES)
        for work in WORK:
            for mode in MODES[first:] + MODES[:first]:
                case = work.by(mode)
                if case and only in case.name:
                    samples.add(case.name, mode, measure(bus_for(mode), case, length))
    return samples


def copies(samples: Samples) -> str:
    """How often the pages of a payload in a memfd are there for all its receivers together."""
    rows: list[Row] = [
        [work.case.name, mode, median(found)]
        for work in WORK
        for mode in MODES
        if (found := estimate(samples.values(work.case.name, mode, "copies")))
    ]
    return table(["", "way", "copies of a payload"], rows) if rows else ""


def main(argv: list[str] | None = None) -> int:
    chosen = options("native", __doc__, rounds=15, duration=0.1).parse_args(argv)
    prepare()
    length = Length(chosen.duration, chosen.duration / 3)
    samples = run(chosen.only, chosen.rounds, length)
    print(workloads(samples, [work.case for work in WORK], list(MODES)), "\n")
    print(copies(samples), "\n")
    return verdict(samples, REQUIREMENTS, chosen)


if __name__ == "__main__":
    sys.exit(main())
