"""The command: what a monitor that sees everything costs the others.

The same work on our bus without a monitor, with one that reads, and with one that has stopped
reading, in many short rounds; the ratio is that of the throughputs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.bus import Bus
from tests.bench.cases import Case
from tests.bench.check import Requirement, check
from tests.bench.main import prepare
from tests.bench.measure import Length, Machine, Sample, load, placement
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


def measure(ours: Target, case: Case, mode: str, length: Length) -> Sample:
    """A fresh bus, a monitor or none, one workload."""
    try:
        with Bus(ours, placement(case)) as bus, watched(bus, mode):
            return load(bus, case, length, placement(case))
    except Failure as error:
        return Sample({}, str(error))


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("tests/bench/monitor", description=__doc__)
    add = parser.add_argument
    add("--check", action="store_true", help="1 if a requirement is missed")
    add("--only", metavar="WORD", default="", help="only the workloads with this in their name")
    add("--rounds", type=int, default=15, help="(default 15)")
    add("--duration", type=float, default=0.3, help="measured seconds of a run (default 0.3)")
    return parser.parse_args(argv)


def run(chosen: argparse.Namespace) -> Samples:
    samples, began, machine = Samples(), time.monotonic(), Machine()
    ours, length = target("bus1"), Length(chosen.duration, chosen.duration / 3)
    for number in range(chosen.rounds):
        first = number % len(MODES)
        for case in CASES:
            if chosen.only in case.name:
                for mode in MODES[first:] + MODES[:first]:
                    samples.add(case.name, mode, measure(ours, case, mode, length))
        seconds = time.monotonic() - began
        print(f"\rround {number + 1} of {chosen.rounds}, {seconds:.0f} s", end="", file=sys.stderr)
    print(f"\nothers used {machine.others():.0%} of the machine\n", file=sys.stderr)
    return samples


def main(argv: list[str] | None = None) -> int:
    chosen = arguments(argv)
    prepare()
    samples = run(chosen)
    print(workloads(samples, list(CASES), list(MODES)), "\n")
    asked = [each for each in REQUIREMENTS if each.values(samples) or not chosen.only]
    said, met = check(samples, asked)
    print(said)
    print("\n".join(samples.failures()))
    return 1 if samples.failures() or (chosen.check and not met) else 0


if __name__ == "__main__":
    sys.exit(main())
