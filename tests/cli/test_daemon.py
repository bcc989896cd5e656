"""The process: what it prints, when, where, and that it ends without leaving anything.

Most of it is asked of dbus-daemon, too, by the same words.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.late import LATE
from tests.buses import KINDS, ROOT, as_program, command, environment, first_line, need
from tests.native.peer import Peer
from tests.raw import Client

SECONDS = 10
ADDRESS = r"unix:path=s,guid=[0-9a-f]{32}"

Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the daemon runs: its socket has the relative name `s`."""
    (tmp_path / "empty").mkdir(mode=0o700)
    return tmp_path


@contextlib.contextmanager
def starting(kind: str, place: Path) -> Iterator[Run]:
    """Start a program with --session and a socket `s`; none outlives this."""
    started: list[subprocess.Popen[str]] = []

    def begin(
        *words: str,
        prefix: tuple[str, ...] = (),
        base: tuple[str, ...] = ("--session", "--address=unix:path=s"),
        variables: dict[str, str] | None = None,
        **more: Any,
    ) -> subprocess.Popen[str]:
        pipes = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        started.append(
            subprocess.Popen(
                [*prefix, *command(kind), *base, *words],
                text=True,
                cwd=place,
                env=environment(place, **(variables or {})),
                **(pipes | more),
            )
        )
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def run(kind: str, place: Path) -> Iterator[Run]:
    with starting(kind, place) as begin:
        yield begin


@pytest.fixture
def run_ours(place: Path) -> Iterator[Run]:
    with starting("ours", place) as begin:
        yield begin


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    """The first lines of its output."""
    return [first_line(process) for _ in range(count)]  # type: ignore[arg-type]


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str, str]:
    """Send it a signal; status, the rest of its output, and its errors, one of them left out."""
    process.send_signal(number)
    out, err = process.communicate(timeout=SECONDS)
    kept = [line for line in err.splitlines() if "Failed to set fd limit" not in line]
    return process.returncode, out, "\n".join(kept)


def serves(place: Path, pid: int) -> None:
    """It serves clients, and is ready for signals (dbus-daemon serves before that)."""
    os.chdir(place)
    Client("unix:path=s").close()
    until(lambda: catches(pid, signal.SIGTERM) and catches(pid, signal.SIGHUP))


def listens(place: Path) -> bool:
    os.chdir(place)
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex("s") == 0


def catches(pid: int, number: int) -> bool:
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


@pytest.fixture(autouse=True)
def back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")


# ------------------------------------------------------------------------- printing


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        ("", ""),
        ("--print-address", "a"),
        ("--print-address=1", "a"),
        ("--print-address 1", "a"),
        ("--print-address=", "a"),
        ("--print-pid", "p"),
        ("--print-pid=1", "p"),
        ("--print-pid=1 --print-address=1", "ap"),
        ("--print-address=1 --print-pid=1", "ap"),
        ("--print-pid --print-address", "ap"),
        ("--nofork --print-pid --print-address", "ap"),
        ("--print-address --nofork", "a"),
        ("--fork --nofork --print-address", "a"),
        ("--nopidfile --systemd-activation --nosyslog --print-address", "a"),
    ],
)
def test_what_it_prints(run: Run, place: Path, words: str, printed: str) -> None:
    process = run(*words.split())
    patterns = {"a": ADDRESS, "p": str(process.pid)}
    for pattern, line in zip(printed, lines(process, len(printed)), strict=True):
        assert re.fullmatch(patterns[pattern], line)
    until(lambda: listens(place))
    serves(place, process.pid)
    assert end(process) == (0, "", "")
    assert not (place / "s").exists()


@pytest.mark.parametrize("which", ["address", "pid"])
def test_a_pipe_is_closed_after_the_line(run: Run, which: str) -> None:
    read, write = os.pipe()
    process = run(f"--print-{which}={write}", pass_fds=[write])
    os.close(write)
    with open(read) as pipe:
        assert re.fullmatch(
            ADDRESS if which == "address" else str(process.pid), pipe.read().strip()
        )
    assert process.poll() is None


def test_both_to_one_pipe(run: Run, kind: str) -> None:
    """dbus-daemon closes it after the address, and fails."""
    read, write = os.pipe()
    process = run(f"--print-address={write}", f"--print-pid={write}", pass_fds=[write])
    os.close(write)
    with open(read) as pipe:
        printed = pipe.read()
    if kind == "ours":
        assert re.fullmatch(f"{ADDRESS}\n{process.pid}\n", printed)
    else:
        assert process.wait(SECONDS) == 1


