"""All samples of a run, and what statistics say of them. Knows nothing of how they came about."""

from __future__ import annotations

import math
import statistics
from typing import NamedTuple

from tests.bench.measure import Sample

START = "startup"  # the case of measure_start


class Estimate(NamedTuple):
    """A median and how well it is known."""

    median: float
    low: float  # 95 % confidence interval
    high: float
    spread: float  # interquartile range, relative
    least: float
    rounds: int


class Samples:
    """By case and target; the nth of each list belongs to the nth round."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, str], list[Sample]] = {}

    def add(self, case: str, target: str, sample: Sample) -> None:
        self.all.setdefault((case, target), []).append(sample)

    def values(self, case: str, target: str, key: str) -> list[float]:
        found = (sample.values.get(key) for sample in self.all.get((case, target), []))
        return [value for value in found if value is not None]

    def ratios(self, above: tuple[str, str], below: tuple[str, str], key: str) -> list[float]:
        """Of two (case, target), round by round."""
        pairs = zip(self.all.get(above, []), self.all.get(below, []), strict=False)
        values = [(a.values.get(key), b.values.get(key)) for a, b in pairs]
        return [a / b for a, b in values if a is not None and b]

    def errors(self, case: str, target: str) -> list[str]:
        return [sample.error for sample in self.all.get((case, target), []) if sample.error]

    def failures(self) -> list[str]:
        """One line for each case and target that failed."""
        return [
            f"FAILED {case} on {target} ({len(errors)}x): {errors[0]}"
            for case, target in self.all
            if (errors := self.errors(case, target))
        ]


def estimate(values: list[float]) -> Estimate | None:
    if not values:
        return None
    low, high = interval(values)
    median = statistics.median(values)
    return Estimate(median, low, high, spread(values, median), min(values), len(values))


def interval(values: list[float]) -> tuple[float, float]:
    """Where the median lies with 95 % confidence, from order statistics: no assumption about
    the distribution. The whole range if there are less than 6 values."""
    ordered, n = sorted(values), len(values)
    k, tail = 0, 0.0
    for i in range(n // 2):
        tail += math.comb(n, i) / 2**n
        if tail > 0.025:
            break
        k = i
    return ordered[k], ordered[n - 1 - k]


def spread(values: list[float], median: float) -> float:
    if len(values) < 3 or not median:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / median
