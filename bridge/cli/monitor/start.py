"""`bus1 monitor` from its words to its exit status: what is opened, and how it ends."""

import os
import sys
from typing import Final

from bridge.cli.link import BusError, NoBus, reach
from bridge.cli.monitor.choice import Choice
from bridge.cli.monitor.lines import Lines
from bridge.cli.monitor.names import Names
from bridge.cli.monitor.outlet import Outlet
from bridge.cli.monitor.views import Json, Pcap
from bridge.cli.monitor.watch import Watch, become_monitor, interruptions

STDOUT: Final = 1
ENDED: Final = 1  # the bus, or who reads what we write
WRONG: Final = 2


def monitor(
    choice: Choice, address: str | None, system: bool, as_json: bool, pcap: str, limit: int
) -> int:
    """Watch; the exit status. Raises BadChoice."""
    choice.check()
    names = Names()
    try:
        outlets = opened(names, as_json, pcap)
        link = reach(address, system)
        names.ask(link)
        with interruptions() as interrupted:
            become_monitor(link, choice)
            names.catch_up(link)
            watch = Watch(link, names, choice, outlets, limit)
            gone = watched(watch, interrupted)
    except (NoBus, BusError) as error:
        return wrong(str(error), WRONG)
    except BrokenPipeError:  # whoever read it has seen enough
        return ENDED
    except OSError as error:
        return wrong(f"{error.filename or 'cannot write'}: {error.strerror}", WRONG)
    unwritten = close(watch.words(), for_programs=as_json or pcap == "-")
    why = gone or unwritten
    return wrong(why, ENDED) if why else 0


def opened(names: Names, as_json: bool, pcap: str) -> list[Outlet]:
    """Where it is written: lines on standard output, and a file. Raises OSError."""
    if pcap == "-":
        return [Outlet(STDOUT, Pcap())]
    outlets = [Outlet(STDOUT, Json(names) if as_json else Lines(names))]
    if pcap:
        file = os.open(pcap, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        outlets.append(Outlet(file, Pcap(), truncate=True))
    return outlets


def watched(watch: Watch, interrupted: int) -> str:
    """To the end: "" if that was ours, else what the bus did. Raises OSError."""
    try:
        watch.run(interrupted)
    except NoBus as error:
        return str(error)
    finally:
        watch.link.close()
    return ""


def close(words: str, for_programs: bool) -> str:
    """The closing words, where they do not disturb; why they cannot be written, if that matters."""
    try:
        print(words, file=sys.stderr if for_programs else sys.stdout, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
        return "" if isinstance(error, BrokenPipeError) else f"cannot write: {error.strerror}"
    return ""


def wrong(text: str, status: int) -> int:
    print(f"bus1 monitor: {text}", file=sys.stderr)
    return status
