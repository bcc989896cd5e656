"""What one configuration says otherwise than another, in a few words for the log."""

import os
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import fields
from typing import Final

from bridge.transport.settings import Loaded
from policy.configuration import Configuration, Rate
from policy.limits import Limits

# What is read only at the start, as by dbus-daemon.
FIXED: Final = ("type", "user", "listen", "auth", "allow_anonymous", "fork", "keep_umask",
                "syslog", "pidfile", "metrics", "native", "apparmor", "selinux")  # fmt: skip
SHORT: Final = ("service_helper", "permissive", "connection_rate", "slow_receivers")
LONG: Final = ("service_directories",)


def summary(old: Loaded, new: Loaded) -> str:
    """`3 files changed; rules: 2 more, 1 fewer; limit auth_timeout 30000 -> 10000`"""
    before, now = old.configuration, new.configuration
    said = [
        files(old, new),
        counts("rules", rules(before), rules(now)),
        counts("quotas", before.quotas, now.quotas),
        services(old, new),
        *limits(before.limits, now.limits),
        *(f"{name} {word(a)} -> {word(b)}" for name, a, b in others(SHORT, before, now)),
        *(f"{name} changed" for name, _, _ in others(LONG, before, now)),
    ]
    return "; ".join(filter(None, said)) or "nothing changed"


def fixed(start: Configuration, now: Configuration) -> list[str]:
    """What changed in the files, and not in the bus."""
    return [
        f"{name} is read only at the start: it stays {word(before)}"
        for name, before, _ in others(FIXED, start, now)
    ]


def hidden(old: Configuration, new: Configuration) -> str | None:
    """What is wrong if the bus, which has become another user since, cannot read any more what
    it read before: without that file's rules it would allow what they deny."""
    for path in set(old.sources) - set(new.sources):
        if os.path.lexists(path) and not os.access(path, os.R_OK):
            return f"{path}: read before, and not readable any more"
    return None


def files(old: Loaded, new: Loaded) -> str:
    """How many files were read that were not there before, are not there now, or were written."""
    before, now = (set(each.configuration.sources) for each in (old, new))
    changed = (before ^ now) | {
        path for path in before & now if old.stamps[path] != new.stamps[path]
    }
    return f"{len(changed)} file{'s'[: len(changed) != 1]} changed" if changed else ""


def rules(configuration: Configuration) -> list[Hashable]:
    """All rules, each with whom it is for, in order."""
    return [
        (section.context, section.who, rule)
        for section in configuration.policy
        for rule in section.rules
    ]


def services(old: Loaded, new: Loaded) -> str:
    """How many services came or went; if none did, of how many the files say something else."""
    before, now = ({each.name: each for each in all_.services.all()} for all_ in (old, new))
    changed = sum(now.get(name) != each for name, each in before.items())
    said = f"{changed} service{'s'[: changed != 1]} changed" if changed else ""
    return counts("services", sorted(before), sorted(now)) or said


def counts(what: str, before: Iterable[Hashable], now: Iterable[Hashable]) -> str:
    """How many there are more and fewer, or that their order is another."""
    before, now = list(before), list(now)
    if before == now:  # nearly always, and much faster found out
        return ""
    old, new = Counter(before), Counter(now)
    more, fewer = (new - old).total(), (old - new).total()
    said = [f"{more} more"[: 99 * more], f"{fewer} fewer"[: 99 * fewer]]
    return f"{what}: {', '.join(filter(None, said)) or 'in another order'}"


def limits(before: Limits, now: Limits) -> list[str]:
    names = [field.name for field in fields(Limits)]
    return [f"limit {name} {word(a)} -> {word(b)}" for name, a, b in others(names, before, now)]


def others(
    names: Iterable[str], before: object, now: object
) -> Iterable[tuple[str, object, object]]:
    """The fields that differ, with both values."""
    for name in names:
        a, b = getattr(before, name), getattr(now, name)
        if a != b:
            yield name, a, b


def word(value: object) -> str:
    """As a person would write it."""
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return " ".join(" ".join(each) if isinstance(each, tuple) else each for each in value)
    if isinstance(value, Rate):
        return f"{value.per_second:g}/s, at most {value.burst} at once"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
