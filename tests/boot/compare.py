"""What is other on one machine than on the other. It looks at what both have found, and judges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

ERROR: Final = 3  # LOG_ERR
BUSES: Final = ("dbus-daemon", "bus1-daemon")
UNITS: Final = ("dbus.service", "bus1.service", "bus1-session.service")
DENIED: Final = re.compile(r'interface="([^"]*)" member="([^"]*)".* destination="([^"]*)"')
VARIES: Final = re.compile(r"0x[0-9a-f]+|\d+")
STANDARD: Final = "org.freedesktop.DBus.Error."

# Services that end when nobody has asked them anything for a while.
PASSING: Final = {
    *("org.freedesktop.hostname1", "org.freedesktop.locale1", "org.freedesktop.timedate1"),
    *("org.freedesktop.nm_dispatcher", "org.freedesktop.nm_priv_helper"),
    *("org.freedesktop.PackageKit", "org.freedesktop.ColorManager"),
}

Found = dict[str, Any]
Entry = dict[str, Any]


def differences(theirs: Found, ours: Found) -> list[str]:
    """All that is worse, or other, than on the reference."""
    return [
        *(f"step '{name}' failed: {why}" for name, why in ours["steps"].items()),
        *state(theirs, ours),
        *answers(theirs, ours),
        *tools(theirs, ours),
        *late(theirs, ours),
        *others("names on the bus", staying(theirs["names"]), staying(ours["names"])),
        *failures(theirs["failed"], ours["failed"]),
    ]


def state(theirs: Found, ours: Found) -> Iterator[str]:
    """Is it up, and is it one bus from the beginning to the end?"""
    before, after = ours["bus"] or {}, ours["bus at the end"] or {}
    if ours["settled"] and ours["settled"]["state"] != theirs["settled"]["state"]:
        yield f"the machine is {ours['settled']['state']}, not {theirs['settled']['state']}"
    if before and after and before["shown"]["MainPID"] != after["shown"]["MainPID"]:
        yield "the bus at the end is not the one from the beginning"
    for key in ("Uid", "Gid"):
        if before and before["status"][key] != theirs["bus"]["status"][key]:
            yield f"the bus has {key} {before['status'][key]}, not {theirs['bus']['status'][key]}"


def answers(theirs: Found, ours: Found) -> Iterator[str]:
    for name in sorted(key for key in theirs if key.startswith("answers of ")):
        yield from pairs(name.removeprefix("answers of "), theirs[name], ours.get(name))


def late(theirs: Found, ours: Found) -> Iterator[str]:
    """What came to the machine while it ran."""
    for person in ("root", "anna"):
        answered = (ours["late"] or {}).get(person)
        yield from pairs(f"{person}, later,", theirs["late"][person], answered)


def pairs(person: str, theirs: list[Entry], ours: list[Entry] | None) -> Iterator[str]:
    for one, other in zip(theirs, ours or [], strict=False):
        if verdict(one) != verdict(other):
            yield f"{person} asks {one['question']}: {said(other)}; on dbus-daemon: {said(one)}"


def verdict(answer: Entry) -> tuple[str, ...]:
    """What has to be the same: the kind of answer. An error of the bus itself has a text, too."""
    if "error" in answer:
        text = answer["text"] if answer["error"].startswith(STANDARD) else ""
        return ("error", answer["error"], text)
    return ("reply", answer["reply"], answer["values"] if answer["compare"] else "")


def said(answer: Entry) -> str:
    if "error" in answer:
        return f"{answer['error']}: {answer['text'].strip()}"
    return f"{answer['reply'] or 'nothing'} {answer['values'][:200]}"


def tools(theirs: Found, ours: Found) -> Iterator[str]:
    """How programs ended."""
    for name in sorted(key for key in theirs if key.startswith("tools of ")):
        person = name.removeprefix("tools of ")
        for one, other in zip(theirs[name], ours.get(name) or [], strict=False):
            if one["status"] != other["status"]:
                yield (
                    f"{person} runs {one['command']}: exit {other['status']}"
                    f" ({other['err'].strip()[-300:]}); on dbus-daemon: {one['status']}"
                )


def failures(theirs: dict[str, list[str]], ours: dict[str, list[str]] | None) -> Iterator[str]:
    for person, units in (ours or {}).items():
        for unit in sorted(set(units) - set(theirs[person])):
            yield f"unit {unit} of {person} failed"


def staying(names: list[str] | None) -> set[str]:
    """Without those that may have gone by themselves."""
    return set(names or ()) - PASSING


def others(what: str, theirs: Iterable[str], ours: Iterable[str] | None) -> Iterator[str]:
    """Two sets that should be one."""
    one, other = set(theirs), set(ours or ())
    if one - other:
        yield f"{what}, missing: {', '.join(sorted(one - other))}"
    if other - one:
        yield f"{what}, more: {', '.join(sorted(other - one))}"


# ---------------------------------------------------------------------- the journal


def entries(journal: str) -> list[Entry]:
    """The journal's lines."""
    return [json.loads(line) for line in journal.splitlines()]


def in_the_journal(theirs: list[Entry], ours: list[Entry], failing: Iterable[str]) -> list[str]:
    """What the bus, and what others say only here; of units that fail everywhere it is known
    that they do."""
    loud = [text(entry) for entry in ours if of_the_bus(entry) and is_error(entry)]
    known = {rough(entry) for entry in theirs}
    new = [entry for entry in ours if is_error(entry) and rough(entry) not in known]
    new = [entry for entry in new if entry.get("UNIT") not in set(failing)]
    return [
        *(f"the bus writes as an error: {line}" for line in loud),
        *(f"{source(entry)} writes as an error: {text(entry)}" for entry in new),
        *others("denied", denials(theirs), denials(ours)),
    ]


def failures_to_start(ours: list[Entry]) -> list[str]:
    """Of a machine that had no bus: the first of what the bus has said."""
    return [f"the bus writes: {text(entry)}" for entry in ours if of_the_bus(entry)][:20]


def is_error(entry: Entry) -> bool:
    return int(entry.get("PRIORITY", 6)) <= ERROR


def of_the_bus(entry: Entry) -> bool:
    """By its unit; that of a user's bus is within user@.service."""
    units = (entry.get("_SYSTEMD_UNIT"), entry.get("_SYSTEMD_USER_UNIT"))
    return any(unit in UNITS for unit in units) or entry.get("SYSLOG_IDENTIFIER") in BUSES


def denials(journal: list[Entry]) -> set[str]:
    """What the bus has denied, whomever."""
    lines = [text(entry) for entry in journal if of_the_bus(entry)]
    return {
        f"{found[1]}.{found[2]} at {found[3]}"
        for line in lines
        if "Rejected " in line and (found := DENIED.search(line))
    }


def rough(entry: Entry) -> tuple[str, str]:
    """What an entry says, without its numbers."""
    return source(entry), VARIES.sub("N", text(entry))


def source(entry: Entry) -> str:
    return str(entry.get("_SYSTEMD_UNIT") or entry.get("SYSLOG_IDENTIFIER") or "somebody")


def text(entry: Entry) -> str:
    """Bytes that are no text come as a list of numbers."""
    message = entry.get("MESSAGE")
    if isinstance(message, list):
        return bytes(message).decode(errors="replace")
    return str(message)
