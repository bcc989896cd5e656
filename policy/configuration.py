"""What one bus is told, from whatever files it came. Knows no file formats."""

from dataclasses import dataclass, field
from typing import Final, Literal, final

from policy.limits import Limits
from policy.rule import Origin, Section

# In `service_directories`, where the reference would look by itself (dbus-daemon(1)).
STANDARD_SESSION: Final = "standard-session"
STANDARD_SYSTEM: Final = "standard-system"

Bus = Literal["session", "system"]  # the two that have standard files
SlowReceivers = Literal["drop", "disconnect"]
Apparmor = Literal["required", "enabled", "disabled"]


@final
class ConfigError(ValueError):
    """A file that cannot be used; the text begins with its name and, if known, its line."""


@final
@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that a file says and that has no effect: it was skipped, or means nobody."""

    origin: Origin
    text: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.text}"


@final
@dataclass(frozen=True, slots=True)
class Quota:
    """Other limits for one user, or for whoever owns one name. Only TOML has these.

    Exactly one of `user` (a name or a number) and `name` (a bus name) is set. `limits` has
    some of the names of Limits that are counted for a connection or a user.
    """

    user: str | None
    name: str | None
    limits: tuple[tuple[str, int], ...]
    origin: Origin = field(compare=False)


@final
@dataclass(frozen=True, slots=True)
class Rate:
    """How often one user may connect: `per_second` on average, `burst` at once."""

    per_second: float
    burst: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All that the files of one bus say, together.

    `type` is "session", "system", or whatever else the file says. `user` is who the bus
    becomes when it listens. `auth` are the mechanisms that are allowed; none: all there are.
    `service_directories` are paths, or STANDARD_SESSION or STANDARD_SYSTEM, in order.
    `policy` are the sections in the order of reading. `selinux` are pairs of a name to own and
    its context. `metrics` is the path of the socket where the bus is counted, `native` the address
    where native programs find it.

    `sources` are the files that were read, in order, `directories` those where one more file
    would count; `complaints` is what was skipped.
    """

    type: str = ""
    user: str | None = None
    listen: tuple[str, ...] = ()
    auth: tuple[str, ...] = ()
    allow_anonymous: bool = False
    fork: bool = False
    keep_umask: bool = False
    syslog: bool = False
    pidfile: str | None = None
    service_directories: tuple[str, ...] = ()
    service_helper: str | None = None
    limits: Limits = field(default_factory=Limits)
    policy: tuple[Section, ...] = ()
    selinux: tuple[tuple[str, str], ...] = ()
    apparmor: Apparmor = "enabled"
    permissive: bool = False
    quotas: tuple[Quota, ...] = ()
    connection_rate: Rate | None = None
    slow_receivers: SlowReceivers = "drop"
    metrics: str | None = None
    native: str | None = None
    sources: tuple[str, ...] = field(default=(), compare=False)
    directories: tuple[str, ...] = field(default=(), compare=False)
    complaints: tuple[Complaint, ...] = field(default=(), compare=False)
