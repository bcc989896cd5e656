"""The report of a migration as Markdown: who uses the service, what becomes of which rule, which
rights to hand out instead.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from bridge.cli.migrate.findings import Findings, Party
from bridge.cli.migrate.plan import PlannedClass
from bridge.cli.migrate.said import FATES, UNKNOWN, UNWATCHED, median, seen, size, what, who
from bridge.cli.migrate.text import finished
from bridge.cli.migrate.traffic import Count, Use
from bridge.cli.policy.asking import user_words
from policy.report import rule_text
from policy.text import escaped


def report_text(found: Findings, package: str) -> str:
    """The whole file."""
    parts = (head, files, clients, signals, rules, rights, errors, limits)
    lines = [f"# {found.shape.name}: from D-Bus to bus1", ""]
    for part in parts:
        some = list(part(found, package))
        lines += [*some, ""] if some else []
    return finished(lines)


def head(found: Findings, package: str) -> Iterator[str]:
    yield f"The service has {size(found.shape)}."
    if found.startable:
        yield "The bus can start it: its service file is to name the new program."


def files(found: Findings, package: str) -> Iterator[str]:
    yield from ("## What was written", "", "| File | What it is |", "|---|---|")
    yield "| `service.py` | the native service: the bodies of its methods are to be written |"
    yield "| `on_dbus.py` | the same for D-Bus clients; it goes when there are none |"
    yield f"| `__main__.py` | both as one program: `python -m {package}` |"


# ----------------------------------------------------------------------------- clients


def clients(found: Findings, package: str) -> Iterator[str]:
    yield from ("## Who uses it", "", seen(found))
    parties = found.parties()
    if not parties:
        return
    yield from ("", "| Program | User | What it does | Times | Errors | Median |")
    yield "|---|---|---|---|---|---|"
    for party in parties:
        for use, count in party.uses.items():
            yield row(code(who(party)), user(party), *done(use, count))
    if found.traffic.others:
        yield ""
        yield f"And {found.traffic.others} calls more, of too many clients to tell apart."


def done(use: Use, count: Count) -> Sequence[str]:
    wrong = ", ".join(f"{code(name)} {times}" for name, times in count.errors.items())
    return code(what(use)), str(count.calls), wrong, median(count)


def signals(found: Findings, package: str) -> Iterator[str]:
    counted = found.traffic.signals
    if counted:
        yield from ("## What it tells", "", "| Signal | Times |", "|---|---|")
        for (interface, member), times in counted.most_common():
            yield row(code(f"{interface}.{member}"), str(times))


# ------------------------------------------------------------------------------- rules


def rules(found: Findings, package: str) -> Iterator[str]:
    yield "## What becomes of the rules"
    if found.rules is None:
        yield from ("", UNKNOWN)
        return
    if not found.rules.judged:
        yield from ("", "No rule of this bus is about this service, or about its interfaces.")
    for fate, (title, why) in FATES.items():
        some = [each for each in found.rules.judged if each.fate == fate]
        if not some:
            continue
        unknown = fate == "unseen" and not found.watched
        yield from (
            "",
            f"### {title}",
            "",
            UNWATCHED if unknown else why,
            "",
            "| Rule | Where | For |",
            "|---|---|---|",
        )
        for each in some:
            parties = found.parties(each.clients) if each.clients else []
            needing = ", ".join(f"{code(who(party))} ({user(party)})" for party in parties)
            origin = each.rule.origin
            yield row(code(rule_text(each.rule)), code(str(origin)), needing or origin.context)


# ------------------------------------------------------------------------------ rights


def rights(found: Findings, package: str) -> Iterator[str]:
    yield from ("## What to hand out instead", "")
    parties = found.parties()
    if not parties:
        yield "To each native client a handle to what it needs: see docs/migrating.md."
    for party in parties:
        yield f"* {code(who(party))} ({user(party)})"
        yield f"    * native: {needs(found, party)}"
        yield f"    * as long as it speaks D-Bus: {granted(found, party)}"


def needs(found: Findings, party: Party) -> str:
    """A handle to how much of it."""
    names = sorted({name for use in party.uses for name in found.native(use)})
    if not names:
        return "nothing of the service's own"
    short = ", ".join(code(name) for name in names)
    if len({name.partition(".")[0] for name in names}) > 1:
        return f"handles to several objects; it uses {short}"
    if len(names) <= 3:
        return f"a handle to a node that has {short} and nothing else"
    return f"a handle to the object; it uses {short}"


def granted(found: Findings, party: Party) -> str:
    """As a grant, where the service may make one."""
    uses = [(use, count) for use, count in party.uses.items() if found.native(use)]
    if found.rules is None or not uses:
        return "its rules"
    if not all(found.rules.may_grant(use, count.path) for use, count in uses):
        return "its rules (this bus does not let the service grant that)"
    return "its rules, or grants of the service's (org.bus1.Capability1.Grant)"


# ------------------------------------------------------------------------- what is left


def errors(found: Findings, package: str) -> Iterator[str]:
    names = found.errors()
    if names:
        yield from ("## Errors of its own that clients got", "")
        yield "They have the same names again if they are raised so:"
        yield from ("", "| Error | Times | Raise |", "|---|---|---|")
        for name, times in names.most_common():
            yield row(code(name), str(times), code(f'CallError(text, "{name}")'))


def limits(found: Findings, package: str) -> Iterator[str]:
    yield from ("## What to look at", "")
    others = [name for name in found.service.names if name != found.shape.name]
    if others:
        owned = ", ".join(map(code, others[:20]))
        yield f"* It owns {owned}, too: __main__.py is to own that as well, if clients use it."
    yield "* A description has Python's names of arguments, none of results, and no annotations."
    yield "* Bodies that asked who called them: see docs/migrating.md."
    for name in overloaded(found.classes):
        yield f"* {code(name)} is there more than once: D-Bus clients reach one of them only."
    unsure = sorted(key for key, kind in found.traffic.variants.items() if not kind)
    if unsure:
        keys = ", ".join(code(key) for key in unsure[:20])
        yield f"* These keys had values of several types (VARIANTS in on_dbus.py): {keys}"
    for note in found.shape.notes[:50]:
        yield f"* {code(note)}"


def overloaded(classes: Sequence[PlannedClass]) -> Iterator[str]:
    """dbus-fast has one method of a name."""
    for planned in classes:
        times = Counter(each.member.name for each in planned.methods)
        yield from (f"{planned.interface}.{name}" for name in times if times[name] > 1)


def user(party: Party) -> str:
    return user_words(party.uid) if party.uid is not None else "unknown"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def code(text: str) -> str:
    """What others have chosen, as nothing but text."""
    plain = escaped(text).replace("`", "'").replace("|", "\\|")
    return f"`{plain}`"
