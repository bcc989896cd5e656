"""Rules that do other than they seem to, each looked at by itself."""

from collections.abc import Callable, Iterator
from typing import Final

from policy.configuration import Configuration
from policy.report import rule_text
from policy.rule import Rule, Section
from policy.study.cover import REPLIES
from policy.study.remark import Remark

Check = Callable[[Configuration, Section, Rule], Remark | None]


def remarks(configuration: Configuration) -> Iterator[Remark]:
    """What is said of single rules and sections."""
    for section in configuration.policy:
        if section.context == "at_console":
            yield console(section)
        for rule in section.rules:
            for check in CHECKS:
                found = check(configuration, section, rule)
                if found is not None:
                    yield found
    yield from idle(configuration)


def console(section: Section) -> Remark:
    return Remark(
        "warning",
        "at-console",
        section.origin,
        "at_console is deprecated: a seat says little about who asks, and buses find out in "
        "different ways who has one",
        "let the service ask polkit, or use a group",
    )


def everywhere(configuration: Configuration, section: Section, rule: Rule) -> Remark | None:
    """A send rule without destination."""
    fields = rule.interface or rule.path or rule.member or rule.arguments
    if rule.about != "send" or rule.name or not fields or rule.type not in (None, "method_call"):
        return None
    if rule.allow:
        if configuration.type == "session":
            return None
        return Remark(
            "note" if section.context == "user" else "warning",
            "no-destination",
            rule.origin,
            f"{rule_text(rule)} opens every service that has this, not only yours",
            "add send_destination",
        )
    if rule.interface is None:
        return None
    return Remark(
        "warning",
        "no-destination",
        rule.origin,
        f"{rule_text(rule)} denies also every call without an interface, whatever the service",
        "add send_destination",
    )


def interfaceless(_: Configuration, section: Section, rule: Rule) -> Remark | None:
    """A deny that names an interface, and a destination."""
    if rule.allow or not rule.interface or not rule.name or rule.type not in (None, *CALLS):
        return None
    if rule.about == "delegate":
        return None
    return Remark(
        "note",
        "no-interface",
        rule.origin,
        f"{rule_text(rule)} denies also calls that name no interface",
        "keep it: without that, leaving out the interface would get round it",
    )


def errors(_: Configuration, section: Section, rule: Rule) -> Remark | None:
    """A rule about an error, for messages of any type."""
    if rule.error is None or rule.type == "error":
        return None
    verb = "allows" if rule.allow else "denies"
    return Remark(
        "warning",
        "not-only-errors",
        rule.origin,
        f"{rule_text(rule)} {verb} also every message that is no error: what a message lacks is "
        "no obstacle",
        f'add {rule.about}_type="error"',
    )


def impossible(_: Configuration, section: Section, rule: Rule) -> Remark | None:
    """Words that cannot be true of one message."""
    clash = None
    if rule.type in REPLIES and rule.interface and rule.allow:
        clash = "replies have no interface"
    elif rule.broadcast and rule.type not in (None, "signal"):
        clash = "only signals go to everybody"
    elif rule.min_fds > rule.max_fds:
        clash = "min_fds is above max_fds"
    if clash is None:
        return None
    return Remark(
        "warning", "never-matches", rule.origin, f"{rule_text(rule)} matches nothing: {clash}"
    )


def idle_words(_: Configuration, section: Section, rule: Rule) -> Remark | None:
    """Words that say nothing with the type that stands there."""
    if rule.type in REPLIES:
        words = [word for word in ("path", "member") if getattr(rule, word)]
        reason = "replies have none"
    elif rule.type is not None and rule.requested_reply is not None:
        words, reason = ["requested_reply"], "it is about replies"
    else:
        return None
    if not words:
        return None
    named = " and ".join(f"{rule.about}_{word}" for word in words)
    return Remark(
        "warning",
        "idle-word",
        rule.origin,
        f"{named} has no effect in {rule_text(rule)}: {reason}",
        "remove it",
    )


def forgeable(configuration: Configuration, section: Section, rule: Rule) -> Remark | None:
    """Replies that nobody asked for."""
    unasked = rule.requested_reply is False or (rule.about == "send" and rule.eavesdrop)
    if not rule.allow or not unasked or rule.type in CALLS:
        return None
    return Remark(
        "note" if configuration.type == "session" else "warning",
        "unasked-replies",
        rule.origin,
        f"{rule_text(rule)} lets replies pass that nobody waits for",
        "remove it: replies to calls pass anyway where calls do",
    )


def overhearing(configuration: Configuration, section: Section, rule: Rule) -> Remark | None:
    """Rights to overhear."""
    if rule.about != "receive" or not rule.allow or not rule.eavesdrop:
        return None
    return Remark(
        "note" if configuration.type == "session" else "warning",
        "eavesdrop",
        rule.origin,
        f"{rule_text(rule)} lets clients read messages that are addressed to others",
        "remove it: monitors (busctl monitor, dbus-monitor) need no such rule",
    )


def anyones(configuration: Configuration, section: Section, rule: Rule) -> Remark | None:
    """Names that everybody may own."""
    if rule.about != "own" or not rule.allow or section.context != "default":
        return None
    if configuration.type == "session":
        return None
    return Remark(
        "warning",
        "anybody-owns",
        rule.origin,
        f"{rule_text(rule)} lets any user take the name and answer in the service's place",
        'put it into <policy user="..."> of the user that the service runs as',
    )


def anyone_grants(configuration: Configuration, section: Section, rule: Rule) -> Remark | None:
    """Rights that whoever has them may hand on, whoever that is."""
    if rule.about != "delegate" or not rule.allow or rule.name is not None:
        return None
    if configuration.type == "session":
        return None
    return Remark(
        "warning",
        "anybody-delegates",
        rule.origin,
        f"{rule_text(rule)} lets any client be called by whom it likes, whatever is denied",
        "name the service that may grant rights to its objects",
    )


def idle(configuration: Configuration) -> Iterator[Remark]:
    """Receive rules where nothing is denied to be received."""
    rules = [rule for section in configuration.policy for rule in section.rules]
    receive = [rule for rule in rules if rule.about == "receive"]
    if not all(rule.allow for rule in receive):
        return
    for rule in receive:
        if rule.name or rule.interface or rule.path or rule.member:
            yield Remark(
                "note",
                "idle-receive",
                rule.origin,
                f"{rule_text(rule)} adds nothing where the standard policy holds, which lets "
                "everybody receive everything; no rule here denies it",
                "remove it: what may be sent is what counts",
            )


CALLS: Final = ("method_call", "signal")
CHECKS: Final[tuple[Check, ...]] = (
    everywhere,
    interfaceless,
    errors,
    impossible,
    idle_words,
    forgeable,
    overhearing,
    anyones,
    anyone_grants,
)
