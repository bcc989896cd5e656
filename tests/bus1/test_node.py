"""Nodes and handles: the links between them."""

from random import Random

from bus1.node import Handle, Node, mint
from bus1.queue import Queue
from bus1.quota import Account, Limits, User


def queue() -> Queue:
    user = User(0, Limits(), {})
    return Queue(Account(user, user.limits), None, 1, [])


def linked(node: Node) -> list[Handle]:
    """Forwards, by taking the first away again and again, and putting all back."""
    found = []
    while (handle := node.first) is not None:
        found.append(handle)
        handle.unlink()
    for handle in reversed(found):
        handle.link()
    return found


def test_links_come_and_go_in_any_order() -> None:
    random = Random(1)
    node = Node(queue(), 1, "tag")
    there: list[Handle] = []
    for _ in range(500):
        if there and random.random() < 0.45:
            there.pop(random.randrange(len(there))).unlink()
        else:
            there.append(mint(node, False, 0))
            there[-1].link()
        assert linked(node) == there[::-1]


def test_unlinking_twice_or_never_linked_does_nothing() -> None:
    node = Node(queue(), 1, None)
    first, second, never = (mint(node, False, 0) for _ in range(3))
    first.link()
    second.link()
    never.unlink()
    first.unlink()
    first.unlink()
    assert linked(node) == [second]


def test_one_shot_handles_do_not_count() -> None:
    node = Node(queue(), 1, None)
    assert (mint(node, False, 0).once, node.count) == (False, 1)
    handle = mint(node, True, 7)
    assert (handle.once, handle.cookie, node.count) == (True, 7, 1)


def test_installed_is_in_the_table_and_charged_until_removed() -> None:
    holder, node = queue(), Node(queue(), 1, None)
    table: dict[int, Handle] = {}
    handle = mint(node, False, 0)
    assert holder.account.take(holder.account.own, 0, 0, 1, 0)
    handle.install(holder, table, 9)
    assert table == {9: handle}
    assert (handle.id, handle.holder, handle.table) == (9, holder, table)
    handle.remove()
    handle.remove()
    assert table == {}
    assert handle.table is None
    assert holder.account.handles == 0
