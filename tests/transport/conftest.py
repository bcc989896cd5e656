"""`make`: servers in threads of this process, with the test's own limits; none outlives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.raw import Client
from tests.transport.running import Running


@pytest.fixture
def make(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def start(**options: Any) -> Running:
        directory = tmp_path / str(len(running))
        directory.mkdir()
        running.append(Running(directory, **options))
        return running[-1]

    caplog.set_level("INFO")
    yield start
    for each in running:
        each.stop()
    said = [*caplog.get_records("setup"), *caplog.get_records("call"), *caplog.records]
    assert [record for record in said if record.name == "asyncio"] == []


@pytest.fixture
def here(make: Callable[..., Running]) -> Running:
    """A bus with the limits of the session."""
    return make()


@pytest.fixture
def a(here: Running) -> Client:
    return here.connect()


@pytest.fixture
def b(here: Running) -> Client:
    return here.connect()


@pytest.fixture
def c(here: Running) -> Client:
    return here.connect()