@pytest.mark.parametrize("which", ["address", "pid"])
@pytest.mark.parametrize("fork", ["--fork", "--nofork"])
def test_a_descriptor_that_is_not_there(run: Run, place: Path, which: str, fork: str) -> None:
    process = run(f"--print-{which}=77", fork)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert err.strip().endswith(
        "]: Failed to start message bus: Writing to pipe: Bad file descriptor"
    )


def test_stdout_that_nobody_reads(run: Run, kind: str, place: Path) -> None:
    """dbus-daemon dies of SIGPIPE."""
    read, write = os.pipe()
    os.close(read)
    process = run("--print-address", stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=SECONDS)
    if kind == "ours":
        assert process.returncode == 1
        assert err.endswith("Failed to start message bus: Writing to pipe: Broken pipe\n")
        assert not (place / "s").exists()
    else:
        assert process.returncode == -signal.SIGPIPE


def test_standard_descriptors_may_be_closed(run: Run, place: Path) -> None:
    process = run("--print-address", prefix=("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"))
    until(lambda: listens(place))
    serves(place, process.pid)
    assert end(process) == (0, "", "")


# ---------------------------------------------------------------------- background


def test_fork(run: Run, place: Path) -> None:
    """As python-dbusmock uses it: two lines, and the end of the output though the bus lives."""
    base = ("--session", f"--address=unix:path={place}/s")  # it will have left the directory
    process = run("--fork", "--print-address=1", "--print-pid=1", base=base)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    address, pid_line = out.splitlines()
    pid = int(pid_line)
    try:
        assert re.fullmatch(ADDRESS.replace("=s", f"={place}/s"), address)
        serves(place, pid)
        until(lambda: os.readlink(f"/proc/{pid}/fd/2") == os.devnull)
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert os.getsid(pid) == pid != process.pid
    finally:
        os.kill(pid, signal.SIGTERM)
    until(lambda: not (place / "s").exists())


def test_fork_closes_the_pipe(run: Run, kind: str) -> None:
    read, write = os.pipe()
    process = run("--fork", f"--print-address={write}", "--print-pid=1", pass_fds=[write])
    os.close(write)
    pid = int(lines(process, 1)[0])
    try:
        with open(read) as pipe:
            assert re.fullmatch(ADDRESS, pipe.read().strip())
    finally:
        os.kill(pid, signal.SIGTERM)


def test_fork_tells_of_failure(run: Run, place: Path) -> None:
    process = run("--fork", "--print-address=1", base=("--session", "--address=unix:path=/no/s"))
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (1, "")
    assert err.endswith('Failed to bind socket "/no/s": No such file or directory\n')


# ------------------------------------------------------------------------- signals


def test_the_signal_may_come_right_after_the_address(run_ours: Run, place: Path) -> None:
    """dbus-daemon is not ready for it then, and leaves its socket."""
    for _ in range(3):
        process = run_ours("--print-address")
        assert lines(process, 1) != [""]
        assert end(process) == (0, "", "")
        assert not (place / "s").exists()


def test_the_signal_may_come_before_the_address(run_ours: Run, place: Path) -> None:
    process = run_ours()
    until((place / "s").exists)
    assert end(process) == (0, "", "")
    assert not (place / "s").exists()


def test_interrupt_is_quiet_and_leaves_nothing(run_ours: Run, place: Path) -> None:
    """dbus-daemon dies of it, and leaves its socket."""
    process = run_ours("--print-address")
    assert lines(process, 1) != [""]
    assert end(process, signal.SIGINT) == (0, "", "")
    assert not (place / "s").exists()


RELOADED = "Reloaded configuration"


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("", True),
        ("--nosyslog", True),
        ("--syslog", True),
        ("--syslog-only", False),
        ("--syslog-only --syslog", False),
        ("--syslog-only --nosyslog", True),
    ],
)
def test_reload_is_logged(run: Run, kind: str, place: Path, words: str, seen: bool) -> None:
    process = run(*words.split(), "--print-address")
    assert lines(process, 1) != [""]
    serves(place, process.pid)
    process.send_signal(signal.SIGHUP)
    with Client("unix:path=s") as client:
        time.sleep(0.2 if kind == "dbus-daemon" else 0)  # it has not begun when it answers
        assert client.ask("ReloadConfig").error is None
    status, _, err = end(process)
    name = "bus1-daemon" if kind == "ours" else "dbus-daemon"
    who = f"[session uid={os.getuid()} pid={process.pid}]"
    said = RELOADED + (": nothing changed" if kind == "ours" else "")
    assert (status, set(err.splitlines())) == (
        0,
        {f"{name}[{process.pid}]: {who} {said}"} if seen else set(),
    )


