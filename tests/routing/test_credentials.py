"""What is said of a client in the log, and that its pidfd is given back."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bridge.routing.credentials import Credentials, command
from bus1.fds.descriptors import Descriptors

COMM = command(os.getpid())


@pytest.mark.parametrize(
    ("credentials", "text"),
    [
        (Credentials(1000, os.getpid()), f'uid=1000 pid={os.getpid()} comm="{COMM}"'),
        (Credentials(0, None), "uid=0"),
        (Credentials(None, None), "anonymous"),
        (Credentials(None, os.getpid()), f'anonymous pid={os.getpid()} comm="{COMM}"'),
        (Credentials(7, 2**22 + 1), f'uid=7 pid={2**22 + 1} comm="?"'),
    ],
    ids=["known", "without a process", "unknown", "without a user", "gone"],
)
def test_what_the_log_says(credentials: Credentials, text: str) -> None:
    assert str(credentials) == text


def test_the_name_of_a_process_is_what_it_calls_itself() -> None:
    """Bytes that are no text, too; the log stays one line."""
    program = (
        "import ctypes, sys; ctypes.CDLL(None).prctl(15, b'a\\xff b\\nc\\x1b', 0, 0, 0);"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert command(process.pid) == "a\ufffd b?c?"
        process.communicate(timeout=20)
    assert command(process.pid) == "?"


def test_the_pidfd_is_closed_with_the_last_who_has_it() -> None:
    fd = os.dup(0)
    credentials = Credentials(0, 1, pidfd=Descriptors([fd]))
    other = credentials._replace(uid=None)
    del credentials
    os.fstat(fd)
    del other
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
