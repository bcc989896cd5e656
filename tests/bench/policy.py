"""The command: what a policy of many packages costs: per message, to load, to reload.

The same calls on our bus with this policy and with one that allows everything, in many short
rounds; the ratio is that of the bus's CPU time per message.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.check import CPU, Requirement
from tests.bench.main import options, prepare, rounds, verdict
from tests.bench.measure import Length, measure
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


def run(both: list[PolicyTarget], chosen: argparse.Namespace) -> Samples:
    samples = Samples()
    length = Length(chosen.duration, chosen.duration / 3)
    for sample in reloading(both[1]):
        samples.add(RELOADING, PACKAGES, sample)
    for number in rounds(chosen.rounds):
        samples.add(LOADING, PACKAGES, loading(both[1].main))
        for case in CASES:
            if chosen.only in case.name:
                for one in both if number % 2 else both[::-1]:
                    samples.add(case.name, one.name, measure(one, case, length))
    return samples


def main(argv: list[str] | None = None) -> int:
    chosen = options("policy", __doc__, rounds=31, duration=0.08).parse_args(argv)
    prepare()
    with TemporaryDirectory(prefix="bus1-policy-") as directory:
        os.chmod(directory, 0o711)
        try:
            samples = run(targets(Path(directory)), chosen)
        except Failure as error:
            print(f"tests/bench/policy: {error}", file=sys.stderr)
            return 2
    print(workloads(samples, list(CASES), [OPEN, PACKAGES]), "\n")
    return verdict(samples, REQUIREMENTS, chosen)


if __name__ == "__main__":
    sys.exit(main())
