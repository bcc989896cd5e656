"""The state of the bus as JSON, for org.bus1.Status1: what it holds, what has passed, what is near
its limit. It counts nothing itself.
"""

import json
from collections.abc import Iterator
from typing import Final

from bridge.driver.call import Hub
from bridge.driver.stats import CLIENT
from bridge.routing.above import Native
from bridge.routing.client import Client
from bridge.routing.name import Name
from bus1.quota import Limits

MOST_CLIENTS: Final = 1000  # that are told of one by one: those for whom most waits
MOST_NATIVES: Final = 1000
MOST_NEAR: Final = 100
NEAR: Final = 0.8  # of a limit is worth telling
KINDS: Final = {
    "bytes": "bytes that wait",
    "messages": "messages that wait",
    "handles": "handles",  # those that are held, and the nodes of native peers
    "fds": "fds that wait",
}

Record = dict[str, object]


def state(hub: Hub) -> str:
    """All of it."""
    clients = sorted(hub.names.clients.values(), key=queued, reverse=True)
    natives = sorted(hub.process.natives(), key=queued, reverse=True)
    hub.work += CLIENT * (len(clients) + len(natives))
    report: Record = {
        **hub.process.report(),
        "id": hub.guid,
        "type": hub.configuration.type,
        "permissive": hub.gate.permissive,
        "connections": {
            "active": hub.active,
            "native": hub.native,
            "incomplete": hub.process.incomplete(),
            "monitors": len(hub.monitors.all()),
        },
        "grants": hub.grants.count,
        "messages": messages(hub),
        "denied": [
            {**decision._asdict(), "count": count}
            for decision, count in hub.gate.denials.counts.most_common()
        ],
        "near": list(near(hub, natives))[:MOST_NEAR],
        "activations": hub.activation.report(),
        "monitors": [monitor(each) for each in hub.monitors.all()],
        "clients": [client(hub, each) for each in clients[:MOST_CLIENTS]],
        "more_clients": max(0, len(clients) - MOST_CLIENTS),
        "natives": [native(each) for each in natives[:MOST_NATIVES]],
        "more_natives": max(0, len(natives) - MOST_NATIVES),
    }
    return json.dumps(report)


def messages(hub: Hub) -> Record:
    """What has passed, and what has not."""
    tally = hub.tally
    names = (
        "calls", "replies", "signals", "broadcasts", "copies", "bus", "bytes", "dropped", "missed"
    )  # fmt: skip
    refused: dict[str, int] = {}
    for (_, error), count in tally.refused.items():
        refused[error] = refused.get(error, 0) + count
    return {name: getattr(tally, name) for name in names} | {"refused": refused}


# ---------------------------------------------------------------------------- connections


def queued(one: Client | Native) -> int:
    """How much waits for it."""
    return one.peer.queue.account.bytes


def client(hub: Hub, client: Client) -> Record:
    """One client: who it is, what it has, and what waits."""
    owned, waiting = names(client)
    return {
        "unique": client.unique,
        "names": owned,
        "waits_for": waiting,
        **who(client),
        "rules": client.subscriptions,
        "awaits": client.awaited,
        "owes": len(client.owed or ()),
        "grants": len(hub.grants.made.get(client.number, ())),
        "rights": len(hub.grants.held.get(client.number, ())),
        "dropped": client.dropped,
        "denied": client.denied,
    }


def native(native: Native) -> Record:
    """One native peer: who it is, what it holds, and what waits. Its messages are not those of its
    account: notices wait, too, and the seed that is kept for it does not."""
    return {
        "number": native.peer.number,
        "unique": None if native.face is None else native.face.unique,
        **who(native),
        "messages": native.peer.queue.held(),
        "handles": len(native.peer.handles),
        "nodes": len(native.peer.nodes),
    }


def monitor(client: Client) -> Record:
    """One that looks on. What it has missed since it was told last."""
    return {**who(client), "missed": client.missed}


def who(one: Client | Native) -> Record:
    """Its process, and what waits for that."""
    account = one.peer.queue.account
    return {
        "uid": one.credentials.uid,
        "pid": one.credentials.pid,
        "messages": account.messages,
        "bytes": account.bytes,
        "fds": account.fds,
        "most_bytes": account.most_bytes,
    }


def names(client: Client) -> tuple[list[str], list[str]]:
    """The names that it owns, and those that it waits for."""
    owned: list[str] = []
    waiting: list[str] = []
    for name in client.names or ():
        assert isinstance(name, Name)
        (owned if name.owner is client else waiting).append(name.text)
    return owned, waiting


# --------------------------------------------------------------------------------- limits


def near(hub: Hub, natives: list[Native]) -> Iterator[Record]:
    """Limits of which little is left, first those of the whole bus."""
    limits = hub.limits
    yield from close("max_completed_connections", "the bus", hub.active + hub.native,
                     limits.max_completed_connections)  # fmt: skip
    yield from close("max_incomplete_connections", "the bus", hub.process.incomplete(),
                     limits.max_incomplete_connections)  # fmt: skip
    for user in hub.bus.users.values():
        whose = f"uid {user.uid}"
        most = hub.gate.policy.allowances.of_user(user.uid).max_connections_per_user
        yield from close("max_connections_per_user", whose, hub.clients_of(user.uid), most)
        yield from full(whose, user, user.limits)
    for each in hub.names.clients.values():
        yield from near_of(hub, each)
    for native in natives:
        account = native.peer.queue.account
        yield from full(f"native peer {native.peer.number}", account, account.limits)


def near_of(hub: Hub, client: Client) -> Iterator[Record]:
    """The limits of one client."""
    limits = client.limits
    for name, used in (
        ("max_names_per_connection", 1 + len(client.names or ())),
        ("max_match_rules_per_connection", client.subscriptions),
        ("max_replies_per_connection", client.awaited),
        ("max_grants_per_connection", len(hub.grants.made.get(client.number, ()))),
    ):
        yield from close(name, client.unique, used, getattr(limits, name))
    account = client.peer.queue.account
    yield from full(client.unique, account, account.limits)


def full(whose: str, holder: object, limits: Limits) -> Iterator[Record]:
    """What waits to be read, and what is held, of each kind."""
    for kind, said in KINDS.items():
        yield from close(said, whose, getattr(holder, kind), getattr(limits, kind))


def close(limit: str, whose: str, used: int, most: int) -> Iterator[Record]:
    if used and used >= NEAR * most:
        yield {"limit": limit, "whose": whose, "used": used, "most": most}
