"""What is probably not meant as it stands in a policy."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from policy.clause import Clause
from policy.configuration import Complaint, Configuration
from policy.people import People
from policy.policy import Policy
from policy.report import rule_text
from policy.rule import MOST_FDS, Rule, Section, Type
from policy.study import otherbus, traps
from policy.study.cover import applies_to_all, covers, meet
from policy.study.remark import Remark

# The order of contexts (dbus-daemon(1), "policy"); group and user sections have none among them.
ORDER: Final = ("default", "group", "user", "at_console", "mandatory")


def lint(configuration: Configuration) -> list[Remark]:
    """All remarks about a configuration, by file and line."""
    remarks = [
        *skipped(configuration.complaints),
        *strangers(configuration),
        *unreachable(configuration),
        *forgotten(configuration),
        *unordered(configuration),
        *traps.remarks(configuration),
        *otherbus.remarks(configuration),
    ]
    return sorted(dict.fromkeys(remarks), key=lambda each: (each.origin.file, each.origin.line))


def skipped(complaints: tuple[Complaint, ...]) -> Iterator[Remark]:
    """What was not taken while the files were read."""
    for each in complaints:
        if each.text.startswith("skipped: "):
            yield Remark(
                "error",
                "skipped-file",
                each.origin,
                f"the whole file has no effect: {each.text.removeprefix('skipped: ')}",
                "mend it: none of its rules holds, those that deny neither",
            )
        else:
            yield Remark("warning", "no-effect", each.origin, each.text)


def strangers(configuration: Configuration) -> Iterator[Remark]:
    """Users and groups that this machine does not have."""
    people = People()
    Policy(configuration, people)
    for each in people.complaints:
        kind = "group" if each.text.startswith("unknown group") else "user"
        yield Remark(
            "warning",
            f"unknown-{kind}",
            each.origin,
            f"{each.text}: what is for this {kind} holds for nobody",
            f"create the {kind} before the bus starts, or remove it here",
        )


def placed(configuration: Configuration) -> list[tuple[Section, Rule]]:
    """All rules with their sections, in the order in which they hold."""
    sections = sorted(configuration.policy, key=lambda section: ORDER.index(section.context))
    return [(section, rule) for section in sections for rule in section.rules]


def unreachable(configuration: Configuration) -> Iterator[Remark]:
    """Rules that never decide, since one behind them matches all that they do."""
    rules = placed(configuration)
    for place, (section, rule) in enumerate(rules):
        behind = [later for other, later in rules[place + 1 :] if applies_to_all(other, section)]
        whole = next((later for later in behind if covers(later, rule)), None)
        if whole is not None:
            yield overridden(rule, whole)
        elif rule.about in ("send", "receive") and rule.allow and rule.type is None:
            nearly = next((each for each in behind if not each.allow and halts(each, rule)), None)
            if nearly is not None:
                yield replies_only(rule, nearly)


def halts(later: Rule, earlier: Rule) -> bool:
    """Does a later deny match all calls and signals that an earlier allow matches?"""
    kinds: tuple[Type, ...] = ("method_call", "signal")
    return all(covers(later, replace(earlier, type=kind)) for kind in kinds)


def replies_only(rule: Rule, later: Rule) -> Remark:
    return Remark(
        "warning",
        "replies-only",
        rule.origin,
        f"{rule_text(rule)} decides about replies only: the later {rule_text(later)} at "
        f"{later.origin} matches all calls and signals that it matches, and the last match decides",
        "remove it, or move it behind the other",
    )


def overridden(rule: Rule, later: Rule) -> Remark:
    if rule.allow == later.allow:
        return Remark(
            "note",
            "repeated",
            rule.origin,
            f"{rule_text(rule)} adds nothing: {later.origin} says the same",
            "remove one of them",
        )
    return Remark(
        "warning",
        "shadowed",
        rule.origin,
        f"{rule_text(rule)} never decides: the later {rule_text(later)} at {later.origin} "
        "matches all that it matches, and the last match decides",
        "remove it, or move it behind the other",
    )


def forgotten(configuration: Configuration) -> Iterator[Remark]:
    """Rules with few attributes, which put all before them out of force though they match not
    all messages."""
    rules = [each for each in placed(configuration) if each[1].about in ("send", "receive")]
    for place, (section, rule) in enumerate(rules):
        if not (is_partial(rule) and Clause(rule).plain):
            continue
        lost = [
            earlier
            for other, earlier in rules[:place]
            if earlier.about == rule.about
            and not covers(rule, earlier)
            and (applies_to_all(section, other) or other.context == "default")
        ]
        if lost:
            yield Remark(
                "warning",
                "forgets",
                rule.origin,
                f"{rule_text(rule)} puts the {len(lost)} {rule.about} rules before it out of "
                "force, also for messages that it does not match: as in dbus-daemon, a rule "
                "without type, name, path, interface, member and error does",
                f"name what it is for, such as {rule.about}_type",
            )


def is_partial(rule: Rule) -> bool:
    """Has a rule without names and texts other words that leave out messages?"""
    return (
        rule.broadcast is not None
        or rule.requested_reply is not None
        or (rule.min_fds, rule.max_fds) != (0, MOST_FDS)
        or (rule.eavesdrop and not rule.allow)
    )


def unordered(configuration: Configuration) -> Iterator[Remark]:
    """Sections of two groups that disagree: which of them is the last is not sure."""
    groups = [section for section in configuration.policy if section.context == "group"]
    for place, later in enumerate(groups):
        for earlier in groups[:place]:
            if earlier.who != later.who and (found := contradiction(earlier, later)):
                yield found


def contradiction(earlier: Section, later: Section) -> Remark | None:
    """The first rule of one that some rule of the other contradicts."""
    for rule in later.rules:
        for against in earlier.rules:
            if against.allow != rule.allow and meet(against, rule):
                return Remark(
                    "warning",
                    "group-order",
                    rule.origin,
                    f"{rule_text(rule)} for {later} contradicts {against.origin} for {earlier}; "
                    "for members of both it is not sure which comes last",
                    "say it for users, or in one of the two only",
                )
    return None
