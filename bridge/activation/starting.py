"""Starts the processes of services. It knows nothing of who waits."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, final

from bridge.activation import entries, failures
from bridge.activation.environment import Environment
from bridge.activation.pending import Child, Pending, Timer, Way
from bridge.routing.client import Client
from bridge.routing.errors import Refused
from bridge.routing.hub import Hub


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
        entries.starting(pending, asker, f"Activating service name='{pending.name}'", how)
        variables = self.environment.of_services(self.hub.configuration.type)
        try:
            return self.outside.start(words, variables, ended, pending.name)
        except OSError as error:
            raise failed(pending, failures.not_executed(pending.name, error)) from None
        except Refused as refused:
            raise failed(pending, refused) from None

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


def failed(pending: Pending, refused: Refused) -> Refused:
    """The same error, when the log has it. Whoever raises an error from a variable makes a cycle of
    it, the variable's frame and all that is there: the message with its descriptors would be held
    until somebody looks for cycles."""
    entries.failed(pending, refused)
    return refused
