"""The launch helper, beside the reference's: the same exit statuses for the same service files.

Invariant: whoever calls it with whatever, either the service runs as its user and with an
environment of two variables, or nothing does and the exit status is not 0.

It is tried where it will be: in a private mount namespace, with service files and a configuration
of our own in the places of the system's.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.activation.helper import Exit, error_of
from tests.buses import KINDS, ROOT, missing, need, need_root

REFERENCE = Path("/usr/lib/dbus-1.0/dbus-daemon-launch-helper")
BUS = "messagebus"
SERVICE = "games"  # a user that every Debian has
SHARE = Path("/usr/share/dbus-1")
CONFIGURATION = f"""<busconfig><type>system</type><user>{BUS}</user>
<listen>unix:path=/nowhere</listen><standard_system_servicedirs/></busconfig>"""
SEEN = "/bin/sh -c 'id -u; id -g; id -G; umask; cat /proc/$$/environ'"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Machine:
    """One directory that stands in for the system's files."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.services = place / "services"
        self.services.mkdir()
        self.configuration = place / "system.conf"
        self.configuration.write_text(CONFIGURATION)
        shutil.copytree("/etc", place / "etc", symlinks=True, ignore_dangling_symlinks=True)
        (place / "etc/bus1").mkdir(exist_ok=True)
        self.program = place / "etc/bus1/launch-helper"
        self.program.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            "from bridge.cli.launch_helper import main\nsys.exit(main())\n"
        )
        self.program.chmod(0o755)
        self.trampoline = place / "trampoline"

    def service(self, name: str, text: str) -> None:
        (self.services / f"{name}.service").write_text(text)

    def run(
        self, argv: list[str], *, user: str = BUS, first: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """A program by that user, of the bus's group, with the system's files exchanged."""
        bind = "".join(
            f"mount --bind {self.place / here} {there} && "
            for here, there in (
                ("services", SHARE / "system-services"),
                ("system.conf", SHARE / "system.conf"),
                ("etc", "/etc"),
            )
        )
        command = f'mount --make-rprivate / && {bind}{first or ":"} && exec setpriv "$@"'
        who = [f"--reuid={user}", f"--regid={BUS}", "--clear-groups"]
        variables = [f"{key}={value}" for key, value in environment.items()]
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", command, "sh", *who, "env", *variables, *argv],
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            cwd="/",
            check=False,
        )


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    need_root()
    need("unshare")
    need("setpriv")
    for user in (BUS, SERVICE):
        if user not in {entry.pw_name for entry in pwd.getpwall()}:
            missing(f"there is no user {user}")
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        missing("there may be no new mount namespace here")
    if not (SHARE / "system-services").is_dir():
        missing("dbus-system-bus-common is not installed")
    place = Path(tempfile.mkdtemp(prefix="bus1-"))  # pytest's own are for root's eyes
    place.chmod(0o755)
    try:
        yield Machine(place)
    finally:
        shutil.rmtree(place)


def helper(kind: str, machine: Machine) -> str:
    """What a bus would call, as it is installed."""
    if kind == "dbus-daemon":
        if not REFERENCE.exists():
            missing(f"{REFERENCE} is not there")
        return str(REFERENCE)
    built = sorted((ROOT / "bridge/cli").glob("trampoline.*.so"))
    if not built:
        missing("bridge/cli/trampoline.c is not compiled")
    if not machine.trampoline.exists():
        shutil.copy(built[0], machine.trampoline)
        shutil.chown(machine.trampoline, "root", BUS)
        machine.trampoline.chmod(0o4750)
    return str(machine.trampoline)


@pytest.fixture(params=KINDS)
def either(request: pytest.FixtureRequest, machine: Machine) -> Run:
    """Run one of the helpers."""
    program = helper(request.param, machine)
    return lambda *words, **options: machine.run([program, *words], **options)


@pytest.fixture
def ours(machine: Machine) -> Run:
    program = helper("ours", machine)
    return lambda *words, **options: machine.run([program, *words], **options)


def text(name: str, exec: str | None = "/bin/sh -c 'exit 42'", user: str | None = SERVICE) -> str:
    lines = ["[D-BUS Service]", f"Name={name}"]
    lines += [] if exec is None else [f"Exec={exec}"]
    lines += [] if user is None else [f"User={user}"]
    return "\n".join(lines) + "\n"


# -------------------------------------------------------------------- side by side

