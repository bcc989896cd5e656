"""Records of security modules: where they go, and that nobody else can write there."""

from __future__ import annotations

import logging
import os

import pytest

from bridge.mediation.audit import Audit
from tests.mediation.conftest import Records


def test_what_the_bus_starts_cannot_write_there(records: Records) -> None:
    fd = records.audit.fd
    assert fd is not None
    assert not os.get_inheritable(fd)
    assert not os.get_blocking(fd)  # nor can the kernel hold up the bus


def test_a_record_is_one_line(records: Records) -> None:
    records.audit.record("one\ntwo\x1b")
    assert records.take() == [f"1107 uid={os.getuid()} one?two?"]


def test_without_the_library_the_bus_logs_it_itself(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Audit("libnone.so.0").record("somebody was denied")
    assert caplog.messages == ["somebody was denied"]
