"""The bus as a process: nothing inherited does harm, and who waits is told the truth."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.transport import process
from bridge.transport.launch import StartError
from tests.buses import ROOT


def run(text: str) -> subprocess.CompletedProcess[str]:
    """A small program on the module; it ends by itself."""
    program = "import os, sys, time\nfrom bridge.transport.process import *\n" + text
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=20,
        capture_output=True,
        text=True,
        check=False,
    )


def test_closed_standard_descriptors_are_filled() -> None:
    done = run(
        "os.close(0); os.close(1); os.close(2)\n"
        "open_standard_fds()\n"
        "same = {os.fstat(fd).st_rdev for fd in range(3)} == {os.stat('/dev/null').st_rdev}\n"
        "sys.exit(7 if same and os.dup(0) == 3 else 8)"
    )
    assert done.returncode == 7


def test_open_standard_descriptors_stay() -> None:
    assert run("open_standard_fds(); print('here', os.dup(0))").stdout == "here 3\n"


def test_the_fd_limit_is_raised_to_the_hard_one() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    done = run(
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (50, {hard}))\n"
        "raise_fd_limit(); print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    assert done.stdout == f"({hard}, {hard})\n"


def test_the_fd_limit_of_whoever_started_us_is_known() -> None:
    """For the services that the bus starts: select(2) takes no number above 1023."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    done = run(
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (50, {hard}))\n"
        "from importlib import reload; from bridge.transport import process; reload(process)\n"
        "raise_fd_limit(); print(process.INHERITED_FD_LIMIT)"
    )
    assert done.stdout == f"(50, {hard})\n"


def test_printing() -> None:
    read, write = os.pipe()
    process.check_writable(write)
    process.write_out(write, "a line\n")
    process.close_out([write, 0, 1, 2])
    assert os.read(read, 100) == b"a line\n"
    assert os.read(read, 100) == b""
    os.close(read)
    for fails in (process.check_writable, lambda fd: process.write_out(fd, "x")):
        with pytest.raises(StartError, match=r"^Writing to pipe: Bad file descriptor$"):
            fails(write)


def test_nobody_reads() -> None:
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(StartError, match=r"^Writing to pipe: Broken pipe$"):
        process.write_out(write, "x")
    os.close(write)


# ------------------------------------------------------------------------- background

GO = "serving = go_to_background(lambda pid: write_out(1, f'{pid}\\n'))\n"
LOOK = (
    "pid = os.getpid()\n"
    "facts = [os.getsid(0) == pid, os.getcwd(), *map(os.ttyname, filter(os.isatty, range(3)))]\n"
)


def test_the_parent_waits_until_the_child_serves(tmp_path: Path) -> None:
    result = tmp_path / "result"
    began = time.monotonic()
    done = run(
        GO + "time.sleep(0.3)\n" + LOOK + "serving()\n"
        "facts.append([os.fstat(fd).st_rdev for fd in range(3)])\n"
        f"open({str(result)!r} + '~', 'w').write(repr([pid, *facts]))\n"
        f"os.rename({str(result)!r} + '~', {str(result)!r})"
    )
    assert done.returncode == 0
    assert time.monotonic() - began > 0.3
    while not result.exists():
        assert time.monotonic() - began < 10
        time.sleep(0.01)
    nothing = os.stat(os.devnull).st_rdev
    assert result.read_text() == repr([int(done.stdout), True, "/", [nothing] * 3])


def test_the_parent_fails_if_the_child_does() -> None:
    done = run(GO + "sys.exit('no luck')")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "no luck\n")


def test_the_child_ends_if_its_parent_cannot_print() -> None:
    """And who waits for the end of the output gets it."""
    done = run(GO.replace("write_out(1,", "write_out(99,") + "serving(); time.sleep(60)")
    assert done.returncode == 1
    assert "Writing to pipe: Bad file descriptor" in done.stderr


@pytest.mark.parametrize(
    ("path", "why"),
    [("a\0b", "embedded null byte"), ("/nowhere/pid", "No such file or directory")],
)
def test_a_pid_file_that_cannot_be(path: str, why: str) -> None:
    with pytest.raises(StartError) as caught:
        process.write_pid_file(path, 7)
    assert str(caught.value) == f'Failed to open "{path}": {why}'
