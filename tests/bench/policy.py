"""The command: what a policy of many packages costs: per message, to load, to reload.

The same calls on our bus with this policy and with one that allows everything, in many short
rounds; the ratio is that of the bus's CPU time per message.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.check import CPU, Requirement, check
from tests.bench.main import prepare
from tests.bench.measure import Length, Machine, measure
from tests.bench.policy_loading import CLIENTS, loading, reloading
from tests.bench.policy_targets import CASES, OPEN, PACKAGES, PolicyTarget, targets
from tests.bench.report import workloads
from tests.bench.samples import Samples
from tests.bench.targets import Failure

LOADING, RELOADING = "loading", "reloading"


def dearer(case: str) -> Requirement:
    """CPU of the bus per message, relative to that without a policy in the same round."""
    return Requirement(
        f"{case}: CPU per message vs {OPEN}",
        1.05,
        "x",
        lambda samples: samples.ratios((case, PACKAGES), (case, OPEN), CPU),
    )


def taking(what: str, case: str, key: str, limit: float) -> Requirement:
    return Requirement(what, limit, " ms", lambda samples: samples.values(case, PACKAGES, key))


REQUIREMENTS = [
    *(dearer(case.name) for case in CASES),
    taking("all files read, policy made", LOADING, "load_ms", 300),
    taking("the same with the import", LOADING, "with_import_ms", 300),
    taking(f"ReloadConfig with {CLIENTS} clients", RELOADING, "reload_ms", 100),
    taking("longest call meanwhile", RELOADING, "waited_ms", 100),
]


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("tests/bench/policy", description=__doc__)
    add = parser.add_argument
    add("--check", action="store_true", help="1 if a requirement is missed")
    add("--only", metavar="WORD", default="", help="only the workloads with this in their name")
    add("--rounds", type=int, default=31, help="(default 31)")
    add("--duration", type=float, default=0.08, help="measured seconds of a run (default 0.08)")
    return parser.parse_args(argv)


def run(both: list[PolicyTarget], chosen: argparse.Namespace) -> Samples:
    samples, began, machine = Samples(), time.monotonic(), Machine()
    length = Length(chosen.duration, chosen.duration / 3)
    for sample in reloading(both[1]):
        samples.add(RELOADING, PACKAGES, sample)
    for number in range(chosen.rounds):
        samples.add(LOADING, PACKAGES, loading(both[1].main))
        for case in CASES:
            if chosen.only in case.name:
                for one in both if number % 2 else both[::-1]:
                    samples.add(case.name, one.name, measure(one, case, length))
        seconds = time.monotonic() - began
        print(f"\rround {number + 1} of {chosen.rounds}, {seconds:.0f} s", end="", file=sys.stderr)
    print(f"\nothers used {machine.others():.0%} of the machine\n", file=sys.stderr)
    return samples


def main(argv: list[str] | None = None) -> int:
    chosen = arguments(argv)
    prepare()
    with TemporaryDirectory(prefix="bus1-policy-") as directory:
        os.chmod(directory, 0o711)
        try:
            samples = run(targets(Path(directory)), chosen)
        except Failure as error:
            print(f"tests/bench/policy: {error}", file=sys.stderr)
            return 2
    print(workloads(samples, list(CASES), [OPEN, PACKAGES]), "\n")
    asked = [each for each in REQUIREMENTS if each.values(samples) or not chosen.only]
    said, met = check(samples, asked)
    print(said)
    print("\n".join(samples.failures()))
    return 1 if samples.failures() or (chosen.check and not met) else 0


if __name__ == "__main__":
    sys.exit(main())
