"""What the rules let a client grant to others: asked when it grants, and again when that is used.
What has been granted is in grants.py.
"""

from bridge.routing.client import Client
from bridge.routing.errors import ACCESS_DENIED, Refused
from bridge.routing.gate import Gate, is_permissive
from bridge.routing.name import owned
from bridge.routing.refusals import IN_THE_FILES
from policy import explain
from policy.delegation import Extent
from policy.explain import Finding


def delegation(client: Client, extent: Extent) -> Finding:
    """What the rules say, with the names that it owns now, of a client that grants this."""
    assert client.access is not None  # it has said Hello
    return explain.delegating(client.access, owned(client), extent)


def delegates(client: Client, extent: Extent) -> bool:
    """May what it has granted be used, however permissive the bus is?"""
    finding = delegation(client, extent)
    return finding.allowed or is_permissive(finding.rule)


def check(gate: Gate, client: Client, extent: Extent) -> None:
    """May it grant this? Raises Refused, which says what is missing."""
    finding = delegation(client, extent)
    if finding.allowed:
        return
    names = owned(client)
    text = not_to_grant(client, names[0] if names else "", extent)
    logged = f"{text} ({client.who()})"
    if gate.permissive or is_permissive(finding.rule):
        gate.denials.remark(f"Would refuse: {logged}", finding)
        return
    gate.denials.record(client, logged, finding)
    raise Refused(ACCESS_DENIED, f"{text}: {missing(finding, names)}")


def not_to_grant(client: Client, name: str, extent: Extent) -> str:
    """Some policy says that this client, which owns this name or none, may not grant this."""
    path, interface, member = (each or "(unset)" for each in extent)
    return (
        f'Connection "{client.unique}" is not allowed to grant the right to path="{path}" '
        f'interface="{interface}" member="{member}" as the owner of "{name}" due to {IN_THE_FILES}'
    )


def missing(finding: Finding, names: list[str]) -> str:
    """What would have to be otherwise in the files for that."""
    if finding.rule is not None:
        from policy.report import rule_text  # html, which it takes, is not needed to start

        return f"{rule_text(finding.rule)} denies that, or a part of it"
    if not names:
        return 'no rule { allow = "delegate", name = ... } allows it, and it owns no name'
    return f'no rule {{ allow = "delegate", name = "{names[0]}" }} allows it'
