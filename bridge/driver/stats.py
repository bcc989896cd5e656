"""org.freedesktop.DBus.Debug.Stats: the bus in numbers, under the names of dbus-daemon's and of
dbus-broker's. It counts nothing itself.

Like dbus-daemon it answers whom the policy lets ask: on the system bus that is root.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from bridge.driver.call import Call, unowned
from bridge.driver.credentials import described
from bridge.driver.interface import Body, Interface, Method
from bridge.routing.client import Client
from bridge.routing.errors import INVALID_ARGS, Refused
from bridge.wire.protocol import DRIVER
from bus1.quota import Share, User

# Work (Hub.work) to tell of one client, and of one rule.
CLIENT: Final = 64
RULE: Final = 8
MOST: Final = 0xFFFFFFFF  # what a number can be; what is more is said to be that
PEERS: Final = "org.bus1.DBus.Debug.Stats.PeerAccounting"
USERS: Final = "org.bus1.DBus.Debug.Stats.UserAccounting"

Table = dict[str, tuple[str, object]]


def get_stats(call: Call) -> Body:
    """The whole bus, then each client, and each user."""
    hub = call.hub
    # Who sees all has one rule for it.
    watched = hub.monitors.index.count + len(hub.monitors.unlimited)
    numbers = {
        "Serial": hub.tally.ask("GetStats"),
        # dbus-daemon's pool for the links of its lists. There is none here.
        "ListMemPoolUsedBytes": 0,
        "ListMemPoolCachedBytes": 0,
        "ListMemPoolAllocatedBytes": 0,
        "ActiveConnections": hub.active + len(hub.monitors.all()),
        "IncompleteConnections": hub.process.incomplete(),
        "MatchRules": hub.matches.count + watched,
        "PeakMatchRules": hub.matches.most,
        "PeakMatchRulesPerConnection": hub.matches.most_of_one,
        "BusNames": hub.names.places,
        "PeakBusNames": hub.names.most,
        "PeakBusNamesPerConnection": hub.names.most_of_one,
    }
    clients = hub.names.clients.values()
    hub.work += CLIENT * len(clients) + RULE * hub.matches.count
    starting = waiting_for_services(call)
    rules: Counter[User] = Counter()
    for each in clients:
        rules[each.peer.user] += each.subscriptions
    table = counted(numbers)
    table[PEERS] = "a(sa{sv}a{su})", [peer(call, each, starting[each]) for each in clients]
    table[USERS] = (
        "a(ua(suu)a{ua{su}})",
        [user(call, each, rules[each]) for each in hub.bus.users.values()],
    )
    return (table,)


def get_connection_stats(call: Call) -> Body:
    """One client, under any of its names."""
    (name,) = call.arguments
    if name == DRIVER:
        raise Refused(
            INVALID_ARGS,
            f'GetConnectionStats is not meaningful for the message bus "{name}" itself',
        )
    client = call.hub.names.owner(name)
    if client is None:
        raise unowned("statistics", name)
    table = counted({"Serial": call.hub.tally.ask("GetConnectionStats")})
    table |= counted(dict(holdings(client)))
    table["UniqueName"] = "s", client.unique
    return (table | counted(dict(traffic(call, client))),)


def get_all_match_rules(call: Call) -> Body:
    """The rules of each client, in the order of adding."""
    clients = call.hub.names.clients.values()
    call.hub.work += RULE * call.hub.matches.count + len(clients)
    return ({each.unique: texts(each) for each in clients},)


def texts(client: Client) -> list[str]:
    """Its rules, each as often as it has been added."""
    rules = client.rules or {}
    return [text for rule, count in rules.items() for text in [str(rule)] * count]


# ---------------------------------------------------------------- what dbus-daemon says


def counted(numbers: dict[str, int]) -> Table:
    """As the interface has them."""
    return {name: ("u", bounded(value)) for name, value in numbers.items()}


def bounded(value: int) -> int:
    return min(value, MOST)


def holdings(client: Client) -> Iterator[tuple[str, int]]:
    """What a client has asked for and holds. Names are those that it waits for, too."""
    yield "MatchRules", client.subscriptions
    yield "PeakMatchRules", client.most_rules
    yield "BusNames", 1 + len(client.names or ())
    yield "PeakBusNames", client.most_names


def traffic(call: Call, client: Client) -> Iterator[tuple[str, int]]:
    """What waits for a client to read it, and what has come from it. The bus takes each message as
    soon as it is whole, so of the second there is only this call, and parts of messages."""
    size, fds, most, most_fds = call.hub.process.waiting(client)
    if client is call.client:
        size += call.frame.size
    account = client.peer.queue.account
    yield "IncomingMessages", 0
    yield "IncomingBytes", size
    yield "IncomingFDs", fds
    yield "PeakIncomingBytes", max(size, most)
    yield "PeakIncomingFDs", max(fds, most_fds)
    yield "OutgoingMessages", account.messages
    yield "OutgoingBytes", account.bytes
    yield "OutgoingFDs", account.fds
    yield "PeakOutgoingBytes", account.most_bytes
    yield "PeakOutgoingFDs", account.most_fds


# ---------------------------------------------------------------- what dbus-broker says


def peer(
    call: Call, client: Client, starting: tuple[int, int]
) -> tuple[str, Table, dict[str, int]]:
    """One client: who it is, and what it makes the bus keep."""
    size, fds, _, _ = call.hub.process.waiting(client)
    account = client.peer.queue.account
    numbers = {
        "NameObjects": len(client.names or ()),
        "MatchBytes": sum(map(len, texts(client))),
        "Matches": client.subscriptions,
        "ReplyObjects": client.awaited,
        "IncomingBytes": size,
        "IncomingFds": fds,
        "OutgoingBytes": account.bytes,
        "OutgoingFds": account.fds,
        "ActivationRequestBytes": starting[0],
        "ActivationRequestFds": starting[1],
    }
    known = described(client.credentials)
    return client.unique, known, {name: bounded(value) for name, value in numbers.items()}


def waiting_for_services(call: Call) -> dict[Client, tuple[int, int]]:
    """Bytes and descriptors of the messages of each client that wait for a service to start."""
    found: dict[Client, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for pending in call.hub.activation.pending.values():
        for waiting in pending.waiting:
            if waiting.sender is not None:
                size, fds = found[waiting.sender]
                frame = waiting.frame
                found[waiting.sender] = size + frame.size, fds + frame.fd_count
    return found


def user(
    call: Call, user: User, rules: int
) -> tuple[int, list[tuple[str, int, int]], dict[int, dict[str, int]]]:
    """One user: of each kind what is left and what is the most, and who of the others holds it.
    Rules have no limit of the user's: that of each of its connections counts."""
    limits = call.hub.gate.policy.allowances.of_user(user.uid)
    most = limits.max_match_rules_per_connection * limits.max_connections_per_user
    slots = [
        slot("Bytes", user.bytes, user.limits.bytes),
        slot("Fds", user.fds, user.limits.fds),
        slot("Matches", rules, most),
        slot("Objects", user.handles, user.limits.handles),
    ]
    shares = {actor.uid: share(each) for actor, each in user.shares.items() if not each.empty()}
    return user.uid, slots, shares


def slot(name: str, used: int, most: int) -> tuple[str, int, int]:
    """A kind, what is left of it, and all there is."""
    whole = bounded(most)
    return name, max(0, whole - used), whole


def share(share: Share) -> dict[str, int]:
    """What one user takes of another's."""
    return {
        "Bytes": bounded(share.bytes),
        "Fds": bounded(share.fds),
        "Matches": 0,
        "Objects": bounded(share.handles),
    }


INTERFACE: Final = Interface(
    DRIVER + ".Debug.Stats",
    any_path=False,
    methods=(
        Method("GetStats", "", "a{sv}", get_stats),
        Method("GetConnectionStats", "s", "a{sv}", get_connection_stats),
        Method("GetAllMatchRules", "", "a{sas}", get_all_match_rules),
    ),
)
