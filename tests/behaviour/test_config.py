"""What a bus does with the elements of its file that are about the process and its door
(contract A.2, A.8, A.10, H)."""

from __future__ import annotations

import os
import pwd
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.behaviour.files import OPEN, Files, policy
from tests.buses import ROOT, Bus, command, environment, missing, need_root
from tests.raw import Client, Closed, socket_to

SECONDS = 10
GUID = "[0-9a-f]{32}"

Start = Callable[..., Bus]


@pytest.fixture
def root() -> None:
    """The test is root, who alone can become somebody else."""
    need_root()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    for path in (tmp_path, *tmp_path.parents):  # for whomever the bus becomes
        if path.stat().st_uid == os.geteuid() and not path.stat().st_mode & 1:
            path.chmod(0o755)
    return Files(tmp_path)


@pytest.fixture
def begin(files: Files) -> Iterator[Start]:
    running: list[Bus] = []

    def start(kind: str, *options: str) -> Bus:
        running.append(files.start(kind, *options))
        return running[-1]

    yield start
    for bus in running:
        if bus.process.returncode is None:
            bus.stop()


def run(kind: str, files: Files, *options: str) -> subprocess.CompletedProcess[str]:
    """A bus that is not to stay: in the background, or not at all."""
    (files.directory / "empty").mkdir(mode=0o700, exist_ok=True)
    return subprocess.run(
        [*command(kind), f"--config-file={files.root}", *options],
        capture_output=True,
        text=True,
        timeout=20,
        env=environment(files.directory),
        cwd=ROOT,
        check=False,
    )


def status(pid: int, key: str) -> list[str]:
    found = re.search(rf"^{key}:(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return found[1].split()


# --------------------------------------------------------------------------- the door


def test_several_places_to_listen_at(bus_kind: str, files: Files, begin: Start) -> None:
    """Clients are told the last one first."""
    one, two = (f"unix:path={files.directory}/{name}" for name in ("one", "two"))
    files.write(f"<type>session</type><listen>{one}</listen><listen>{two}</listen>{policy(OPEN)}")
    bus = begin(bus_kind)
    assert re.fullmatch(f"{two},guid={GUID};{one},guid={GUID}", bus.address)
    with Client(one) as a, Client(two) as b:
        a.signal("S", to=b.name)
        assert b.receive("S").sender == a.name


def offered(bus: Bus) -> list[str]:
    with socket_to(bus.address) as sock:
        sock.sendall(b"\0AUTH\r\n")
        words = sock.recv(1000).decode().split()
    assert words.pop(0) == "REJECTED"
    return sorted(set(words) - {"DBUS_COOKIE_SHA1"})


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ([], ["ANONYMOUS", "EXTERNAL"]),
        (["EXTERNAL"], ["EXTERNAL"]),
        (["ANONYMOUS"], ["ANONYMOUS"]),
        (["ANONYMOUS", "EXTERNAL"], ["ANONYMOUS", "EXTERNAL"]),
        (["EXTERNAL", "DBUS_COOKIE_SHA1"], ["EXTERNAL"]),
    ],
)
def test_only_what_is_named_is_offered(
    bus_kind: str, files: Files, begin: Start, named: list[str], expected: list[str]
) -> None:
    files.configure("".join(f"<auth>{name}</auth>" for name in named))
    assert offered(begin(bus_kind)) == expected


def test_a_mechanism_that_nobody_knows(bus_kind: str, files: Files) -> None:
    files.configure("<auth>EXTERNAL</auth><auth>NONSENSE</auth>")
    done = run(bus_kind, files, "--nofork", "--print-address")
    assert (done.returncode, done.stdout) == (1, "")
    assert '"NONSENSE"' in done.stderr


class Anonymous(Client):
    """Says nothing of who it is."""

    def authenticate(self, fds: bool) -> str:
        self.sock.sendall(b"\0AUTH ANONYMOUS\r\n")
        answer = self.line()
        self.sock.sendall(b"BEGIN\r\n")
        return answer


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("rules", ["", '<deny user="*"/>'])
def test_anonymous_clients(
    bus_kind: str, files: Files, begin: Start, allowed: bool, rules: str
) -> None:
    """They may or may not by <allow_anonymous/>, whatever the policy says of users."""
    files.configure("<allow_anonymous/>" * allowed, rules=rules)
    bus = begin(bus_kind)
    if allowed:
        with Anonymous(bus.address) as client:
            assert client.is_open()
    else:
        with pytest.raises((Closed, OSError)):
            Anonymous(bus.address)


