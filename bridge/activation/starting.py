"""Starts the processes of services, and says so in the log. It knows nothing of who waits."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, final

from bridge.activation import failures
from bridge.activation.environment import Environment
from bridge.activation.pending import Child, Pending, Timer, Way
from bridge.routing.client import Client
from bridge.routing.entry import Kind, connection, entry
from bridge.routing.errors import Refused
from bridge.routing.hub import Hub

log = logging.getLogger("bus1.activation")


class Outside(Protocol):
    """What is asked of the transport. What it calls back may have told clients something."""

    def now(self) -> float:
        """Seconds on the loop's clock."""

    def later(self, seconds: float, then: Callable[[], None]) -> Timer:
        """Call it then, once."""

    def start(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        ended: Callable[[int], None],
        name: str,
    ) -> Child:
        """Start a program; `ended` gets its exit status, or minus the signal that ended it.
        Raises OSError if it cannot be executed, Refused if there can be no process."""


@final
class Starter:
    """How one bus starts processes."""

    def __init__(self, hub: Hub, outside: Outside, environment: Environment) -> None:
        self.hub = hub
        self.outside = outside
        self.environment = environment

    def way(self) -> Way:
        """How a service is started that systemd does not start."""
        return Way.EXEC if self.hub.configuration.service_helper is None else Way.HELPER

    def start(self, pending: Pending, asker: Client | None, ended: Callable[[int], None]) -> Child:
        """Start a process. Raises Refused."""
        words = self.words(pending)
        how = " (using servicehelper)" if pending.way is Way.HELPER else ""
        say(pending, asker, f"Activating service name='{pending.name}'", how)
        variables = self.environment.of_services(self.hub.configuration.type)
        try:
            return self.outside.start(words, variables, ended, pending.name)
        except OSError as error:
            refused = failures.not_executed(pending.name, error)
        except Refused as error:
            refused = error
        say_failed(pending, refused)
        raise refused

    def words(self, pending: Pending) -> tuple[str, ...]:
        """What to execute. Raises Refused."""
        service, program = pending.service, self.hub.configuration.service_helper
        if program is None:
            if service.wrong:
                raise failures.not_to_split(service.wrong)
            return service.words
        if service.user is None:
            raise failures.no_user()
        return program, service.name


def say(pending: Pending, asker: Client | None, text: str, how: str = "") -> None:
    """It is being started, and who wants that."""
    if asker is not None:
        text = f"{text} requested by '{asker.unique}' ({asker.who()}){how}"
    known = {} if asker is None else connection(asker)
    log.info("%s", text, extra=entry(Kind.STARTING, known, service=pending.name))


def say_failed(pending: Pending, refused: Refused) -> None:
    """It could not be started, or ended too soon."""
    extra = entry(Kind.NOT_STARTED, service=pending.name, reason=refused.text)
    log.info("Activated service '%s' failed: %s", pending.name, refused.text, extra=extra)


def say_started(pending: Pending, seconds: float) -> None:
    """Its name has an owner."""
    extra = entry(Kind.STARTED, service=pending.name, seconds=round(seconds, 3))
    log.info("Successfully activated service '%s'", pending.name, extra=extra)


def say_slow(pending: Pending) -> None:
    """Half of its time is over: somebody may want to know why."""
    text = f"{pending.state()}, {len(pending.waiting)} messages wait"
    extra = entry(Kind.SLOW_START, service=pending.name)
    log.warning("Service '%s' is slow: %s", pending.name, text, extra=extra)


def say_too_slow(pending: Pending, refused: Refused) -> None:
    """All of its time is over."""
    extra = entry(Kind.NOT_STARTED, service=pending.name, reason=refused.text)
    log.warning("%s", refused.text, extra=extra)


def say_forged(client: Client) -> None:
    """Somebody else speaks for systemd."""
    text = f"connection {client.unique} ({client.who()})"
    extra = entry(Kind.FORGED, connection(client))
    log.warning("Ignoring forged ActivationFailure message from %s", text, extra=extra)
