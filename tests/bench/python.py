"""The command: what a call costs between two Python programs, natively and by D-Bus.

One call at a time, each way with a client and a service of its own, on the same bus of ours:
`bus1.client` beside dbus-fast, and `bus1.client.blocking` beside dbus-python and GLib.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

from tests.bench.bus import Bus, environment, pinned
from tests.bench.cases import Case
from tests.bench.check import Requirement
from tests.bench.main import options, prepare, rounds, verdict
from tests.bench.measure import Sample, placement, read
from tests.bench.report import workloads
from tests.bench.samples import Samples
from tests.bench.targets import ROOT, Failure, target

DBUS, NATIVE = "D-Bus", "native"
CALLS = 400
HANGS = 60  # seconds
SYSTEM = "/usr/bin/python3"  # which has dbus-python and GLib


class Pair(NamedTuple):
    """The same call both ways: programs of tests.bench.pairs, with their first arguments."""

    case: Case
    python: str
    ways: dict[str, str]


def pairs(name: str, python: str, dbus: str, native: str) -> list[Pair]:
    """On one CPU, and anywhere."""
    ways = {DBUS: dbus, NATIVE: native}
    return [Pair(Case(f"{name}{where}", ""), python, ways) for where in ("", "@free")]


PAIRS = [
    *pairs("asyncio/dbus-fast", sys.executable, "fast client asyncio", "aio client asyncio"),
    *pairs("uvloop/dbus-fast", sys.executable, "fast client uvloop", "aio client uvloop"),
    *pairs("blocking/dbus-python", SYSTEM, "python_dbus client", "blocking client"),
    *pairs("blocking/Gio", SYSTEM, "gio client", "blocking client"),
]


def latency(case: str) -> Requirement:
    """The median of a call, relative to D-Bus in the same round."""
    return Requirement(
        f"{case}: median latency, {NATIVE} vs {DBUS}",
        0.8,
        "x",
        lambda samples: samples.ratios((case, NATIVE), (case, DBUS), "p50_us"),
    )


REQUIREMENTS = [latency(pair.case.name) for pair in PAIRS]


def measure(bus: Bus, pair: Pair, way: str, calls: int) -> Sample:
    """A client that starts its service, and ends it."""
    program, *arguments = pair.ways[way].split()
    dbus = f"unix:path={bus.directory / 'bus'}"
    command = [pair.python, "-m", f"tests.bench.pairs.{program}", *arguments, str(calls)]
    try:
        done = subprocess.run(
            [*command, dbus, bus.address],
            capture_output=True,
            text=True,
            timeout=HANGS,
            check=False,
            cwd=ROOT,
            env=environment() | {"PYTHONPATH": os.fspath(ROOT)},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Sample({}, str(error))
    return read(done.stdout, done.stderr)


def run(only: str, most: int, calls: int) -> Samples:
    """Both ways of a pair back to back, on one fresh bus; who goes first alternates."""
    samples = Samples()
    chosen = [pair for pair in PAIRS if only in pair.case.name]
    for number in rounds(most):
        for pair in chosen:
            ways = (DBUS, NATIVE) if number % 2 else (NATIVE, DBUS)
            cpus = placement(pair.case)
            try:
                with Bus(target("native"), cpus) as bus, pinned(cpus):
                    for way in ways:
                        samples.add(pair.case.name, way, measure(bus, pair, way, calls))
            except Failure as error:
                samples.add(pair.case.name, NATIVE, Sample({}, str(error)))
    return samples


def main(argv: list[str] | None = None) -> int:
    parser = options("python", __doc__, rounds=15, duration=0)
    parser.add_argument("--calls", type=int, default=CALLS, help="(default %(default)s)")
    chosen = parser.parse_args(argv)
    prepare()
    samples = run(chosen.only, chosen.rounds, chosen.calls)
    print(workloads(samples, [pair.case for pair in PAIRS], [DBUS, NATIVE]), "\n")
    return verdict(samples, REQUIREMENTS, chosen)


if __name__ == "__main__":
    sys.exit(main())
