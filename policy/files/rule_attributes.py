"""The attributes of an <allow> or <deny>: which there are, how they go together, what Rule they
make. Refuses what the reference refuses (bus/config-parser.c): raises ValueError that says why.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from policy.integer import within
from policy.rule import ANYBODY, MOST_FDS, NUMBERS, Origin, Rule

# What a rule may say of a message, and the field of Rule that has it.
SEND: Final = {
    "send_destination": "name",
    "send_destination_prefix": "name",
    "send_type": "type",
    "send_path": "path",
    "send_interface": "interface",
    "send_member": "member",
    "send_error": "error",
    "send_broadcast": "broadcast",
    "send_requested_reply": "requested_reply",
}
RECEIVE: Final = {
    "receive_sender": "name",
    "receive_type": "type",
    "receive_path": "path",
    "receive_interface": "interface",
    "receive_member": "member",
    "receive_error": "error",
    "receive_requested_reply": "requested_reply",
}
MODIFIERS: Final = ("eavesdrop", "min_fds", "max_fds")  # of rules about messages
ALONE: Final = ("own", "own_prefix", "user", "group")
LOG: Final = "log"  # goes with all, means something where sending is allowed; yes is only "true"
NAMES: Final = frozenset((*SEND, *RECEIVE, *MODIFIERS, *ALONE, LOG))

# Where "*" is a word like others; everywhere else it is as if the attribute were not there.
PLAIN: Final = frozenset(("send_destination_prefix", "own_prefix"))
YES_NO: Final = frozenset(("broadcast", "requested_reply"))

Said = Mapping[str, str]


def rule(allow: bool, said: Said, origin: Origin) -> Rule:
    """The rule that an element with these attributes is."""
    sends = not SEND.keys().isdisjoint(said)
    receives = not RECEIVE.keys().isdisjoint(said) or (not sends and "eavesdrop" in said)
    alone = [name for name in ALONE if name in said]
    modified = any(name in said for name in MODIFIERS)
    if not (sends or receives or alone):
        raise ValueError("no attribute says what it is about")
    if sends and receives:
        raise ValueError("send and receive attributes do not go together")
    if alone and (len(alone) > 1 or sends or receives or modified):
        raise ValueError(f'"{alone[0]}" does not go together with other attributes')
    if alone:
        return about_names(allow, alone[0], said[alone[0]], origin)
    return about_messages(allow, "send" if sends else "receive", said, origin)


def about_names(allow: bool, attribute: str, who: str, origin: Origin) -> Rule:
    """A rule about owning a name, or about connecting."""
    if attribute == "user":
        return Rule(allow=allow, about="connect", user=who, origin=origin)
    if attribute == "group":
        return Rule(allow=allow, about="connect", group=who, origin=origin)
    prefix = attribute == "own_prefix"
    name = None if who == ANYBODY and attribute not in PLAIN else who
    return Rule(allow=allow, about="own", name=name, prefix=prefix, origin=origin)


def about_messages(
    allow: bool, about: Literal["send", "receive"], said: Said, origin: Origin
) -> Rule:
    """A rule about sending or receiving messages."""
    must_go_together(about, said)
    fields = of_message(SEND if about == "send" else RECEIVE, said)
    if fields.get("type") not in NUMBERS:
        raise ValueError(f'there is no message type "{fields["type"]}"')
    if fields.get("broadcast") and "send_destination" in said and "name" in fields:
        raise ValueError("a broadcast has no destination: nothing can match")
    return Rule(
        allow=allow,
        about=about,
        prefix="send_destination_prefix" in said,
        eavesdrop="eavesdrop" in said and true("eavesdrop", said["eavesdrop"]),
        log=allow and about == "send" and said.get(LOG) == "true",
        origin=origin,
        **fields,
    )


def of_message(known: Mapping[str, str], said: Said) -> dict[str, Any]:
    """The fields of Rule that narrow which messages it is about."""
    fields: dict[str, Any] = {}
    for attribute, text in said.items():
        field = known.get(attribute, "")
        if field in YES_NO:
            fields[field] = true(attribute, text)
        elif field and (text != ANYBODY or attribute in PLAIN):
            fields[field] = text
        elif attribute in ("min_fds", "max_fds"):
            fields[attribute] = fds(attribute, text)
    return fields


def must_go_together(about: str, said: Said) -> None:
    """Refuses what cannot match, or would match more than it seems to."""
    names = {name.removeprefix(f"{about}_") for name in said}
    if "member" in names and not names & {"interface", "path"}:
        raise ValueError("a member needs an interface or a path: not all messages have the first")
    if "error" in names and names & {"member", "interface"}:
        raise ValueError("an error does not go together with a member or interface")
    if {"destination", "destination_prefix"} <= names:
        raise ValueError("send_destination and send_destination_prefix do not go together")


def true(attribute: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f'{attribute} is "{text}", neither true nor false')
    return text == "true"


def fds(attribute: str, text: str) -> int:
    number = within(text, MOST_FDS)
    if number is None:
        raise ValueError(f'{attribute} is "{text}", not a number from 0 to {MOST_FDS}')
    return number
