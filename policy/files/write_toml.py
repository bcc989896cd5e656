"""Writes a configuration, or one file of it, in the project's own form (docs/configuration.md).

It can say all that a configuration can.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from policy.configuration import Configuration, Quota
from policy.files.draft import CONDITIONS, Inclusion
from policy.files.sheet import Part, Sheet, whole
from policy.rule import MOST_FDS, Rule, Section

# What is written above all tables, in this order.
PLAIN: Final = (
    "type",
    "user",
    "listen",
    "auth",
    "allow_anonymous",
    "fork",
    "keep_umask",
    "syslog",
    "pidfile",
    "service_directories",
    "service_helper",
    "apparmor",
    "permissive",
    "slow_receivers",
    "metrics",
    "native",
)
NAMES: Final = {"send": "to", "receive": "from", "own": "name", "delegate": "name"}
FIELDS: Final = ("type", "path", "interface", "member", "error", "broadcast", "requested_reply")
FLAGS: Final = ("log", "permissive")


def write(configuration: Configuration | Sheet) -> str:
    """The text of a file that says the same."""
    sheet = whole(configuration) if isinstance(configuration, Configuration) else configuration
    first, *others = sheet.parts or (Part(),)
    lines = [f"bus = {text(sheet.bus)}"] if sheet.bus is not None else []
    lines += part(first, "")
    for other in others:
        lines += ["", "[[then]]", *part(other, "then.")]
    return "\n".join(lines).lstrip("\n") + "\n"


def part(part: Part, inside: str) -> Iterator[str]:
    """What stands in a part; `inside` is what its tables are named after."""
    if part.includes:
        yield from many("include", [inclusion(each) for each in part.includes])
    said = part.said
    for name in PLAIN:
        if name in said:
            yield f"{name} = {value(said[name])}"
    if "connection_rate" in said:
        rate = said["connection_rate"]
        yield f"connection_rate = {inline({'per_second': rate.per_second, 'burst': rate.burst})}"
    for name in ("limits", "selinux"):
        if name in said:
            yield from ("", f"[{inside}{name}]")
            yield from (f"{key(each)} = {value(what)}" for each, what in said[name].items())
    for each in said.get("policy", ()):
        yield from ("", f"[[{inside}policy]]", *section(each))
    for each in said.get("quotas", ()):
        yield from ("", f"[[{inside}quota]]", *quota(each))


def inclusion(inclusion: Inclusion) -> str:
    if inclusion.directory:
        return text(inclusion.path.rstrip("/") + "/")
    conditions = {name: True for name in CONDITIONS if getattr(inclusion, name)}
    return inline({"path": inclusion.path} | conditions) if conditions else text(inclusion.path)


def section(section: Section) -> Iterator[str]:
    if section.context in ("default", "mandatory"):
        yield f"for = {text(section.context)}"
    elif section.context == "at_console":
        yield f"at_console = {section.who}"
    else:
        yield f"{section.context} = {text(section.who)}"
    yield from many("rules", [inline(dict(rule_keys(rule))) for rule in section.rules])


def quota(quota: Quota) -> Iterator[str]:
    yield f"user = {text(quota.user)}" if quota.user is not None else f"name = {value(quota.name)}"
    yield from (f"{name} = {limit}" for name, limit in quota.limits)


# ------------------------------------------------------------------------------ rules


def rule_keys(rule: Rule) -> Iterator[tuple[str, Any]]:
    """The keys of a rule, in the order in which people would say them."""
    yield "allow" if rule.allow else "deny", rule.about
    if rule.about == "connect":
        yield ("user", rule.user) if rule.user is not None else ("group", rule.group)
    else:
        yield from of_names(rule)
    if rule.about in ("send", "receive"):
        yield from of_messages(rule)
    elif rule.about == "delegate":
        yield from of_grants(rule)
    yield from ((name, True) for name in FLAGS if getattr(rule, name))


def of_names(rule: Rule) -> Iterator[tuple[str, Any]]:
    """Whom it is about. What would say nothing else says that it is about all."""
    if rule.name is not None:
        yield NAMES[rule.about] + ("_prefix" if rule.prefix else ""), rule.name
    elif rule.about == "delegate" or not any((rule.eavesdrop, rule.arguments, *says(rule))):
        yield NAMES[rule.about], "*"


def says(rule: Rule) -> Iterator[bool]:
    return (getattr(rule, name) is not None for name in FIELDS)


def of_messages(rule: Rule) -> Iterator[tuple[str, Any]]:
    """Which messages it is about."""
    for name in FIELDS:
        if getattr(rule, name) is not None:
            yield name, getattr(rule, name)
        elif name == "interface" and rule.member is not None and rule.path is None:
            yield name, "*"  # a member never stands alone
    if rule.arguments:
        yield (
            "args",
            {str(a.number): {"prefix": a.value} if a.prefix else a.value for a in rule.arguments},
        )
    if rule.eavesdrop:
        yield "eavesdrop", True
    if rule.min_fds:
        yield "min_fds", rule.min_fds
    if rule.max_fds != MOST_FDS:
        yield "max_fds", rule.max_fds


def of_grants(rule: Rule) -> Iterator[tuple[str, Any]]:
    """Which grants it is about."""
    for name in ("path", "interface", "member"):
        if getattr(rule, name) is not None:
            yield name, getattr(rule, name)
        elif name == "interface" and rule.member is not None:
            yield name, "*"


# ------------------------------------------------------------------------------ values


def many(name: str, values: list[str]) -> Iterator[str]:
    """A list, each value on its own line."""
    yield f"{name} = ["
    yield from (f"    {each}," for each in values)
    yield "]"


def inline(table: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(f"{key(name)} = {value(what)}" for name, what in table.items()) + " }"


def value(what: object) -> str:
    if isinstance(what, bool):
        return str(what).lower()
    if isinstance(what, (list, tuple)):
        return "[" + ", ".join(map(value, what)) + "]"
    if isinstance(what, Mapping):
        return inline(what)
    return text(what) if isinstance(what, str) else repr(what)


def key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else text(name)


def text(what: str) -> str:
    """As JSON would say it; TOML wants one more character escaped."""
    return json.dumps(what, ensure_ascii=False).replace("\x7f", "\\u007f")
