"""What the server is told when it starts, and what it reads again at each reload."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from bridge.transport.files import Stamps, stamps
from policy.configuration import Complaint, ConfigError, Configuration
from policy.people import People
from policy.policy import Policy

Read = Callable[[], Configuration]

LONGEST: Final = 2000  # characters that are said of what is wrong; files may say any number


@final
@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and its policy, and what its files looked like when they were read.

    `complaints` is all that has no effect here, unknown users included.
    """

    configuration: Configuration
    policy: Policy
    complaints: tuple[Complaint, ...]
    stamps: Stamps


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """One bus: its configuration, how to read that again, and the id by which clients know it.

    `root` is the file that was named on the command line, if there was one.
    """

    loaded: Loaded
    read: Read
    guid: str
    root: str | None = None


def load(read: Read) -> Loaded:
    """Read the files and look up the users: it may take long. Raises ConfigError, OSError."""
    configuration = read()
    people = People()
    policy = Policy(configuration, people)
    complaints = (*configuration.complaints, *people.complaints)
    return Loaded(configuration, policy, complaints, stamps(configuration))


def reason(error: ConfigError | OSError) -> str:
    """Why there is no configuration, in one line: it begins with the place, if there is one."""
    if isinstance(error, OSError) and error.filename is not None:
        text = f'Failed to open "{error.filename}": {error.strerror}'
    else:
        text = str(error)
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text[:LONGEST])
