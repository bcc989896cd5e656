"""The words of `bus1 policy explain`, turned into a question: who, to whom, what."""

import grp
import os
import pwd
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, cast, final

from bridge.cli.policy.files import Trouble
from bridge.wire.names import is_bus_name, is_unique_name
from policy.delegation import Extent
from policy.people import NOBODY, find_group, find_user
from policy.policy import Policy
from policy.rule import NUMBERS, Type
from policy.study.denial import Denial, find
from policy.study.inquiry import BUS, PATH, Inquiry, Person, groups_of, message, owners

ACTIONS: Final = ("send", "broadcast", "own", "delegate", "connect")
USAGE: Final = (
    "send NAME [INTERFACE.MEMBER] [/PATH], broadcast INTERFACE.MEMBER [/PATH], own NAME, "
    "delegate NAME [INTERFACE.MEMBER] [/PATH]"
)
WORDS: Final = re.compile(r"\w+(\.\w+)+")
TYPES: Final = tuple(each for each in NUMBERS if each)

SOMEBODY: Final = Person(0)
PLAIN: Final = Inquiry()
WHOLE: Final = Extent(PATH)  # an object that no rule names


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The question. `person` asks; `target` is whom a message is for. `supposed`: nobody said
    who that is. `extent` is what the owner of a name grants."""

    action: Literal["send", "own", "delegate", "connect"]
    person: Person
    name: str = ""
    target: Person = SOMEBODY
    supposed: bool = False
    inquiry: Inquiry = PLAIN
    extent: Extent = WHOLE


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says besides words."""

    user: str | None = None
    groups: Sequence[str] = ()
    names: Sequence[str] = ()
    at_console: bool = False
    to_user: str | None = None
    to_groups: Sequence[str] = ()
    to_names: Sequence[str] = ()
    type: str | None = None
    path: str | None = None
    interface: str | None = None
    member: str | None = None
    error: str | None = None
    fds: int = 0
    arguments: Sequence[str] = ()
    unasked: bool = False


def ask(words: Sequence[str], options: Options, policy: Policy | None) -> Asked:
    """The question that these words are; None: a running bus knows who owns the name. Raises
    Trouble."""
    action, *rest = words or [""]
    if action not in ACTIONS:
        raise Trouble(f"explain what? {USAGE}, or connect")
    person = asker(options)
    if action == "connect" and not rest:
        return Asked(action="connect", person=person)
    if action == "own" and len(rest) == 1:
        return Asked(action="own", person=person, name=to_own(rest[0]))
    if action == "delegate" and rest:
        return granting(to_own(rest[0]), rest[1:], options, policy)
    if action in ("own", "delegate", "connect") or (action == "send" and not rest):
        raise Trouble(f"explain {action}: it goes {USAGE}, or connect")
    name = bus_name(rest.pop(0)) if action == "send" else ""
    target, supposed = receiver(name, options, policy)
    return Asked(
        action="send",
        person=person,
        name=name,
        target=target,
        supposed=supposed,
        inquiry=inquiry(rest, options, action == "broadcast"),
    )


def granting(name: str, rest: Sequence[str], options: Options, policy: Policy | None) -> Asked:
    """May the owner of a name grant this? Without another word that is a user who may own it."""
    person = asker(options)
    supposed = options.user is None and policy is not None
    if supposed:
        person = receiver(name, replace(options, to_user=None, to_groups=()), policy)[0]
    said = fields(rest) | {
        each: value
        for each in ("path", "interface", "member")
        if (value := getattr(options, each)) is not None
    }
    interface, member = (said.get(each) or None for each in ("interface", "member"))  # as in Grant
    extent = Extent(said.get("path", PATH), interface, member)
    return Asked(action="delegate", person=person, name=name, supposed=supposed, extent=extent)


def ask_again(line: str) -> Asked:
    """The question that a bus answered in its log with a denial. Raises Trouble."""
    denial = find(line)
    if denial is None:
        raise Trouble("--denial: this is no line of a bus's log about a denial")
    sender = known(denial.sender.uid, denial.sender.name, denial)
    if denial.about == "own":
        return Asked(action="own", person=sender, name=denial.name)
    if denial.about == "delegate":
        extent = Extent(denial.path, denial.interface, denial.member)
        return Asked(action="delegate", person=sender, name=denial.name, extent=extent)
    name = denial.target.name or ""
    target = known(denial.target.uid, name, denial)
    return Asked(
        action="send",
        person=sender,
        name=name,
        target=target if name != BUS else Person(0, names=(BUS,)),
        inquiry=as_logged(denial),
    )


