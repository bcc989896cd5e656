"""Three clients of a router without sockets (world.py); a file may have a `world` of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.routing.world import Party, World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.end()


@pytest.fixture
def a(world: World) -> Party:
    return world.connect()


@pytest.fixture
def b(world: World) -> Party:
    return world.connect()


@pytest.fixture
def c(world: World) -> Party:
    return world.connect()
