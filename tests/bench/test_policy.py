"""The measurements of policies work: what they compare is the same work, and nothing is lost."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.bench.measure import Length, build, measure
from tests.bench.policy import main
from tests.bench.policy_loading import RELOADS, loading, reloading
from tests.bench.policy_targets import CASES, PACKAGES, PolicyTarget, targets
from tests.bench.targets import Failure
from tests.buses import missing

SHORT = Length(0.02, 0.01)


@pytest.fixture(scope="module")
def both() -> Iterator[list[PolicyTarget]]:
    build()
    with TemporaryDirectory(prefix="bus1-policy-") as directory:
        os.chmod(directory, 0o711)
        try:
            yield targets(Path(directory))
        except Failure as reason:
            missing(str(reason))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_both_policies_let_the_calls_pass(both: list[PolicyTarget], case: object) -> None:
    for target in both:
        sample = measure(target, case, SHORT)
        assert not sample.error
        assert sample.values["bus_cpu_us"] > 0


def test_a_reload_loses_nothing(both: list[PolicyTarget]) -> None:
    """Neither calls on their way, nor names, nor match rules, nor connections."""
    packages = next(target for target in both if target.name == PACKAGES)
    samples = reloading(packages)
    assert [sample.error for sample in samples] == [""] * RELOADS
    assert all(sample.values["reload_ms"] > 0 for sample in samples)


def test_loading_is_timed(both: list[PolicyTarget]) -> None:
    for target in both:
        sample = loading(target.main)
        assert not sample.error
        assert 0 < sample.values["load_ms"] < sample.values["with_import_ms"]


def test_the_command_reports(both: list[PolicyTarget], capfd: pytest.CaptureFixture[str]) -> None:
    assert both
    assert main(["--rounds", "1", "--duration", "0.01", "--only", "settled/w1"]) == 0
    shown = capfd.readouterr().out
    assert re.search(r"settled/w1 +\| packages .*x \(", shown)
    assert re.search(r"ReloadConfig with 200 clients +\| (met|MISSED)", shown)
