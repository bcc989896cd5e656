"""A bus with a native socket, and peers in processes of their own that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.buses import Bus, need_root, start
from tests.native.elsewhere import Elsewhere
from tests.native.peer import Fd

Join = Callable[..., Elsewhere]


def start_native(directory: Path, *options: str) -> Bus:
    """A daemon of ours whose native socket is `native` in this directory."""
    return start("ours", directory, f"--native=unix:path={directory}/native", *options)


@pytest.fixture(scope="module")
def native_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    bus = start_native(tmp_path_factory.mktemp("native"))
    yield bus
    bus.stop()


FOR_ALL = """<busconfig>
  <type>custom</type>
  <listen>unix:path={directory}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
  <limit name="max_outgoing_bytes">1000000</limit>
</busconfig>
"""


@pytest.fixture(scope="module")
def open_bus() -> Iterator[Bus]:
    """A bus for all users, with small limits; `open_bus.directory / "native"` is its socket."""
    need_root()
    with TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o711)
        (directory / "conf").write_text(FOR_ALL.format(directory=directory))
        native = f"--native=unix:path={directory}/native"
        bus = start("ours", directory, native, argv=(f"--config-file={directory}/conf",))
        yield bus
        bus.stop()


@pytest.fixture(scope="module")
def native(native_bus: Bus) -> str:
    """The path of the native socket."""
    return f"{native_bus.directory}/native"


@pytest.fixture
def join(native: str) -> Iterator[Join]:
    """Makes peers in other processes."""
    made: list[Elsewhere] = []

    def connect(where: str | Fd = native, **how: Any) -> Elsewhere:
        made.append(Elsewhere(where, **how))
        return made[-1]

    yield connect
    for one in made:
        one.kill()


@pytest.fixture
def a(join: Join) -> Elsewhere:
    return join()


@pytest.fixture
def b(join: Join) -> Elsewhere:
    return join()


@pytest.fixture
def c(join: Join) -> Elsewhere:
    return join()
