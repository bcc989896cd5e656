"""The launch helper of a machine that has none: a setuid program, what it runs, and where the
configuration says so. Without dbus-daemon there is no other."""

from pathlib import Path
from typing import Final

import bridge.cli
from bridge.cli.install.entry import Entry
from bridge.cli.install.place import Place, Refusal

USER: Final = "messagebus"  # whom the system bus becomes (conf/system.conf)
GIVEN: Final = "usr/lib/dbus-1.0/dbus-daemon-launch-helper"  # where the same file looks for one
OURS: Final = "usr/local/lib/bus1/launch-helper"
RUN: Final = "etc/bus1/launch-helper"  # by the trampoline (bridge/cli/trampoline.c)
SAID: Final = "etc/bus1/system.d/launch-helper.conf"
# In XML: to read TOML for one line would make each start of the bus take twice as long.
TEXT: Final = f"""<!-- Of `bus1 install`: starts services that are no units, as their users. -->
<busconfig>
  <servicehelper>/{OURS}</servicehelper>
</busconfig>
"""
MODE: Final = 0o4754  # for the bus alone, as dbus-daemon's


def helper(place: Place, program: str) -> dict[str, Entry]:
    """What is to be there. Nothing, if the machine has one, or if ours was not compiled: systemd
    starts nearly all services, and `bus1 doctor` says which ones remain."""
    trampoline = compiled()
    if place.bus == "session" or place.path(GIVEN).exists() or trampoline is None:
        return {}
    run = str(Path(program).with_name("bus1-launch-helper"))
    if not place.path(run).exists():
        return {}
    group = number_of(place, "group", USER)
    if group is None:
        raise Refusal(f"there is no group {USER}, who may use the launch helper")
    content = trampoline.read_bytes()
    return {
        OURS: Entry(content, None, MODE, 0, group),
        RUN: Entry(target=run),
        SAID: Entry(TEXT.encode()),
    }


def compiled() -> Path | None:
    """The trampoline, which comes with the program where there was a static libc."""
    for folder in bridge.cli.__path__:
        for found in Path(folder).glob("trampoline.*.so"):
            return found
    return None


def number_of(place: Place, table: str, name: str) -> int | None:
    """Of a user or group, as the machine's own files have it."""
    try:
        lines = place.path(f"etc/{table}").read_text(errors="replace").splitlines()
    except OSError:
        return None
    for fields in (line.split(":") for line in lines):
        if fields[0] == name and len(fields) > 2 and fields[2].isdecimal():
            return int(fields[2])
    return None
