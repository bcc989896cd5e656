"""Replays one seed: python -m tests.policy.differential SEED [ours|dbus-daemon|both] [ROUNDS]"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.policy.differential.contest import BOTH, ROUNDS, Contest


def main() -> int:
    seed = int(sys.argv[1])
    which = sys.argv[2] if len(sys.argv) > 2 else "both"
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else ROUNDS
    with tempfile.TemporaryDirectory() as directory:
        contest = Contest(seed, Path(directory), BOTH if which == "both" else (which,))
        tally = contest.play(rounds)
        print("\n".join(contest.files()))
    print(tally)
    print("\n".join(tally.wrong) or "all agree")
    return bool(tally.wrong)


if __name__ == "__main__":
    raise SystemExit(main())
