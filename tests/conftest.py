"""The fixture `bus`: the same tests judge ours and dbus-daemon. BUSES=ours,dbus-daemon chooses."""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = str(Path(__file__).resolve().parent.parent)
if ROOT not in sys.path:
    sys.path.append(ROOT)

from tests.buses import KINDS, Bus, start, started  # noqa: E402 (needs the path)
from tests.raw import Client  # noqa: E402

numbers = itertools.count(1)

# A shell without job control has its background ignore Ctrl-C; what tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about what else runs than about what is tested.
settings.register_profile(
    "busy", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    yield
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(scope="module", params=KINDS)
def bus_kind(request: pytest.FixtureRequest) -> str:
    """The kind of bus: "ours" or "dbus-daemon"."""
    return str(request.param)


@pytest.fixture(scope="module")
def module_bus(bus_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    bus = start(bus_kind, tmp_path_factory.mktemp("bus"))
    yield bus
    bus.stop()


@pytest.fixture
def bus(module_bus: Bus) -> Iterator[Bus]:
    """A bus shared by the tests of a file; the clients of a test are closed after it."""
    yield module_bus
    module_bus.hang_up()


@pytest.fixture
def fresh(bus_kind: str, tmp_path: Path) -> Iterator[Bus]:
    """A bus of the test's own."""
    bus = start(bus_kind, tmp_path / "bus")
    yield bus
    bus.stop()


@pytest.fixture
def a(bus: Bus) -> Client:
    return bus.connect()


@pytest.fixture
def b(bus: Bus) -> Client:
    return bus.connect()


@pytest.fixture
def c(bus: Bus) -> Client:
    return bus.connect()


@pytest.fixture
def name() -> str:
    """A well-known name nobody else uses."""
    return f"com.example.N{next(numbers)}"


@pytest.fixture
def names() -> Callable[[], str]:
    return lambda: f"com.example.N{next(numbers)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the bus wrote."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Bus):
                report.sections.append((f"log of {value.kind}", value.log()[-8000:]))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """A worker of pytest-xdist sends its reports as UTF-8, and some tests write what is none."""
    return printable((yield))


def printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, list | tuple):
        return type(value)(map(printable, value))
    if isinstance(value, dict):
        return {key: printable(each) for key, each in value.items()}
    return value
