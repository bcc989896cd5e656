"""Writes a configuration, or one file of it, as busconfig XML, which other buses read, too.

XML cannot say all that a configuration can. What it cannot say is an error, never left out: a
rule without the condition that it had would allow more, or deny more, than it did.
"""

import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final, final

from policy.configuration import (
    STANDARD_SESSION,
    STANDARD_SYSTEM,
    Complaint,
    Configuration,
)
from policy.files.draft import CONDITIONS, Inclusion
from policy.files.sheet import Part, Sheet, whole
from policy.limits import OWN
from policy.report import attributes
from policy.rule import ANYBODY, Origin, Rule, Section

DOCTYPE: Final = (
    '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">'
)
SPACE: Final = re.compile("[\t\n\r]")  # would be read as other space if written as it is
NO_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Elements by the names of Configuration, in the order in which they are written.
TEXTS: Final = {
    "type": "type",
    "user": "user",
    "listen": "listen",
    "auth": "auth",
    "pidfile": "pidfile",
    "service_helper": "servicehelper",
}
FLAGS: Final = ("allow_anonymous", "fork", "keep_umask", "syslog")
STANDARD: Final = {
    STANDARD_SESSION: "standard_session_servicedirs",
    STANDARD_SYSTEM: "standard_system_servicedirs",
}
UNKNOWN: Final = ("permissive", "connection_rate", "slow_receivers", "metrics", "native")


@final
class Unsayable(ValueError):
    """What XML has no words for; the text has a line for each. `complaints` says it to programs."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("\n".join(map(str, self.complaints)))


def write(configuration: Configuration | Sheet) -> str:
    """The text of a file that says the same. Raises Unsayable."""
    sheet = whole(configuration) if isinstance(configuration, Configuration) else configuration
    here = Origin(sheet.path)
    wrong = [Complaint(here, NO_WORD.format("bus"))] if sheet.bus is not None else []
    for each in sheet.parts:
        wrong += unsayable(each, here)
    lines = [DOCTYPE, "<busconfig>"]
    for each in sheet.parts:
        lines += (f"  {line}" for line in part(each))
    lines.append("</busconfig>")
    written = "\n".join(lines) + "\n"
    if not wrong:
        wrong += (Complaint(here, f"XML has no character {c!a}") for c in characters(written))
    if wrong:
        raise Unsayable(wrong)
    return written


# ---------------------------------------------------------------- what cannot be said

NO_WORD: Final = "XML has no word for {}"


def unsayable(part: Part, here: Origin) -> Iterator[Complaint]:
    """All that a part says and XML cannot say."""
    for name in UNKNOWN:
        if name in part.said:
            yield Complaint(here, NO_WORD.format(name))
    for name in part.said.get("limits", ()):
        if name in OWN:
            yield Complaint(here, NO_WORD.format(f"the limit {name}"))
    for section in part.said.get("policy", ()):
        for rule in section.rules:
            yield from (Complaint(rule.origin, NO_WORD.format(what)) for what in beyond(rule))
    for quota in part.said.get("quotas", ()):
        yield Complaint(quota.origin, NO_WORD.format("a quota"))


def beyond(rule: Rule) -> Iterator[str]:
    """What only TOML can say of a rule."""
    if rule.about == "delegate":
        yield "rights that services grant (delegate)"
    if rule.arguments:
        yield "arguments of messages"
    if rule.permissive:
        yield "permissive"
    if rule.about == "receive" and rule.prefix:
        yield "the beginning of a sender's name"


def characters(text: str) -> list[str]:
    return sorted(set(NO_XML.findall(text)))


# ---------------------------------------------------------------------- what is written


def part(part: Part) -> Iterator[str]:
    """What stands in a part, a line for each element."""
    said = part.said
    yield from map(inclusion, part.includes)
    for name, tag in TEXTS.items():
        if name in said:
            texts = (said[name],) if isinstance(said[name], str) else said[name]
            yield from (element(tag, text) for text in texts)
    yield from (element(name) for name in FLAGS if name in said)
    for path in said.get("service_directories", ()):
        yield element(STANDARD[path]) if path in STANDARD else element("servicedir", path)
    for name, number in said.get("limits", {}).items():
        yield element("limit", str(number), name=name)
    for section in said.get("policy", ()):
        yield from policy(section)
    if "selinux" in said:
        yield "<selinux>"
        for own, context in said["selinux"].items():
            yield "  " + element("associate", own=own, context=context)
        yield "</selinux>"
    if "apparmor" in said:
        yield element("apparmor", mode=said["apparmor"])


def inclusion(inclusion: Inclusion) -> str:
    if inclusion.directory:
        return element("includedir", inclusion.path)
    conditions = {name: "yes" for name in CONDITIONS if getattr(inclusion, name)}
    return element("include", inclusion.path, **conditions)


def policy(section: Section) -> Iterator[str]:
    by_context = section.context in ("default", "mandatory")
    whom = ("context", section.context) if by_context else (section.context, section.who)
    yield opening("policy", dict([whom])) + ">"
    for rule in section.rules:
        said = dict(attributes(rule))
        if rule.member is not None and rule.interface is None and rule.path is None:
            said[f"{rule.about}_interface"] = ANYBODY  # a member never stands alone
        yield "  " + element("allow" if rule.allow else "deny", **said)
    yield "</policy>"


def element(tag: str, text: str = "", **attributes: str) -> str:
    start = opening(tag, attributes)
    return f"{start}>{quoted(text)}</{tag}>" if text else f"{start}/>"


def opening(tag: str, attributes: dict[str, str]) -> str:
    return f"<{tag}" + "".join(f' {name}="{quoted(text)}"' for name, text in attributes.items())


def quoted(text: str) -> str:
    return SPACE.sub(lambda found: f"&#{ord(found[0])};", escape(text))
