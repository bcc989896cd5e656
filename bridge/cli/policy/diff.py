"""`bus1 policy diff`: what two configurations allow and set differently."""

from typing import Any, Final

from rich.table import Column, Table

from bridge.cli.policy.files import named
from bridge.cli.policy.screen import COLOURS, Screen, print_json
from policy.report import rule_record, rule_text
from policy.study.diff import Change, Decision, Setting, changes, settings

SHOWN: Final = 12  # messages of one change
VERBS: Final = {"send": "send to", "receive": "receive from", "own": "own", "connect": "connect"}


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
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


# ---------------------------------------------------------------------------- for people


def show(changed: list[Change], differing: list[Setting]) -> None:
    screen = Screen()
    for each in changed:
        show_change(screen, each)
    if differing:
        show_settings(screen, differing)
    if not (changed or differing):
        screen.line("Both allow and set the same.")


def show_change(screen: Screen, change: Change) -> None:
    """Who and what, the messages, and the two rules."""
    outcome = change.after.outcome
    sign = {"allowed": "+", "denied": "-"}.get(outcome, "~")
    what = f"{VERBS[change.about]} {', '.join(change.names)}".strip()
    screen.line(
        (f"{sign} now {outcome}: ", f"bold {COLOURS[outcome]}"),
        (f"{', '.join(change.people)}: ", "bold"),
        what,
    )
    for text in change.messages[:SHOWN]:
        screen.line(text, indent=4)
    if len(change.messages) > SHOWN:
        screen.line(f"... and {len(change.messages) - SHOWN} more (--json has all)", indent=4)
    show_decision(screen, "was", change.before)
    show_decision(screen, "now", change.after)
    screen.gap()


def show_decision(screen: Screen, word: str, decision: Decision) -> None:
    rule = decision.rule
    text = "no rule" if rule is None else f"{rule_text(rule)}  {rule.origin}"
    screen.line((f"{word} {decision.outcome} by {text}", "dim"), indent=6)


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
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None or value == "" else str(value)
