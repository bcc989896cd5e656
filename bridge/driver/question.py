"""Questions about the policy, read from D-Bus, and answered in JSON (org.bus1.Policy1)."""

import json
from collections.abc import Mapping
from typing import Any, Final

from bridge.driver.call import Call, unowned
from bridge.routing import granting
from bridge.routing.client import Client
from bridge.routing.errors import INVALID_ARGS, Refused
from bridge.routing.grant import Grant
from bridge.wire.protocol import DRIVER
from policy import explain
from policy.configuration import Configuration
from policy.delegation import Extent
from policy.explain import Finding
from policy.report import finding_record, rule_record
from policy.rule import NUMBERS
from policy.study.inquiry import Inquiry, Person
from policy.verdict import Standing

# The keys of a question, with the types of their values.
KEYS: Final = {
    "sender": "s", "user": "u", "groups": "au", "names": "as", "at_console": "b",
    "destination": "s", "own": "s", "delegate": "s",
    "type": "s", "path": "s", "interface": "s", "member": "s", "error": "s",
    "fds": "u", "broadcast": "b", "requested_reply": "b", "arguments": "a{us}",
}  # fmt: skip
AIMS: Final = ("destination", "own", "delegate")
REPLIES: Final = ("method_return", "error")
MAX_ARGUMENT: Final = 63  # as in match rules (D-Bus Specification, "Match Rules")


def answer(call: Call, table: Mapping[str, tuple[str, object]]) -> str:
    """What the rules say of a question.

    `own`: may the sender own this name? `delegate`: may it, as the owner of this name, grant such
    calls? Else: may it send such a message to `destination`, and by which grants?
    The sender is a client (`sender`), or anybody (`user`, `groups`, `names`, `at_console`).
    """
    question = read(table)
    findings = asked(call, question)
    found = grants(call, question)
    denied = any(not each.allowed for each in findings)
    passes = any(each["counts"] for each in found)
    report: dict[str, Any] = {
        "verdict": "denied" if denied and not passes else "allowed",
        "permissive": call.hub.gate.permissive,
        "findings": [finding_record(each) for each in findings],
    }
    if found:
        report["grants"] = found
    elif denied and (finding := delegation(call, question)) is not None:
        report["delegation"] = finding_record(finding)
    return json.dumps(report)


def listing(configuration: Configuration) -> str:
    """All sections with their rules."""
    sections = [
        {
            "context": section.context,
            "who": section.who,
            "file": section.origin.file,
            "line": section.origin.line,
            "rules": [rule_record(rule) for rule in section.rules],
        }
        for section in configuration.policy
    ]
    return json.dumps(sections)


def read(table: Mapping[str, tuple[str, object]]) -> dict[str, Any]:
    """The question with its keys and types checked. Raises Refused."""
    for key, (signature, _) in table.items():
        if key not in KEYS:
            raise Refused(INVALID_ARGS, f'A question has no key "{key}"')
        if signature != KEYS[key]:
            wanted = KEYS[key]
            raise Refused(INVALID_ARGS, f'"{key}" is of type {signature}, and should be {wanted}')
    question: dict[str, Any] = {key: value for key, (_, value) in table.items()}
    if ("sender" in question) == ("user" in question):
        raise Refused(INVALID_ARGS, "A question has either a sender or a user")
    aims = (*(key in question for key in AIMS), bool(question.get("broadcast")))
    if sum(aims) != 1:
        raise Refused(
            INVALID_ARGS,
            "A question has either a destination, or a name to own or to delegate for, or is a "
            "broadcast",
        )
    if any(number > MAX_ARGUMENT for number in question.get("arguments", ())):
        raise Refused(INVALID_ARGS, f"The last argument that rules can name is {MAX_ARGUMENT}")
    if question.get("type", "method_call") not in NUMBERS:
        raise Refused(INVALID_ARGS, f'There is no type "{question["type"]}"')
    return question


