"""`bus1 status`: the state of a bus that runs, asked of the bus itself.

Ours tells it all at once (org.bus1.Status1). Of another bus it is put together from what that
answers: who is there, and its statistics.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

from typer import Option

if TYPE_CHECKING:
    from bridge.cli.link import BusError

Record = dict[str, Any]

STATUS: Final = "org.bus1.Status1"
DRIVER: Final = "org.freedesktop.DBus"
ELSE: Final = "the bus has answered something else than its status"


def status(
    system: Annotated[bool, Option("--system", metavar="", help="The system bus.")] = False,
    session: Annotated[
        bool, Option("--session", metavar="", help="The session bus (the default).")
    ] = False,
    address: Annotated[str | None, Option("--address", metavar="ADDRESS", help="Another.")] = None,
    as_json: Annotated[bool, Option("--json", metavar="", help="Write JSON.")] = False,
) -> int:
    """Show the state of a bus: its configuration, who is there, what waits, what was denied.

    Only root and the bus's own user may ask bus1-daemon. Of other buses it shows what they tell.
    """
    from bridge.cli.link import BusError, NoBus

    try:
        if system + session + (address is not None) > 1:
            raise NoBus("only one of --system, --session and --address")
        record = ask(address, system)
    except NoBus as error:
        return complain(str(error))
    except BusError as error:
        return complain(why(error))
    except (ValueError, RecursionError):
        return complain(ELSE)
    try:
        return put(record, as_json)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError):
        return complain(ELSE)
    except OSError as error:  # we shall not write at the end, either
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):  # who reads it has seen enough
            return 1
        return complain(f"cannot write: {error.strerror}")


def put(record: Record, as_json: bool) -> int:
    """Write it. Raises OSError, and much else if the bus has answered something else."""
    if as_json:
        print(json.dumps(record, indent=2), flush=True)
        return 0
    from bridge.cli.status_screen import show

    show(record)
    return 0


def complain(text: str) -> int:
    """One line, and the exit status."""
    print(f"bus1 status: {text}", file=sys.stderr)
    return 2


def why(error: "BusError") -> str:
    """The bus did not answer."""
    from bridge.cli.refusal import is_by_policy, refusal
    from bridge.routing.errors import ACCESS_DENIED

    if error.name == ACCESS_DENIED and not is_by_policy(error):
        return "this bus tells its state only to root and to the user it runs as"
    return refusal(error, STATUS)


def ask(address: str | None, system: bool) -> Record:
    """The state of the bus that is meant. Raises NoBus, BusError, ValueError."""
    from bridge.cli.link import BusError, reach
    from bridge.cli.refusal import UNKNOWN

    link = reach(address, system)
    try:
        ((text, *_),) = link.ask(("GetStatus", "", ()), interface=STATUS)
        record = json.loads(str(text))
        if not isinstance(record, dict):
            raise ValueError
        return record
    except BusError as error:
        if error.name not in UNKNOWN:
            raise
        return another(link)
    finally:
        link.close()


# --------------------------------------------------------------------------- another bus


def another(link: Any) -> Record:
    """The same of a bus that does not know our interface, as far as it tells. Raises NoBus,
    BusError."""
    (identity,), (names,) = link.ask(("GetId", "", ()), ("ListNames", "", ()))
    unique = [each for each in names if each.startswith(":") and each != link.name]
    known = [each for each in names if not each.startswith(":") and each != DRIVER]
    owners = answers(link, [("GetNameOwner", "s", (each,)) for each in known])
    owned: dict[str, list[str]] = {each: [] for each in unique}
    for name, owner in zip(known, owners, strict=True):
        owned.setdefault(str(owner), []).append(name)
    (own, *credentials) = (
        plain(each)
        for each in answers(
            link, [("GetConnectionCredentials", "s", (each,)) for each in (DRIVER, *unique)]
        )
    )
    numbers = plain(answers(link, [("GetStats", "", ())], f"{DRIVER}.Debug.Stats")[0])
    each_stats = answers(
        link, [("GetConnectionStats", "s", (each,)) for each in unique], f"{DRIVER}.Debug.Stats"
    )
    return {
        "foreign": True,
        "id": identity,
        "pid": own.get("ProcessID"),
        "uid": own.get("UnixUserID"),
        "connections": {
            "active": len(unique),
            "incomplete": numbers.get("IncompleteConnections"),
        },
        "statistics": {name: value for name, value in numbers.items() if isinstance(value, int)},
        "clients": [
            client(name, owned[name], who, plain(stats))
            for name, who, stats in zip(unique, credentials, each_stats, strict=True)
        ],
    }


def client(name: str, names: Sequence[str], who: Record, stats: Record) -> Record:
    """One client of another bus."""
    return {
        "unique": name,
        "names": list(names),
        "uid": who.get("UnixUserID"),
        "pid": who.get("ProcessID"),
        "messages": stats.get("OutgoingMessages"),
        "bytes": stats.get("OutgoingBytes"),
        "fds": stats.get("OutgoingFDs"),
        "most_bytes": stats.get("PeakOutgoingBytes"),
        "rules": stats.get("MatchRules"),
    }


def answers(
    link: Any, calls: Sequence[tuple[str, str, Sequence[object]]], interface: str = DRIVER
) -> list[object]:
    """What each call returned; None: it failed, for who was there may be gone, and not all buses
    tell all. Raises NoBus."""
    from bridge.cli.link import BusError, good

    found: list[object] = []
    for answer in link.answers(calls, interface):
        try:
            found.append(next(iter(good(answer)), None))
        except BusError:
            found.append(None)
    return found


def plain(table: object) -> Record:
    """The values of an a{sv}, without their types."""
    if not isinstance(table, Mapping):
        return {}
    return {str(name): value for name, (_, value) in table.items()}
