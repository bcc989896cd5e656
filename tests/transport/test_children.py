"""Processes that the bus starts.

Invariant: each child's end is told exactly once, none stays a zombie, and none has anything of
the bus's but its stdout and stderr.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from bridge.transport import children as module
from bridge.transport.children import Child, Children
from tests.buses import ROOT, missing, need, need_root

SH = "/bin/sh"
IGNORED = 1 << (signal.SIGPIPE - 1)


class Nursery:
    """Children in a loop that runs when we say so."""

    def __init__(self, journal: str | None = None) -> None:
        self.loop = uvloop.new_event_loop()
        self.children = Children(self.loop, journal)
        self.ends: list[tuple[int, int]] = []

    def start(self, *words: str, **environment: str) -> Child:
        def ended(status: int) -> None:
            self.ends.append((child.pid, status))

        child = self.children.start(words, environment, ended)
        return child

    def wait(self, count: int = 1, seconds: float = 20) -> list[int]:
        """How that many ended."""
        self.until(lambda: len(self.ends) >= count, seconds)
        return [status for _, status in self.ends]

    def until(self, come: Callable[[], bool], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not come() and time.monotonic() < end:
            self.loop.run_until_complete(asyncio.sleep(0.005))
        assert come()

    def shell(self, text: str, *words: str, **environment: str) -> int:
        """The status of a shell's end."""
        self.start(SH, "-c", text, "sh", *words, **environment)
        return self.wait(len(self.ends) + 1)[-1]


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    before = zombies()
    made = Nursery()
    yield made
    assert len(made.children) == 0
    assert len({pid for pid, _ in made.ends}) == len(made.ends), "an end was told twice"
    made.children.stop()
    made.loop.close()
    assert zombies() == before


def zombies() -> list[str]:
    """Children of this process that nobody has waited for."""
    mine = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in mine if ") Z " in Path(f"/proc/{pid}/stat").read_text()]


def status_of(nursery: Nursery, directory: Path) -> dict[str, str]:
    """/proc/self/status of a child; no shell, which would change its signals."""
    nursery.start("/bin/cp", "/proc/self/status", str(directory / "status"))
    assert nursery.wait(len(nursery.ends) + 1)[-1] == 0
    lines = (directory / "status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


# ----------------------------------------------------------------------------- their ends


def test_statuses_and_signals(nursery: Nursery) -> None:
    assert [nursery.shell(f"exit {status}") for status in (0, 3, 255)] == [0, 3, 255]
    assert nursery.shell("kill -KILL $$") == -signal.SIGKILL
    assert nursery.shell("kill -TERM $$") == -signal.SIGTERM


def test_the_end_is_told_later_than_the_start(nursery: Nursery) -> None:
    nursery.start("/bin/true")
    time.sleep(0.1)
    assert nursery.ends == []
    assert nursery.wait() == [0]


def test_a_service_in_the_background_outlives_its_starter(nursery: Nursery, tmp_path: Path) -> None:
    """As forking services do: that is no end of theirs, and the grandchild is nobody's here."""
    assert nursery.shell('sleep 0.2 && : >"$1" &', str(tmp_path / "done")) == 0
    nursery.until((tmp_path / "done").exists)
    assert len(nursery.ends) == 1


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (["/no/such/program"], errno.ENOENT),
        (["/tmp"], errno.EACCES),
        (["/etc/passwd"], errno.EACCES),
        (["true"], errno.ENOENT),  # as with dbus-daemon, PATH is not asked
        ([""], errno.ENOENT),
        ([], errno.ENOENT),
        (["/bin/true", "a\0b"], errno.EINVAL),
        (["/bin/true", "\ud800"], errno.EINVAL),
        (["/" + "x" * 5000], errno.ENAMETOOLONG),
        (["/bin/true", *(["x" * 100_000] * 40)], errno.E2BIG),
    ],
)
def test_what_cannot_be_executed(nursery: Nursery, words: list[str], number: int) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is looked at
        nursery.start(*words, PATH="/bin:/usr/bin")
    assert caught.value.errno == number
    assert len(nursery.children) == 0


def test_kill(nursery: Nursery, tmp_path: Path) -> None:
    """At once, whatever it thinks of signals; once it is over its number may be another's."""
    child = nursery.start(SH, "-c", f"trap '' TERM HUP INT; : >{tmp_path}/on; sleep 9 & wait")
    nursery.until((tmp_path / "on").exists)
    child.kill()
    assert nursery.wait() == [-signal.SIGKILL]
    child.kill()


