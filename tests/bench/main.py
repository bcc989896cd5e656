"""The command: measures workloads on buses, side by side. See README.md."""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence

from tests.bench import cases as workloads
from tests.bench.cases import Case
from tests.bench.check import CASES as CHECKED
from tests.bench.check import OURS, THEIRS, Requirement, check
from tests.bench.measure import Length, Machine, build, measure, measure_start
from tests.bench.report import report
from tests.bench.samples import START, Samples
from tests.bench.targets import Failure, Target, target

EVERY = 3  # heavy cases run in every third round
TARGETS = """targets: dbus-daemon, bus1, dbus-broker, relay (copies bytes only: the floor), or
NAME=COMMAND (another program with bus1-daemon's command line). The first is the base of all
ratios."""


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("tests/bench/run", description=__doc__, epilog=TARGETS)
    add = parser.add_argument
    add("targets", nargs="*", metavar="TARGET", help="default: dbus-daemon bus1 relay")
    add("--check", action="store_true", help="judge bus1 by its requirements; 1 if one is missed")
    add("--only", metavar="REGEX", help="only the workloads that match")
    add("--rounds", type=int, default=15, help="(default 15)")
    add("--duration", type=float, default=0.08, help="measured seconds of a run (default 0.08)")
    add("--json", metavar="FILE", help="write every sample")
    add("--list", action="store_true", help="list the workloads")
    chosen = parser.parse_args(argv)
    if chosen.check and (chosen.targets or chosen.only):
        parser.error("--check decides itself what to measure")
    return chosen


def options(
    command: str, about: str | None, rounds: int, duration: float
) -> argparse.ArgumentParser:
    """Of the commands beside this, which have requirements of their own."""
    parser = argparse.ArgumentParser(f"tests/bench/{command}", description=about)
    add = parser.add_argument
    add("--check", action="store_true", help="1 if a requirement is missed")
    add("--only", metavar="WORD", default="", help="only the workloads with this in their name")
    add("--rounds", type=int, default=rounds, help="(default %(default)s)")
    seconds = "measured seconds of a run (default %(default)s)"
    add("--duration", type=float, default=duration, help=seconds)
    return parser


def rounds(most: int) -> Iterator[int]:
    """Their numbers. stderr is told how far they are, and on what machine they were."""
    began, machine = time.monotonic(), Machine()
    for number in range(most):
        yield number
        seconds = time.monotonic() - began
        print(f"\rround {number + 1} of {most}, {seconds:.0f} s", end="", file=sys.stderr)
    print(
        f"\n{os.cpu_count()} CPUs, Linux {os.uname().release}; {most} rounds; "
        f"others used {machine.others():.0%} of the machine\n",
        file=sys.stderr,
    )


def run_round(
    number: int, cases: list[Case], targets: list[Target], length: Length, samples: Samples
) -> None:
    """Each case on every target, back to back; who goes first rotates."""
    for one in targets:
        samples.add(START, one.name, measure_start(one))
    for case in cases:
        turn, rest = divmod(number, EVERY) if case.heavy else (number, 0)
        if rest:
            continue
        first = turn % len(targets)
        for one in targets[first:] + targets[:first]:
            if case.raw or one.kind != "relay":
                samples.add(case.name, one.name, measure(one, case, length))


def run(cases: list[Case], targets: list[Target], most: int, length: Length) -> Samples:
    samples = Samples()
    for number in rounds(most):
        run_round(number, cases, targets, length, samples)
    return samples


def write(samples: Samples, path: str) -> None:
    lines = [
        {"case": case, "target": name, "values": [sample.values for sample in found]}
        for (case, name), found in samples.all.items()
    ]
    with open(path, "w") as file:
        json.dump(lines, file, indent=1)


def prepare() -> None:
    build()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def verdict(
    samples: Samples, requirements: Sequence[Requirement], chosen: argparse.Namespace
) -> int:
    """Say what is met, of what has been measured; the exit status."""
    asked = [each for each in requirements if each.values(samples) or not chosen.only]
    said, met = check(samples, asked)
    print(said)
    print("\n".join(samples.failures()))
    return 1 if samples.failures() or (chosen.check and not met) else 0


def main(argv: list[str] | None = None) -> int:
    chosen = arguments(argv)
    cases = CHECKED if chosen.check else workloads.matching(chosen.only or "")
    if chosen.list:
        print("\n".join(f"{case.name:20} {case.arguments}" for case in cases))
        return 0
    names = [THEIRS, OURS] if chosen.check else chosen.targets or [THEIRS, OURS, "relay"]
    try:
        targets = [target(name) for name in names]
    except Failure as error:
        print(f"tests/bench/run: {error}", file=sys.stderr)
        return 2
    prepare()
    length = Length(chosen.duration, chosen.duration / 3)
    samples = run(cases, targets, chosen.rounds, length)
    print(report(samples, cases, [one.name for one in targets]))
    good = not samples.failures()
    if chosen.check:
        verdicts, met = check(samples)
        print(f"\n{verdicts}")
        good = good and met
    if chosen.json:
        write(samples, chosen.json)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
