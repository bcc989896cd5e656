"""`bus1 policy diff`: what two configurations allow and set differently."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from rich.table import Column, Table

from bridge.cli.policy.files import named
from bridge.cli.policy.screen import COLOURS, Screen, print_json
from policy.configuration import Quota, Rate
from policy.report import rule_record, rule_text
from policy.study.diff import Change, Decision, Setting, changes, gather, settings

MOST_GROUPS: Final = 10  # shown to people
MOST_MESSAGES: Final = 6  # of one group
VERBS: Final = {
    "send": "send to",
    "receive": "receive from",
    "own": "own",
    "delegate": "delegate as the owner of",
    "connect": "connect",
}


def diff(one: str, other: str, as_json: bool) -> int:
    """Print the differences; 1 if there are some. Raises ConfigError, OSError."""
    before, after = named(one), named(other)
    changed, differing = changes(before, after), settings(before, after)
    if as_json:
        print_json(
            {
                "changes": [record(each) for each in changed],
                "settings": [
                    {"name": each.name, "before": plain(each.before), "after": plain(each.after)}
                    for each in differing
                ],
            }
        )
    else:
        show(changed, differing)
    return int(bool(changed or differing))


def record(change: Change) -> dict[str, Any]:
    return {
        "about": change.about,
        "names": list(change.names),
        "people": list(change.people),
        "messages": list(change.messages),
        "before": decision_record(change.before),
        "after": decision_record(change.after),
    }


def decision_record(decision: Decision) -> dict[str, Any]:
    rule = None if decision.rule is None else rule_record(decision.rule)
    return {"outcome": decision.outcome, "rule": rule}


def plain(value: object) -> object:
    """What JSON can say of a setting."""
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, Quota):
        return {"user": value.user, "name": value.name, "limits": dict(value.limits)}
    return asdict(value) if isinstance(value, Rate) else value


# ---------------------------------------------------------------------------- for people


def show(changed: list[Change], differing: list[Setting]) -> None:
    screen = Screen()
    groups = together(changed)
    for group in groups[:MOST_GROUPS]:
        show_group(screen, group)
    if len(groups) > MOST_GROUPS:
        screen.line(f"... and {len(groups) - MOST_GROUPS} more (--json has all)")
        screen.gap()
    if differing:
        show_settings(screen, differing)
    if not (changed or differing):
        screen.line("Both allow and set the same.")


def together(changed: Iterable[Change]) -> list[list[Change]]:
    """The changes of which only the rules differ that decided before. There can be hundreds, one
    for each rule of a file that is not read any more."""
    alike = gather(
        ((each.about, each.names, each.people, each.before.outcome, each.after), each)
        for each in changed
    )
    return list(alike.values())


def show_group(screen: Screen, group: list[Change]) -> None:
    """Who and what, the messages, and the rules."""
    change = group[0]
    outcome = change.after.outcome
    sign = {"allowed": "+", "denied": "-"}.get(outcome, "~")
    what = f"{VERBS[change.about]} {', '.join(change.names)}".strip()
    screen.line(
        (f"{sign} now {outcome}: ", f"bold {COLOURS[outcome]}"),
        (f"{', '.join(change.people)}: ", "bold"),
        what,
    )
    show_messages(screen, [text for each in group for text in each.messages])
    others = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
    show_decision(screen, "was", change.before, others)
    show_decision(screen, "now", change.after)
    screen.gap()


def show_messages(screen: Screen, texts: list[str]) -> None:
    for text in texts[:MOST_MESSAGES]:
        screen.line(text, indent=4)
    if len(texts) > MOST_MESSAGES:
        screen.line(f"... and {len(texts) - MOST_MESSAGES} more (--json has all)", indent=4)


def show_decision(screen: Screen, word: str, decision: Decision, others: str = "") -> None:
    rule = decision.rule
    text = "no rule" if rule is None else f"{rule_text(rule)}  {rule.origin}"
    screen.line((f"{word} {decision.outcome} by {text}{others}", "dim"), indent=6)


def show_settings(screen: Screen, differing: list[Setting]) -> None:
    """As a table, where there is somebody to look at it."""
    if not screen.console.is_terminal:
        for each in differing:
            screen.line(f"~ {each.name}: {words(each.before)} -> {words(each.after)}")
        return
    table = Table(*(Column(title, overflow="fold") for title in ("setting", "before", "after")))
    for each in differing:
        table.add_row(each.name, words(each.before), words(each.after))
    screen.console.print(table)


def words(value: object) -> str:
    """A setting for people."""
    match value:
        case Quota():
            who = f"user {value.user}" if value.name is None else value.name
            return " ".join([f"{who}:", *(f"{name} {limit}" for name, limit in value.limits)])
        case Rate():
            return f"{value.per_second:g} per second, {value.burst} at once"
        case bool():
            return "on" if value else "off"
        case tuple():  # of selinux there are pairs in it
            parts = (" ".join(each) if isinstance(each, tuple) else words(each) for each in value)
            return ", ".join(parts) or "-"
    return "-" if value is None or value == "" else str(value)
