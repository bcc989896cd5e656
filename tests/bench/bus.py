"""One running target, started fresh for every single measurement. Knows nothing of workloads."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from tests.bench import broker
from tests.bench.targets import Failure, Target, native_address

PATIENCE = 60.0  # seconds until the address must be there; valgrind needs some
NOT_OURS = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "PYTHONPATH")


@contextmanager
def pinned(cpus: set[int] | None) -> Iterator[None]:
    """What is started inside runs on these CPUs, its threads and children too."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus or mine)
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def environment() -> dict[str, str]:
    """The caller's, without a bus, a service manager or a checkout in it."""
    items = os.environ.items()
    return {key: value for key, value in items if key[:5] != "DBUS_" and key not in NOT_OURS}


class Bus:
    """Use as a context manager: started on entry, gone on exit."""

    def __init__(self, target: Target, cpus: set[int] | None = None) -> None:
        self.target = target
        self.cpus = cpus
        self.address = ""
        self.startup = 0.0  # seconds from exec to the printed address

    def __enter__(self) -> Bus:
        with ExitStack() as stack:
            self.directory = Path(stack.enter_context(TemporaryDirectory(prefix="bus1-bench-")))
            self.output = stack.enter_context(open(self.directory / "output", "wb"))
            self.process: subprocess.Popen[bytes] | None = None
            stack.callback(self.stop)
            self.start(stack)
            self.held = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.held.close()

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def start(self, stack: ExitStack) -> None:
        socket = self.directory / "bus"
        if self.target.kind == "dbus-broker":
            controller = stack.enter_context(broker.controller(socket, self.target.program))
            began = self.spawn(controller.command, controller.fd)
            controller.listen()
            self.address = f"unix:path={socket}"
        else:
            reader, writer = os.pipe()
            began = self.spawn(self.target.command(socket, writer), writer)
            os.close(writer)
            self.address = self.read_address(reader)
            if self.target.kind == "native":
                self.address = native_address(socket)
        self.startup = time.perf_counter() - began

    def spawn(self, command: list[str], fd: int) -> float:
        began = time.perf_counter()
        with pinned(self.cpus):
            self.process = subprocess.Popen(
                command,
                pass_fds=[fd],
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=self.output,
                env=environment(),
                cwd=self.directory,
            )
        return began

    def read_address(self, reader: int) -> str:
        data, end = b"", time.monotonic() + PATIENCE
        with open(reader, "rb", buffering=0) as pipe:
            while not data.endswith(b"\n"):
                if not select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
                    raise Failure(f"no address within {PATIENCE:.0f} s{self.says()}")
                part = pipe.read(4096)
                if not part:
                    raise Failure(f"ended without printing an address{self.says()}")
                data += part
        return data.decode().splitlines()[0].strip()

    def says(self) -> str:
        """How it is and the end of what it wrote, to go after an error message."""
        status = self.process.poll() if self.process else None
        gone = "" if status is None else f"; the bus is gone (status {status})"
        lines = (self.directory / "output").read_text(errors="replace").strip().splitlines()
        return gone + ("; it says: " + " | ".join(lines[-5:]) if lines else "")

    def rss_kib(self) -> float:
        """Resident memory."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return float(line.split()[1])
        raise Failure("no resident memory" + self.says())

    def stop(self) -> None:
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
