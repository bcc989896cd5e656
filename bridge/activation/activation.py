"""Starts services: what becomes of messages to names that nobody owns yet, and in which order.

Invariant: a name is in `pending` only while nobody owns it. It knows no processes and no loop
(starting.py).
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, final

from bridge.activation import entries, failures, helper, systemd
from bridge.activation.environment import Environment
from bridge.activation.pending import Pending, Waiting, Way
from bridge.activation.room import Room
from bridge.activation.service import Service, Services
from bridge.activation.starting import Outside, Starter
from bridge.activation.systemd import SYSTEMD
from bridge.routing.client import Client
from bridge.routing.credentials import is_trusted
from bridge.routing.errors import ACCESS_DENIED, Refused
from bridge.routing.hub import Hub, is_power_of_two
from bridge.routing.refusals import not_provided
from bridge.wire.frame import Frame
from bridge.wire.protocol import CALL, NO_AUTO_START, SIGNAL

# The answers of StartServiceByName (D-Bus Specification).
STARTED: Final = 1
ALREADY_RUNNING: Final = 2
# With --systemd-activation it is sure to come, and no file says how (the reference's rule).
ITSELF: Final = Service(SYSTEMD, "", (), None, None, None, "")

log = logging.getLogger("bus1.activation")


@final
class Activation:
    """The services of one bus that are being started. `by_systemd` is --systemd-activation."""

    def __init__(
        self,
        hub: Hub,
        resume: Callable[[Client, Client, Frame], None],
        outside: Outside,
        services: Services,
        environment: Environment,
        by_systemd: bool = False,
    ) -> None:
        self.hub = hub
        self.resume = resume
        self.outside = outside
        self.services = services
        self.environment = environment
        self.starter = Starter(hub, outside, environment)
        self.by_systemd = by_systemd
        self.pending: dict[str, Pending] = {}
        self.room = Room()

    # ------------------------------------------------------------------- who asks

    def take(self, sender: Client, frame: Frame) -> bool:
        """Have a message wait for its receiver, which is being started. False: nothing starts
        it. Raises Refused.

        The policy is asked twice: now about the name, as all that is known of the receiver, and
        about whoever has the name at last.
        """
        name = frame.destination()
        if name is None or name.startswith(":") or frame.flags & NO_AUTO_START:
            return False
        service = self.find(sender, name)
        if service is None:
            return False
        if frame.kind not in (CALL, SIGNAL):  # there is no call that this could answer
            raise self.hub.gate.unasked(sender, None, frame)
        if service is not ITSELF:
            self.hub.gate.check_start(sender, name, frame, service.label)
        self.wait(Waiting(sender, frame), service)
        return True

    def start(
        self, client: Client, frame: Frame, name: str, answered: Callable[[int], None]
    ) -> None:
        """StartServiceByName: `answered` gets its result, now or later. Raises Refused.

        Like the reference it looks for a service file even if the name has an owner.
        """
        service = self.find(client, name)
        if service is None:
            raise not_provided(name)
        if self.hub.names.owner(name) is not None:
            answered(ALREADY_RUNNING)
        else:
            self.wait(Waiting(client, frame, answered), service)

    def find(self, sender: Client, name: str) -> Service | None:
        """Who provides the name, if this client may wait for one more. Raises Refused."""
        self.room.check(sender, name)
        if self.by_systemd and name == SYSTEMD:
            return ITSELF
        return self.services.find(name)

    def wait(self, waiting: Waiting, service: Service) -> None:
        """It waits for this service, which is being started or begins to be. Raises Refused."""
        self.room.take(waiting, service.name)
        pending = self.pending.get(service.name)
        if pending is not None:
            pending.waiting.append(waiting)
            return
        pending = Pending(service, self.way(service), self.outside.now())
        pending.waiting.append(waiting)
        self.pending[service.name] = pending
        try:
            self.begin(pending, waiting.sender)
        except Refused:
            self.end(pending)
            raise

    def left(self, client: Client) -> None:
        """It is gone: nothing of it is delivered any more. What it had started goes on."""
        for pending in self.pending.values() if client in self.room.clients else ():
            gone = [each for each in pending.waiting if each.sender is client]
            pending.waiting = [each for each in pending.waiting if each.sender is not client]
            for waiting in gone:
                self.room.give(waiting)

    # ------------------------------------------------------------------ ways to start

    def way(self, service: Service) -> Way:
        """How this service is started."""
        if service is ITSELF:
            return Way.ITSELF
        if self.by_systemd and service.unit is not None:
            return Way.SYSTEMD
        return self.starter.way()

    def begin(self, pending: Pending, asker: Client | None) -> None:
        """Start it. Raises Refused."""
        limit = self.hub.limits.service_start_timeout
        half = limit / 2000
        pending.timer = self.outside.later(half, partial(self.remind, pending, half, limit))
        if pending.way is Way.SYSTEMD:
            self.ask_systemd(pending, asker)
        elif pending.way is not Way.ITSELF:
            pending.child = self.starter.start(pending, asker, partial(self.ended, pending))

    def ask_systemd(self, pending: Pending, asker: Client | None) -> None:
        """Have systemd start a unit. Raises Refused."""
        unit = pending.service.unit or ""
        there = self.hub.names.owner(SYSTEMD) is not None
        how = "Activating via systemd:" if there else "Activating systemd to hand-off:"
        what = f"service name='{pending.name}' unit='{unit}'"
        entries.starting(pending, asker, f"{how} {what}")
        try:
            self.tell_systemd(systemd.request(self.hub.serial(), unit))
        except Refused:
            log.info("Failed to activate via systemd: %s", what)
            raise

    def tell_systemd(self, frame: Frame) -> None:
        """A message of the bus to systemd, which waits if that is not there yet. Monitors see it
        now. Raises Refused."""
        owner = self.hub.names.owner(SYSTEMD)
        self.hub.show(None, owner, frame)
        if owner is None:
            self.check_room()
            self.wait(Waiting(None, frame), ITSELF)
        elif not self.hand(owner, frame):
            raise Refused(ACCESS_DENIED, f"{SYSTEMD} may not be asked by the bus")

    def check_room(self) -> None:
        """May one more of the bus's own wait for systemd? Who may set the environment could have
        any number of them. Raises Refused."""
        pending, limit = self.pending.get(SYSTEMD), self.hub.limits.max_pending_service_starts
        waiting = [] if pending is None else pending.waiting
        if sum(each.sender is None for each in waiting) >= limit:  # clients have their own
            raise failures.too_many(SYSTEMD, limit)

    def hand(self, owner: Client, frame: Frame) -> bool:
        """A message of the bus itself, if the policy lets it pass: the gate logs it if not."""
        passes = self.hub.gate.reaches(None, owner, frame)
        if passes:
            self.hub.hand(owner, frame)
        return passes

    def update_environment(self, variables: Mapping[str, str]) -> None:
        """UpdateActivationEnvironment. Raises Refused: systemd may not be told."""
        self.environment.update(variables)
        if self.by_systemd:
            owner = self.hub.names.owner(SYSTEMD)
            receiver = SYSTEMD if owner is None else owner.unique  # so the reference
            self.tell_systemd(systemd.set_environment(self.hub.serial(), receiver, variables))

    # ------------------------------------------------------------------------ the end

    def created(self, name: str) -> None:
        """The name has an owner, and all have heard of it but the owner: who has called
        StartServiceByName hears it here."""
        pending = self.pending.get(name)
        if pending is None:
            return
        pending.stop()
        seconds = self.outside.now() - pending.since
        self.hub.tally.start(name, "started", seconds)
        entries.started(pending, seconds)
        for waiting in pending.waiting:
            if waiting.answered is not None:
                waiting.answered(STARTED)

    def arrived(self, name: str, owner: Client) -> None:
        """The owner has heard of it: now comes all that waited, in its order. What comes later
        finds an owner, so nothing can overtake it."""
        pending = self.pending.pop(name, None)
        for waiting in pending.let_go() if pending is not None else ():
            self.room.give(waiting)
            if waiting.sender is None:
                self.hand(owner, waiting.frame)
            elif waiting.answered is None:
                self.resume(waiting.sender, owner, waiting.frame)

    def end(self, pending: Pending) -> list[Waiting]:
        """Nobody waits for it any more, and this is what did; the next message starts it anew."""
        pending.stop()
        del self.pending[pending.name]
        waiting = pending.let_go()
        for each in waiting:
            self.room.give(each)
        return waiting

    def fail(self, pending: Pending, refused: Refused) -> None:
        """It does not come: all who wait for it are told, whatever they sent."""
        all_waiting = self.end(pending)
        result = refused.name.rpartition(".")[2]
        self.hub.tally.start(pending.name, result, self.outside.now() - pending.since)
        for waiting in all_waiting:
            if waiting.sender is not None:
                self.hub.tally.refuse(waiting.frame, refused.name)
                self.hub.refuse(waiting.sender, waiting.frame, refused)

    def ended(self, pending: Pending, status: int) -> None:
        """Its process has ended. With status 0 that means nothing: some go on as another."""
        if self.pending.get(pending.name) is not pending:
            return
        pending.child = None
        pending.status = status
        if status == 0:
            return
        refused = failures.ended(pending.name, status)
        if pending.way is Way.HELPER and status > 0:
            refused = Refused(*helper.error_of(status))
        entries.failed(pending, refused)
        for each in [each for each in self.pending.values() if each.like(pending)]:
            self.fail(each, refused)

    def remind(self, pending: Pending, rest: float, limit: int) -> None:
        """Half of its time is over."""
        entries.slow(pending)
        pending.timer = self.outside.later(rest, partial(self.time_out, pending, limit))

    def time_out(self, pending: Pending, limit: int) -> None:
        """service_start_timeout, as it was when it began."""
        if pending.child is not None:
            pending.child.kill()
        refused = failures.too_slow(pending.name, limit)
        entries.too_slow(pending, refused)
        self.fail(pending, refused)

    def systemd_failed(self, client: Client, frame: Frame) -> None:
        """ActivationFailure, if it comes from systemd: others may forge it (CVE-2015-0245)."""
        owner = self.hub.names.owner(SYSTEMD)
        if client is not owner or not is_trusted(client.credentials.uid, self.hub.credentials):
            client.denied += 1
            if is_power_of_two(client.denied):  # it may do so as often as it likes
                entries.forged(client)
            return
        failure = systemd.read(frame)
        if not self.by_systemd or failure is None:
            log.info("Ignoring unexpected ActivationFailure message")
            return
        refused = failures.from_systemd(failure.error, failure.text)
        log.info("Activation via systemd failed for unit '%s': %s", failure.unit, failure.text)
        for pending in list(self.pending.values()):
            if pending.way is Way.SYSTEMD and pending.service.unit == failure.unit:
                self.fail(pending, refused)

    def stop(self) -> None:
        """The bus ends: nothing is started any more, and nobody is left to be told."""
        for pending in self.pending.values():
            pending.stop()

    def report(self) -> list[dict[str, object]]:
        """All that is being started, as JSON has it: since when, how, and who waits."""
        now = self.outside.now()
        return [pending.report(now) for pending in self.pending.values()]
