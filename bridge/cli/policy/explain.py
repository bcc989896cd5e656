"""`bus1 policy explain`: may somebody, and which rule says so?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from bridge.cli.policy.asking import Asked, Options, ask, ask_again, user_words
from bridge.cli.policy.files import configured
from bridge.cli.policy.screen import COLOURS, Screen, print_json, where
from policy.configuration import Bus
from policy.delegation import Extent
from policy.explain import Finding, connecting, delegating, messages, owning
from policy.people import People
from policy.policy import Policy
from policy.report import finding_record, rule_record
from policy.rule import Rule
from policy.study.inquiry import BUS, PATH, bus_user, more_particular
from policy.study.questions import describe

Record = dict[str, Any]
SHOWN: Final = 8  # rules that decide about other messages
KINDS: Final = {
    "method_call": "method call",
    "method_return": "reply",
    "error": "error",
    "signal": "signal",
}

WITHOUT: Final = {
    "send": "No rule matches: then it is denied.",
    "receive": "No rule matches: then it is denied.",
    "own": "No rule matches: then it is denied.",
    "delegate": "No rule matches: then it is denied.",
    "connect": "No rule matches: then only the user that the bus runs as may connect.",
}


def explain(
    words: Sequence[str], options: Options, denial: str, files: Sequence[str], bus: Bus | None
) -> Record:
    """The answer of files. Raises Trouble, ConfigError, OSError."""
    configuration = configured(files, bus)
    policy = Policy(configuration, People())
    asked = ask_again(denial) if denial else ask(words, options, policy)
    return answer(asked, policy, bus_user(configuration))


def answer(asked: Asked, policy: Policy, bus_uid: int) -> Record:
    """What the policy says, and why."""
    judged = findings(asked, policy, bus_uid)
    denied = [each for each, _, _ in judged if not each.allowed]
    found: Record = {
        "who": user_words(asked.person.uid),
        "what": question(asked),
        "verdict": "denied" if denied else "allowed",
        "permissive": policy.permissive or (bool(denied) and all(map(is_permissive, denied))),
        "findings": [
            finding_record(finding)
            | {"who": who, "otherwise": [rule_record(rule) for rule in otherwise]}
            for finding, who, otherwise in judged
        ],
    }
    if denied and (finding := delegation(asked, policy)).allowed:
        found["delegation"] = finding_record(finding) | {"who": receiver_words(asked)}
    return found


def is_permissive(finding: Finding) -> bool:
    return finding.rule is not None and finding.rule.permissive


def findings(asked: Asked, policy: Policy, bus_uid: int) -> list[tuple[Finding, str, list[Rule]]]:
    """What each set of rules says, whose it is, and what decides about other messages."""
    person, target = asked.person, asked.target
    who = user_words(person.uid)
    if asked.action == "connect":
        return [(connecting(policy, person.uid, person.groups, bus_uid), who, [])]
    if asked.action == "own":
        return [(owning(person.access(policy), asked.name), who, [])]
    if asked.action == "delegate":
        finding = delegating(person.access(policy), [asked.name, *person.names], asked.extent)
        return [(finding, owner_words(asked), [])]
    source, sink = person.standing(policy), target.standing(policy)
    sends, receives = messages(source, sink, asked.inquiry.question())
    more: list[list[Rule]] = [[], []]
    if source.access is not None:
        more[0] = more_particular(source.access.send, sink, asked.inquiry, sends)
    if sink.access is not None:
        more[1] = more_particular(sink.access.receive, source, asked.inquiry, receives)
    return [(sends, who, more[0]), (receives, receiver_words(asked), more[1])]


def delegation(asked: Asked, policy: Policy) -> Finding:
    """What the rules say of the receiver of a call, if it granted that. Without them, no."""
    inquiry, target = asked.inquiry, asked.target
    if asked.action != "send" or inquiry.type != "method_call" or BUS in target.names:
        return Finding("delegate", ())
    extent = Extent(inquiry.path, inquiry.interface, inquiry.member)
    return delegating(target.access(policy), target.names, extent)


def owner_words(asked: Asked) -> str:
    """Whose rules to delegate are asked, and why those."""
    who = user_words(asked.person.uid)
    return f"{who}, who is supposed to own the name (else --user)" if asked.supposed else who


def receiver_words(asked: Asked) -> str:
    """Whose rules to receive are asked, and why those."""
    if BUS in asked.target.names:
        return "the bus"
    who = user_words(asked.target.uid)
    if not asked.supposed:
        return who
    if asked.inquiry.broadcast:
        return f"{who}, to take one of all (else --to-user)"
    return f"{who}, who is supposed to own the name (else --to-user)"


def question(asked: Asked) -> str:
    """What was asked, in words."""
    if asked.action == "delegate":
        return f"delegate, as the owner of {asked.name or 'no name'}: {extent_words(asked.extent)}"
    if asked.action != "send":
        return f"{asked.action} {asked.name}".strip()
    inquiry = asked.inquiry
    kind = "broadcast" if inquiry.broadcast else KINDS[inquiry.type]
    if inquiry.type == "method_call" and inquiry.interface is None:
        kind = "call without interface"
    if inquiry.requested is False:
        kind = f"unasked {kind}"
    what = describe([(kind, inquiry)])[0]
    if what.startswith("any other "):
        what = f"{kind} that no rule names"
    return what if inquiry.broadcast else f"send {asked.name or 'somebody'}: {what}"


def extent_words(extent: Extent) -> str:
    """What a grant is about, in words."""
    path, interface, member = extent
    if interface is None:
        what = "all calls" if member is None else f"member {member}"
    else:
        what = interface if member is None else f"{interface}.{member}"
    return f"{what} at {'an object that no rule names' if path in (None, PATH) else path}"


# ---------------------------------------------------------------------------- for people


def show(record: Record, as_json: bool) -> int:
    """Print an answer; 0 for allowed, 1 for denied."""
    if as_json:
        print_json(record)
    else:
        Answer(record).show()
    return int(record["verdict"] == "denied")


class Answer:
    """An answer on the screen, whether of files or of a running bus."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.screen = Screen()

    def show(self) -> None:
        record, screen = self.record, self.screen
        verdict = record["verdict"]
        let = verdict == "denied" and record["permissive"]
        colour = COLOURS["let through" if let else verdict]
        screen.line(
            (verdict.capitalize(), f"bold {colour}"),
            f" for {record['who']}: to {record['what']}" if "who" in record else "",
        )
        if let:
            screen.line("The bus is permissive here: it logs that and lets it through.")
        for finding in record["findings"]:
            self.finding(finding)
        for grant in record.get("grants", ()):
            self.grant(grant)
        if "delegation" in record:
            screen.gap()
            screen.line("A grant of the receiver's would stand above that, and it may grant this.")
            self.finding(record["delegation"])

    def grant(self, grant: Record) -> None:
        """A grant of the receiver's: who, since when, and the rule that lets it count or not."""
        screen, verdict = self.screen, "allowed" if grant["counts"] else "denied"
        since = datetime.fromtimestamp(grant["since"]).astimezone()
        screen.gap()
        screen.line(
            (f"Grant {grant['id']}", "bold"),
            f" by {grant['by']} to {grant['to']}, since {since:%Y-%m-%d %H:%M:%S}: ",
            extent_words(Extent(grant["path"], grant["interface"], grant["member"])),
        )
        said = "It stands above these rules:" if grant["counts"] else "It does not count any more:"
        screen.line((said, COLOURS[verdict]), indent=2)
        self.finding(grant["delegation"] | {"who": grant["by"]})

    def finding(self, finding: Record) -> None:
        """What one set of rules says."""
        screen = self.screen
        verdict = "allowed" if finding["allowed"] else "denied"
        screen.gap()
        screen.line(
            (f"Rules to {finding['about']}", "bold"),
            f", of {finding['who']}: " if finding.get("who") else ": ",
            (verdict, COLOURS[verdict]),
            " by the last that matches" if finding["rules"] else "",
        )
        if not finding["judged"]:
            screen.line("The bus itself is judged by no rules.", indent=2)
        elif not finding["rules"]:
            screen.line(WITHOUT[finding["about"]], indent=2)
        for rule in finding["rules"]:
            screen.rule(rule, "->" if rule is finding["rules"][-1] else "")
        self.otherwise(finding)

    def otherwise(self, finding: Record) -> None:
        """Rules that decide otherwise about messages that say more."""
        rules = finding.get("otherwise", [])
        if not rules:
            return
        verb = "deny" if finding["allowed"] else "allow"
        self.screen.line(f"Later rules {verb} some such messages:", indent=2)
        for rule in rules[:SHOWN]:
            self.screen.line(rule["text"], (f"  {where(rule)}", "dim"), indent=4)
        if len(rules) > SHOWN:
            self.screen.line(f"... and {len(rules) - SHOWN} more (--json has all)", indent=4)
