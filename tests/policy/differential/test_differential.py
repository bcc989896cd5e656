"""Ours and dbus-daemon, with the same policies and the same traffic, decide alike.

Invariant: every client sees the same of both, and what policy/explain.py says; but for what is
in differences.toml. POLICY_DECISIONS=1000000 makes it longer (default 20000); POLICY_SEED=N
begins elsewhere; `python -m tests.policy.differential SEED` shows one seed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from policy.configuration import Configuration
from policy.people import People
from policy.policy import Policy
from tests.buses import KINDS, missing, need
from tests.policy.differential.contest import BOTH, Contest
from tests.policy.differential.court import DIFFERENCES
from tests.policy.differential.judge import OURS, REFERENCE, Tally
from tests.policy.differential.visitors import possible

FROM_SOURCE = os.environ.get("BUS1_UNCOMPILED") == "1"  # there a bus takes long to start
DECISIONS = int(os.environ.get("POLICY_DECISIONS") or (5000 if FROM_SOURCE else 20_000))
FIRST_SEED = int(os.environ.get("POLICY_SEED", "1"))
BUSES = tuple(kind for kind in BOTH if kind in KINDS)
SORTS = {"connect", "hello", "own", "send", "receive", "broadcast", "eavesdrop"}


@pytest.fixture(autouse=True)
def anybody() -> None:
    if not possible():
        missing("only root can connect as other users, on a machine whose system calls are known")
    if REFERENCE in BUSES:
        need(REFERENCE)


def played(seed: int, **options: int) -> Tally:
    """One seed's outcome; if it is wrong, with the policy that it was about."""
    with tempfile.TemporaryDirectory(prefix="policy") as directory:
        contest = Contest(seed, Path(directory), BUSES)
        tally = contest.play(**options)
        if tally.wrong:
            tally.wrong += contest.files()
        return tally


def test_all_verdicts_agree() -> None:
    total, seed = Tally(), FIRST_SEED
    while total.decisions.total() < DECISIONS:
        tally = played(seed)
        assert not tally.wrong, "\n".join(
            [*tally.wrong, f"python -m tests.policy.differential {seed}"]
        )
        total.add(tally)
        seed += 1
    print(f"seeds {FIRST_SEED} to {seed - 1}: {total}")
    if DECISIONS >= 20_000:
        assert total.decisions.keys() == SORTS
        assert min(total.decisions.values()) > DECISIONS / 200
        assert total.kept.keys() == DIFFERENCES.keys() - {"comm", "log"}, (
            "a difference that is none"
        )


def test_another_policy_is_noticed(tmp_path: Path) -> None:
    """What all the others rest on: a model that allows nothing agrees with no bus."""
    kind = REFERENCE if REFERENCE in BUSES else OURS
    contest = Contest(FIRST_SEED, tmp_path, (kind,))
    contest.world.adopt(Policy(Configuration(), People()))
    assert contest.play().wrong
