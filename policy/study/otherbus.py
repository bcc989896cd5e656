"""What dbus-broker, the other bus that reads these files, takes in another way.

Notes for those whose files must mean the same on both.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Final

from policy.configuration import Configuration
from policy.limits import Limits
from policy.report import rule_text
from policy.rule import Origin, Rule
from policy.study.cover import REPLIES
from policy.study.remark import Remark

CODE: Final = "dbus-broker"
USED_LIMITS: Final = (
    "max_outgoing_bytes",
    "max_outgoing_unix_fds",
    "max_connections_per_user",
    "max_match_rules_per_connection",
)


def remarks(configuration: Configuration) -> Iterator[Remark]:
    """All notes about one configuration."""
    for section in configuration.policy:
        if section.context == "at_console":
            yield note(
                section.origin, "takes every user that is no system user to be at the console"
            )
        for rule in section.rules:
            if rule.origin.file.endswith(".toml"):
                continue
            for applies, what in RULES:
                if applies(rule):
                    yield note(rule.origin, f"{what}: {rule_text(rule)}")
    yield from elements(configuration)


def elements(configuration: Configuration) -> Iterator[Remark]:
    """What is not about rules. It has no lines of its own in a configuration."""
    for path in configuration.sources:
        if path.endswith(".toml"):
            yield note(Origin(path), "does not read TOML")
    place = Origin(configuration.sources[0] if configuration.sources else "")
    if configuration.allow_anonymous:
        yield note(place, "knows no allow_anonymous")
    unused = [
        field.name
        for field in fields(Limits)
        if field.name not in USED_LIMITS
        and getattr(configuration.limits, field.name) != field.default
    ]
    if unused:
        yield note(place, f"does not use these limits: {', '.join(unused)}")


def note(origin: Origin, what: str) -> Remark:
    return Remark("note", CODE, origin, f"dbus-broker {what}")


def evadable(rule: Rule) -> bool:
    """A deny that a message without interface escapes there."""
    return not rule.allow and rule.interface is not None


def lacks_error(rule: Rule) -> bool:
    return rule.error is not None and rule.type != "error"


RULES: Final[tuple[tuple[Callable[[Rule], bool], str], ...]] = (
    (
        lambda rule: rule.prefix and rule.about == "send",
        "ignores send_destination_prefix, so that the rule is for every destination",
    ),
    (evadable, "does not apply a deny by interface to messages that have none"),
    (lacks_error, "applies a rule with an error's name to errors alone"),
    (lambda rule: rule.requested_reply is not None, "ignores requested_reply"),
    (lambda rule: rule.type in REPLIES, "never asks the policy about replies"),
    (lambda rule: rule.eavesdrop, "has no eavesdropping"),
    (lambda rule: rule.log, 'ignores log="true"'),
)