def asked(call: Call, question: dict[str, Any]) -> list[Finding]:
    """The findings on a question."""
    if "own" in question:
        access = sender(call, question).access
        return [explain.owning(access, question["own"])] if access is not None else []
    if "delegate" in question:
        access = sender(call, question).access
        names = [question["delegate"], *question.get("names", ())]
        return [explain.delegating(access, names, extent(question))] if access is not None else []
    source = sender(call, question)
    target = receiver(call, question)
    return list(explain.messages(source, target, inquiry(question).question()))


# ---------------------------------------------------------------------------- grants


def grants(call: Call, question: dict[str, Any]) -> list[dict[str, Any]]:
    """The grants by which such a call may pass, and those that the rules do not let count."""
    target = receiving(call, question)
    source = find(call, question["sender"]) if "sender" in question else None
    if source is None or target is None:
        return []
    found = call.hub.grants.find(source, target, extent(question))
    return [grant_record(call, each, source, target) for each in found]


def grant_record(call: Call, grant: Grant, source: Client, target: Client) -> dict[str, Any]:
    """A grant, and the rule that allowed it, or that does not let it count any more."""
    path, interface, member = grant.extent
    return {
        "id": grant.id,
        "by": target.unique,
        "to": source.unique,
        "since": grant.since,
        "path": path,
        "interface": interface,
        "member": member,
        "counts": granting.delegates(target, grant.extent),
        "delegation": finding_record(granting.delegation(target, grant.extent)),
    }


def delegation(call: Call, question: dict[str, Any]) -> Finding | None:
    """The rules by which the receiver may grant such a call, if they let it."""
    target = receiving(call, question)
    if target is None:
        return None
    finding = granting.delegation(target, extent(question))
    return finding if finding.allowed else None


def receiving(call: Call, question: dict[str, Any]) -> Client | None:
    """The client that would be called, if the question is about a call to one."""
    if "destination" not in question or question.get("type", "method_call") != "method_call":
        return None
    return call.hub.names.owner(question["destination"])


def extent(question: dict[str, Any]) -> Extent:
    """What a grant would be about."""
    return Extent(question.get("path"), question.get("interface"), question.get("member"))


# ---------------------------------------------------------------------------- clients


def sender(call: Call, question: dict[str, Any]) -> Standing:
    """Where the one who asks for it stands."""
    gate = call.hub.gate
    if "sender" in question:
        return gate.standing(find(call, question["sender"]))
    person = Person(
        question["user"],
        tuple(question.get("groups", ())),
        tuple(question.get("names", ())),
        question.get("at_console", False),
    )
    return person.standing(gate.policy)


def receiver(call: Call, question: dict[str, Any]) -> Standing:
    """Where the one stands who would get it. Of a broadcast, and of a name that nobody has,
    that is somebody with everybody's rules, and with no name but this."""
    gate = call.hub.gate
    name = question.get("destination")
    if name is not None and (name == DRIVER or call.hub.names.owner(name) is not None):
        return gate.standing(find(call, name))
    return Person(None, (), () if name is None else (name,)).standing(gate.policy)


def find(call: Call, name: str) -> Client | None:
    """The client that has this name; None: the bus itself. Raises Refused."""
    if name == DRIVER:
        return None
    client = call.hub.names.owner(name)
    if client is None:
        raise unowned("standing", name)
    return client


def inquiry(question: dict[str, Any]) -> Inquiry:
    """The message that is asked about: what is not said it does not have."""
    kind = question.get("type", "signal" if question.get("broadcast") else "method_call")
    texts = question.get("arguments", {})
    return Inquiry(
        type=kind,
        path=question.get("path"),
        interface=question.get("interface"),
        member=question.get("member"),
        error=question.get("error"),
        broadcast=question.get("broadcast", False),
        requested=question.get("requested_reply", True) if kind in REPLIES else None,
        fds=question.get("fds", 0),
        texts=tuple(texts.items()),
    )
