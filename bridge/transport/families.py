"""What OpenMetrics says of the bus: reads what is counted elsewhere, and counts nothing itself.

Labels are well-known names, uids and rules; never what is in a message. Imported only where
metrics are wanted.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, final

from prometheus_client import ProcessCollector
from prometheus_client.core import (
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from bridge.routing.client import Client
from bridge.routing.errors import (
    ACCESS_DENIED,
    LIMITS_EXCEEDED,
    NAME_HAS_NO_OWNER,
    NOT_SUPPORTED,
    SERVICE_UNKNOWN,
    SPAWN,
)
from bridge.routing.name import Name
from bridge.transport.histogram import Histogram
from bridge.transport.latency import Latency
from bridge.transport.openmetrics import (
    OTHER,
    counter,
    gauge,
    histogram,
    largest,
    many,
    most,
    named,
    single,
    total,
)
from bridge.transport.process import program_version
from bridge.wire.protocol import CALL, ERROR, RETURN, SIGNAL

if TYPE_CHECKING:
    from bridge.transport.server import Server

RULES: Final = 50  # that are shown

KINDS: Final = {CALL: "method_call", RETURN: "reply", ERROR: "reply", SIGNAL: "signal"}
OUTCOMES: Final = {
    ACCESS_DENIED: "denied",
    SERVICE_UNKNOWN: "no_owner",
    NAME_HAS_NO_OWNER: "no_owner",
    LIMITS_EXCEEDED: "quota",
    NOT_SUPPORTED: "nofd",
}
SLOTS: Final = ("bytes", "messages", "handles", "fds")


@final
class Families:
    """All that is said of one server."""

    def __init__(
        self, server: "Server", lag: Histogram, turns: Histogram, latency: Latency
    ) -> None:
        self.server = server
        self.hub = server.hub
        self.lag = lag
        self.turns = turns
        self.latency = latency
        self.process = ProcessCollector(registry=None)

    def expose(self) -> tuple[str, bytes]:
        """The content, and its type."""
        text: bytes = generate_latest(self)  # type: ignore[no-untyped-call]
        return CONTENT_TYPE_LATEST, text

    def collect(self) -> Iterator[Metric]:
        """Each family with its samples, in an order that people can read."""
        yield InfoMetricFamily(
            "bus",
            "The bus",
            {"version": program_version(), "type": self.hub.configuration.type},
        )
        yield from self.connections()
        yield from self.rights()
        yield from self.messages()
        yield from self.of_names()
        yield from self.denials()
        yield from self.quotas()
        yield from self.activations()
        yield from self.work()
        yield from self.replies()
        yield from self.process.collect()

    # ----------------------------------------------------------------------- families

    def connections(self) -> Iterator[Metric]:
        hub, door = self.hub, self.server.door
        family = gauge("bus_connections", "Connections now", "state")
        family.add_metric(["active"], hub.active)
        family.add_metric(["native"], hub.native)
        family.add_metric(["incomplete"], len(door.incomplete))
        family.add_metric(["monitor"], len(hub.monitors.all()))
        yield family
        yield total("bus_connections_opened", "Connections that have said Hello", hub.names.joined)
        yield many(
            counter("bus_auth_failures", "Connections that were not let in", "reason"),
            door.failures.items(),
        )
        yield single("bus_names", "Well-known names that have an owner", len(hub.names.table))

    def rights(self) -> Iterator[Metric]:
        """To call, whatever the rules say of who calls."""
        natives = self.server.natives
        given = 0 if natives is None else natives.gateway.rights.counts.total()
        text = "Rights to call, by what they are: granted (Capability1), or handles (Native1)"
        family = gauge("bus_rights", text, "kind")
        family.add_metric(["grant"], self.hub.grants.count)
        family.add_metric(["handle"], given)
        yield family

    def messages(self) -> Iterator[Metric]:
        tally = self.hub.tally
        family = counter("bus_messages", "Messages, and what became of them", "type", "outcome")
        delivered = {
            "method_call": tally.calls,
            "reply": tally.replies,
            "signal": tally.signals,
            "broadcast": tally.broadcasts,
        }
        for kind, count in delivered.items():
            family.add_metric([kind, "delivered"], count)
        refused: Counter[tuple[str, str]] = Counter()
        for (number, error), count in tally.refused.items():
            refused[KINDS.get(number, OTHER), outcome(error)] += count
        for labels, count in refused.items():
            family.add_metric(list(labels), count)
        yield family
        size = counter("bus_message_bytes", "Bytes of messages", "dir")
        size.add_metric(["in"], tally.bytes)
        size.add_metric(["out"], tally.sent)
        yield size
        yield total("bus_method_calls", "Calls of the bus's own methods", tally.bus)
        yield total("bus_broadcast_copies", "Copies for receivers of broadcasts", tally.copies)
        yield total("bus_dropped", "Messages that slow receivers lost", tally.dropped)
        yield total("bus_monitor_dropped", "Messages that slow monitors missed", tally.missed)

    def of_names(self) -> Iterator[Metric]:
        """What a client has, under the first of its names; under "other" if it has none."""
        size: Counter[str] = Counter()
        count: Counter[str] = Counter()
        rules: Counter[str] = Counter()
        owed: Counter[str] = Counter()
        peak: dict[str, int] = {}
        for client in self.hub.names.clients.values():
            name = label(client)
            account = client.peer.queue.account
            size[name] += account.bytes
            count[name] += account.messages
            rules[name] += client.subscriptions
            owed[name] += len(client.owed or ())
            peak[name] = max(peak.get(name, 0), account.most_bytes)
        yield named("bus_queue_bytes", "Bytes that wait to be read", size)
        yield named("bus_queue_messages", "Messages that wait to be read", count)
        yield named("bus_match_rules", "Match rules", rules)
        yield named("bus_pending_replies", "Calls that were not answered yet", owed)
        text = "The most bytes that ever waited for one connection"
        family = gauge("bus_queue_high_watermark_bytes", text, "name")
        shown = largest(peak)
        for name in shown:
            family.add_metric([name], peak[name])
        rest = [value for name, value in peak.items() if name not in shown]
        family.add_metric([OTHER], max(rest, default=0))
        yield family

    def denials(self) -> Iterator[Metric]:
        family = counter(
            "bus_policy_denied", "Denials, by the rule that decided",
            "bus_context", "rule_file", "rule_line", "kind",
        )  # fmt: skip
        counts = self.hub.gate.denials.counts
        shown = most(counts, RULES)
        for each in shown:
            line = str(each.line) if each.line else ""
            family.add_metric([each.context, each.file, line, each.about], counts[each])
        rest = counts.total() - sum(counts[each] for each in shown)
        family.add_metric([OTHER, OTHER, "", OTHER], rest)
        yield family

    def quotas(self) -> Iterator[Metric]:
        """Of the users who are nearest to their limits."""
        used: dict[tuple[str, str], float] = {}
        for user in self.hub.bus.users.values():
            for slot in SLOTS:
                limit = getattr(user.limits, slot)
                held = getattr(user, slot)
                if held:
                    used[str(user.uid), slot] = held / limit if limit else 1.0
        family = gauge("bus_quota_used_ratio", "What a user holds, of its limit", "uid", "slot")
        for labels in most(used):
            family.add_metric(list(labels), used[labels])
        yield family
        text = "Messages that a user had no room for"
        exceeded = counter("bus_quota_exceeded", text, "uid", "actor_uid")
        counts = self.hub.tally.exceeded
        shown = most(counts)
        for uid, actor in shown:
            payer = "bus" if actor is None else str(actor)
            exceeded.add_metric([str(uid), payer], counts[uid, actor])
        exceeded.add_metric([OTHER, OTHER], counts.total() - sum(counts[each] for each in shown))
        yield exceeded

    def activations(self) -> Iterator[Metric]:
        pending = self.server.activation.pending
        yield single("bus_activations", "Services that are being started", len(pending))
        waiting = Counter({name: len(each.waiting) for name, each in pending.items()})
        yield named("bus_activation_queue", "Messages that wait for a service to start", waiting)
        text = "Services that were started, or not, and how long that took"
        family = SummaryMetricFamily("bus_activation_seconds", text, labels=("name", "result"))
        starts = self.hub.tally.starts
        for labels in most({each: count for each, (count, _) in starts.items()}):
            count, seconds = starts[labels]
            family.add_metric(list(labels), count_value=count, sum_value=seconds)
        yield family

    def work(self) -> Iterator[Metric]:
        yield many(
            counter("bus_config_reload", "Times the configuration was read again", "result"),
            self.server.reloader.outcomes.items(),
        )
        text = "How late the bus came to what was due, measured once a second"
        yield histogram("bus_loop_lag_seconds", text, self.lag)
        text = "From reading what a client sent to having written what came of it"
        yield histogram("bus_dispatch_seconds", text, self.turns)

    def replies(self) -> Iterator[Metric]:
        """By who was called: those with most calls, and the rest together."""
        seconds = self.latency.seconds
        text = "From a call to its reply, or to its end without one"
        family = HistogramMetricFamily("bus_reply_seconds", text, labels=("dest",))
        counts = {name: sum(each.counts) for name, each in seconds.items()}
        rest = Histogram(seconds[OTHER].bounds)
        shown = largest(counts)
        for name, each in seconds.items():
            if name in shown:
                family.add_metric([name], buckets=each.buckets(), sum_value=each.total)
            else:
                rest.add(each)
        family.add_metric([OTHER], buckets=rest.buckets(), sum_value=rest.total)
        yield family


def label(client: Client) -> str:
    """The first well-known name that it owns."""
    for name in client.names or ():
        if isinstance(name, Name) and name.owner is client:
            return name.text
    return OTHER


def outcome(error: str) -> str:
    """What became of a message, by the error that its sender got. There are few outcomes."""
    if error.startswith(SPAWN):
        return "activation"
    return OUTCOMES.get(error, "refused")
