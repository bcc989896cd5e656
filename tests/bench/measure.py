"""One measurement: a fresh bus, one workload, what both cost. Knows nothing of rounds."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import NamedTuple

from tests.alone import alone
from tests.bench.bus import Bus, pinned
from tests.bench.cases import Case
from tests.bench.targets import HERE, Failure, Target

LOADGEN = str(HERE / "build" / "loadgen")
HANGS = 180.0  # seconds


class Sample(NamedTuple):
    """What one measurement gave: values by name, or why there are none."""

    values: dict[str, float]
    error: str = ""


class Length(NamedTuple):
    """Seconds."""

    measured: float
    warmup: float


def build() -> None:
    """loadgen and relay, when they are older than their text."""
    with alone(HERE / "build"):
        subprocess.run(["make", "-s", "-C", str(HERE)], check=True)


def placement(case: Case) -> set[int] | None:
    """The last CPU, or anywhere."""
    return None if case.free else {max(os.sched_getaffinity(0))}


def measure(target: Target, case: Case, length: Length) -> Sample:
    cpus = placement(case)
    try:
        with Bus(target, cpus) as bus:
            values, error = load(bus, case, length, cpus)
            return Sample(values, error + bus.says() if error else "")
    except Failure as error:
        return Sample({}, str(error))


def load(bus: Bus, case: Case, length: Length, cpus: set[int] | None) -> Sample:
    command = [
        *(LOADGEN, "--address", bus.address, "--bus-pid", str(bus.pid), "--timeout", "120"),
        *("--duration", str(length.measured * case.stretch)),
        *("--warmup", str(length.warmup * case.stretch)),
        *("--workload", *case.arguments.split()),
        *(["--raw"] if bus.target.kind == "relay" else []),
    ]
    try:
        with pinned(cpus):
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=HANGS
            )
    except subprocess.TimeoutExpired:
        return Sample({}, "loadgen hangs")
    return read(done.stdout, done.stderr)


def read(output: str, complaint: str = "") -> Sample:
    """loadgen's line of JSON."""
    try:
        result = json.loads(output)
    except ValueError:
        return Sample({}, f"loadgen: {complaint.strip() or output.strip() or 'no result'}")
    if not result.pop("ok"):
        return Sample({}, result["error"])
    return Sample({key: value for key, value in result.items() if not isinstance(value, str)})


def measure_start(target: Target) -> Sample:
    """How long until the address is there, and how big the bus is then."""
    try:
        with Bus(target) as bus:
            time.sleep(0.05)
            return Sample({"startup_ms": bus.startup * 1e3, "rss_kib": bus.rss_kib()})
    except (Failure, OSError) as error:
        return Sample({}, str(error))


class Machine:
    """How much of all CPUs others used since it was made."""

    def __init__(self) -> None:
        self.since, self.busy, self.own = time.monotonic(), busy(), own()

    def others(self) -> float:
        seconds = (time.monotonic() - self.since) * (os.cpu_count() or 1)
        return max(0.0, busy() - self.busy - (own() - self.own)) / max(seconds, 1e-3)


def busy() -> float:
    """CPU seconds of the whole machine: user, nice, system, irq, softirq."""
    with open("/proc/stat") as file:
        ticks = [int(word) for word in file.readline().split()[1:8]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def own() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
