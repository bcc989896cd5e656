"""The log of what was denied: each line with the rule that did it, and none that fill the disk."""

import logging
from collections import Counter
from typing import Final, NamedTuple, final

from bridge.routing.client import Client
from bridge.routing.entry import Kind, connection, entry
from policy.explain import Finding

EACH: Final = 16  # denials of a client that are logged one by one
MOST_REMARKS: Final = 4096  # different ones, until there is another policy
MOST_RULES: Final = 1024  # that are counted each by itself

UNASKED: Final = "nobody waits for this reply"

log = logging.getLogger("bus1.policy")


class Decision(NamedTuple):
    """The rule that denied something: what it is about, and where it stands. Without one, the
    file is empty."""

    about: str
    file: str
    line: int
    context: str


@final
class Denials:
    """What one bus has logged. `remarks` are the lines about what passed, and should not have.
    `counts` are all denials, by the rule that decided."""

    def __init__(self) -> None:
        self.remarks: set[str] = set()
        self.counts: Counter[Decision] = Counter()

    def begin(self) -> None:
        """There is another policy: what is said of it is new."""
        self.remarks.clear()

    def record(
        self, client: Client | None, text: str, finding: Finding | None, why: str = UNASKED
    ) -> None:
        """Log a denial: of each client the first ones, then ever fewer. Without a finding
        no rule did it, and `why` is said."""
        self.count(finding)
        why = why if finding is None else reason(finding)
        if client is not None:
            client.denied += 1
            if client.denied > EACH:
                if client.denied & (client.denied - 1):
                    return
                why = f"{why} ({client.denied} denials so far)"
        who = {} if client is None else connection(client)
        log.warning("%s; %s", text, why, extra=entry(Kind.DENIED, who, place(finding)))

    def count(self, finding: Finding | None) -> None:
        """One more. Files may have any number of rules, and change any number of times."""
        found = decision(finding)
        if found not in self.counts and len(self.counts) >= MOST_RULES:
            found = Decision(found.about, "other", 0, "other")
        self.counts[found] += 1

    def remark(self, text: str, finding: Finding) -> None:
        """Log what passes and should not, each thing once: rules are to be made of it."""
        line = f"{text}; {reason(finding)}"
        if line not in self.remarks and len(self.remarks) < MOST_REMARKS:
            self.remarks.add(line)
            log.warning("%s", line, extra=entry(Kind.WOULD_DENY, place(finding)))


def decision(finding: Finding | None) -> Decision:
    """Which rule decided. Without a finding it is a reply that nobody waits for."""
    if finding is None:
        return Decision("reply", "", 0, "")
    if finding.rule is None:
        return Decision(finding.about, "", 0, "")
    origin = finding.rule.origin
    return Decision(finding.about, origin.file, origin.line, origin.context)


def reason(finding: Finding) -> str:
    """The rule that decided, and where it stands."""
    if finding.rule is None:
        return "no rule allows it"
    return f"rule {finding.rule.origin} ({finding.rule.origin.context})"


def place(finding: Finding | None) -> dict[str, object]:
    """The same as fields of the journal."""
    if finding is None:
        return {}
    if finding.rule is None:
        return {"BUS1_POLICY_ABOUT": finding.about}
    origin = finding.rule.origin
    return {
        "BUS1_POLICY_ABOUT": finding.about,
        "BUS1_POLICY_FILE": origin.file,
        "BUS1_POLICY_LINE": origin.line,
        "BUS1_POLICY_CONTEXT": origin.context,
    }
