"""`bus1 session -- COMMAND`: a private session bus that lives as long as one command."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from types import FrameType
from typing import final

from bridge.wire.address import escape

# What dbus-run-session(1) and shells return when a command cannot be run or is not found.
CANNOT_RUN, NOT_FOUND = 126, 127
# Left over from an outer bus, these would lead the command astray.
OUTER = ("DBUS_SESSION_BUS_PID", "DBUS_SESSION_BUS_WINDOWID", "DBUS_STARTER_ADDRESS",
         "DBUS_STARTER_BUS_TYPE")  # fmt: skip
PLACE = "/tmp"  # where the bus itself is, too: a socket's name has to be short
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def run_on_own_bus(command: Sequence[str]) -> int:
    """Start a bus, run the command on it, end the bus; the command's exit status."""
    signals = Signals()
    with TemporaryDirectory(prefix="bus1-session-", dir=PLACE) as place:
        native = f"unix:path={escape(place)}/bus1"
        started = start_bus(native)
        if started is None:
            print("bus1 session: the bus did not start", file=sys.stderr)
            return CANNOT_RUN
        bus, address = started
        try:
            return run(command, address, native, signals)
        finally:
            bus.terminate()
            bus.wait()


@final
class Signals:
    """Signals are for the command. Those that come before it runs wait for it.

    Ctrl-C reaches the command without us, and it decides what to do about it. A handler does
    nothing here and not SIG_IGN, which the command would inherit.
    """

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.waiting: list[int] = []
        signal.signal(signal.SIGINT, lambda number, frame: None)
        for number in PASSED_ON:
            signal.signal(number, self.take)

    def take(self, number: int, frame: FrameType | None) -> None:
        if self.child is None:
            self.waiting.append(number)
        else:
            self.child.send_signal(number)

    def pass_to(self, child: "subprocess.Popen[bytes]") -> None:
        """The command runs: it gets what has come, and what will."""
        self.child = child
        for number in self.waiting:
            child.send_signal(number)


def start_bus(native: str) -> tuple["subprocess.Popen[bytes]", str] | None:
    """A session bus in a process group of its own (Ctrl-C is for the command)."""
    read, write = os.pipe()
    bus = subprocess.Popen(
        [sys.executable, "-P", "-m", "bridge.cli.daemon", "--session", "--nofork",
         f"--native={native}", f"--print-address={write}"],
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


def run(command: Sequence[str], address: str, native: str, signals: Signals) -> int:
    """Run the command with its environment set."""
    environment = {key: value for key, value in os.environ.items() if key not in OUTER}
    environment["DBUS_SESSION_BUS_ADDRESS"] = address
    environment["BUS1_ADDRESS"] = native
    try:
        child = subprocess.Popen(list(command), env=environment)
    except FileNotFoundError:
        print(f"bus1 session: {command[0]}: command not found", file=sys.stderr)
        return NOT_FOUND
    except OSError as error:
        print(f"bus1 session: {command[0]}: {error.strerror}", file=sys.stderr)
        return CANNOT_RUN
    signals.pass_to(child)
    status = child.wait()
    return status if status >= 0 else 128 - status