def as_logged(denial: Denial) -> Inquiry:
    """The message of a denial; the path is not always in the log."""
    kind = message(denial.type)
    reply = denial.type in ("method_return", "error")
    return replace(
        kind,
        path=denial.path or kind.path,
        interface=denial.interface,
        member=denial.member,
        error=denial.error,
        broadcast=denial.type == "signal" and denial.target.name is None,
        requested=denial.requested if reply else None,
    )


def known(uid: int | None, name: str | None, denial: Denial) -> Person:
    return Person(uid, groups_of(uid), (name,) if name else ())


def asker(options: Options) -> Person:
    uid = os.getuid() if options.user is None else user(options.user)
    groups = tuple(map(group, options.groups)) or groups_of(uid)
    return Person(uid, groups, tuple(options.names), options.at_console)


def receiver(name: str, options: Options, policy: Policy | None) -> tuple[Person, bool]:
    """Whom a message is for, and whether that is only supposed: a user other than root who may
    own the name, if there is one."""
    names = (*((name,) if name else ()), *options.to_names)
    if name == BUS:
        return Person(0, names=names), False
    supposed = options.to_user is None
    if options.to_user is not None:
        uid = user(options.to_user)
    else:
        able = owners(policy, name).users if policy else ()
        uid = next((uid for uid in able if uid != 0), 0)
    groups = tuple(map(group, options.to_groups)) or groups_of(uid)
    return Person(uid, groups, names), supposed


def bus_name(word: str) -> str:
    """A name that a connection can have. Raises Trouble."""
    if not is_bus_name(word):
        raise Trouble(f"{word} is no bus name")
    return word


def to_own(word: str) -> str:
    """A name that somebody can ask for. Raises Trouble."""
    if is_unique_name(bus_name(word)) or word == BUS:
        raise Trouble(f"{word} is given by the bus: nobody can ask for it")
    return word


def user(word: str) -> int:
    """A user's number, whether or not this machine knows it. Raises Trouble."""
    uid = find_user(word)
    if uid is None and (uid := number(word)) is None:
        raise Trouble(f'unknown user "{word}"')
    return uid


def group(word: str) -> int:
    """A group's number, whether or not this machine knows it. Raises Trouble."""
    gid = find_group(word)
    if gid is None and (gid := number(word)) is None:
        raise Trouble(f'unknown group "{word}"')
    return gid


def number(word: str) -> int | None:
    """That of a user or group of another machine, a container, or a service that sleeps."""
    plain = word.isascii() and word.isdecimal() and len(word) <= len(str(NOBODY))
    return int(word) if plain and int(word) < NOBODY else None


def group_words(gid: int) -> str:
    """A group for people."""
    try:
        return f"group {grp.getgrgid(gid).gr_name} (gid {gid})"
    except (KeyError, OverflowError):
        return f"gid {gid}"


def user_words(uid: int | None) -> str:
    """A user for people."""
    try:
        return f"{pwd.getpwuid(-1 if uid is None else uid).pw_name} (uid {uid})"
    except (KeyError, OverflowError):
        return "an anonymous user" if uid is None else f"uid {uid}"


def inquiry(words: Sequence[str], options: Options, broadcast: bool) -> Inquiry:
    """The message: what is not said is something that no rule names. Raises Trouble."""
    kind = options.type or ("signal" if broadcast else "method_call")
    if kind not in TYPES:
        raise Trouble(f"--type is one of {', '.join(TYPES)}, not {kind}")
    if broadcast and kind != "signal":
        raise Trouble("only signals are broadcast")
    said = fields(words) | {
        name: value
        for name in ("path", "interface", "member", "error")
        if (value := getattr(options, name)) is not None
    }
    plain = message("broadcast" if broadcast else cast(Type, kind), requested=not options.unasked)
    # An empty interface asks about a message that has none.
    said = {name: value or None for name, value in said.items()}
    return replace(plain, fds=options.fds, texts=arguments(options.arguments), **said)


def fields(words: Sequence[str]) -> dict[str, str]:
    """A path, and an interface with a member. Raises Trouble."""
    found: dict[str, str] = {}
    for word in words:
        if word.startswith("/"):
            found["path"] = word
        elif WORDS.fullmatch(word):
            found["interface"], _, found["member"] = word.rpartition(".")
        else:
            raise Trouble(f"{word} is neither INTERFACE.MEMBER nor a path (--interface, --member)")
    return found


def arguments(words: Sequence[str]) -> tuple[tuple[int, str], ...]:
    """`0=text` and so on. Raises Trouble."""
    found = []
    for word in words:
        number, equals, text = word.partition("=")
        if not (equals and number.isascii() and number.isdecimal() and int(number) < 64):
            raise Trouble(f"--arg is NUMBER=TEXT, such as 0=org.example, not {word}")
        found.append((int(number), text))
    return tuple(found)
