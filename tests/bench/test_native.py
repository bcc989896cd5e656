"""The benchmark of the native protocol: its workloads run, its requirements can be missed."""

from __future__ import annotations

import re

import pytest

from tests.bench.check import check
from tests.bench.measure import Length, Sample, build, measure
from tests.bench.native import (
    BRIDGE,
    NATIVE,
    REQUIREMENTS,
    UNICASTS,
    WORK,
    Work,
    bus_for,
    main,
)
from tests.bench.samples import Samples

SHORT = Length(0.02, 0.01)


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    build()


@pytest.mark.parametrize("work", WORK, ids=[work.case.name for work in WORK])
def test_a_run_gives_numbers(work: Work) -> None:
    case = work.by(NATIVE)
    assert case
    sample = measure(bus_for(NATIVE), case, SHORT)
    assert not sample.error
    assert sample.values["bus_cpu_us"] > 0
    assert sample.values["rate"] > 0


def test_copies_are_counted() -> None:
    """One message to many shares its payload; a message to each does not."""
    for mode, copies in ((NATIVE, 1), (UNICASTS, 100)):
        case = WORK[-1].by(mode)
        assert case
        assert measure(bus_for(mode), case, SHORT).values["copies"] == copies


def test_the_command_reports(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "1", "--duration", "0.01", "--only", "call/8B/w64"]) == 0
    assert re.search(r"call/8B/w64 +\| native +\| +[\d,]+ ", capfd.readouterr().out)


def canned(latency: float, rate: float, copies: float) -> Samples:
    """What the bridge has is 100 us, and 900,000 deliveries a second."""
    samples = Samples()
    for _ in range(6):
        for work in WORK:
            of_bridge = {"p50_us": 100.0, "rate": 9e5}
            of_native = {"p50_us": latency, "rate": rate, "copies": copies}
            samples.add(work.case.name, BRIDGE, Sample(of_bridge))
            samples.add(work.case.name, NATIVE, Sample(of_native))
    return samples


@pytest.mark.parametrize(
    ("latency", "rate", "copies", "missed"),
    [(80, 9e5, 1, 0), (81, 9e5, 1, 2), (80, 8e5, 1, 2), (80, 9e5, 1.1, 1)],
)
def test_what_misses_its_limit_is_said(
    latency: float, rate: float, copies: float, missed: int
) -> None:
    table, met = check(canned(latency, rate, copies), REQUIREMENTS)
    assert met is (missed == 0)
    assert table.count("MISSED") == missed