FILES = {
    "t.fine": (text("t.fine"), 42),
    "t.mismatch": (text("t.other"), Exit.FILE_INVALID),
    "t.NoUser": (text("t.NoUser", user=None), Exit.FAILED),
    "t.NoExec": (text("t.NoExec", exec=None), Exit.FAILED),
    "t.StrangeUser": (text("t.StrangeUser", user="no such user"), Exit.SETUP_FAILED),
    "t.NumberedUser": (text("t.NumberedUser", user="5"), Exit.SETUP_FAILED),
    "t.EmptyUser": (text("t.EmptyUser", user=""), Exit.SETUP_FAILED),
    "t.Missing": (text("t.Missing", exec="/no/such/program"), Exit.EXEC_FAILED),
    "t.Directory": (text("t.Directory", exec="/tmp"), Exit.EXEC_FAILED),
    "t.NotFromPath": (text("t.NotFromPath", exec="true"), Exit.EXEC_FAILED),
    # CVE-2022-31212: dbus-broker read behind the end of these.
    "t.Quote": (text("t.Quote", exec='"/bin/true'), Exit.INVALID_ARGS),
    "t.Single": (text("t.Single", exec="/bin/true '"), Exit.INVALID_ARGS),
    "t.Backslash": (text("t.Backslash", exec="/bin/true \\\\"), Exit.INVALID_ARGS),
    "t.BadEscape": (text("t.BadEscape", exec="/bin/true \\"), Exit.SERVICE_NOT_FOUND),
    "t.EmptyWord": (text("t.EmptyWord", exec='""'), Exit.EXEC_FAILED),
    "t.EmptyExec": (text("t.EmptyExec", exec=""), Exit.EXEC_FAILED),
    "t.Junk": ("\x01\x02 no service file", Exit.SERVICE_NOT_FOUND),
    "t.Long": (text("t.Long") + "#" * 200_000, Exit.SERVICE_NOT_FOUND),
}
NAMES = {
    "t.None": Exit.SERVICE_NOT_FOUND,
    ":1.1": Exit.SERVICE_NOT_FOUND,
    "": Exit.NAME_INVALID,
    "nodots": Exit.NAME_INVALID,
    "../../../tmp/t.fine": Exit.NAME_INVALID,
    "t.fine\n": Exit.NAME_INVALID,
    "a." + "b" * 300: Exit.NAME_INVALID,
    "--caller": Exit.NAME_INVALID,
}


@pytest.mark.parametrize("name", FILES)
def test_files(either: Run, machine: Machine, name: str) -> None:
    content, expected = FILES[name]
    machine.service(name, content)
    done = either(name)
    assert done.returncode == expected, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_names(either: Run, machine: Machine, name: str) -> None:
    assert either(name).returncode == NAMES[name]


def test_what_the_service_finds(either: Run, machine: Machine) -> None:
    """CVE-2012-3524: nothing of the caller's environment is believed, or handed on."""
    machine.service("t.Seen", text("t.Seen", exec=SEEN))
    done = either(
        "t.Seen",
        DBUS_STARTER_ADDRESS="unix:path=/evil",
        DBUS_SYSTEM_BUS_ADDRESS="unix:path=/evil",
        LD_PRELOAD="/evil.so",
        PYTHONPATH="/evil",
        PYTHONHOME="/evil",
        HOME="/evil",
    )
    user = pwd.getpwnam(SERVICE)
    uid, gid, groups, umask, environment = done.stdout.split("\n", 4)
    assert (uid, gid) == (str(user.pw_uid), str(user.pw_gid))
    assert groups.split() == [str(group) for group in os.getgrouplist(SERVICE, user.pw_gid)]
    assert umask == "0022"
    assert sorted(environment.rstrip("\0").split("\0")) == [
        "DBUS_STARTER_ADDRESS=unix:path=/run/dbus/system_bus_socket",
        "DBUS_STARTER_BUS_TYPE=system",
    ]
    assert "evil" not in done.stderr


def test_only_the_buss_user_may(either: Run, machine: Machine) -> None:
    machine.service("t.fine", text("t.fine"))
    for user in (SERVICE, "root"):
        done = either("t.fine", user=user)
        assert (done.returncode, done.stdout) == (Exit.PERMISSIONS_INVALID, ""), user


def test_a_protected_bus_has_ordinary_services(either: Run, machine: Machine) -> None:
    """In a /proc of ours: only some may give themselves a score below 0."""
    machine.service("t.oom", text("t.oom", exec="/bin/cat /proc/self/oom_score_adj"))
    proc = "mount -t tmpfs proc /proc && mkdir /proc/self && echo -900 >/proc/self/oom_score_adj"
    assert either("t.oom", first=proc).stdout.startswith("0")


# ----------------------------------------------------------------------- ours alone


def test_a_pipe_instead_of_a_file_does_not_hold_it_up(ours: Run, machine: Machine) -> None:
    os.mkfifo(machine.services / "t.Pipe.service")
    try:
        assert ours("t.Pipe").returncode == Exit.SERVICE_NOT_FOUND
    finally:
        os.unlink(machine.services / "t.Pipe.service")


def test_closed_descriptors_and_signals(ours: Run, machine: Machine) -> None:
    """Something is at 0, 1 and 2, and nothing else; no signal is blocked or ignored but SIGPIPE."""
    seen = machine.place / "seen"
    seen.write_text("")
    seen.chmod(0o666)
    look = f"/bin/cp /proc/self/status {seen}"
    machine.service("t.Closed", text("t.Closed", exec=look))
    program = helper("ours", machine)
    shell = f"trap '' HUP TERM USR1; exec 7</dev/null; exec {program} t.Closed <&- >&- 2>&-"
    machine.run(["sh", "-c", shell])
    status = dict(line.split(":\t", 1) for line in seen.read_text().splitlines())
    assert (status["SigIgn"], status["SigBlk"]) == ("0000000000001000", "0000000000000000")
    machine.service("t.Fds", text("t.Fds", exec=f"/bin/sh -c 'echo /proc/self/fd/* >{seen}'"))
    machine.run(["sh", "-c", shell.replace("t.Closed", "t.Fds")])
    assert "/proc/self/fd/7" not in seen.read_text()
    assert seen.read_text().startswith("/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2")


