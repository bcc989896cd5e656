"""The end of `bus1 migrate` on a terminal: what was written, and in short what it means."""

from bridge.cli.migrate.findings import Findings
from bridge.cli.migrate.said import FATES, UNKNOWN, seen, size, who
from bridge.cli.monitor.tally import plural
from bridge.cli.policy.asking import user_words
from bridge.cli.policy.screen import Screen
from policy.report import rule_record

SHOWN = 12  # of the programs; the report has all


def show(found: Findings, directory: str) -> None:
    screen = Screen()
    screen.line((found.shape.name, "bold"), f": {size(found.shape)}")
    screen.line(seen(found))
    for party in found.parties()[:SHOWN]:
        count = sum(each.calls for each in party.uses.values())
        who_calls = user_words(party.uid) if party.uid is not None else "unknown"
        screen.line((who(party), "cyan"), f" ({who_calls}): {plural(count, 'call')}", indent=2)
    screen.gap()
    rules(screen, found)
    screen.gap()
    screen.line("Written: ", (directory, "bold"), " (begin with report.md and service.py)")


def rules(screen: Screen, found: Findings) -> None:
    if found.rules is None:
        screen.line(UNKNOWN)
        return
    for fate, (title, _) in FATES.items():
        some = [each for each in found.rules.judged if each.fate == fate]
        if some:
            screen.line((f"{title}:", "bold"))
        for each in some:
            screen.rule(rule_record(each.rule))
    if not found.rules.judged:
        screen.line("No rule of this bus is about this service.")