def test_a_log_that_nobody_reads(run_ours: Run, place: Path) -> None:
    process = run_ours("--print-address", pipesize=4 * 4096)
    assert lines(process, 1) != [""]
    os.chdir(place)
    with Client("unix:path=s") as client:
        for _ in range(300):
            client.ask("ReloadConfig")
    status, _, err = end(process)
    assert status == 0
    assert 5 < err.count(RELOADED) < 300
    assert re.search(r"] \d+ lines lost: nobody read this log$", err)


# ------------------------------------------------------------------ service manager


def test_notify(run: Run, place: Path) -> None:
    name = f"bus1-test-daemon-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(SECONDS)
        process = run(variables={"NOTIFY_SOCKET": f"@{name}"})
        assert manager.recv(100).split(b"\n")[0] == b"READY=1"
        serves(place, process.pid)
        assert end(process) == (0, "", "")
        assert manager.recv(100).split(b"\n")[0] == b"STOPPING=1"


def test_the_manager_knows_that_it_stops_before_the_clients_do(run_ours: Run, place: Path) -> None:
    """The manager's queue is full for a while, to see that clients are served until it knows."""
    name = f"\0bus1-test-daemon-{os.getpid()}"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other,
        socket.socket(socket.AF_UNIX) as client,
    ):
        manager.bind(name)
        manager.settimeout(SECONDS)
        client.settimeout(SECONDS)
        process = run_ours(variables={"NOTIFY_SOCKET": name.replace("\0", "@")})
        assert manager.recv(100) == b"READY=1\nSTATUS=Serving clients"
        os.chdir(place)
        client.connect("s")
        client.sendall(b"\0AUTH EXTERNAL\r\n")
        assert client.recv(100) == b"DATA\r\n"
        with contextlib.suppress(BlockingIOError):
            while True:
                other.sendto(b"", socket.MSG_DONTWAIT, name)
        process.send_signal(signal.SIGTERM)
        assert not select.select([client], [], [], 0.5)[0]
        while (state := manager.recv(100)) == b"":
            pass
        assert state == b"STOPPING=1\nSTATUS=Ending"
        assert client.recv(100) == b""


HAND_OVER = """
import os, sys
split = sys.argv.index("--")
for place, fd in enumerate(sys.argv[1:split], 3):
    os.dup2(int(fd), place)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(split - 1)}
os.execvp(sys.argv[split + 1], sys.argv[split + 1 :])
"""


@contextlib.contextmanager
def handed_over(
    place: Path, *names: str, kind: socket.SocketKind = socket.SOCK_STREAM
) -> Iterator[dict[str, Any]]:
    """What a service manager does: listening sockets from 3 on, for the process it starts."""
    sockets = [socket.socket(socket.AF_UNIX, kind) for _ in names]
    before = os.getcwd()
    os.chdir(place)
    for each, name in zip(sockets, names, strict=True):
        each.bind(name)
        each.listen()
    os.chdir(before)
    fds = [each.fileno() for each in sockets]
    yield {"prefix": (sys.executable, "-c", HAND_OVER, *map(str, fds), "--"), "pass_fds": fds}
    for each in sockets:
        each.close()


def test_a_socket_that_was_handed_over(run: Run, place: Path) -> None:
    with handed_over(place, "s") as how:
        process = run("--print-address", base=("--session", "--address=systemd:"), **how)
        assert re.fullmatch(ADDRESS, lines(process, 1)[0])
    serves(place, process.pid)
    assert end(process) == (0, "", "")
    assert (place / "s").exists()


def test_several_sockets_that_were_handed_over(run: Run, kind: str, place: Path) -> None:
    """dbus-daemon prints the guid only for the last."""
    with handed_over(place, "s", "t u") as how:
        process = run("--print-address", base=("--session", "--address=systemd:"), **how)
        guid = ",guid=[0-9a-f]{32}"
        first = guid if kind == "ours" else ""
        assert re.fullmatch(f"unix:path=s{first};unix:path=t%20u{guid}", lines(process, 1)[0])


@pytest.mark.parametrize("pid", ["1", ""])
def test_no_socket_was_handed_over(run: Run, pid: str) -> None:
    process = run(
        base=("--session", "--address=systemd:"),
        variables={"LISTEN_PID": pid, "LISTEN_FDS": "1"} if pid else {},
    )
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert err.endswith("]: Failed to start message bus: No socket received.\n")


# ------------------------------------------------------------------ native programs


