"""Every known fault of a bus has a test, or a reason why it needs none (history.toml)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
CASES: list[dict[str, Any]] = tomllib.loads((ROOT / "tests/history.toml").read_text())["case"]


@cache
def found_in(file: str) -> frozenset[str]:
    """The tests that pytest finds in a file: functions at its top whose names say so."""
    tree = ast.parse((ROOT / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(each.name for each in tree.body if isinstance(each, kinds))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_case_has_tests_that_are_there(case: dict[str, Any]) -> None:
    assert set(case) <= {"id", "what", "tests", "no_test"}, case
    assert case["what"]
    assert case.get("tests") or case.get("no_test"), "neither a test nor a reason"
    for test in case.get("tests", []):
        file, _, name = test.partition("::")
        assert name.startswith("test_"), test
        assert Path(file).name.startswith("test_"), test
        assert name in found_in(file), f"{name} is not in {file}"


def test_a_case_is_listed_once() -> None:
    ids = [case["id"] for case in CASES]
    assert len(set(ids)) == len(ids)


def test_what_is_said_to_be_a_regression_test_is_listed() -> None:
    """The file that exists for nothing else."""
    file = "tests/behaviour/test_regressions.py"
    listed = {test for case in CASES for test in case.get("tests", [])}
    assert {f"{file}::{name}" for name in found_in(file) if name.startswith("test_")} <= listed


def test_pytest_collects_them() -> None:
    """By its own word: a test may be there and be left out all the same."""
    listed = sorted({test for case in CASES for test in case.get("tests", [])})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *listed],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"BUSES": "ours"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = {line.partition("[")[0] for line in done.stdout.splitlines()}
    assert set(listed) <= found
