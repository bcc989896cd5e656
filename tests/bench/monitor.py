"""The command: what a monitor that sees everything costs the others.

The same work on our bus without a monitor, with one that reads, and with one that has stopped
reading, in many short rounds; the ratio is that of the throughputs. Other buses, if they are
named, do the same in the same rounds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

from tests.bench.bus import Bus
from tests.bench.cases import Case
from tests.bench.check import Requirement
from tests.bench.main import options, prepare, rounds, verdict
from tests.bench.measure import Length, Sample, load, placement
from tests.bench.report import workloads
from tests.bench.samples import Samples
from tests.bench.targets import ROOT, Failure, Target, target

ALONE, READING, STUCK = "alone", "reading", "stuck"
MODES = (ALONE, READING, STUCK)
RATE = "rate"
PATIENCE = 20  # seconds

CASES = [
    Case("call/8B/w1@free", "call"),
    Case("call/8B/w64@free", "call --window 64"),
    Case("call/1K/w64@free", "call --window 64 --payload 1024"),
    Case("fanout/10@free", "fanout --subs 10"),
]


def label(one: Target, mode: str) -> str:
    """What its samples are filed under."""
    return mode if one.kind == "bus1" else f"{one.name} {mode}"


def dearer(case: str, mode: str, limit: float) -> Requirement:
    """How many times the throughput is higher without a monitor, in the same round."""
    return Requirement(
        f"{case}: throughput {ALONE} vs {mode}",
        limit,
        "x",
        lambda samples: samples.ratios((case, ALONE), (case, mode), RATE),
    )


# A fifth less is a ratio of 1.25. "None" for one that does not read is what noise leaves of it.
REQUIREMENTS = [
    dearer(case.name, mode, limit)
    for case in CASES
    for mode, limit in ((READING, 1.25), (STUCK, 1.05))
]


@contextmanager
def watched(bus: Bus, mode: str) -> Iterator[None]:
    """While a monitor in this mode is on the bus."""
    if mode == ALONE:
        yield
        return
    command = [sys.executable, "-m", "tests.bench.watcher", bus.address, mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout
        try:
            if process.stdout.readline().strip() != "watching":
                raise Failure("the monitor did not become one")
            yield
        finally:
            process.kill()


def measure(one: Target, case: Case, mode: str, length: Length) -> Sample:
    """A fresh bus, a monitor or none, one workload."""
    try:
        with Bus(one, placement(case)) as bus, watched(bus, mode):
            return load(bus, case, length, placement(case))
    except Failure as error:
        return Sample({}, str(error))


def run(targets: list[Target], chosen: argparse.Namespace) -> Samples:
    samples, length = Samples(), Length(chosen.duration, chosen.duration / 3)
    cases = [case for case in CASES if chosen.only in case.name]
    for number in rounds(chosen.rounds):
        first = number % len(MODES)
        for case, one in product(cases, targets):
            for mode in MODES[first:] + MODES[:first]:
                samples.add(case.name, label(one, mode), measure(one, case, mode, length))
    return samples


def main(argv: list[str] | None = None) -> int:
    parser = options("monitor", __doc__, rounds=15, duration=0.3)
    parser.add_argument("others", nargs="*", metavar="TARGET", help="as dbus-daemon, dbus-broker")
    chosen = parser.parse_args(argv)
    try:
        targets = [target(name) for name in ["bus1", *chosen.others]]
    except Failure as error:
        print(f"tests/bench/monitor: {error}", file=sys.stderr)
        return 2
    prepare()
    samples = run(targets, chosen)
    for one in targets:
        print(workloads(samples, CASES, [label(one, mode) for mode in MODES]), "\n")
    return verdict(samples, REQUIREMENTS, chosen)


if __name__ == "__main__":
    sys.exit(main())
