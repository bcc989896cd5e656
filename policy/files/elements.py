"""The elements of busconfig: where each may stand, what attributes it takes, what it sets.

Knows nothing of XML. What takes an element raises ValueError that says what is wrong with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

from policy.configuration import STANDARD_SESSION, STANDARD_SYSTEM, Apparmor
from policy.files import rule_attributes
from policy.files.draft import CONDITIONS, Draft, Inclusion
from policy.integer import begins
from policy.limits import HIGHEST, NAMES, OWN, WITHOUT_EFFECT
from policy.rule import Context, Origin

LONGS: Final = frozenset(name for name in NAMES if name.endswith(("_bytes", "_size", "_fds")))
MODES: Final[dict[str, Apparmor]] = {
    "required": "required",
    "enabled": "enabled",
    "disabled": "disabled",
}
HIGHEST_LONG: Final = 2**63 - 1


@final
@dataclass(frozen=True, slots=True)
class Found:
    """One element of a file. `text` is all that stands in it, blanks included."""

    name: str
    origin: Origin
    attributes: Mapping[str, str]
    text: str = ""


Take = Callable[[Draft, Found], None]


@final
@dataclass(frozen=True, slots=True)
class Element:
    """`inside` is the element that it stands in. `text`: it must have some, else it may have
    none but blanks. `take` is called when it has been read to its end."""

    inside: str
    take: Take | None = None
    text: bool = False
    attributes: frozenset[str] = frozenset()


# -------------------------------------------------------------------- what sets one thing


def sets(field: str) -> Take:
    """The last one holds. Blanks belong to it."""
    return lambda draft, found: setattr(draft, field, found.text)


def adds(field: str) -> Take:
    return lambda draft, found: getattr(draft, field).append(found.text)


def turns_on(field: str) -> Take:
    return lambda draft, found: setattr(draft, field, True)


def adds_services(where: str) -> Take:
    return lambda draft, found: draft.add_service_directory(where)


def take_service_directory(draft: Draft, found: Found) -> None:
    draft.add_service_directory(draft.resolve(found.text))


def take_service_helper(draft: Draft, found: Found) -> None:
    draft.service_helper = draft.resolve(found.text)


def take_limit(draft: Draft, found: Found) -> None:
    """The reference takes longer numbers than HIGHEST for some; it means no limit then."""
    name = found.attributes.get("name")
    if name is None:
        raise ValueError("<limit> has no name")
    if name not in NAMES - OWN | WITHOUT_EFFECT:
        raise ValueError(f'there is no limit named "{name}"')
    number, highest = begins(found.text), HIGHEST_LONG if name in LONGS else HIGHEST
    if number is None or not 0 <= number[0] <= highest:
        raise ValueError(f'limit {name} is "{found.text}", not a number from 0 to {highest}')
    if name not in WITHOUT_EFFECT:
        draft.limit(name, min(number[0], HIGHEST))


def take_apparmor(draft: Draft, found: Found) -> None:
    mode = found.attributes.get("mode", "enabled")
    if mode not in MODES:
        raise ValueError(f'the mode is "{mode}", not required, enabled or disabled')
    draft.apparmor = MODES[mode]


def take_associate(draft: Draft, found: Found) -> None:
    if len(found.attributes) < 2:
        raise ValueError("<associate> has both own and context")
    draft.selinux[found.attributes["own"]] = found.attributes["context"]


# -------------------------------------------------------------------- what reads other files


def take_include(draft: Draft, found: Found) -> None:
    conditions = {name: yes(found, name) for name in CONDITIONS}
    draft.include(Inclusion(found.text, origin=found.origin, **conditions))


def take_include_directory(draft: Draft, found: Found) -> None:
    draft.include(Inclusion(found.text, directory=True, origin=found.origin))


def yes(found: Found, attribute: str) -> bool:
    text = found.attributes.get(attribute, "no")
    if text not in ("yes", "no"):
        raise ValueError(f'{attribute} is "{text}", neither yes nor no')
    return text == "yes"


# -------------------------------------------------------------------- whom a policy is for


def whom(found: Found) -> tuple[Context, str]:
    """The section that a <policy> opens: its context, and who that is."""
    if len(found.attributes) != 1:
        raise ValueError("<policy> has one of context, user, group and at_console")
    ((attribute, text),) = found.attributes.items()
    match attribute, text:
        case "user", _:
            return "user", text
        case "group", _:
            return "group", text
        case "at_console", "true" | "false":
            return "at_console", text
        case "context", "default":
            return "default", ""
        case "context", "mandatory":
            return "mandatory", ""
    raise ValueError(f'{attribute} is "{text}", which is no kind of <policy>')


ROOT: Final = "busconfig"
POLICY: Final = "policy"
RULES: Final = {"allow": True, "deny": False}

ELEMENTS: Final = {
    ROOT: Element(inside=""),
    "type": Element(ROOT, sets("type"), text=True),
    "user": Element(ROOT, sets("user"), text=True),
    "pidfile": Element(ROOT, sets("pidfile"), text=True),
    "listen": Element(ROOT, adds("listen"), text=True),
    "auth": Element(ROOT, adds("auth"), text=True),
    "servicedir": Element(ROOT, take_service_directory, text=True),
    "standard_session_servicedirs": Element(ROOT, adds_services(STANDARD_SESSION)),
    "standard_system_servicedirs": Element(ROOT, adds_services(STANDARD_SYSTEM)),
    "servicehelper": Element(ROOT, take_service_helper, text=True),
    "fork": Element(ROOT, turns_on("fork")),
    "keep_umask": Element(ROOT, turns_on("keep_umask")),
    "syslog": Element(ROOT, turns_on("syslog")),
    "allow_anonymous": Element(ROOT, turns_on("allow_anonymous")),
    "include": Element(ROOT, take_include, text=True, attributes=frozenset(CONDITIONS)),
    "includedir": Element(ROOT, take_include_directory, text=True),
    "limit": Element(ROOT, take_limit, text=True, attributes=frozenset(("name",))),
    "selinux": Element(ROOT),
    "associate": Element("selinux", take_associate, attributes=frozenset(("own", "context"))),
    "apparmor": Element(ROOT, take_apparmor, attributes=frozenset(("mode",))),
    POLICY: Element(ROOT, attributes=frozenset(("context", "user", "group", "at_console"))),
    **{name: Element(POLICY, attributes=rule_attributes.NAMES) for name in RULES},
}
