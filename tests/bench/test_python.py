"""The benchmark of libraries for Python: all pairs call, its requirements can be missed."""

from __future__ import annotations

import pytest

from tests.bench.bus import Bus
from tests.bench.check import check
from tests.bench.measure import Sample
from tests.bench.python import (
    BURST,
    DBUS,
    NATIVE,
    PAIRS,
    REQUIREMENTS,
    SYSTEM,
    Pair,
    main,
    measure,
)
from tests.bench.samples import Samples
from tests.bench.targets import Failure, target
from tests.buses import need_module

EACH = [pair for pair in PAIRS if pair.case.free]


@pytest.mark.parametrize("pair", EACH, ids=[pair.case.name for pair in EACH])
def test_a_run_gives_numbers(pair: Pair) -> None:
    if pair.python == SYSTEM:
        need_module("dbus, gi")
    with Bus(target("native")) as bus:
        found = measure(bus, pair, 2 * BURST)
    for way in (DBUS, NATIVE):
        assert 0 < found[way].values["p50_us"] <= found[way].values["p99_us"]


def test_a_program_that_fails_says_why() -> None:
    pair = EACH[0]._replace(ways={DBUS: "nothing"})
    with (
        Bus(target("native")) as bus,
        pytest.raises(Failure, match=r"No module named tests\.bench\.pairs\.nothing"),
    ):
        measure(bus, pair, BURST)


def test_the_command_reports(capfd: pytest.CaptureFixture[str]) -> None:
    argv = ["--rounds", "1", "--calls", "20", "--only", "asyncio/dbus-fast/methods@free"]
    assert main(argv) == 0
    said = capfd.readouterr().out
    assert "| asyncio/dbus-fast/methods@free | native" in said
    assert "asyncio/dbus-fast/methods@free: median latency" in said


@pytest.mark.parametrize(("latency", "missed"), [(80, 0), (81, len(PAIRS))])
def test_what_misses_its_limit_is_said(latency: float, missed: int) -> None:
    samples = Samples()
    for _ in range(6):
        for pair in PAIRS:
            samples.add(pair.case.name, DBUS, Sample({"p50_us": 100.0}))
            samples.add(pair.case.name, NATIVE, Sample({"p50_us": latency}))
    table, met = check(samples, REQUIREMENTS)
    assert met is (missed == 0)
    assert table.count("MISSED") == missed
