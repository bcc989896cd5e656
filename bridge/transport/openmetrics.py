"""The forms that families of OpenMetrics have here. It knows nothing of what they are about.

Labels have few values: those of which there is most, and "other" for all the rest.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from heapq import nlargest
from typing import Final, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from bridge.transport.histogram import Histogram

SHOWN: Final = 20  # values of a label, besides "other"
OTHER: Final = "other"

Labelled = GaugeMetricFamily | CounterMetricFamily
Key = TypeVar("Key", bound=Hashable)


def most(counts: Mapping[Key, float], number: int | None = None) -> list[Key]:
    """Those of which there is most, most first; SHOWN of them, or as many as asked for."""
    return nlargest(number or SHOWN, counts, key=lambda each: counts[each])


def largest(counts: Mapping[str, int]) -> list[str]:
    """Those of which there is anything, most first."""
    names = [name for name, count in counts.items() if count and name != OTHER]
    return most({name: counts[name] for name in names})


def named(name: str, text: str, counts: "Counter[str]") -> Metric:
    """A gauge by well-known names, the rest together under "other"."""
    shown = largest(counts)
    rest = counts.total() - sum(counts[each] for each in shown)
    samples = [*((each, counts[each]) for each in shown), (OTHER, rest)]
    return many(gauge(name, text, "name"), samples)


def many(family: Labelled, samples: Iterable[tuple[str, float]]) -> Metric:
    """A family with one label."""
    for value, count in samples:
        family.add_metric([value], count)
    return family


def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, labels=labels)


def histogram(name: str, text: str, seconds: Histogram) -> Metric:
    return HistogramMetricFamily(name, text, buckets=seconds.buckets(), sum_value=seconds.total)


def single(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def total(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
