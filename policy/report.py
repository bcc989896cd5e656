"""Rules and findings for those who read them: one line of text, or what JSON can say.

A rule is shown as busconfig would write it, whatever file it came from: it is the form that
people know, and that they find when they search for a line of it.
"""

from collections.abc import Iterator
from html import escape

from policy.explain import Finding
from policy.rule import ANYBODY, MOST_FDS, Rule

NAME = {"send": "send_destination", "receive": "receive_sender"}


def rule_text(rule: Rule) -> str:
    """One line, such as `<allow own="org.example.Name"/>`."""
    words = [f'{name}="{escape(value)}"' for name, value in attributes(rule)]
    return f"<{'allow' if rule.allow else 'deny'} {' '.join(words)}/>"


def rule_record(rule: Rule) -> dict[str, object]:
    """The rule and where it stands."""
    origin = rule.origin
    return {
        "allow": rule.allow,
        "about": rule.about,
        "text": rule_text(rule),
        "file": origin.file,
        "line": origin.line,
        "context": origin.context,
        "via": list(origin.via),
    }


def finding_record(finding: Finding) -> dict[str, object]:
    """What one set of rules says; the last of its rules decides."""
    return {
        "about": finding.about,
        "allowed": finding.allowed,
        "judged": finding.judged,
        "rules": [rule_record(rule) for rule in finding.rules],
    }


def attributes(rule: Rule) -> Iterator[tuple[str, str]]:
    """What a rule says, as names and values; those that only TOML can say included."""
    if rule.about == "connect":
        yield ("user", rule.user) if rule.user is not None else ("group", rule.group or ANYBODY)
    elif rule.about in ("own", "delegate"):
        yield f"{rule.about}_prefix" if rule.prefix else rule.about, rule.name or ANYBODY
        yield from of_fields(rule)
    else:
        yield from of_messages(rule)
    for name in ("log", "permissive"):
        if getattr(rule, name):
            yield name, "true"


def of_messages(rule: Rule) -> Iterator[tuple[str, str]]:
    """What a send or receive rule says."""
    fields = list(of_fields(rule))
    if rule.name is not None:
        yield NAME[rule.about] + ("_prefix" if rule.prefix else ""), rule.name
    elif not fields:
        yield NAME[rule.about], ANYBODY  # busconfig has no rule that says nothing
    yield from fields
    if rule.eavesdrop:
        yield "eavesdrop", "true"
    if rule.min_fds:
        yield "min_fds", str(rule.min_fds)
    if rule.max_fds != MOST_FDS:
        yield "max_fds", str(rule.max_fds)


def of_fields(rule: Rule) -> Iterator[tuple[str, str]]:
    """What it says of the fields of a message."""
    for name in ("type", "path", "interface", "member", "error"):
        value = getattr(rule, name)
        if value is not None:
            yield f"{rule.about}_{name}", value
    for name in ("broadcast", "requested_reply"):
        value = getattr(rule, name)
        if value is not None:
            yield f"{rule.about}_{name}", str(value).lower()
    for argument in rule.arguments:
        yield f"arg{argument.number}{'_prefix' if argument.prefix else ''}", argument.value
