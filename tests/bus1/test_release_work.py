"""What releasing costs when one event put many notices side by side: no search among them.

Work is counted, not timed: the lines that run. Only plain text has lines, so that this module
runs itself uncompiled.
"""

import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
FEW = 100


def main(law: str) -> None:
    """Print the lines that run for FEW, and for twice as many."""
    from bus1 import Bus, Message, Peer

    def taken(peer: Peer) -> list[Message]:
        found: list[Message] = []
        while (message := peer.receive()) is not None:
            found.append(message)
        return found

    def act(many: int) -> None:
        bus = Bus()
        owner, holder = bus.connect(1), bus.connect(2)
        if law == "made again":
            nodes = [owner.create() for _ in range(many)]
            owner.release([owner.handle(node) for node in nodes])
            for node in reversed(nodes):
                owner.handle(node)
            assert taken(owner) == []
            return
        node = owner.create()
        handles = [owner.once(node, holder, number) for number in range(many)]
        owner.destroy([node])
        if law == "each taken, then released":
            while (message := holder.receive()) is not None:
                holder.release([message.target])
        elif law == "all taken, then released":
            assert len(taken(holder)) == many
            for handle in handles:
                holder.release([handle])
        elif law == "released, first to last":
            for handle in handles:
                holder.release([handle])
        elif law == "released, last to first":
            for handle in reversed(handles):
                holder.release([handle])
        elif law == "released as one":
            holder.release(list(handles))
        elif law == "every other released":
            for handle in handles[::2]:
                holder.release([handle])
            # The latest holder is told first.
            assert [message.target for message in taken(holder)] == handles[1::2][::-1]
            return
        else:
            raise ValueError(law)
        assert taken(holder) == []
        assert not holder.handles

    def work(many: int) -> int:
        lines = 0

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal lines
            lines += event == "line"
            return trace

        sys.settrace(trace)
        act(many)
        sys.settrace(None)
        return lines

    print(work(FEW), work(2 * FEW))


@pytest.mark.parametrize(
    "law",
    [
        "each taken, then released",
        "all taken, then released",
        "released, first to last",
        "released, last to first",
        "released as one",
        "every other released",
        "made again",
    ],
)
def test_releasing_searches_nothing(law: str) -> None:
    command = [sys.executable, "-m", "tests.uncompiled", "tests.bus1.test_release_work", law]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    few, many = map(int, done.stdout.split())
    assert many < 2.5 * few  # a search for each would be four times as much


if __name__ == "__main__":
    main(sys.argv[1])
