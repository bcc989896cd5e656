"""A configuration while its files are being read: one draft a file, taken over by the includer.

Both forms write into drafts, so that one bus can have files of both. What a file adds to comes
in the order of reading; what it sets replaces what was set before it.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import count
from typing import Any, Final, final

from policy.configuration import (
    Apparmor,
    Complaint,
    ConfigError,
    Configuration,
    Quota,
    Rate,
    SlowReceivers,
)
from policy.files import selinux
from policy.limits import Limits
from policy.rule import NOWHERE, Origin, Section

FORMS: Final = (".conf", ".toml")  # what counts in a directory of files
DEEPEST: Final = 64  # includes within includes
MOST_FILES: Final = 10_000  # so that files that include others twice come to an end
LONGEST: Final = 2**20  # bytes of a file, as in the reference
MECHANISMS: Final = ("EXTERNAL", "DBUS_COOKIE_SHA1", "ANONYMOUS")  # that the reference knows
OWN: Final = ("path", "above", "via", "bus", "count")  # what a draft has for itself
CONDITIONS: Final = ("ignore_missing", "if_selinux_enabled", "selinux_root_relative")


@final
@dataclass(frozen=True, slots=True)
class Inclusion:
    """A file to read, or all files of a directory, by the path that was written; of a file also
    CONDITIONS."""

    path: str
    directory: bool = False
    ignore_missing: bool = False
    if_selinux_enabled: bool = False
    selinux_root_relative: bool = False
    origin: Origin = field(default=NOWHERE, compare=False)


@dataclass(slots=True)
class Draft:
    """What one file and those that it includes say. `path` is absolute; `above` are the real
    paths of the files that include it, the outermost first, and `via` where they do. `bus` is
    the type of the bus that the file is read for, as far as that is known; `count` counts all
    files that are included."""

    path: str
    above: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    bus: str | None = None
    count: Iterator[int] = field(default_factory=count)
    type: str | None = None
    user: str | None = None
    listen: list[str] = field(default_factory=list)
    auth: list[str] = field(default_factory=list)
    allow_anonymous: bool = False
    fork: bool = False
    keep_umask: bool = False
    syslog: bool = False
    pidfile: str | None = None
    service_directories: list[str] = field(default_factory=list)
    service_helper: str | None = None
    limits: Limits = field(default_factory=Limits)
    policy: list[Section] = field(default_factory=list)
    selinux: dict[str, str] = field(default_factory=dict)
    apparmor: Apparmor | None = None
    permissive: bool | None = None
    quotas: list[Quota] = field(default_factory=list)
    connection_rate: Rate | None = None
    slow_receivers: SlowReceivers | None = None
    metrics: str | None = None
    native: str | None = None
    sources: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)

    def origin(self, line: int, context: str = "") -> Origin:
        """A place in this file."""
        return Origin(self.path, line, context, self.via)

    def is_for(self, bus: str | None) -> bool:
        """Does a file that is for this type of bus (None: for any) count here?"""
        return bus is None or self.bus in (None, bus)

    # -------------------------------------------------------------- files in files

    def resolve(self, path: str) -> str:
        """Relative paths are relative to the file that has them."""
        return os.path.join(os.path.dirname(self.path), path)

    def include(self, inclusion: Inclusion) -> None:
        """Read what is included here."""
        if inclusion.directory:
            self.include_directory(inclusion.path, inclusion.origin)
        elif not inclusion.if_selinux_enabled or selinux.enabled():
            self.include_file(inclusion)

    def include_file(self, inclusion: Inclusion) -> None:
        """Read one more file here. Raises ConfigError: what is wrong in it is wrong here."""
        path, origin = inclusion.path, inclusion.origin
        if inclusion.selinux_root_relative:
            path = os.path.join(selinux.policy_root(), path)
        child = self.child(self.resolve(path), origin)
        self.directories.append(os.path.dirname(child.path))
        try:
            read(child)
        except OSError as error:
            if not (inclusion.ignore_missing and isinstance(error, FileNotFoundError)):
                raise ConfigError(f"{origin}: {child.path}: {error.strerror}") from error
        except ConfigError as error:
            if not (inclusion.ignore_missing and is_missing(error)):
                raise ConfigError(f"{error} (included at {origin})") from error
            # The reference takes the file for missing then (bus/config-parser.c, include_file).
            self.complaints.append(Complaint(Origin(child.path), f"skipped: {error}"))
        else:
            self.absorb(child)

    def include_directory(self, path: str, origin: Origin) -> None:
        """Read all files of a directory, sorted by name. A broken one is skipped, and said."""
        path = self.resolve(path)
        self.directories.append(path)
        try:
            names = sorted(name for name in os.listdir(path) if name.endswith(FORMS))
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(f"{origin}: {path}: {error.strerror}") from error
        for name in names:
            self.include_if_good(os.path.join(path, name), origin)

    def include_if_good(self, path: str, origin: Origin) -> None:
        """Read a file of a directory. It is skipped if it, or what it includes, is broken."""
        try:
            child = self.child(path, origin)
            read(child)
        except ConfigError as error:
            self.complaints.append(Complaint(Origin(path), f"skipped: {error}"))
        except OSError as error:
            self.complaints.append(Complaint(Origin(path), f"skipped: {error.strerror}"))
        else:
            self.absorb(child)

    def child(self, path: str, origin: Origin) -> "Draft":
        """A draft of a file that is included at `origin`; limits go on from what they are."""
        above, via = (*self.above, os.path.realpath(self.path)), (*self.via, str(origin))
        if os.path.realpath(path) in above:
            raise ConfigError(f"{origin}: {path} includes itself")
        if len(above) > DEEPEST:
            raise ConfigError(f"{origin}: more than {DEEPEST} files include each other")
        if next(self.count) >= MOST_FILES:
            raise ConfigError(f"{origin}: more than {MOST_FILES} files")
        bus = self.type or self.bus
        return Draft(path, above, via, bus, self.count, limits=self.limits)

    def absorb(self, child: "Draft") -> None:
        """The file was read to its end: all that it says holds here."""
        for each in fields(Draft):
            said = getattr(child, each.name)
            if each.name in OWN or said is None:
                continue
            if each.name == "service_directories":
                for path in said:
                    self.add_service_directory(path)
            elif isinstance(said, list):
                getattr(self, each.name).extend(said)
            elif isinstance(said, dict):
                getattr(self, each.name).update(said)
            elif isinstance(said, bool) and each.name != "permissive":
                setattr(self, each.name, said or getattr(self, each.name))
            else:
                setattr(self, each.name, said)

    def add_service_directory(self, path: str) -> None:
        """One more to look for services in, after the others; each only once."""
        if path not in self.service_directories:
            self.service_directories.append(path)

    def limit(self, name: str, value: int) -> None:
        """Set one limit, which the reader has checked. No time to reply is any time to reply."""
        never = name == "reply_timeout" and value == 0
        said: dict[str, Any] = {name: None if never else value}
        self.limits = replace(self.limits, **said)

    def finish(self) -> Configuration:
        """All files have been read. Raises ConfigError."""
        if not self.listen:
            raise ConfigError(f"{self.path}: no <listen> element: nowhere to listen")
        for name in self.auth:
            if name not in MECHANISMS:
                raise ConfigError(f'{self.path}: there is no authentication mechanism "{name}"')
        said: dict[str, Any] = {
            each.name: tuple(value) if isinstance(value, list) else value
            for each in fields(Draft)
            if each.name not in OWN and (value := getattr(self, each.name)) is not None
        }
        return Configuration(**said | {"selinux": tuple(self.selinux.items())})


def read(draft: Draft) -> None:
    """Read the draft's own file in the form that its name says. Raises ConfigError, OSError."""
    with open(draft.path, "rb", opener=without_waiting) as file:
        if draft.above and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ConfigError(f"{draft.path}: not a regular file")
        os.set_blocking(file.fileno(), True)
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ConfigError(f"{draft.path}: the file has more than {LONGEST} bytes")
    draft.sources.append(draft.path)
    reader(draft.path)(draft, content)


def without_waiting(path: str, flags: int) -> int:
    """Opens a file; a pipe that nobody writes to is empty, and no reason to wait."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def is_missing(error: ConfigError) -> bool:
    """Is it, at the bottom, that a file is not there?"""
    cause: BaseException | None = error
    while isinstance(cause, ConfigError):
        cause = cause.__cause__
    return isinstance(cause, FileNotFoundError)


def reader(path: str) -> Callable[[Draft, bytes], None]:
    """What reads a file of this name. TOML's reader is slow to import, so only if it is used."""
    if path.endswith(".toml"):
        from policy.files import toml_form

        return toml_form.read
    from policy.files import busconfig

    return busconfig.read
