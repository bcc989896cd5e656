"""`bus1 status`: the state of a bus that runs, asked of the bus itself.

Ours tells it all at once (org.bus1.Status1). Of another bus it is put together from what that
answers: who is there, and its statistics.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from typer import Option

Record = dict[str, Any]

STATUS: Final = "org.bus1.Status1"
DENIED: Final = "org.freedesktop.DBus.Error.AccessDenied"
UNKNOWN: Final = tuple(
    f"org.freedesktop.DBus.Error.Unknown{what}" for what in ("Method", "Interface", "Object")
)
DRIVER: Final = "org.freedesktop.DBus"


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
    from bridge.cli.link import BusError, NoBus, where

    try:
        if system + session + (address is not None) > 1:
            raise NoBus("only one of --system, --session and --address")
        place = where(address, system, os.environ)
        record = ask(place, address or f"the {'system' if system else 'session'} bus")
    except NoBus as error:
        return complain(str(error))
    except BusError as error:
        return complain(refusal(error.name, error.text))
    except ValueError:
        return complain("the bus has answered something else than its status")
    if as_json:
        print(json.dumps(record, indent=2))
    else:
        from bridge.cli.status_screen import show

        show(record)
    return 0


def complain(text: str) -> int:
    """One line, and the exit status."""
    print(f"bus1 status: {text}", file=sys.stderr)
    return 2


def refusal(name: str, text: str) -> str:
    """Why the bus did not answer, in words that say what to do."""
    if name == DENIED and text.startswith("Rejected"):
        return (
            "this bus's policy does not let you ask it; it needs, for your user: "
            f'<allow send_destination="{DRIVER}" send_interface="{STATUS}"/>'
        )
    if name == DENIED:
        return "this bus tells its state only to root and to the user it runs as"
    return f"the bus says {name}: {text}"


def ask(address: str, place: str) -> Record:
    """The state of the bus at this address. Raises NoBus, BusError, ValueError."""
    from bridge.cli.link import BusError, Link

    link = Link(address, place)
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
