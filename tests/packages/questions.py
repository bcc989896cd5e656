"""What is asked about a package: who may own its names, and who may send what to their owners.

It is made from the text of the policy files by a reader of its own, and knows no policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.packages.system import KEEPER, groups, users
from tests.policy.differential.visitors import Identity
from tests.raw import DRIVER

# To the owner of a name; from it, a signal to everybody.
CALL, SIGNAL, BROADCAST, NEWS = "call", "signal", "broadcast", "news"
NOBODY = "nobody"
# The reference answers signals of it to nobody by itself, as if they were calls.
PEER = "org.freedesktop.DBus.Peer"
ELSEWHERE = "/elsewhere"
ORDINARY = (
    ("org.freedesktop.DBus.Properties", "Get"),
    ("org.freedesktop.DBus.Properties", "Set"),
    ("org.freedesktop.DBus.Introspectable", "Introspect"),
    (PEER, "Ping"),
    ("example.Other", "Unlisted"),
    (None, "Unlisted"),
)


@dataclass(frozen=True, order=True)
class Person:
    """A user, or nobody with one group more."""

    user: str = NOBODY
    group: str = ""

    def identity(self) -> Identity:
        own = Identity(users()[self.user], groups()["nogroup"])
        if self.user == "root":
            own = Identity(0, 0)
        return Identity(own.user, own.group, (groups()[self.group],)) if self.group else own

    def __str__(self) -> str:
        return f"{self.user} in {self.group}" if self.group else self.user


@dataclass(frozen=True)
class Form:
    """A message, but for who sends it to whom."""

    kind: str
    path: str
    interface: str | None
    member: str

    def __str__(self) -> str:
        return f"{self.kind} {self.path} {self.interface}.{self.member}"


@dataclass(frozen=True)
class Package:
    """Who is concerned, the names that they ask for, and what they send to the owner of some."""

    people: tuple[Person, ...]
    names: tuple[str, ...]
    forms: dict[tuple[str, ...], tuple[Form, ...]]


def package(paths: Iterable[Path]) -> Package:
    """What there is to ask about these files."""
    roots = [ElementTree.parse(path).getroot() for path in paths]
    rules = [
        narrow(rule) for root in roots for rule in root.iter() if rule.tag in ("allow", "deny")
    ]
    sections = [section.attrib for root in roots for section in root.iter("policy")]
    people = {Person(), Person("root"), Person(KEEPER)}
    people |= {Person(each["user"]) for each in sections if each.get("user") in users()}
    people |= {Person(group=each["group"]) for each in sections if each.get("group") in groups()}
    names = tuple(sorted({name for rule in rules for name in named(rule)} - {DRIVER}))
    owned = {(name,) for name in names} | ({names} if names else set())
    forms = {some: tuple(dict.fromkeys(forms_for(some, rules))) for some in sorted(owned)}
    return Package(tuple(sorted(people)), names, forms)


def narrow(rule: ElementTree.Element) -> dict[str, str]:
    """Its attributes without those that are for anything."""
    return {key: value for key, value in rule.attrib.items() if value != "*"}


def named(rule: dict[str, str]) -> Iterator[str]:
    """The bus names that a rule is about; for a prefix one that has it, too."""
    for key, name in rule.items():
        if key in ("own", "send_destination", "receive_sender"):
            yield name
        elif key in ("own_prefix", "send_destination_prefix"):
            yield from (name, f"{name}.Child", f"{name}Sibling")


def forms_for(names: tuple[str, ...], rules: list[dict[str, str]]) -> Iterator[Form]:
    """Each rule's own message, and those that differ from it in one field; ordinary ones."""
    for interface, member in ORDINARY:
        yield Form(CALL, ELSEWHERE, interface, member)
    for rule in rules:
        if rule.get("send_destination", names[0]) in names:
            path = rule.get("send_path", ELSEWHERE)
            interface, member = rule.get("send_interface"), rule.get("send_member", "Unlisted")
            yield Form(CALL, path, interface, member)
            yield Form(CALL, path, interface, "Unlisted")
            yield Form(CALL, ELSEWHERE, interface, member)
            if "send_path" in rule or "send_interface" not in rule:
                yield Form(CALL, path, "example.Other", member)
            else:
                yield Form(CALL, path, None, member)
    for interface in sorted({"example.Other", *interfaces(rules)} - {PEER}):
        for kind in (SIGNAL, BROADCAST, NEWS):
            yield Form(kind, ELSEWHERE, interface, "Changed")


def interfaces(rules: list[dict[str, str]]) -> set[str]:
    return {rule[key] for rule in rules for key in rule if key.endswith("_interface")}
