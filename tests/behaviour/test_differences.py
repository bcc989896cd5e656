"""The list of deliberate differences is neither stale nor without reasons."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.behaviour.differences import DIFFERENCES


@pytest.mark.parametrize("rule", DIFFERENCES)
def test_every_difference_is_real_explained_and_tested(rule: str) -> None:
    difference = DIFFERENCES[rule]
    assert difference.reference != difference.ours
    assert difference.reason
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert f'"{rule}"' in tests