@pytest.fixture
def ours(place: Path) -> Iterator[Run]:
    with starting("ours", place) as begin:
        yield begin


def test_a_place_for_native_programs(ours: Run, place: Path) -> None:
    process = ours("--print-address", f"--native=unix:path={place}/n")
    assert re.fullmatch(ADDRESS, lines(process, 1)[0])
    Peer(f"{place}/n").close()
    serves(place, process.pid)
    assert end(process) == (0, "", "")
    assert not (place / "n").exists()


def test_the_files_say_where_native_programs_find_it(ours: Run, place: Path) -> None:
    text = f'type = "session"\nlisten = ["unix:path={place}/s"]\nnative = "unix:path={place}/n"\n'
    (place / "bus.toml").write_text(text)
    for option, at in (("", "n"), (f"--native=unix:path={place}/other", "other")):
        words = ("--config-file=bus.toml", *filter(None, [option]))
        process = ours("--print-address", base=words)
        lines(process, 1)
        Peer(f"{place}/{at}").close()
        assert end(process)[0] == 0


@pytest.mark.parametrize("named", [False, True])
def test_a_native_socket_that_was_handed_over(ours: Run, place: Path, named: bool) -> None:
    words = [f"--native=unix:path={place}/n"] if named else []
    with handed_over(place, str(place / "n"), kind=socket.SOCK_SEQPACKET) as how:
        process = ours("--print-address", *words, **how)
        lines(process, 1)
    Peer(f"{place}/n").close()
    serves(place, process.pid)
    assert end(process)[0] == 0
    assert (place / "n").exists()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("tcp:host=x", 'Native address "tcp:host=x": it should be unix:path= and the abs'),
        ("unix:path=/nonexistent/n", 'Failed to bind socket "/nonexistent/n": No such file or'),
        ("unix:path=n", 'Native address "unix:path=n": it should be unix:path= and the absolute'),
        ("unix:path={}/file", 'Failed to bind socket "{}/file": Address already in use'),
        ("unix:path={}/s", 'Native address "unix:path={}/s": D-Bus is spoken there'),
    ],
)
def test_no_place_for_native_programs(ours: Run, place: Path, address: str, why: str) -> None:
    (place / "file").touch()
    process = ours(f"--native={address.format(place)}")
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert err.count("\n") == 1
    assert f"]: Failed to start message bus: {why.format(place)}" in err
    assert not (place / "s").exists()


# ------------------------------------------------------------------------ the rest