def test_many_at_once(nursery: Nursery) -> None:
    for number in range(200):
        nursery.start(SH, "-c", f"exit {number}")
    assert sorted(nursery.wait(200)) == list(range(200))


def test_threads_do_not_matter(nursery: Nursery) -> None:
    """Others allocate memory and hold locks while we start programs: a reload, for example."""
    done = threading.Event()

    def busy() -> None:
        while not done.is_set():
            [bytearray(4096) for _ in range(100)]

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            nursery.start("/bin/true")
        assert nursery.wait(20) == [0] * 20
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_without_a_descriptor_for_it(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    """EMFILE: it is looked after from time to time, until there is one or it has ended."""
    real, failures = os.pidfd_open, 3

    def none_left(pid: int, flags: int = 0) -> int:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise OSError(errno.EMFILE, "none left")
        return real(pid, flags)

    monkeypatch.setattr(os, "pidfd_open", none_left)
    nursery.start(SH, "-c", "exit 7")
    nursery.start(SH, "-c", "sleep 0.5; exit 8")
    assert nursery.wait(2) == [7, 8]


def test_at_the_limit_of_descriptors(nursery: Nursery) -> None:
    """Really none left, and then there are: all are started, and all are waited for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    nursery.start("/bin/true")
    nursery.wait()
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, hard))
    try:
        with suppress(OSError):
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        for _ in range(5):
            nursery.start("/bin/true")
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert nursery.wait(6) == [0] * 6


def test_whoever_started_us_ignores_our_children(nursery: Nursery) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert nursery.shell("exit 5") == 5
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_the_bus_ends(nursery: Nursery, tmp_path: Path) -> None:
    """Its services go on, and nobody is told of them."""
    nursery.start(SH, "-c", f"sleep 0.3; : >{tmp_path}/done")
    nursery.start("/bin/true")
    time.sleep(0.1)
    nursery.children.stop()
    assert len(nursery.children) == 0
    nursery.until((tmp_path / "done").exists)
    assert nursery.ends == []
    os.wait()


def test_a_program_that_takes_long_to_be_found(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file system may be one that wants this bus first: the loop goes on meanwhile."""
    real, go_on = module.spawn, threading.Event()

    def slow(*words: object) -> int:
        go_on.wait(20)
        return real(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "PATIENCE", 0.05)
    monkeypatch.setattr(module, "spawn", slow)
    nursery.start(SH, "-c", "exit 3")
    nursery.start("/no/such/program")
    nursery.start("/bin/sleep", "20").kill()
    assert nursery.ends == []
    go_on.set()
    assert sorted(nursery.wait(3)) == [-signal.SIGKILL, 3, 127]


def test_no_thread_to_be_had(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    with pytest.raises(module.CannotFork):
        nursery.start("/bin/true")


# ----------------------------------------------------------------------- what they find


def test_words_and_environment_are_passed_as_they_are(nursery: Nursery, tmp_path: Path) -> None:
    words = ["", " a  b ", "$HOME `x` 'q' \"", "ü\udcff", "\n"]
    environment = {"A": "", "B": "x=y", "ü": "\udcff"}
    for file in ("cmdline", "environ"):
        nursery.start("/bin/cp", f"/proc/self/{file}", str(tmp_path), **environment)
    nursery.start(SH, "-c", f"cp /proc/$$/cmdline {tmp_path}/words", *words)
    assert nursery.wait(3) == [0, 0, 0]
    found = (tmp_path / "environ").read_bytes().rstrip(b"\0").split(b"\0")
    assert found == [b"A=", b"B=x=y", b"\xc3\xbc=\xff"]
    said = (tmp_path / "words").read_bytes().split(b"\0")[3:-1]
    assert said == [os.fsencode(word) for word in words]


def test_no_descriptor_of_the_bus(nursery: Nursery, tmp_path: Path) -> None:
    """Not even those that somebody has made to be inherited; nor a stdin to read from."""
    held = [os.open("/dev/zero", os.O_RDONLY) for _ in range(2000)]
    for fd in held:
        os.set_inheritable(fd, True)
    try:
        text = f"echo /proc/$$/fd/* >{tmp_path}/fds; readlink /proc/$$/fd/0 >>{tmp_path}/fds"
        assert nursery.shell(text, PATH="/bin:/usr/bin") == 0
    finally:
        for fd in held:
            os.close(fd)
    numbers, stdin = (tmp_path / "fds").read_text().splitlines()
    # The others are the shell's own: the directory, and its stdout while that is a file.
    found = {Path(each).name for each in numbers.split()}
    assert {"0", "1", "2"} <= found <= {"0", "1", "2", "3", "10", "11"}
    assert stdin == "/dev/null"


def test_signals(nursery: Nursery, tmp_path: Path) -> None:
    """What was ignored stays so, and SIGPIPE is, as with dbus-daemon; handlers are ours alone."""
    before = {
        signal.SIGUSR2: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
        signal.SIGHUP: signal.signal(signal.SIGHUP, lambda *_: None),
    }
    try:
        status = status_of(nursery, tmp_path)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert int(status["SigBlk"], 16) == 0
    assert int(status["SigCgt"], 16) == 0
    assert int(status["SigIgn"], 16) & IGNORED
    assert int(status["SigIgn"], 16) & 1 << (signal.SIGUSR2 - 1)
    assert not int(status["SigIgn"], 16) & 1 << (signal.SIGXFSZ - 1)
    assert not int(status["SigIgn"], 16) & 1 << (signal.SIGHUP - 1)


def test_its_place_is_the_buss(nursery: Nursery, tmp_path: Path) -> None:
    """Session, group, directory and umask, as with dbus-daemon."""
    status = status_of(nursery, tmp_path)
    umask = os.umask(0o022)
    os.umask(umask)
    assert int(status["Umask"], 8) == umask
    assert nursery.shell(f"cut -d' ' -f5,6 /proc/$$/stat >{tmp_path}/a; pwd -P >>{tmp_path}/a") == 0
    ids, directory = (tmp_path / "a").read_text().splitlines()
    assert ids == f"{os.getpgrp()} {os.getsid(0)}"
    assert directory == os.getcwd()


def test_the_limit_of_descriptors_is_what_the_bus_found(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(module, "INHERITED_FD_LIMIT", (200, hard))
    assert nursery.shell(f"ulimit -Sn >{tmp_path}/limit; ulimit -Hn >>{tmp_path}/limit") == 0
    assert (tmp_path / "limit").read_text().split() == ["200", str(hard)]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] != 200


def test_a_protected_bus_has_ordinary_services() -> None:
    """In a /proc of ours: only some may give themselves a score below 0."""
    need_root()
    need("unshare")
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        missing("there may be no new mount namespace here")
    program = (
        "import os, subprocess\n"
        "from bridge.transport.spawn import spawn\n"
        "subprocess.run(['mount', '-t', 'tmpfs', 'proc', '/proc'], check=True)\n"
        "os.mkdir('/proc/self')\n"
        "open('/proc/self/oom_score_adj', 'w').write('-900')\n"
        "os.waitpid(spawn([b'/bin/true'], [], 1, 2, 99, 99), 0)\n"
        "print(open('/proc/self/oom_score_adj').read()[0])\n"
    )
    words = ["unshare", "--mount", sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout == "0\n", done.stderr


# --------------------------------------------------------------------- what they print


def test_the_journal_gets_what_they_print_under_their_names(tmp_path: Path) -> None:
    """Nor can a name begin another line of what the journal is told."""
    nursery = Nursery(str(tmp_path / "stdout"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "stdout"))
        listener.listen()
        waits = "! grep -q '^flags:.*[4-7][0-7][0-7][0-7]$' /proc/self/fdinfo/1"  # not O_NONBLOCK
        words, ends = [SH, "-c", f"{waits} && echo out; echo err >&2"], nursery.ends
        nursery.children.start(words, {}, lambda status: ends.append((1, status)), "a.b\nroot")
        assert nursery.wait() == [0]
        said = []
        for _ in range(2):
            with listener.accept()[0] as stream, stream.makefile() as text:
                said.append(text.read())
    assert said == ["a.b\n\n6\n0\n0\n0\n0\nout\n", "a.b\n\n4\n0\n0\n0\n0\nerr\n"]
    nursery.loop.close()


def test_without_a_journal_they_print_where_the_bus_does(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for journal in (None, str(tmp_path / "nothing")):
        nursery = Nursery(journal)
        assert nursery.shell("echo out; echo err >&2") == 0
        assert capfd.readouterr() == ("out\n", "err\n")
        nursery.loop.close()


def test_what_led_to_a_program_that_is_not_there_is_not_kept(nursery: Nursery) -> None:
    """The error comes from another thread, and its frames have who asked; nobody looks for cycles
    then, which may have descriptors."""

    def ended(status: int) -> None:
        raise AssertionError(status)

    gone = weakref.ref(ended)
    gc.disable()
    try:
        with pytest.raises(OSError, match="No such file"):
            nursery.children.start(["/nonexistent"], {}, ended)
        del ended
        nursery.until(lambda: gone() is None)
    finally:
        gc.enable()
