"""What the server is told when it starts, and what it reads again at each reload."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, final

from bridge.activation import directories
from bridge.activation.service import Services
from bridge.routing.mediator import Mediator
from bridge.transport.files import Stamps, stamps
from bridge.transport.launch import Listener
from policy.configuration import ConfigError, Configuration
from policy.people import People
from policy.policy import Policy
from policy.text import escaped

Read = Callable[[], Configuration]

LONGEST: Final = 2000  # characters that are said of what is wrong; files may say any number


@final
@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, its policy and services, and how its files looked when they were read.

    `complaints` is all that has no effect here, unknown users and broken service files included:
    lines for the log.
    """

    configuration: Configuration
    policy: Policy
    complaints: tuple[str, ...]
    stamps: Stamps
    services: Services


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """One bus: its configuration, how to read that again, and the id by which clients know it.

    `root` is the file that was named on the command line, if there was one; `address` is where
    clients find the bus. For services: `environment` is that with which its process was started,
    `systemd_activation` is that option, `journal` is where the journal takes what they print, if
    it is to. `metrics` are the sockets where the bus is counted, `native` those where native
    programs find it. `mediator` is the security
    module of the kernel that is asked about messages and names, if there is one.
    """

    loaded: Loaded
    read: Read
    guid: str
    root: str | None = None
    address: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    systemd_activation: bool = False
    journal: str | None = None
    metrics: tuple[Listener, ...] = ()
    native: tuple[Listener, ...] = ()
    mediator: Mediator | None = None

    @property
    def native_address(self) -> str:
        """Where native programs find the bus, in one place if there are several."""
        return self.native[0].address if self.native else ""


def load(read: Read) -> Loaded:
    """Read all files and look up the users: it may take long. Raises ConfigError, OSError."""
    configuration = read()
    people = People()
    policy = Policy(configuration, people)
    services = directories.read(configuration, os.environ)
    complaints = (
        *map(str, (*configuration.complaints, *people.complaints)),
        *map(one_line, services.complaints),
    )
    seen = stamps(configuration) | services.stamps()
    return Loaded(configuration, policy, complaints, seen, services)


def reason(error: ConfigError | OSError) -> str:
    """Why there is no configuration, in one line: it begins with the place, if there is one."""
    if isinstance(error, OSError) and error.filename is not None:
        text = f'Failed to open "{error.filename}": {error.strerror}'
    else:
        text = str(error)
    return one_line(text)


def one_line(text: str) -> str:
    """As the log may have it, whatever stands in files and in their names."""
    return escaped(text[:LONGEST])
