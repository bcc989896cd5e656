"""A house with D-Bus clients `a` and `b` and native peers `m` and `n` (house.py); a file may have a
`house` of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.house import Guest, House, Native


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.end()


@pytest.fixture
def a(house: House) -> Guest:
    return house.connect()


@pytest.fixture
def b(house: House) -> Guest:
    return house.connect()


@pytest.fixture
def n(house: House) -> Native:
    return house.native()


@pytest.fixture
def m(house: House) -> Native:
    return house.native()
