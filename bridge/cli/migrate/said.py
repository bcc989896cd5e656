"""The words for what was found out: what becomes of rules, who somebody is. Knows no layout."""

from typing import Final

from bridge.cli.migrate.findings import Findings, Party
from bridge.cli.migrate.rules import Fate
from bridge.cli.migrate.shape import Shape
from bridge.cli.migrate.traffic import Count, Use
from bridge.cli.monitor.tally import STEPS, plural
from bridge.cli.monitor.tally import span as span_of

# In the order of the report: what is to be said of rules, and why.
FATES: Final[dict[Fate, tuple[str, str]]] = {
    "needed": (
        "Unnecessary once these clients are native",
        "D-Bus clients get in by these rules. A handle is the right to call: whoever has one needs "
        "no rule. Each goes when the last of those beside it has its handle.",
    ),
    "unseen": (
        "Unnecessary, if nobody else calls",
        "Nobody was seen who gets in by these rules. Who only hears signals is never seen.",
    ),
    "door": (
        "Unnecessary without the D-Bus side",
        "These close what D-Bus clients could reach else. A native peer reaches nothing that nobody"
        " gave it: there is nothing to close. They go with on_dbus.py.",
    ),
    "name": (
        "These stay",
        "The new service owns the name, too: D-Bus clients call it there, and native ones find it "
        "there. They go with the name, when all have their handles from elsewhere.",
    ),
    "grants": (
        "About grants",
        "They say what the service may let D-Bus clients do (org.bus1.Capability1), and go with"
        " the last D-Bus client.",
    ),
}  # fmt: skip
UNWATCHED: Final = (
    "Nobody was watched, so it is not known who gets in by these rules: --watch tells."
)
UNKNOWN: Final = (
    "It is not known which files this bus has read: --config says which is the first of them."
)


def size(shape: Shape) -> str:
    """How much there is of it."""
    some = shape.interfaces.values()
    parts = (
        plural(len(shape.objects), "object"),
        plural(len(some), "interface"),
        plural(sum(len(each.methods) for each in some), "method"),
        plural(sum(len(each.properties) for each in some), "property", "properties"),
        plural(sum(len(each.signals) for each in some), "signal"),
    )
    return ", ".join(parts)


def seen(found: Findings) -> str:
    """What was watched."""
    if not found.watched:
        return "Nobody was watched: --watch does."
    count = found.traffic.others + sum(each.calls for each in found.traffic.uses.values())
    parties = plural(len(found.parties()), "program")
    signals = plural(sum(found.traffic.signals.values()), "signal")
    said = f"Watched for {found.watched:.0f} s: {plural(count, 'call')} of {parties}, {signals}."
    if found.traffic.lost:
        said += f" {plural(found.traffic.lost, 'message')} more came too fast to be seen."
    return said


def who(party: Party) -> str:
    """A program, or what it is called if nobody knows that."""
    return party.program or ", ".join(list(party.names)[:3])


def what(use: Use) -> str:
    """What is done, in D-Bus's words."""
    name = f"{use.interface}.{use.member}" if use.interface else use.member
    return {
        "call": f"calls {name}",
        "read": f"reads {name}",
        "write": f"writes {name}",
        "read all": f"reads all of {use.interface}",
    }[use.act]


def median(count: Count) -> str:
    """Of the times that answers took."""
    left = -(-count.latencies.total() // 2)
    for each in sorted(count.latencies):
        left -= count.latencies[each]
        if left <= 0:
            return span_of(2.718281828459045 ** (each / STEPS))
    return ""
