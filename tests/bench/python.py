"""The command: what a call costs between two Python programs, natively and by D-Bus.

One call at a time, each way with a client and a service of its own, on the same bus of ours:
`bus1.client` beside dbus-fast, and `bus1.client.blocking` beside dbus-python and GLib.
"""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import sys
from contextlib import ExitStack
from typing import NamedTuple

from tests.bench.bus import Bus, environment, pinned
from tests.bench.cases import Case
from tests.bench.check import Requirement
from tests.bench.main import options, prepare, rounds, verdict
from tests.bench.measure import Sample, placement
from tests.bench.report import workloads
from tests.bench.samples import Samples
from tests.bench.targets import ROOT, Failure, target

DBUS, NATIVE = "D-Bus", "native"
CALLS = 400  # of each way in a round
BURST = 20  # one after the other, before the other way has its turn
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


def both(kind: str, loop: str) -> list[Pair]:
    """Methods of proxies and services, or messages made by hand."""
    name = f"{loop}/dbus-fast/{kind}"
    return pairs(name, sys.executable, f"fast {kind} {loop}", f"aio {kind} {loop}")


PAIRS = [
    *both("methods", "asyncio"),
    *both("messages", "asyncio"),
    *both("methods", "uvloop"),
    *both("messages", "uvloop"),
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


class Caller:
    """A client, with its service, that calls when it is told to. Raises Failure."""

    def __init__(self, bus: Bus, pair: Pair, way: str) -> None:
        program, *arguments = pair.ways[way].split()
        command = [pair.python, "-m", f"tests.bench.pairs.{program}", *arguments]
        self.seconds: list[float] = []
        self.complaint = open(bus.directory / f"{way}.err", "w+")  # noqa: SIM115 (closed in end)
        self.process = subprocess.Popen(
            [*command, f"unix:path={bus.directory / 'bus'}", bus.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.complaint,
            text=True,
            cwd=ROOT,
            env=environment() | {"PYTHONPATH": os.fspath(ROOT)},
        )

    def read(self) -> str:
        assert self.process.stdout
        found, _, _ = select.select([self.process.stdout], [], [], HANGS)
        line = self.process.stdout.readline() if found else ""
        if not line:
            self.complaint.seek(0)
            raise Failure(self.complaint.read().strip() or "it hangs")
        return line

    def call(self, many: int) -> list[float]:
        """Seconds of each call."""
        assert self.process.stdin
        self.process.stdin.write(f"{many}\n")
        self.process.stdin.flush()
        seconds: list[float] = json.loads(self.read())
        return seconds

    def end(self) -> None:
        """It ends with its input, and its service with it."""
        try:
            self.process.communicate(timeout=HANGS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.complaint.close()


def sample(seconds: list[float]) -> Sample:
    ordered = sorted(seconds)
    values = {
        "p50_us": statistics.median(ordered) * 1e6,
        "p99_us": ordered[len(ordered) * 99 // 100] * 1e6,
        "rate": len(ordered) / sum(ordered),
    }
    return Sample(values)


def measure(bus: Bus, pair: Pair, calls: int) -> dict[str, Sample]:
    """All ways of a pair, a short burst of calls in turn: what else the machine does hits both."""
    with ExitStack() as stack:
        callers = {}
        for way in pair.ways:
            caller = callers[way] = Caller(bus, pair, way)
            stack.callback(caller.end)
            caller.read()
            caller.call(BURST)  # to be warm
        for _ in range(calls // BURST):
            for caller in callers.values():
                caller.seconds += caller.call(BURST)
        return {way: sample(caller.seconds) for way, caller in callers.items()}


def run(only: str, most: int, calls: int) -> Samples:
    """A fresh bus and fresh programs in each round."""
    samples = Samples()
    chosen = [pair for pair in PAIRS if only in pair.case.name]
    for _ in rounds(most):
        for pair in chosen:
            cpus = placement(pair.case)
            try:
                with Bus(target("native"), cpus) as bus, pinned(cpus):
                    found = measure(bus, pair, calls)
            except (Failure, OSError) as error:
                found = {way: Sample({}, str(error)) for way in pair.ways}
            for way, each in found.items():
                samples.add(pair.case.name, way, each)
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
