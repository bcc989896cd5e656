"""Descriptors are closed at once if that cannot take time, else in a thread.

A room that has been opened stays open, so each test is a process of its own.
"""

import os
import subprocess
import sys

import pytest

from tests.buses import ROOT

BEGINNING = """
import os, socket, sys, threading, time
from bus1.fds import closing
from bus1.fds.descriptors import Descriptors

def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True

def threads():
    return len(os.listdir("/proc/self/task")) - 1

def rest():
    end = time.monotonic() + 30
    while closing.held():
        assert time.monotonic() < end
        time.sleep(0.001)

def memory(size):
    fd = os.memfd_create("x")
    os.write(fd, bytes(size))
    return fd

"""


def run(program: str, *words: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", BEGINNING + program, *words],
        capture_output=True,
        check=True,
        cwd=ROOT,
        text=True,
        timeout=60,
    ).stdout.strip()


KINDS = {
    "os.pipe()[0]": 0,
    "os.pipe()[1]": 0,
    "memory(1 << 16)": 0,
    "memory(1 << 23)": 1,
    "socket.socketpair()[0].detach()": 1,
    "socket.socket().detach()": 1,
    "os.open('/etc/passwd', os.O_RDONLY)": 1,
    "os.open('/', os.O_PATH)": 1,
    "os.open('/dev/null', os.O_RDONLY)": 1,
    "os.eventfd(0)": 1,
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_takes_a_thread(kind: str) -> None:
    program = """
closing.open()
fd = eval(sys.argv[1])
Descriptors([fd])
print(threads())
rest()
assert not is_open(fd)
"""
    assert run(program, kind) == str(KINDS[kind])


def test_a_program_that_is_no_bus_gets_no_threads() -> None:
    program = """
ours, theirs = socket.socketpair()
number = ours.detach()
Descriptors([number])
print(is_open(number), threads())
closing.hang_up(theirs.fileno())
print(is_open(theirs.detach()), closing.held())
"""
    assert run(program) == "False 0\nFalse 0"


def test_a_fork_closes_at_once() -> None:
    """It has none of the threads, and what waits there is closed by them."""
    program = """
closing.open()
first, second = socket.socketpair()
Descriptors([first.detach()])
rest()
number = second.detach()
if os.fork() == 0:
    Descriptors([number])
    print(is_open(number), threads(), flush=True)
    os._exit(0)
os.wait()
print(is_open(number), threads())
"""
    assert run(program) == "False 0\nTrue 1"


def test_the_other_end_sees_the_hang_up_at_once() -> None:
    program = """
closing.open()
ours, theirs = socket.socketpair()
theirs.setblocking(False)
ours.send(b"x")
closing.hang_up(ours.detach())
print(theirs.recv(2), theirs.recv(2))
"""
    assert run(program) == "b'x' b''"


def test_many_are_closed_in_the_end_by_a_few_threads() -> None:
    program = """
closing.open()
before = len(os.listdir("/proc/self/fd"))
for _ in range(20):
    sockets = [end.detach() for _ in range(100) for end in socket.socketpair()]
    for number, fd in enumerate(sockets):
        Descriptors([fd], None, number)
    for end in (end.detach() for end in socket.socketpair()):
        closing.hang_up(end)
    rest()
print(len(os.listdir("/proc/self/fd")) - before, threads() <= 9)
"""
    assert run(program) == "0 True"


def test_a_number_that_is_none_is_not_closed() -> None:
    program = """
closing.open()
Descriptors([-1, -1])
closing.hang_up(-1)
print(closing.held(), threads())
"""
    assert run(program) == "0 0"


def test_one_who_borrows_closes_nothing() -> None:
    read, write = os.pipe()
    program = """
first = Descriptors([int(sys.argv[1])])
second = Descriptors(first.numbers, first)
del second
print(is_open(first.numbers[0]))
"""
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + program, str(read)],
        capture_output=True,
        check=True,
        cwd=ROOT,
        pass_fds=[read],
        text=True,
    )
    os.close(read)
    os.close(write)
    assert done.stdout == "True\n"