def test_dbus_run_session(kind: str, place: Path) -> None:
    done = subprocess.run(
        [
            *(need("dbus-run-session"), f"--dbus-daemon={as_program(kind, place)}", "--"),
            *(need("dbus-send"), "--session", "--print-reply", "--dest=org.freedesktop.DBus"),
            *("/", "org.freedesktop.DBus.GetId"),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment(place),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search('string "[0-9a-f]{32}"', done.stdout)


REFUSED = [
    (("--config-file=/no/x.conf",), 'Failed to open "/no/x.conf": No such file or directory'),
    (("--config-file=/dev/null",), "/dev/null:1: no element found"),
]


@pytest.mark.parametrize(("words", "what"), REFUSED)
def test_a_start_that_fails_is_one_line(place: Path, words: tuple[str, ...], what: str) -> None:
    done = subprocess.run(
        [*command("ours"), *words, "--print-address=1"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment(place),
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        rf"bus1-daemon\[\d+\]: Failed to start message bus: {re.escape(what)}\n", done.stderr
    )


CONFIGURATION = """<busconfig><type>x</type><listen>unix:tmpdir={0}</listen>
<policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>"""


def test_a_configuration_file_may_go_when_the_address_is_there(kind: str, place: Path) -> None:
    file = place / "bus.conf"
    file.write_text(CONFIGURATION.format(place))
    with subprocess.Popen(
        [*command(kind), "--nofork", "--print-address=1", f"--config-file={file}"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(place),
    ) as daemon:
        assert daemon.stdout is not None
        address = daemon.stdout.readline()
        file.unlink()
        done = subprocess.run(
            ["busctl", f"--address={address.strip()}", "list"], check=False, capture_output=True
        )
        daemon.terminate()
    assert address.startswith(f"unix:path={place}/dbus-")
    assert done.returncode == 0


def test_a_broken_service_file_is_said(run_ours: Run, place: Path) -> None:
    file = place / "bus.conf"
    more = f"<servicedir>{place}/services</servicedir><servicedir>/x</servicedir>"
    file.write_text(CONFIGURATION.format(place).replace("</type>", f"</type>{more}"))
    (place / "services").mkdir()
    (place / "services/x.service").write_text("[D-BUS Service]\nName=x.x\n")
    process = run_ours("--print-address", base=(f"--config-file={file}",))
    assert lines(process, 1) != [""]
    said = f'{place}/services/x.service: skipped: No "Exec" key in .service file'
    assert end(process) == (0, "", f"bus1-daemon[{process.pid}]: {said}")


def test_version(kind: str, place: Path) -> None:
    said = subprocess.check_output(
        [*command(kind), "--version"], text=True, timeout=SECONDS, env=environment(place)
    )
    assert re.match(r"D-Bus Message Bus Daemon (\(bus1\) )?\S+\n", said)


def test_introspect_says_what_the_bus_says(run: Run, kind: str, place: Path) -> None:
    said = subprocess.check_output(
        [*command(kind), "--introspect"], text=True, timeout=SECONDS, env=environment(place)
    )
    assert lines(run("--print-address"), 1) != [""]
    os.chdir(place)
    with Client("unix:path=s") as client:
        interface = "org.freedesktop.DBus.Introspectable"
        (answer,) = client.ask("Introspect", interface=interface).args
    assert said == answer + "\n"


def test_the_fd_limit_is_raised(run_ours: Run) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    process = run_ours("--print-address", prefix=("sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh"))
    assert lines(process, 1) != [""]
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert re.search(rf"Max open files\s+{hard}\s+{hard}\s", limits)


# What a bus that nobody has asked for anything has not imported: of others, of Python's, of ours.
SLOW = {"typer", "rich", "click", "pydantic", "pydantic_core", "dbus_fast", "prometheus_client"}
SLOW |= {"ctypes", "email", "importlib.metadata", "importlib.resources", "json", "multiprocessing"}
SLOW |= {"pathlib", "shutil", "tempfile", "tomllib", "typing_extensions", "xml.dom", "xml.etree"}
SLOW |= {"bridge.client", "bridge.gateway", "bus1.client", "bus1.native", "policy.study"}
SLOW |= {"bridge.mediation.apparmor", "bridge.mediation.selinux"}
SLOW |= {"bridge.transport.counting", "bridge.transport.natives"}
SLOW |= set(LATE) - {"policy.files.busconfig"}  # of the reference's own files

LISTED = """
import atexit, sys
before = set(sys.modules)  # where it is installed for development, that has imported some
atexit.register(lambda: print(*sys.modules.keys() - before))
from bridge.cli.daemon import main
sys.exit(main())
"""


def test_a_bus_at_rest_has_imported_nothing_slow(place: Path) -> None:
    """Harnesses wait for the address; and what is imported is never given back."""
    words = [sys.executable, "-c", LISTED, "--session", "--address=unix:path=s", "--print-address"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, cwd=place, env=environment(place)
    ) as bus:
        assert bus.stdout is not None
        assert bus.stdout.readline()
        until(lambda: watches(bus.pid))
        bus.terminate()
        imported = set(bus.stdout.read().split())
    assert "bridge.transport.server" in imported
    assert not imported & SLOW


def watches(pid: int) -> bool:
    """Does it watch its files already? That is the last thing that it does by itself."""
    fds = Path(f"/proc/{pid}/fdinfo").iterdir()
    return any("inotify" in each.read_text() for each in fds)


def late(path: Path) -> Iterator[str]:
    """The modules of ours that functions of a file import."""
    tree = ast.parse(path.read_text())
    functions = (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))
    for each in (inner for function in functions for inner in ast.walk(function)):
        if isinstance(each, ast.ImportFrom) and each.module:
            for name in each.names:
                module = f"{each.module}.{name.name}"
                is_file = (ROOT / f"{module.replace('.', '/')}.py").exists()
                yield module if is_file else each.module


PREPARED = ("transport.counting", "transport.natives", "mediation.capabilities")


def test_nothing_is_left_to_be_imported_by_another_user() -> None:
    """What the bus cannot read any more after it has become its user it must have read before:
    security modules are found, and counting is prepared, in any case before that."""
    rooms = [each for each in (ROOT / "bridge").iterdir() if each.name not in ("cli", "mediation")]
    files = [path for room in (*rooms, ROOT / "policy") for path in room.rglob("*.py")]
    found = {module for path in files if "study" not in path.parts for module in late(path)}
    ours = {each for each in found if each.startswith(("bridge.", "policy."))}
    before = {f"bridge.{name}" for name in PREPARED}
    assert ours - before == set(LATE)
