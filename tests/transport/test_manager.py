"""The service manager: told in sd_notify(3)'s words, never waited for long, and shown a living loop
only while it is one."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bridge.transport import manager
from bridge.transport.manager import Manager
from tests.buses import Bus, start

Later = Callable[[], None]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Short relative names: pytest's own are longer than a socket's may be."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=["n", "@"])
def name(request: pytest.FixtureRequest, here: Path) -> str:
    """Of a socket: a file, and one without."""
    return str(here / "n") if request.param == "n" else f"@bus1-test-manager-{os.getpid()}"


@pytest.fixture
def heard(name: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0"))
        listening.settimeout(10)
        yield listening


def test_the_words(heard: socket.socket, name: str) -> None:
    told = Manager({"NOTIFY_SOCKET": name})
    told.ready()
    assert heard.recv(100) == b"READY=1\nSTATUS=Serving clients"
    before = time.monotonic_ns() // 1000
    told.reloading()
    said = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)\nSTATUS=.+", heard.recv(100).decode())
    assert said is not None
    assert before <= int(said[1]) <= time.monotonic_ns() // 1000
    told.stopping()
    assert heard.recv(100) == b"STOPPING=1\nSTATUS=Ending"
    told.close()
    told.ready()


def test_a_status_is_one_line(heard: socket.socket, name: str) -> None:
    """It may quote a file; what it says must not become another field."""
    Manager({"NOTIFY_SOCKET": name}).ready("a\nSTOPPING=1\udcff" + "x" * 10_000)
    said = heard.recv(10_000)
    assert said.startswith(b"READY=1\nSTATUS=a?STOPPING=1?xxx")
    assert len(said) < 600


def test_it_is_waited_for_but_not_long(
    heard: socket.socket, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not read: READY has a little time, a sign of life none, since another follows."""
    told = Manager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                other.sendto(b"", name.replace("@", "\0"))
    monkeypatch.setattr(manager, "PATIENCE", 30)
    began = time.monotonic()
    told.live(lambda seconds, then: None)
    assert time.monotonic() - began < 5
    monkeypatch.setattr(manager, "PATIENCE", 0.2)
    began = time.monotonic()
    told.ready()
    assert 0.15 < time.monotonic() - began < 5


def test_without_a_descriptor_left_it_lives_on(heard: socket.socket, name: str) -> None:
    """Strangers may hold all that the bus can open; it is not to be killed for that."""
    told = Manager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"})
    taken: list[int] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        with suppress(OSError):
            while len(taken) < 200:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        told.live(lambda seconds, then: None)
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert heard.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("name", ["", "n", "vsock:2:1", "/nonexistent/n"])
def test_nobody_wants_to_know(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Manager({"NOTIFY_SOCKET": name} if name else {})
    told.ready()

    def full(*_: object) -> None:
        raise OSError("Too many open files")

    monkeypatch.setattr(socket, "socket", full)
    Manager({"NOTIFY_SOCKET": name}).stopping()


# ------------------------------------------------------------------------- the watchdog

US = str(os.getpid())


@pytest.mark.parametrize(
    ("given", "interval"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": US}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "x"}, None),
        *(({"WATCHDOG_USEC": text}, None) for text in ("", "0", "-1", "x", "¹", "9" * 5000)),
        ({"WATCHDOG_PID": US}, None),
        ({}, None),
    ],
)
def test_how_often(given: dict[str, str], interval: float | None) -> None:
    variables = given | {"OTHER": "stays"}
    assert Manager(variables).interval == interval
    assert variables == {"OTHER": "stays"}


def test_a_sign_of_life_twice_in_the_time(heard: socket.socket, name: str) -> None:
    waiting: list[tuple[float, Later]] = []
    told = Manager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000"})
    told.live(lambda seconds, then: waiting.append((seconds, then)))
    for _ in range(3):
        assert heard.recv(100) == b"WATCHDOG=1"
        ((seconds, then),) = waiting
        assert seconds == 1.5
        waiting.clear()
        then()


def test_nobody_watches() -> None:
    def never(seconds: float, then: Later) -> None:
        pytest.fail("there is nothing to be done later")

    Manager({}).live(never)


@pytest.fixture
def watched(
    heard: socket.socket, name: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bus]:
    """A bus that is to show every 0.2 seconds that it lives."""
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    bus = start("ours", here / "bus")
    yield bus
    bus.stop()


def test_a_bus_that_hangs_is_silent(heard: socket.socket, watched: Bus) -> None:
    """SIGSTOP is a loop that hangs, as the manager sees it; and then it lives again."""
    assert heard.recv(100).startswith(b"READY=1\n")
    for _ in range(5):
        assert heard.recv(100) == b"WATCHDOG=1"
    os.kill(watched.pid, signal.SIGSTOP)
    heard.settimeout(0.5)
    with suppress(TimeoutError):
        for _ in range(20):
            heard.recv(100)
        pytest.fail("it goes on")
    os.kill(watched.pid, signal.SIGCONT)
    heard.settimeout(10)
    assert heard.recv(100) == b"WATCHDOG=1"