def test_the_callers_timers_do_not_end_the_service(ours: Run, machine: Machine) -> None:
    """They survive execve(2), and would kill whatever it becomes."""
    machine.service("t.fine", text("t.fine"))
    program, bus = helper("ours", machine), pwd.getpwnam(BUS)
    set_and_go = (
        f"import os, signal; os.setgid({bus.pw_gid}); os.setuid({bus.pw_uid})\n"
        "for each in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):\n"
        "    signal.setitimer(each, 0.02)\n"  # the interpreter alone takes more
        f"os.execv({program!r}, ['x', 't.fine'])"
    )
    done = machine.run([sys.executable, "-c", set_and_go], user="root")
    assert done.returncode == 42, done


@pytest.mark.parametrize("limit", ["-n 3", "-n 8", "-v 20000", "-f 0", "-s 8"])
def test_little_room(ours: Run, machine: Machine, limit: str) -> None:
    """Either the service runs as it should, or not at all and the status says so."""
    machine.service("t.Seen", text("t.Seen", exec="/bin/sh -c 'id -u; exit 42'"))
    program = helper("ours", machine)
    done = machine.run(["sh", "-c", f"ulimit {limit}; exec {program} t.Seen"])
    if done.returncode == 42:
        assert done.stdout == f"{pwd.getpwnam(SERVICE).pw_uid}\n"
    else:
        assert (done.returncode, done.stdout) != (0, "")


def test_the_trampoline_takes_one_word(ours: Run, machine: Machine) -> None:
    machine.service("t.fine", text("t.fine"))
    for words in ([], ["--caller", "0", "t.fine"], ["t.fine", "t.fine"]):
        assert ours(*words).returncode == Exit.INVALID_ARGS


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o644])
def test_a_program_that_is_not_roots_alone_is_not_run(
    ours: Run, machine: Machine, mode: int
) -> None:
    machine.service("t.fine", text("t.fine"))
    machine.program.chmod(mode)
    try:
        expected = Exit.EXEC_FAILED if mode == 0o644 else Exit.PERMISSIONS_INVALID
        assert ours("t.fine").returncode == expected
    finally:
        machine.program.chmod(0o755)


def test_nobody_becomes_root_without_the_trampoline(machine: Machine) -> None:
    """Nor with one that has lost its bit."""
    machine.service("t.fine", text("t.fine"))
    program = helper("ours", machine)
    plain = machine.place / "plain"
    shutil.copy(program, plain)
    plain.chmod(0o755)
    assert machine.run([str(plain), "t.fine"]).returncode == Exit.PERMISSIONS_INVALID
    uid = str(pwd.getpwnam(BUS).pw_uid)
    for words in (["t.fine"], ["--caller", uid, "t.fine"], ["--caller", "0", "t.fine"]):
        done = machine.run(["/etc/bus1/launch-helper", *words])
        assert done.returncode in (Exit.PERMISSIONS_INVALID, 1, 126), done.stderr
        assert done.stdout == ""


def test_a_bus_of_roots_needs_no_trampoline(machine: Machine) -> None:
    machine.service("t.fine", text("t.fine"))
    machine.configuration.write_text(CONFIGURATION.replace(BUS, "root"))
    try:
        done = machine.run(["/etc/bus1/launch-helper", "t.fine"], user="root")
        assert done.returncode == 42, done.stderr
    finally:
        machine.configuration.write_text(CONFIGURATION)


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ("<busconfig>", Exit.CONFIG_INVALID),  # where the reference says no more than FAILED
        (CONFIGURATION.replace(f"<user>{BUS}</user>", ""), Exit.PERMISSIONS_INVALID),
        (CONFIGURATION.replace(BUS, "no such user"), Exit.PERMISSIONS_INVALID),
    ],
)
def test_broken_configurations(
    ours: Run, machine: Machine, configuration: str, expected: Exit
) -> None:
    machine.service("t.fine", text("t.fine"))
    machine.configuration.write_text(configuration)
    try:
        assert ours("t.fine").returncode == expected
    finally:
        machine.configuration.write_text(CONFIGURATION)


# ------------------------------------------------------------- what clients are told


def test_every_status_is_an_error() -> None:
    for status in range(1, 256):
        name, said = error_of(status)
        assert name.startswith("org.freedesktop.DBus.Error.")
        assert said
    assert error_of(Exit.FAILED) == error_of(1)
    assert error_of(200) == (
        "org.freedesktop.DBus.Error.Spawn.ChildExited",
        "Launch helper exited with unknown return code 200",
    )
