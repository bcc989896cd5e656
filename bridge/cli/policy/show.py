"""`bus1 policy show`: the rules of all files as they hold together, in order."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from bridge.cli.policy.asking import group_words, user, user_words
from bridge.cli.policy.screen import Screen, print_json
from policy.configuration import Configuration
from policy.people import People, find_group, find_user
from policy.policy import Policy
from policy.report import rule_record
from policy.rule import ANYBODY, Rule, Section
from policy.study.inquiry import Owners, groups_of, owners
from policy.study.lint import placed
from policy.verdict import covers

TITLES: Final = {
    "connect": "To connect",
    "own": "To own names",
    "send": "To send",
    "receive": "To receive",
    "delegate": "To delegate",
}


def show(configuration: Configuration, who: str | None, service: str | None, as_json: bool) -> int:
    """Print all rules, or those for one user, those about one service, or both."""
    uid = None if who is None else user(who)
    groups = groups_of(uid)
    rules = [
        rule
        for section, rule in placed(configuration)
        if (uid is None or concerns(section, rule, uid, groups))
        and (service is None or (rule.about != "connect" and covers(rule, service)))
    ]
    able = None if service is None else owners(Policy(configuration, People()), service)
    if as_json:
        print_json(record(rules, uid, service, able))
    else:
        display(rules, uid, service, able)
    return 0


def concerns(section: Section, rule: Rule, uid: int, groups: Iterable[int | None]) -> bool:
    """Is a rule for this user? Whether it is at the console changes, so those rules are shown."""
    if section.context == "user" and find_user(section.who) != uid:
        return False
    if section.context == "group" and find_group(section.who) not in groups:
        return False
    if rule.about != "connect" or ANYBODY in (rule.user, rule.group):
        return True
    if rule.user is not None:
        return find_user(rule.user) == uid
    return find_group(rule.group or "") in groups


def record(
    rules: Iterable[Rule], uid: int | None, service: str | None, able: Owners | None
) -> dict[str, Any]:
    found: dict[str, Any] = {"rules": [rule_record(rule) for rule in rules]}
    if uid is not None:
        found["user"] = uid
    if able is not None:
        found |= {"service": service, "owners": asdict(able)}
    return found


def display(rules: list[Rule], uid: int | None, service: str | None, able: Owners | None) -> None:
    screen = Screen()
    about = [f"for {user_words(uid)}"] if uid is not None else []
    about += [f"about {service}"] if service is not None else []
    screen.line((" ".join(["Rules", *about]), "bold"), "; the last that matches decides")
    if able is not None:
        screen.line("It may be owned by: ", (owner_words(able), "bold"))
    for kind, title in TITLES.items():
        among = [rule for rule in rules if rule.about == kind]
        if among:
            screen.gap()
            screen.line((title, "bold cyan"), f" ({len(among)})")
            for rule in among:
                screen.rule(rule_record(rule))
    if not rules:
        screen.line("There are none.")


def owner_words(able: Owners) -> str:
    """Who may own a name, for people."""
    if able.anybody:
        return "anybody"
    return ", ".join((*map(user_words, able.users), *map(group_words, able.groups))) or "nobody"
