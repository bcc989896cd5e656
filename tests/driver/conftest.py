"""`both`: what a test says of the driver holds for ours, called in process, and for dbus-daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.buses import Bus, start
from tests.driver.desk import Caller, Desk
from tests.raw import Client


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """A dbus-daemon for the tests of a file."""
    bus = start("dbus-daemon", tmp_path_factory.mktemp("reference"))
    yield bus
    bus.stop()


@pytest.fixture(params=["driver", "dbus-daemon"])
def both(request: pytest.FixtureRequest) -> Iterator[Desk | Bus]:
    side = Desk() if request.param == "driver" else request.getfixturevalue("reference")
    yield side
    side.hang_up()


@pytest.fixture
def a(both: Desk | Bus) -> Client:
    return both.connect()


@pytest.fixture
def b(both: Desk | Bus) -> Client:
    return both.connect()


@pytest.fixture
def c(both: Desk | Bus) -> Client:
    return both.connect()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def caller(desk: Desk) -> Caller:
    return desk.connect()
