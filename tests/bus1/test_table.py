"""Ids: local to the peer, one sequence, never used again."""

import pytest

from bus1 import Bus, Gone, Limits, Quota, Stranger


def test_ids_are_never_reused() -> None:
    bus = Bus()
    a, b = bus.connect(0), bus.connect(0)
    seen: set[int] = set()
    for _ in range(20):
        node = a.create()
        handle = a.handle(node)
        other = b.transfer(b.handle(b.create()), a)
        new = {node.id, handle.id, other.id}
        assert len(new) == 3
        assert not new & seen
        assert a.nodes[node.id] is node
        assert a.handles[handle.id] is handle
        seen |= new
        a.release([handle, node, other])
        assert not a.nodes
        assert not a.handles


def test_ids_are_local() -> None:
    bus = Bus()
    assert bus.connect(0).create().id == bus.connect(0).create().id


def test_only_the_owner_makes_handles() -> None:
    bus = Bus()
    a, b = bus.connect(0), bus.connect(0)
    node = a.create()
    for wrong in (node, None):
        with pytest.raises(Stranger):
            b.handle(wrong)  # type: ignore[arg-type]
        with pytest.raises(Stranger):
            b.once(wrong, None, 1)  # type: ignore[arg-type]
    a.destroy([node])
    with pytest.raises(Gone):
        a.handle(node)
    with pytest.raises(Gone):
        a.once(node, None, 1)


def test_nodes_and_handles_are_charged_as_handles() -> None:
    bus = Bus(Limits(), Limits(handles=3))
    a, b = bus.connect(0), bus.connect(1)
    node = a.create()
    handle = a.handle(node)
    a.once(node, None, 1)  # in hand: charged to whom it is sent
    a.once(node, a, 1)
    for refused in (a.create, lambda: a.handle(node), lambda: a.once(node, a, 1)):
        with pytest.raises(Quota):
            refused()
    for _ in range(3):
        a.transfer(handle, b)
    with pytest.raises(Quota):
        a.transfer(handle, b)
    assert b.queue.account.own.handles == 3
