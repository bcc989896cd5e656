"""What a bus logs when it denies something, or would have: a line of its log, read.

The lines are dbus-daemon's, with or without the rule that this bus adds; whatever the journal
or the shell puts before them is passed over.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, cast, final

from policy.rule import NUMBERS, Type

UNSET: Final = ("(unset)", "(null)", "(null destination)", "")

# What a process calls itself is the one part that anybody may choose. It ends at the last place
# where what must follow does, so that a name with these words in it tells nothing else.
MESSAGE: Final = re.compile(
    r"(?P<verb>Rejected|Would reject) (?:(?P<about>send|receive) )?message, \d+ matched rules; "
    r'type="(?P<type>[^"]*)", sender="(?P<sender>[^"]*)" \((?P<source>.*)\) '
    r'(?:path="(?P<path>[^"]*)" )?interface="(?P<interface>[^"]*)" member="(?P<member>[^"]*)" '
    r'error name="(?P<error>[^"]*)" requested_reply="?(?P<requested>[01])"? '
    r'destination="(?P<destination>[^"]*)" \((?P<target>(?:(?!\); rule ).)*)\)'
    r"(?:; rule (?P<rule>.+))?"
)
OWN: Final = re.compile(
    r'(?P<permitted>Would refuse: )?Connection "(?P<sender>[^"]*)" is not allowed to own the '
    r'service "(?P<name>[^"]*)" due to security policies in the configuration file'
    r"(?: \((?P<source>(?:(?!\); rule ).)*)\))?(?:; rule (?P<rule>.+))?"
)
DELEGATE: Final = re.compile(
    r'(?P<permitted>Would refuse: )?Connection "(?P<sender>[^"]*)" is not allowed to grant the '
    r'right to path="(?P<path>[^"]*)" interface="(?P<interface>[^"]*)" member="(?P<member>[^"]*)" '
    r'as the owner of "(?P<name>[^"]*)" due to security policies in the configuration file'
    r"(?: \((?P<source>(?:(?!\); rule ).)*)\))?(?:; rule (?P<rule>.+))?"
)
# Of a client that is denied much the bus logs ever fewer denials, and counts them.
COUNT: Final = re.compile(r" \((?P<count>\d{1,20}) denials so far\)\s*$")
BUS: Final = re.compile(r"\[(?P<bus>system|session)\b[^]]*\] $")
PROCESS: Final = re.compile(
    r'uid=(?P<uid>\d{1,20})(?: pid=(?P<pid>\d{1,20}))?(?: comm="(?P<comm>.*?)")?'
)


@final
@dataclass(frozen=True, slots=True)
class Party:
    """One of the two that a line names: as much as is known of it."""

    name: str | None
    uid: int | None = None
    pid: int | None = None
    comm: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Something that was denied; with `permitted`, that would have been but for a permissive
    bus. `name` is what somebody wanted to own, and then nothing is known of a message; or what
    it owns who wanted to grant a right (delegate), and then the fields are those of the right.
    `rule` is the place of the rule that decided, as the line has it, `bus` the type of the bus.
    `count` is how often its sender had been denied something, where the log left out some."""

    about: Literal["send", "receive", "own", "delegate"]
    permitted: bool
    sender: Party
    target: Party = Party(None)
    name: str = ""
    type: Type = "method_call"
    path: str | None = None
    interface: str | None = None
    member: str | None = None
    error: str | None = None
    requested: bool = False
    rule: str = ""
    bus: str = ""
    count: int = 0


def find(line: str) -> Denial | None:
    """The denial that a line tells of, if it does."""
    text = COUNT.sub("", line)
    found = MESSAGE.search(text) or OWN.search(text) or DELEGATE.search(text)
    if found is None:
        return None
    words = found.groupdict()
    denial = named(words) if "name" in words else message(words)
    bus, count = BUS.search(text[: found.start()]), COUNT.search(line)
    return denial and replace(
        denial, bus=bus["bus"] if bus else "", count=int(count["count"]) if count else 0
    )


def message(words: Mapping[str, str | None]) -> Denial | None:
    if words["type"] not in NUMBERS:
        return None
    return Denial(
        about=cast(Literal["send", "receive"], words["about"] or "send"),
        permitted=words["verb"] != "Rejected",
        sender=party(words["sender"], words["source"]),
        target=party(words["destination"], words["target"]),
        type=cast(Type, words["type"]),
        requested=words["requested"] == "1",
        path=known(words["path"]),
        interface=known(words["interface"]),
        member=known(words["member"]),
        error=known(words["error"]),
        rule=words["rule"] or "",
    )


def named(words: Mapping[str, str | None]) -> Denial:
    """A name that was asked for, or a right that the owner of one wanted to grant."""
    return Denial(
        about="delegate" if "path" in words else "own",
        permitted=bool(words["permitted"]),
        sender=party(words["sender"], words["source"]),
        name=words["name"] or "",
        path=known(words.get("path")),
        interface=known(words.get("interface")),
        member=known(words.get("member")),
        rule=words["rule"] or "",
    )


def party(name: str | None, process: str | None) -> Party:
    found = PROCESS.search(process or "")
    if found is None:
        return Party(known(name))
    pid = found["pid"]
    return Party(known(name), int(found["uid"]), int(pid) if pid else None, found["comm"] or "")


def known(text: str | None) -> str | None:
    return None if text is None or text in UNSET else text
