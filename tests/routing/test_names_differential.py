"""Names judged by dbus-daemon: replies, queues, and who hears what, in which order."""

import random
from collections.abc import Iterator

import pytest

from bridge.routing.client import Client as Member
from bridge.routing.credentials import Credentials
from bridge.routing.errors import Refused
from bridge.routing.names import Change, Names
from bus1.bus import Bus as Core
from policy.limits import Limits
from tests.buses import Bus, start
from tests.raw import DRIVER, RETURN, Client

NAMES = ["x.one", "x.two", "x.three"]
STEPS = 600


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    bus = start("dbus-daemon", tmp_path_factory.mktemp("names"))
    yield bus
    bus.stop()


class Ours:
    """What we would tell each client, from what the registry answers."""

    def __init__(self, watcher: str) -> None:
        self.core = Core()
        self.driver = self.core.connect(0)
        self.names = Names()
        self.seen: dict[str, list[str]] = {}
        self.watcher = watcher

    def join(self) -> Member:
        member = Member(self.core.connect(1000), self.driver, Credentials(1000, 1), True, Limits())
        self.names.join(member)
        self.seen[member.unique] = []
        return member

    def tell(self, change: Change | None, gone: bool = False) -> None:
        if change is None:
            return
        old = change.old.unique if change.old else ""
        new = change.new.unique if change.new else ""
        if old and not gone:
            self.seen[old].append(f"NameLost({change.name})")
        self.seen[self.watcher].append(f"NameOwnerChanged({change.name},{old},{new})")
        if new:
            self.seen[new].append(f"NameAcquired({change.name})")

    def leave(self, member: Member) -> None:
        for change in self.names.drop(member):
            self.tell(change, gone=True)
        self.names.leave(member)
        self.seen[self.watcher].append(f"NameOwnerChanged({member.unique},{member.unique},)")
        del self.seen[member.unique]

    def take(self, member: Member) -> list[str]:
        seen, self.seen[member.unique] = self.seen[member.unique], []
        return seen


def signals(client: Client) -> list[str]:
    return [str(message) for message in client.take() if message.member]


def test_names_as_dbus_daemon_has_them(daemon: Bus) -> None:
    chance = random.Random(2)
    watcher = daemon.connect()
    ours = Ours(watcher.name)
    watching = ours.join()
    assert watching.unique == watcher.name == ":1.0"
    watcher.match(f"sender='{DRIVER}',member='NameOwnerChanged',arg0namespace='x'")
    watcher.match(f"sender='{DRIVER}',member='NameOwnerChanged',arg2=''")
    clients = [daemon.connect() for _ in range(3)]
    members = [ours.join() for _ in clients]
    for _ in range(STEPS):
        who, name = chance.randrange(3), chance.choice(NAMES)
        client, member = clients[who], members[who]
        action = chance.random()
        if action < 0.6:
            flags = chance.randrange(8)
            answer = client.ask("RequestName", "su", name, flags)
            reply, change = ours.names.request(member, name, flags, 1000)
            assert answer.args == [reply]
            ours.tell(change)
        elif action < 0.9:
            answer = client.ask("ReleaseName", "s", name)
            reply, change = ours.names.release(member, name)
            assert answer.args == [reply]
            ours.tell(change)
        else:
            client.close()
            watcher.until_gone(client.name)
            ours.leave(member)
            clients[who], members[who] = daemon.connect(), ours.join()
            assert clients[who].name == members[who].unique
        for one, other in zip([watcher, *clients], [watching, *members], strict=True):
            assert signals(one) == ours.take(other)
        for text in NAMES:
            answer = watcher.ask("ListQueuedOwners", "s", text)
            queue = answer.args[0] if answer.kind == RETURN else []
            assert queue == [waiting.unique for waiting in ours.names.queue(text)]


@pytest.mark.parametrize("name", ["", "x", ":1.0", ":", "x..y", DRIVER, "x." + "y" * 254])
def test_refused_in_dbus_daemons_words(daemon: Bus, name: str) -> None:
    ours = Ours(":1.0")
    client = daemon.connect()
    member = ours.join()
    answer = client.ask("RequestName", "su", name, 0)
    with pytest.raises(Refused) as caught:
        ours.names.check(member, name)
    text = caught.value.text.replace(f'"{member.unique}" is', f'"{client.name}" is')
    assert (answer.error, answer.args) == (caught.value.name, [text])
    answer = client.ask("ReleaseName", "s", name)
    with pytest.raises(Refused) as caught:
        ours.names.release(member, name)
    assert (answer.error, answer.args) == (caught.value.name, [caught.value.text])
    client.close()