def test_a_reply_that_does_not_come_in_time(bus_kind: str, files: Files, begin: Start) -> None:
    files.configure('<limit name="reply_timeout">300</limit>')
    bus = begin(bus_kind)
    caller, callee = bus.connect(), bus.connect()
    began = time.monotonic()
    serial = caller.call("M", to=callee.name, interface="t.T")
    late = callee.receive("M")
    answer = caller.answer(serial)
    assert time.monotonic() - began > 0.25
    assert str(answer) == "!NoReply"
    assert answer.args == ["Message did not receive a reply (timeout by message bus)"]
    callee.reply(late)
    serial = caller.call("M", to=callee.name, interface="t.T")
    callee.reply(callee.receive("M"))
    assert caller.answer(serial).error is None
    time.sleep(0.4)
    assert "!NoReply" not in caller.seen()


# -------------------------------------------------------------------------- the process


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("named", ["nobody", str(pwd.getpwnam("nobody").pw_uid)])
def test_the_bus_becomes_a_user(bus_kind: str, files: Files, begin: Start, named: str) -> None:
    """It has its rights and no others; sockets and the file with the pid were made before."""
    files.directory.chmod(0o777)
    files.configure(f"<user>{named}</user>", type_="system")
    bus = begin(bus_kind)
    nobody = pwd.getpwnam("nobody")
    client = bus.connect()
    bus.connect().until(lambda: status(bus.pid, "Uid") == [str(nobody.pw_uid)] * 4)
    assert status(bus.pid, "Gid") == [str(nobody.pw_gid)] * 4
    assert "0" not in status(bus.pid, "Groups")
    audit = 1 << 29  # dbus-daemon may keep the right to write to the audit log
    for which in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        left = int(status(bus.pid, which)[0], 16)
        assert left in (0, 0 if bus_kind == "ours" else audit)
    assert client.ask("GetConnectionUnixUser", "s", "org.freedesktop.DBus").args == [nobody.pw_uid]
    files.configure(f"<user>{named}</user>", rules='<deny own="a.b"/>', type_="system")
    assert client.ask("ReloadConfig").error is None
    assert str(client.ask("RequestName", "su", "a.b", 0)) == "!AccessDenied"


