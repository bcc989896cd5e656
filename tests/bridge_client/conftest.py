"""A bus with a native socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.buses import Bus, start


@pytest.fixture(scope="module")
def native_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    directory = tmp_path_factory.mktemp("bus")
    bus = start("ours", directory, f"--native=unix:path={directory}/native")
    yield bus
    bus.stop()
