"""The buses that can be measured: how each is started. Knows nothing of workloads."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RELAY = str(HERE / "build" / "relay")

KINDS = ("bus1", "native", "dbus-daemon", "dbus-broker", "relay")

# Nothing refused and no limit in reach: what is measured is work.
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <keep_umask/>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  <limit name="max_incoming_bytes">1000000000</limit>
  <limit name="max_incoming_unix_fds">250000000</limit>
  <limit name="max_outgoing_bytes">1000000000</limit>
  <limit name="max_outgoing_unix_fds">250000000</limit>
  <limit name="max_message_size">1000000000</limit>
  <limit name="auth_timeout">240000</limit>
  <limit name="max_completed_connections">100000</limit>
  <limit name="max_incomplete_connections">10000</limit>
  <limit name="max_connections_per_user">100000</limit>
  <limit name="max_names_per_connection">50000</limit>
  <limit name="max_match_rules_per_connection">1000000</limit>
  <limit name="max_replies_per_connection">1000000</limit>
</busconfig>
"""


class Failure(Exception):
    """A target did not do what was asked; the text says what."""


class Target(NamedTuple):
    name: str
    kind: str  # one of KINDS
    program: list[str]

    def command(self, socket: Path, fd: int) -> list[str]:
        """The whole command line; it prints its address to fd. (dbus-broker has none: broker.py)"""
        address = f"unix:path={socket}"
        if self.kind == "relay":
            return [*self.program, f"--path={socket}", f"--print-address={fd}"]
        common = ["--nofork", f"--print-address={fd}"]
        if self.kind in ("bus1", "native"):
            native = [f"--native={native_address(socket)}"] if self.kind == "native" else []
            return [*self.program, "--session", f"--address={address}", *native, *common]
        config = socket.with_name("bus.conf")
        config.write_text(CONFIG.format(address=address))
        return [*self.program, f"--config-file={config}", *common]


def native_address(socket: Path) -> str:
    """Where a bus with this socket is spoken to without D-Bus."""
    return f"unix:path={socket}.native"


def target(text: str) -> Target:
    """A kind, or NAME=COMMAND: another program with the command line of bus1-daemon."""
    name, is_command, command = text.partition("=")
    if is_command:
        first, *rest = shlex.split(command)
        return Target(name, "bus1", [find(first), *rest])
    if text in ("bus1", "native"):
        return Target(text, text, ours())
    if text == "relay":
        return Target(text, text, [RELAY])
    if text in KINDS:
        return Target(text, text, [find(text)])
    raise Failure(f"unknown target {text!r}")


def ours() -> list[str]:
    """The command as installed, or the same from the checkout."""
    installed = Path(sys.executable).with_name("bus1-daemon")
    if installed.exists():
        return [str(installed)]
    path, start = f"sys.path.insert(0, {str(ROOT)!r})", "from bridge.cli.daemon import main"
    return [sys.executable, "-c", f"import sys; {path}; {start}; sys.exit(main())"]


def find(program: str) -> str:
    found = shutil.which(program)
    if not found:
        raise Failure(f"{program} is not installed")
    return str(Path(found).absolute())