@pytest.mark.usefixtures("root")
def test_its_own_user_may_connect_and_root_may_not(
    bus_kind: str, files: Files, begin: Start
) -> None:
    """Without a rule about connecting: the user that the bus has become counts."""
    files.directory.chmod(0o777)
    files.write(
        f"<type>x</type><user>nobody</user><listen>unix:path={files.directory}/bus</listen>"
        + policy(OPEN.replace('<allow user="*"/>', ""))
    )
    bus = begin(bus_kind)
    with pytest.raises((Closed, OSError)):
        bus.connect()
    done = subprocess.run(
        [
            *("setpriv", "--reuid=nobody", "--clear-groups", "dbus-send", f"--bus={bus.address}"),
            *("--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.GetId"),
        ],
        capture_output=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr


def test_a_user_that_is_not_there(bus_kind: str, files: Files) -> None:
    files.configure("<user>no-such-user</user>")
    done = run(bus_kind, files, "--nofork", "--nopidfile", "--print-pid")
    assert (done.returncode, done.stdout) == (1, "")
    said = 'Failed to start message bus: Could not get UID and GID for username "no-such-user"'
    assert said in done.stderr


@pytest.mark.usefixtures("root")
def test_the_standard_system_bus(bus_kind: str, files: Files) -> None:
    """With its own user, and the machine's policy; at a place of our own."""
    if not Path("/usr/share/dbus-1/system.conf").exists():
        missing("the reference's system.conf is not installed")
    files.directory.chmod(0o777)
    (files.directory / "empty").mkdir()
    with subprocess.Popen(
        [
            *(*command(bus_kind), "--system", "--nofork", "--nopidfile", "--nosyslog"),
            *(f"--address=unix:path={files.directory}/bus", "--print-address"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(files.directory),
        cwd=ROOT,
    ) as process:
        assert process.stdout
        address = process.stdout.readline().strip()
        with Client(address) as root:
            assert str(root.ask("RequestName", "su", "com.example.Nobody", 0)) == "!AccessDenied"
            owner = pwd.getpwnam("messagebus").pw_uid
            assert root.ask("GetConnectionUnixUser", "s", "org.freedesktop.DBus").args == [owner]
        process.terminate()
        assert process.wait(SECONDS) == 0


# ------------------------------------------------------------- the file with the pid


def pid_in(path: Path) -> int:
    return int(path.read_text())


def test_the_file_with_the_pid(bus_kind: str, files: Files, begin: Start) -> None:
    path = files.directory / "pid"
    files.configure(f"<pidfile>{path}</pidfile>")
    bus = begin(bus_kind)
    bus.connect()
    assert pid_in(path) == bus.pid
    bus.stop()
    assert not path.exists()


def test_a_file_with_a_pid_that_is_there(bus_kind: str, files: Files, begin: Start) -> None:
    """Whoever was there before: its socket stays, too."""
    path = files.directory / "pid"
    files.configure(f"<pidfile>{path}</pidfile>")
    path.write_text("1\n")
    done = run(bus_kind, files, "--nofork", "--print-address")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        f'Failed to start message bus: The pid file "{path}" exists, if the message bus is not'
        " running, remove this file" in done.stderr
    )
    assert path.read_text() == "1\n"
    assert not (files.directory / "bus").exists()
    assert begin(bus_kind, "--nopidfile").connect().is_open()
    assert path.read_text() == "1\n"


@pytest.mark.parametrize("keep", [False, True])
def test_in_the_background(bus_kind: str, files: Files, keep: bool) -> None:
    """<fork/>: the file has the child's pid; the umask is a known one, unless it is to be kept."""
    path = files.directory / "pid"
    files.configure(f"<fork/><pidfile>{path}</pidfile>" + "<keep_umask/>" * keep)
    before = os.umask(0o027)
    try:
        done = run(bus_kind, files, "--print-address=1", "--print-pid=1")
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    address, pid = done.stdout.splitlines()
    try:
        with Client(address) as client:
            client.until(path.exists)
            assert pid_in(path) == int(pid)
            client.until(lambda: status(int(pid), "Umask") == ["0027" if keep else "0022"])
            assert client.is_open()
    finally:
        os.kill(int(pid), signal.SIGTERM)
    end = time.monotonic() + SECONDS
    while path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_command_line_stands_above_the_file(bus_kind: str, files: Files, begin: Start) -> None:
    files.configure(f"<fork/><pidfile>{files.directory}/pid</pidfile>")
    bus = begin(bus_kind, "--nopidfile")  # and --nofork, as always here
    assert bus.connect().is_open()
    assert not (files.directory / "pid").exists()


@pytest.mark.usefixtures("root")
def test_the_background_is_root_s_business_too(bus_kind: str, files: Files) -> None:
    """The pid is written by root, whomever the bus becomes, and it goes when the bus may."""
    place = files.directory / "run"
    place.mkdir()
    nobody = pwd.getpwnam("nobody")
    os.chown(place, nobody.pw_uid, -1)
    files.write(
        f"<type>x</type><fork/><user>nobody</user><pidfile>{place}/pid</pidfile>"
        f"<listen>unix:path={place}/bus</listen>{policy(OPEN)}"
    )
    done = run(bus_kind, files, "--print-pid=1")
    assert done.returncode == 0, done.stderr
    pid = int(done.stdout)
    with suppress(AssertionError):
        Client(f"unix:path={place}/bus").close()
    assert pid_in(place / "pid") == pid
    assert (place / "pid").stat().st_uid == 0
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + SECONDS
    while (place / "pid").exists() or (place / "bus").exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_notices_around_a_reload(
    files: Files, begin: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Type=notify-reload: the manager learns when it began, by its own clock, and ended."""
    files.configure()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{files.directory}/manager")
        manager.settimeout(SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{files.directory}/manager")
        bus = begin("ours")
        assert manager.recv(100) == b"READY=1\nSTATUS=Serving clients"
        client = bus.connect()
        for broken in (False, True):
            if broken:
                files.root.write_text("nonsense")
            before = time.monotonic_ns() // 1000
            os.kill(bus.pid, signal.SIGHUP)
            first = manager.recv(100).decode()
            said = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)\nSTATUS=Reading .*", first)
            assert said is not None
            assert before <= int(said[1]) <= time.monotonic_ns() // 1000
            status = "Not reloaded: " if broken else "Serving clients"
            assert manager.recv(1000).decode().startswith(f"READY=1\nSTATUS={status}")
        assert client.is_open()
