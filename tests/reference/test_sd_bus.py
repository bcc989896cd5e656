"""systemd's own tests of sd-bus that talk to a bus (Debian's systemd-tests)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.buses import Bus, missing

TESTS = Path("/usr/lib/systemd/tests")
PROGRAMS = [
    "test-bus-chat",  # a server and two clients, calls and signals
    "test-bus-cleanup",  # connections that end with messages in them
    "test-bus-track",  # who holds a name, and when it goes
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(bus: Bus, program: str) -> None:
    if not (TESTS / program).exists():
        missing("package systemd-tests is not installed")
    both = {"DBUS_SYSTEM_BUS_ADDRESS": bus.address}
    bus.said(str(TESTS / program), **both)  # without a bus it would end with 77
