"""The reference, for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.activation.reference import Reference


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    reference = Reference(tmp_path_factory.mktemp("reference"))
    yield reference
    reference.bus.stop()
