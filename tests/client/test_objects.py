"""Law: what a program holds lives as long as the language says, and a second end does nothing."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bus1.client.address import locate
from bus1.client.link import Link
from bus1.client.objects import DATA, Handle, Message, Node
from bus1.client.payload import Fd, Sealed, mapped
from bus1.errors import Invalid, Unknown
from tests.buses import ROOT


class Keeper:
    owner = None

    def __init__(self) -> None:
        self.dropped: list[int] = []

    def drop(self, id: int) -> None:
        self.dropped.append(id)


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


def test_the_last_reference_releases(keeper: Keeper) -> None:
    handle = Handle(keeper, 1)
    second = handle
    del handle
    assert keeper.dropped == []
    del second
    assert keeper.dropped == [1]


def test_a_handle_that_came_twice_is_two(keeper: Keeper) -> None:
    one, two = Handle(keeper, 1), Handle(keeper, 2)
    assert one != two
    del one
    assert keeper.dropped == [1]


def test_released_once(keeper: Keeper) -> None:
    with Handle(keeper, 1) as handle:
        assert handle.held() == 1
    handle.release()
    assert keeper.dropped == [1]
    assert "spent" in repr(handle)
    with pytest.raises(Unknown):
        handle.held()
    del handle
    assert keeper.dropped == [1]


def test_what_its_use_spends_is_not_released(keeper: Keeper) -> None:
    handle = Handle(keeper, 1, once=True)
    handle.spent = True
    del handle
    assert keeper.dropped == []


def test_a_node_is_destroyed_with_its_last_reference(keeper: Keeper) -> None:
    node = Node(keeper, 3)
    once = node.once(5)
    del node
    assert keeper.dropped == []
    del once
    assert keeper.dropped == [3]


def message(keeper: Keeper, fd: Fd) -> Message[Node]:
    handles = [Handle(keeper, 1), None]
    return Message(DATA, Node(keeper, 3), 2, 1, 0, b"x", handles=handles, fds=[fd])


def test_a_message_takes_all_that_came_with_it(keeper: Keeper) -> None:
    read, write = (Fd(number) for number in os.pipe())
    number = write.fileno()
    with message(keeper, write):
        os.write(number, b"x")
    assert keeper.dropped[0] == 1
    assert os.read(read.fileno(), 9) == b"x"
    assert os.read(read.fileno(), 9) == b""


def test_what_is_taken_out_of_a_message_stays(keeper: Keeper) -> None:
    read, write = (Fd(number) for number in os.pipe())
    came = message(keeper, write)
    handle, fd = came.handles.pop(0), came.fds.pop()
    came.close()
    del came
    gc.collect()
    assert keeper.dropped == [3]
    assert handle is not None
    assert not handle.spent
    assert fd.fileno() == write.fileno()
    assert os.write(fd.fileno(), b"x") == 1
    assert os.read(read.fileno(), 1) == b"x"


def test_a_descriptor_is_closed_once() -> None:
    number = os.open("/dev/null", os.O_RDONLY)
    with Fd(number) as fd:
        assert fd.fileno() == number
    fd.close()
    for use in (fd.fileno, fd.detach):
        with pytest.raises(ValueError, match="closed"):
            use()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_a_descriptor_given_away_stays_open() -> None:
    fd = Fd(os.open("/dev/null", os.O_RDONLY))
    number = fd.detach()
    del fd
    os.fstat(number)
    os.close(number)


def test_sealed_memory_cannot_change_and_is_read_in_place() -> None:
    sealed = Sealed(memoryview(b"abcd" * 5000))
    for change in (lambda n: os.pwrite(n, b"x", 0), lambda n: os.ftruncate(n, 1)):
        with pytest.raises(PermissionError):
            change(sealed.fd.fileno())
    view = mapped(sealed.fd, 20000)
    assert view.readonly
    assert bytes(view[:4]) == b"abcd"
    assert bytes(mapped(Sealed(b"").fd, 0)) == b""


def test_a_slice_of_a_payload_outlives_the_message(keeper: Keeper) -> None:
    sealed = Sealed(b"abcd" * 5000)
    came = Message(DATA, Node(keeper, 3), 2, 1, 0, mapped(sealed.fd, 20000))
    part = came.payload[4:8]
    came.close()
    assert part == b"abcd"


def test_nobody_hears_of_what_dies_after_the_end() -> None:
    link: Link[Node] = Link(None, Node, lambda: None, lambda error: None)
    handle = link.holdings.hold(1)
    link.end("over")
    del handle
    assert not link.wants()


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("unix:path=/run/a%20b", "/run/a b"),
        ("unix:path=/run/x,guid=00", "/run/x"),
        ("unix:abstract=here;unix:path=/x", "\0here"),
        ("unix:fd=7", 7),
        ("system", "/run/dbus/bus1"),
        ("session", "/run/user/1/bus1"),
        (None, "/run/user/1/bus1"),
    ],
)
def test_addresses(address: str | None, where: str | int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUS1_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    assert locate(address) == where


def test_the_environment_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BUS1_ADDRESS", f"unix:path={tmp_path}/bus")
    assert locate() == f"{tmp_path}/bus"
    monkeypatch.delenv("BUS1_ADDRESS")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(FileNotFoundError):
        locate()


@pytest.mark.parametrize("who", ["geteuid", "getegid"])
def test_a_setuid_program_does_not_believe_whoever_starts_it(
    who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUS1_ADDRESS", "unix:path=/tmp/trap")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp/trap")
    monkeypatch.setattr(os, who, lambda: 12345)
    for address in (None, "session"):
        with pytest.raises(FileNotFoundError):
            locate(address)
    assert locate("system") == "/run/dbus/bus1"


@pytest.mark.parametrize("cookie", [-1, 1 << 64])
def test_a_cookie_has_64_bits(keeper: Keeper, cookie: int) -> None:
    with pytest.raises(Invalid):
        Node(keeper, 1).once(cookie)


@pytest.mark.parametrize("address", ["", "tcp:host=x", "unix:", "unix:fd=x", "/run/bus1"])
def test_what_is_no_address(address: str) -> None:
    for kind in (ValueError, OSError):
        with pytest.raises(kind, match="not an address"):
            locate(address or ":")


def test_it_needs_nothing_compiled() -> None:
    """A program may have this library without the daemon."""
    program = """
import sys
import tests.uncompiled
import bus1.client.service, bus1.client.blocking, bus1.client.signals
print({name for name, module in sys.modules.items() if name.split(".")[0] in
    {"bus1", "bridge", "policy"} and not str(module.__file__).endswith(".py")})
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_blocking_needs_no_asyncio() -> None:
    """Which takes longer to import than all else."""
    program = "import sys, bus1.client.blocking; print('asyncio' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
