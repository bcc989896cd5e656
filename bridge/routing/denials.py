"""The log of what was denied: each line with the rule that did it, and none that fill the disk."""

import logging
from typing import Final, final

from bridge.routing.client import Client
from policy.explain import Finding

EACH: Final = 16  # denials of a client that are logged one by one
MOST_REMARKS: Final = 4096  # different ones, until there is another policy

log = logging.getLogger("bus1.policy")


@final
class Denials:
    """What one bus has logged. `remarks` are the lines about what passed, and should not have."""

    def __init__(self) -> None:
        self.remarks: set[str] = set()

    def begin(self) -> None:
        """There is another policy: what is said of it is new."""
        self.remarks.clear()

    def record(self, client: Client | None, text: str, finding: Finding | None) -> None:
        """Log a denial: of each client the first ones, then ever fewer. Without a finding it is a
        reply that nobody waits for."""
        why = "nobody waits for this reply" if finding is None else reason(finding)
        if client is not None:
            client.denied += 1
            if client.denied > EACH:
                if client.denied & (client.denied - 1):
                    return
                why = f"{why} ({client.denied} denials so far)"
        log.warning("%s; %s", text, why, extra={"journal": fields(finding)})

    def remark(self, text: str, finding: Finding) -> None:
        """Log what passes and should not, each thing once: rules are to be made of it."""
        line = f"{text}; {reason(finding)}"
        if line not in self.remarks and len(self.remarks) < MOST_REMARKS:
            self.remarks.add(line)
            log.warning("%s", line, extra={"journal": fields(finding)})


def reason(finding: Finding) -> str:
    """The rule that decided, and where it stands."""
    if finding.rule is None:
        return "no rule allows it"
    return f"rule {finding.rule.origin} ({finding.rule.origin.context})"


def fields(finding: Finding | None) -> dict[str, object]:
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
