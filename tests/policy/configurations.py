"""Configurations and sheets of all kinds, for tests that read what was written."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from policy.configuration import STANDARD_SESSION, STANDARD_SYSTEM, Configuration, Quota, Rate
from policy.files.draft import Inclusion
from policy.files.sheet import Part, Sheet
from policy.limits import HIGHEST, NAMES, OWN, Limits
from policy.rule import MOST_FDS, NOWHERE, About, Argument, Context, Rule, Section

# What XML 1.0 can hold; tabs and line ends included, which have to be written with care.
CHARACTERS = st.characters(
    exclude_categories=("Cs", "Cc", "Cn"), include_characters="\t\n\r\x7f\"'\\<>&#"
)
TEXTS = st.text(CHARACTERS, min_size=1, max_size=12).filter(lambda text: text != "*")
WORDS = st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5}){0,2}", fullmatch=True) | TEXTS
PATHS = st.from_regex(r"/[a-z]{1,5}(/[a-z]{1,5}){0,2}", fullmatch=True)
FLAGS = st.booleans()
NUMBERS = st.integers(0, HIGHEST)
QUOTA = (  # in the order in which a file's are kept
    "max_connections_per_user",
    "max_outgoing_bytes",
    "max_outgoing_unix_fds",
    "max_outgoing_messages",
    "max_handles_per_connection",
    "max_grants_per_connection",
    "max_names_per_connection",
    "max_match_rules_per_connection",
    "max_replies_per_connection",
)
MECHANISMS = ("EXTERNAL", "DBUS_COOKIE_SHA1", "ANONYMOUS")
KINDS = ("method_call", "method_return", "error", "signal")


@st.composite
def rules(draw: st.DrawFn, per_client: bool, toml: bool) -> Rule:
    """A rule that could stand in a file; `toml`: perhaps one that XML cannot say."""
    kinds: tuple[About, ...] = ("send", "receive", "own")
    if toml:
        kinds += ("delegate",)
    about = draw(st.sampled_from(kinds if per_client else (*kinds, "connect")))
    allow = draw(FLAGS)
    said: dict[str, Any] = {}
    if about == "connect":
        said[draw(st.sampled_from(["user", "group"]))] = draw(WORDS | st.just("*"))
    else:
        said["name"] = draw(st.none() | WORDS)
        may_begin = about != "receive" or toml
        said["prefix"] = said["name"] is not None and may_begin and draw(FLAGS)
    if about in ("send", "receive"):
        said |= draw(messages(about == "send" and said["name"] is None))
        said["log"] = about == "send" and allow and draw(FLAGS)
        said["arguments"] = draw(arguments()) if toml else ()
    if about == "delegate":
        said |= draw(granted())
    if toml:
        said["permissive"] = not allow and draw(FLAGS)
    return Rule(allow=allow, about=about, **said)


@st.composite
def granted(draw: st.DrawFn) -> dict[str, Any]:
    """Which grants a rule is about."""
    return {name: draw(st.none() | WORDS) for name in ("path", "interface", "member")}


@st.composite
def messages(draw: st.DrawFn, may_broadcast: bool) -> dict[str, Any]:
    """Which messages a rule is about; an error does not go with an interface or a member."""
    optional = st.none() | WORDS
    said: dict[str, Any] = {
        "type": draw(st.none() | st.sampled_from(KINDS)),
        "path": draw(optional),
    }
    if draw(FLAGS):
        said |= {"interface": draw(optional), "member": draw(optional)}
    else:
        said["error"] = draw(optional)
    if may_broadcast:
        said["broadcast"] = draw(st.none() | FLAGS)
    return said | {
        "requested_reply": draw(st.none() | FLAGS),
        "eavesdrop": draw(FLAGS),
        "min_fds": draw(st.just(0) | st.integers(0, MOST_FDS)),
        "max_fds": draw(st.just(MOST_FDS) | st.integers(0, MOST_FDS)),
    }


@st.composite
def arguments(draw: st.DrawFn) -> tuple[Argument, ...]:
    numbers = sorted(draw(st.sets(st.integers(0, 63), max_size=3)))
    return tuple(Argument(number, draw(WORDS), draw(FLAGS)) for number in numbers)


@st.composite
def sections(draw: st.DrawFn, toml: bool) -> Section:
    contexts: tuple[Context, ...] = ("default", "mandatory", "user", "group", "at_console")
    context = draw(st.sampled_from(contexts))
    who = ""
    if context in ("user", "group"):
        who = draw(WORDS)
    elif context == "at_console":
        who = draw(st.sampled_from(["true", "false"]))
    inside = rules(per_client=context in ("user", "group"), toml=toml)
    return Section(context, who, tuple(draw(st.lists(inside, max_size=4))))


@st.composite
def quotas(draw: st.DrawFn) -> Quota:
    names = QUOTA[draw(st.integers(0, 1)) :]
    chosen = draw(st.sets(st.sampled_from(names), min_size=1))
    limits = tuple((name, draw(NUMBERS)) for name in QUOTA if name in chosen)
    whose = draw(WORDS)
    by_user = "max_connections_per_user" in chosen or draw(FLAGS)
    return Quota(whose if by_user else None, None if by_user else whose, limits, NOWHERE)


@st.composite
def settings(draw: st.DrawFn, toml: bool) -> dict[str, Any]:
    """Some of what can be said, by the names of Configuration."""
    texts = st.lists(WORDS, min_size=1, max_size=3)
    known = NAMES if toml else NAMES - OWN
    folders = PATHS | st.sampled_from([STANDARD_SESSION, STANDARD_SYSTEM])
    ways: dict[str, st.SearchStrategy[Any]] = {
        "type": WORDS,
        "user": WORDS,
        "listen": texts,
        "auth": st.lists(st.sampled_from(MECHANISMS), min_size=1, max_size=2),
        "allow_anonymous": st.just(True),
        "fork": st.just(True),
        "keep_umask": st.just(True),
        "syslog": st.just(True),
        "pidfile": WORDS,
        "service_directories": st.lists(folders, min_size=1, max_size=3, unique=True),
        "service_helper": PATHS,
        "limits": st.dictionaries(st.sampled_from(sorted(known)), NUMBERS, min_size=1),
        "policy": st.lists(sections(toml), min_size=1, max_size=3),
        "selinux": st.dictionaries(WORDS, WORDS, min_size=1, max_size=3),
        "apparmor": st.sampled_from(["required", "enabled", "disabled"]),
    }
    if toml:
        ways |= {
            "permissive": FLAGS,
            "quotas": st.lists(quotas(), min_size=1, max_size=3),
            "connection_rate": st.builds(
                Rate, st.floats(1e-9, 1e9, allow_subnormal=False), st.integers(1, HIGHEST)
            ),
            "slow_receivers": st.sampled_from(["drop", "disconnect"]),
            "metrics": PATHS,
            "native": WORDS,
        }
    chosen = draw(st.sets(st.sampled_from(sorted(ways))))
    return {name: draw(ways[name]) for name in ways if name in chosen}


@st.composite
def configurations(draw: st.DrawFn, toml: bool) -> Configuration:
    """What a bus could be told; `toml`: perhaps what XML cannot say."""
    said = draw(settings(toml))
    said.setdefault("listen", draw(st.lists(WORDS, min_size=1, max_size=2)))
    limits = said.get("limits", {})
    said["limits"] = Limits(**limits | {"reply_timeout": limits.get("reply_timeout") or None})
    said["selinux"] = tuple(said.get("selinux", {}).items())
    said = {name: tuple(it) if isinstance(it, list) else it for name, it in said.items()}
    return Configuration(**said)


@st.composite
def inclusions(draw: st.DrawFn) -> Inclusion:
    path = draw(WORDS.filter(lambda path: not path.endswith("/")))
    if draw(FLAGS):
        return Inclusion(path, directory=True)
    return Inclusion(path, False, draw(FLAGS), draw(FLAGS), draw(FLAGS))


@st.composite
def sheets(draw: st.DrawFn, toml: bool) -> Sheet:
    """One file; every part but the first begins with an include."""
    included = st.lists(inclusions(), min_size=1, max_size=3)
    parts = [Part((), draw(settings(toml)))]
    for _ in range(draw(st.integers(0, 2))):
        parts.append(Part(tuple(draw(included)), draw(settings(toml))))
    parts = [part for part in parts if part.includes or part.said]
    for index in range(len(parts) - 1, 0, -1):  # includes right after includes are one list
        if not parts[index - 1].said:
            before = parts.pop(index - 1)
            parts[index - 1] = Part(
                before.includes + parts[index - 1].includes, parts[index - 1].said
            )
    return Sheet(tuple(parts), draw(st.sampled_from([None, "system", "session"])) if toml else None)
