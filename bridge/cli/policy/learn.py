"""`bus1 policy learn`: rules from a bus's log, to be read by somebody."""

import sys
from collections.abc import Iterator
from typing import Any

from bridge.cli.policy.files import Trouble
from bridge.cli.policy.screen import print_json
from policy.report import rule_text
from policy.study.denial import find
from policy.study.learn import Lesson, lessons, write


def learn(log: str, as_json: bool) -> int:
    """Print what was learnt. Raises Trouble, OSError."""
    denials = [denial for line in lines(log) if (denial := find(line)) is not None]
    if as_json:
        print_json([record(each) for each in lessons(denials)])
        return 0
    if not denials:
        raise Trouble(f"{'standard input' if log == '-' else log}: no line is about a denial")
    sys.stdout.write(write(denials))
    return 0


def lines(log: str) -> Iterator[str]:
    """Those of a file, or of standard input. A log may have bytes that are no text."""
    with open(0 if log == "-" else log, "rb", closefd=log != "-") as file:
        for line in file:
            yield line.decode("utf-8", "replace")


def record(lesson: Lesson) -> dict[str, Any]:
    return {
        "user": lesson.user,
        "rule": rule_text(lesson.rule),
        "doubt": lesson.doubt,
        "count": lesson.count,
        "examples": lesson.examples,
    }
