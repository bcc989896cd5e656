"""One client in the core: a peer with one node, to which the driver holds the only handle."""

from __future__ import annotations

import pytest

from bridge.routing.client import Client
from bridge.routing.credentials import Credentials
from bridge.routing.names import Names
from bus1 import Bus, Peer, Quota
from bus1.quota import Limits as Quotas
from policy.limits import Limits


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def driver(bus: Bus) -> Peer:
    return bus.connect(0)


@pytest.fixture
def client(bus: Bus, driver: Peer) -> Client:
    return Client(bus.connect(1000), driver, Credentials(1000, 42), True, Limits())


def test_a_client_is_a_peer_with_one_node(client: Client) -> None:
    assert list(client.peer.nodes.values()) == [client.node]
    assert client.peer.handles == {}
    assert client.node.tag is client  # how the bus finds it again


def test_only_the_driver_can_send_to_it(client: Client, driver: Peer) -> None:
    assert list(driver.handles.values()) == [client.handle]
    assert client.node.count == 1
    driver.send(client.handle, "hello")
    message = client.peer.receive()
    assert message is not None
    assert (message.payload, message.target) == ("hello", client.node)
    assert client.peer.receive() is None  # no notice of what its making needed


def test_it_is_active_once_it_has_joined(client: Client) -> None:
    assert (client.active(), client.number, client.unique) == (False, -1, "")
    Names().join(client)
    assert (client.active(), client.number, client.unique) == (True, 0, ":1.0")


def test_a_new_client_holds_and_owes_nothing(client: Client) -> None:
    assert (client.names, client.rules, client.routes, client.owed) == (None, None, None, None)
    assert (client.awaited, client.dropped) == (0, 0)
    assert (client.peer.user.uid, client.takes_fds) == (1000, True)
    assert client.peer.query().handles == 1


def test_a_driver_without_room_refuses_it() -> None:
    bus = Bus(peer_limits=Quotas(handles=2))
    driver, peer = bus.connect(0), bus.connect(1000)
    for number in range(2):
        Client(bus.connect(number), driver, Credentials(number, None), False, Limits())
    with pytest.raises(Quota):
        Client(peer, driver, Credentials(1000, None), False, Limits())
    peer.close()
    assert 1000 not in bus.users
