"""What a peer can ask of the bus, each as something to wait for. The faces do the waiting."""

from collections.abc import Sequence
from typing import Any

from bus1.client import records
from bus1.client.link import Link
from bus1.client.objects import Handle, Limits, N, Node, Seed, Usage
from bus1.client.payload import Buffer, Fd, Sealed
from bus1.client.pending import Result, Waiting, error_of
from bus1.client.records import Carry
from bus1.errors import BusError
from bus1.native import words

# Who was left out of a multicast, and why.
Refused = list[tuple[Handle, BusError]]


def create(link: Link[N]) -> Waiting[N]:
    return link.expect(words.CREATE, lambda result: link.holdings.own(result.values[0]))


def handle(link: Link[N], node: Node) -> Waiting[Handle]:
    return held(link, words.HANDLE, node)


def transfer(link: Link[N], thing: Handle) -> Waiting[Handle]:
    """A second handle to the same node for ourselves."""
    return held(link, words.TRANSFER, thing)


def held(link: Link[N], kind: int, thing: Node | Handle) -> Waiting[Handle]:
    link.ours(thing)
    body = records.ids([thing.held()])
    once = isinstance(thing, Handle) and thing.once
    waiting = Waiting(lambda result: link.holdings.hold(result.values[0], once))
    waiting.moved = (thing,) if once else ()
    link.ask(kind, waiting, body)
    return waiting


def bestow(link: Link[N], thing: Handle, peer: Fd) -> Waiting[int]:
    """A handle for the peer whose socket this is; the id is that peer's."""
    link.ours(thing)
    waiting = Waiting(lambda result: result.values[0])
    waiting.moved = (thing,) if thing.once else ()
    link.ask(words.TRANSFER, waiting, records.ids([thing.held()]), (peer,))
    return waiting


def release(link: Link[N], kind: int, things: Sequence[Node | Handle]) -> Waiting[int]:
    """RELEASE or DESTROY, as one event; its stamp."""
    for thing in things:
        link.ours(thing)

    def done(result: Result) -> int:
        for each in things:
            each.spent = True
            link.holdings.lose(each.id)
        return result.stamp

    return link.expect(kind, done, records.ids([each.held() for each in things]))


def send(
    link: Link[N],
    target: Handle,
    payload: Buffer | Sealed,
    carried: Sequence[Carry],
    fds: Sequence[Any],
) -> Waiting[int]:
    waiting = Waiting(lambda result: result.stamp)
    link.send([target], payload, carried, fds, waiting)
    return waiting


def multicast(
    link: Link[N],
    targets: Sequence[Handle],
    payload: Buffer | Sealed,
    carried: Sequence[Carry],
    fds: Sequence[Any],
    proceed: bool,
) -> Waiting[Refused]:
    def refused(result: Result) -> Refused:
        pairs = zip(result.values[::2], result.values[1::2], strict=True)
        left = [(targets[place], error_of(number, "")) for place, number in pairs]
        some: list[Any] = [target for target, _ in left]
        if len(left) == len(targets):  # nobody got what goes along
            some += carried
        for each in some:
            if isinstance(each, Handle) and each.once:
                link.holdings.restore(each)
        return left

    waiting = Waiting(refused)
    flags = words.CONTINUE if proceed else 0
    link.send(targets, payload, carried, fds, waiting, flags)
    return waiting


def seed(link: Link[N]) -> Waiting[Seed]:
    def made(result: Result) -> Seed:
        handles = [link.holdings.hold(id) if id else None for id in result.values]
        return Seed(result.payload, handles, result.fds)

    return link.expect(words.SEED, made)


def set_seed(
    link: Link[N], payload: Buffer | Sealed, carried: Sequence[Carry], fds: Sequence[Any]
) -> Waiting[None]:
    body, along, memfd = link.freight((), payload, carried, fds)
    return link.expect(words.SET_SEED, lambda result: None, body, along, memfd)


def spawn(
    link: Link[N], payload: Buffer | Sealed, carried: Sequence[Carry], fds: Sequence[Any]
) -> Waiting[Fd]:
    body, along, memfd = link.freight((), payload, carried, fds)
    return link.expect(words.PEER, lambda result: result.fds[0], body, along, memfd)


def query(link: Link[N]) -> Waiting[Usage]:
    return link.expect(
        words.QUERY, lambda result: Usage(Limits(*result.values[:4]), *result.values[4:10])
    )


def reset(link: Link[N], limits: Limits | None, flush: bool, flush_seed: bool) -> Waiting[None]:
    def done(result: Result) -> None:
        if flush:
            link.flush(result.stamp)

    body = records.LIMITS.pack(*(limits or (-1, -1, -1, -1)))
    flags = words.FLUSH * flush | words.FLUSH_SEED * flush_seed
    return link.expect(words.RESET, done, body, flags=flags)


def disconnect(link: Link[N]) -> Waiting[None]:
    return link.expect(words.DISCONNECT, lambda result: None)
