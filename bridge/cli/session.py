"""`bus1 session -- COMMAND`: a private session bus that lives as long as one command."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

# What dbus-run-session(1) and shells return when a command cannot be run or is not found.
CANNOT_RUN, NOT_FOUND = 126, 127
# Left over from an outer bus, these would lead the command astray.
OUTER = ("DBUS_SESSION_BUS_PID", "DBUS_SESSION_BUS_WINDOWID", "DBUS_STARTER_ADDRESS",
         "DBUS_STARTER_BUS_TYPE")  # fmt: skip
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def run_on_own_bus(command: Sequence[str]) -> int:
    """Start a bus, run the command on it, end the bus; the command's exit status."""
    started = start_bus()
    if started is None:
        print("bus1 session: the bus did not start", file=sys.stderr)
        return CANNOT_RUN
    bus, address = started
    try:
        return run(command, address)
    finally:
        bus.terminate()
        bus.wait()


def start_bus() -> tuple["subprocess.Popen[bytes]", str] | None:
    """A session bus in a process group of its own (Ctrl-C is for the command)."""
    read, write = os.pipe()
    bus = subprocess.Popen(
        [sys.executable, "-P", "-m", "bridge.cli.daemon", "--session", "--nofork",
         f"--print-address={write}"],
        pass_fds=[write],
        stdin=subprocess.DEVNULL,
        process_group=0,
    )  # fmt: skip
    os.close(write)
    with open(read, encoding="ascii") as printed:
        address = printed.readline().strip()
    if not address:
        bus.wait()
        return None
    return bus, address


def run(command: Sequence[str], address: str) -> int:
    """Run the command with its environment set, passing signals on to it."""
    environment = {key: value for key, value in os.environ.items() if key not in OUTER}
    environment["DBUS_SESSION_BUS_ADDRESS"] = address
    # Ctrl-C is for the command, which decides what to do about it: here it only must not kill.
    signal.signal(signal.SIGINT, ignore)
    try:
        child = subprocess.Popen(list(command), env=environment)
    except FileNotFoundError:
        print(f"bus1 session: {command[0]}: command not found", file=sys.stderr)
        return NOT_FOUND
    except OSError as error:
        print(f"bus1 session: {command[0]}: {error.strerror}", file=sys.stderr)
        return CANNOT_RUN

    def pass_on(number: int, frame: FrameType | None) -> None:
        child.send_signal(number)

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    status = child.wait()
    return status if status >= 0 else 128 - status


def ignore(number: int, frame: FrameType | None) -> None:
    """A handler, not SIG_IGN: the command would inherit that."""
