"""The command line: what dbus-daemon refuses ours refuses, with the same words and status."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.options import FLAGS, USAGE, VALUES, Action, LogTo, Options, UsageError, parse
from tests.buses import command, environment

NO_FILE = f"No configuration file specified.\n{USAGE}"

# Words, and what is printed on stderr; the exit status is 1.
REFUSED = [
    ("", NO_FILE),
    ("--help", USAGE),
    ("-h", USAGE),
    ("-?", USAGE),
    ("-x", USAGE),
    ("--", USAGE),
    ("--foo", USAGE),
    ("--sess", USAGE),
    ("foo", USAGE),
    ("--session foo", USAGE),
    ("--session=", USAGE),
    ("--session=1", USAGE),
    ("--nofork=1 --session", USAGE),
    ("--version=1", USAGE),
    ("--foo --version", USAGE),
    ("--ready-event-handle=1 --session", USAGE),
    ("--print-address=abc --foo", USAGE),
    ("--session --print-address 1 2", USAGE),
    ("--nofork --fork", NO_FILE),
    ("--config-file", NO_FILE),
    ("--config-file=", NO_FILE),
    ("--address", NO_FILE),
    ("--address=", NO_FILE),
    ("--print-address=abc", NO_FILE),
    ("--session --system", "--system specified but --session already requested"),
    ("--system --session", "--session specified but --system already requested"),
    ("--session --session", "--session specified but --session already requested"),
    ("--session --system --version", "--system specified but --session already requested"),
    ("--session --config-file=/a", "--config-file specified but --session already requested"),
    (
        "--config-file=/a --session",
        "--session specified but configuration file /a already requested",
    ),
    (
        "--config-file /a --config-file /b",
        "--config-file specified but configuration file /a already requested",
    ),
    (
        "--session --address=unix:path=a --address unix:path=b",
        "--address specified but address unix:path=a already requested",
    ),
    (
        "--session --print-address=1 --print-address=2",
        "--print-address specified but printing address to 1 already requested",
    ),
    (
        "--session --print-pid=1 --print-pid 1",
        "--print-pid specified but printing pid to 1 already requested",
    ),
    ("--session --print-address=abc", 'Invalid file descriptor: "abc"'),
    ("--session --print-address abc", 'Invalid file descriptor: "abc"'),
    ("--session --print-address=1x", 'Invalid file descriptor: "1x"'),
    ("--session --print-address=-1", 'Invalid file descriptor: "-1"'),
    ("--session --print-address -1", 'Invalid file descriptor: "-1"'),
    ("--session --print-pid -1", 'Invalid file descriptor: "-1"'),
    ("--session --print-pid=99999999999999", 'Invalid file descriptor: "99999999999999"'),
    ("--print-pid=abc --print-address=def --session", 'Invalid file descriptor: "def"'),
    (
        "--print-pid=abc --session --system",
        "--system specified but --session already requested",
    ),
    ("--session --print-pid --session", "--session specified but --session already requested"),
]

# ours' words for what dbus-daemon calls by its files' names, or does not have
FILES = {
    "configuration file /usr/share/dbus-1/session.conf": "--session",
    "configuration file /usr/share/dbus-1/system.conf": "--system",
    "dbus-daemon [": "bus1-daemon [",
    "[--systemd-activation]\n": "[--systemd-activation] [--native=ADDRESS]\n",
}


def options(**more: object) -> Options:
    wanted = Options(configuration="--session")
    for name, value in more.items():
        setattr(wanted, name, value)
    return wanted


ACCEPTED = [
    ("--session", options()),
    ("--system", options(configuration="--system")),
    ("--config-file=/a=b", options(configuration="configuration file /a=b", config_file="/a=b")),
    ("--config-file /a", options(configuration="configuration file /a", config_file="/a")),
    ("--config-file --session", options()),
    ("--session --address=unix:path=a", options(address="unix:path=a")),
    ("--session --address unix:path=a", options(address="unix:path=a")),
    ("--session --address", options()),
    ("--address --session", options()),
    ("--address= --session --address=unix:path=a", options(address="unix:path=a")),
    ("--session --print-address", options(address_fd="", print_address=1)),
    ("--session --print-address=", options(address_fd="", print_address=1)),
    ("--session --print-address=7", options(address_fd="7", print_address=7)),
    ("--nofork --print-address 5 --session", options(address_fd="5", print_address=5, fork=False)),
    ("--print-address --session", options(address_fd="", print_address=1)),
    ("--print-pid --nofork --session", options(pid_fd="", print_pid=1, fork=False)),
    ("--session --print-address=7 --print-address", options(address_fd="7", print_address=7)),
    ("--session --print-address --print-address=7", options(address_fd="7", print_address=7)),
    (
        "--fork --print-address=1 --print-pid=1 --session",
        options(address_fd="1", pid_fd="1", print_address=1, print_pid=1, fork=True),
    ),
    (
        "--nofork --print-pid --print-address --session",
        options(address_fd="", pid_fd="", print_address=1, print_pid=1, fork=False),
    ),
    # dbus-daemon 1.14 takes the second for the first's value; newer ones do as ours.
    (
        "--print-address --print-pid --session",
        options(address_fd="", pid_fd="", print_address=1, print_pid=1),
    ),
    ("--session --fork --nofork", options(fork=False)),
    ("--session --nofork --fork", options(fork=True)),
    ("--session --nopidfile", options(pid_file=False)),
    ("--session --systemd-activation", options(systemd_activation=True)),
    ("--session --native=unix:path=a", options(native="unix:path=a")),
    ("--session --native unix:path=a --native=", options(native="unix:path=a")),
    ("--session --syslog", options(log_to=LogTo.BOTH)),
    ("--session --nosyslog", options(log_to=LogTo.STDERR)),
    ("--session --syslog-only", options(log_to=LogTo.SYSLOG)),
    ("--session --syslog --nosyslog", options(log_to=LogTo.STDERR)),
    ("--session --nosyslog --syslog", options(log_to=LogTo.BOTH)),
    ("--session --syslog --syslog-only", options(log_to=LogTo.SYSLOG)),
    ("--session --syslog-only --syslog", options(log_to=LogTo.SYSLOG)),
    ("--session --syslog-only --nosyslog", options(log_to=LogTo.STDERR)),
    ("--session --nosyslog --syslog-only", options(log_to=LogTo.SYSLOG)),
    ("--version --foo", Options(action=Action.VERSION)),
    ("--print-address --version", Options(action=Action.VERSION, address_fd="")),
    ("--print-address=abc --version", Options(action=Action.VERSION, address_fd="abc")),
    ("--session --introspect --foo", options(action=Action.INTROSPECT)),
]


@pytest.mark.parametrize(("words", "expected"), ACCEPTED)
def test_accepted(words: str, expected: Options) -> None:
    assert parse(words.split()) == expected


def test_one_place_for_native_programs() -> None:
    with pytest.raises(UsageError, match=r"^--native specified but address a already"):
        parse(["--session", "--native=a", "--native", "b"])


@pytest.mark.parametrize(("words", "expected"), REFUSED)
def test_refused(words: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words.split())
    assert str(caught.value) == expected


@pytest.mark.parametrize("kind", ["ours", "dbus-daemon"])
@pytest.mark.parametrize(("words", "expected"), REFUSED)
def test_a_program_refuses(kind: str, words: str, expected: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*command(kind), *words.split()],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        env=environment(tmp_path),
        cwd=tmp_path,
    )
    said = done.stderr
    for theirs, ours in FILES.items():
        said = said.replace(theirs, ours)
    assert (done.returncode, done.stdout, said) == (1, "", expected + "\n")


WORDS = st.sampled_from([*FLAGS, *VALUES, *(f"{name}=" for name in VALUES), "1", "x", "=", ""])


@given(st.lists(WORDS | st.text(max_size=5), max_size=8))
def test_any_words_are_options_or_a_usage_error(words: list[str]) -> None:
    try:
        result = parse(words)
    except UsageError:
        return
    assert result.action is not Action.RUN or result.configuration
    assert all(fd is None or fd >= 0 for fd in (result.print_address, result.print_pid))
