"""What rules cost when they come and when clients leave: no search among the others.

Work is counted, not timed: the lines that run, those of each comparison of two rules or two
clients among them. Only plain text has lines, so that this module runs itself uncompiled.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
FEW = 100

# Rules that differ in one key only, by a number.
ALIKE: dict[str, Callable[[int], str]] = {
    "destination": lambda number: f"eavesdrop='true',destination='a.b{number}'",
    "places": lambda number: f"arg{4 + number % 30}='x',arg{34 + number // 30}='x'",
    "searched places": lambda number: (
        f"arg0{'path' * (number & 1)}='/x/',arg1{'path' * (number >> 1 & 1)}='/x/',"
        f"arg{4 + number // 4}='/x/'"
    ),
    "interface": lambda number: f"interface='a.b{number}'",
    "member": lambda number: f"member='b{number}'",
    "path": lambda number: f"path='/b{number}'",
    "sender": lambda number: f"sender='a.b{number}'",
    "values": lambda number: f"arg0='{number}'",
}


def main(law: str) -> None:
    """Print the lines that run for FEW, and for twice as many."""
    from bridge.routing.client import Client
    from bridge.routing.credentials import Credentials
    from bridge.routing.match import Index
    from bridge.routing.names import Names
    from bridge.routing.rule import Rule
    from bus1.bus import Bus
    from policy.limits import Limits

    class Counted(Client):
        """Searching a list for it takes a line of text for each other client in it."""

        def __eq__(self, other: object) -> bool:
            return self is other

        __hash__ = Client.__hash__

    def counted(act: Callable[[], None]) -> int:
        lines = 0

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal lines
            lines += event == "line"
            return trace

        sys.settrace(trace)
        act()
        sys.settrace(None)
        return lines

    def work(many: int) -> int:
        bus, names, index = Bus(), Names(), Index()
        driver = bus.connect(0)

        def join() -> Client:
            client = Counted(bus.connect(1000), driver, Credentials(1000, 1), True, Limits())
            names.join(client)
            return client

        def add(client: Client, text: str) -> None:
            index.add(Rule.parse(text), client)

        leaver, other = join(), join()
        if law in ALIKE:
            rules = [Rule.parse(ALIKE[law](number)) for number in range(many)]

            def come_and_go() -> None:
                for rule in rules:
                    index.add(rule, leaver)
                index.drop(leaver)

            return counted(come_and_go)
        add(leaver, "member='M'")
        if law == "one client names it in many rules":
            for number in range(many):
                add(other, f"sender='{leaver.unique}',arg0='{number}'")
        elif law == "one client names it in one rule many times":
            for _ in range(many):
                add(other, f"sender='{leaver.unique}'")
        elif law == "one client names it in few of many rules":
            for number in range(many):
                add(other, f"sender='{other.unique}',arg0='{number}'")
                if number < FEW:
                    add(other, f"destination='{leaver.unique}',eavesdrop='true',arg0='{number}'")
        elif law == "many clients name it":
            for number in range(many):
                add(join(), f"sender='{leaver.unique}',arg0='{number}'")
        elif law == "it has many rules":
            for number in range(many):
                add(leaver, f"arg0='{number}'")
        elif law == "it names one whom others name":
            for number in range(many):
                add(join(), f"sender='{other.unique}',arg0='{number}'")
            for number in range(many):
                add(leaver, f"sender='{other.unique}',arg0='x{number}'")
        else:
            raise ValueError(law)
        return counted(lambda: index.drop(leaver))

    print(work(FEW), work(2 * FEW))


@pytest.mark.parametrize(
    "law",
    [
        "one client names it in many rules",
        "one client names it in one rule many times",
        "one client names it in few of many rules",
        "many clients name it",
        "it has many rules",
        "it names one whom others name",
    ],
)
def test_leaving_costs_as_much_as_there_is_to_forget(law: str) -> None:
    command = [sys.executable, "-m", "tests.uncompiled", "tests.routing.test_match_work", law]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    few, many = map(int, done.stdout.split())
    assert many < 2.5 * few  # a search for each would be four times as much


@pytest.mark.parametrize("key", ALIKE)
def test_rules_that_differ_in_one_key_are_told_apart_by_their_hash(key: str) -> None:
    assert len({ALIKE[key](number) for number in range(2 * FEW)}) == 2 * FEW
    command = [sys.executable, "-m", "tests.uncompiled", "tests.routing.test_match_work", key]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    few, many = map(int, done.stdout.split())
    assert many < 2.5 * few  # to compare each with each would be four times as much


if __name__ == "__main__":
    main(sys.argv[1])
