"""Where ours differs from dbus-daemon on purpose, each with its reason; tests assert both sides."""

from __future__ import annotations

from typing import Any, NamedTuple


class Difference(NamedTuple):
    rule: str
    reference: Any
    ours: Any
    reason: str


DIFFERENCES = {
    each.rule: each
    for each in (
        Difference(
            "header field 10 of another type",
            "closed",
            "open",
            "libdbus reserves 10 for an object path of its unfinished containers; the specification"
            " knows no field 10, so it is an unknown field and is stripped",
        ),
        Difference(
            "a reply that nobody asked for",
            {"replier": [], "target": ["=(forged)"]},
            {"replier": ["!AccessDenied"], "target": []},
            "a reply needs the reply handle of its call; dbus-daemon's session policy lets it pass",
        ),
        Difference(
            "a second reply to one call",
            {"replier": [], "target": ["=(two)"]},
            {"replier": ["!AccessDenied"], "target": []},
            "the reply handle is used up by the first reply",
        ),
        Difference(
            "a reply to a call that wanted none",
            {"replier": [], "target": ["=(unwanted)"]},
            {"replier": ["!AccessDenied"], "target": []},
            "a call with NO_REPLY_EXPECTED carries no reply handle",
        ),
    )
}


def expected(kind: str, rule: str) -> Any:
    """What a bus of this kind does."""
    difference = DIFFERENCES[rule]
    return difference.ours if kind == "ours" else difference.reference
