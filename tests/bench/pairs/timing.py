"""Calls one at a time: how long each took. It knows no bus, and needs the standard library only."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

WORD = "hello"  # what is called with, and what has to come back
READY = "ready\n"


def orders() -> Iterator[int]:
    """How many calls to make now, each time that the benchmark says so."""
    ready()
    for line in sys.stdin:
        yield int(line)


async def awaited(call: Callable[[], Awaitable[object]], many: int) -> list[float]:
    """Seconds of each call."""
    clock, seconds = time.perf_counter, []
    for _ in range(many):
        began = clock()
        result = await call()
        seconds.append(clock() - began)
    assert result == WORD, result
    return seconds


def made(call: Callable[[], object], many: int) -> list[float]:
    """Seconds of each call."""
    clock, seconds = time.perf_counter, []
    for _ in range(many):
        began = clock()
        result = call()
        seconds.append(clock() - began)
    assert result == WORD, result
    return seconds


def tell(seconds: Sequence[float]) -> None:
    """The line that the benchmark reads."""
    print(json.dumps(seconds), flush=True)


@contextmanager
def service(*arguments: str, fd: int | None = None) -> Iterator[None]:
    """While a program of this room, in the same Python, serves. `fd` is for it."""
    command = [sys.executable, "-m", *arguments, *([] if fd is None else [str(fd)])]
    passed = [] if fd is None else [fd]
    with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=passed, text=True) as process:
        assert process.stdout
        try:
            if process.stdout.readline() != READY:
                raise SystemExit(f"{arguments[0]} did not start")
            yield
        finally:
            process.kill()


def ready() -> None:
    """This program is."""
    print(READY, end="", flush=True)
