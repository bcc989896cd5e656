"""A bus with a native socket, for the whole of a test file; and loops to run coroutines in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.buses import Bus, start

Run = Callable[[Coroutine[Any, Any, Any]], Any]
SECONDS = 20  # for one test: none waits for anything that long


@pytest.fixture(scope="module")
def native_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    directory = tmp_path_factory.mktemp("bus")
    bus = start("ours", directory, f"--native=unix:path={directory}/native")
    yield bus
    bus.stop()


@pytest.fixture
def address(native_bus: Bus) -> str:
    return f"unix:path={native_bus.directory}/native"


@pytest.fixture
def directory(native_bus: Bus) -> Path:
    return native_bus.directory


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine in a loop of this kind."""
    runner = uvloop.run if request.param == "uvloop" else asyncio.run
    return lambda coroutine: runner(asyncio.wait_for(coroutine, SECONDS))
