"""Where services are looked for: what a configuration names, and the standard places.

It knows no service files. The environment is that of when the bus was started.
"""

import os
import pwd
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from bridge.activation.directory import Directory, Naming
from bridge.activation.service import Services
from policy.configuration import STANDARD_SESSION, STANDARD_SYSTEM, Configuration

SESSION: Final = "dbus-1/services"
SYSTEM: Final = "dbus-1/system-services"
DATA: Final = "/usr/share"  # where Debian's dbus-daemon is installed
DATA_DIRS: Final = "/usr/local/share:/usr/share"
# The first two are the specification's and of dbus-daemon 1.15, for the administrator and for what
# is made at run time; 1.14, which has them not, does not care whether they are there. Names of
# files are strict there: no older file could be used to anything else.
LOCAL: Final = ("/etc", "/run")
INSTALLED: Final = ("/usr/local/share", DATA, "/lib")


def read(configuration: Configuration, environment: Mapping[str, str]) -> Services:
    """All services of a bus. It may take long."""
    complaints: list[str] = []
    return Services(find(configuration, environment, complaints), complaints)


def find(
    configuration: Configuration, environment: Mapping[str, str], complaints: list[str]
) -> tuple[Directory, ...]:
    """Where they are looked for, in order; nothing has been read yet."""
    naming: Naming = "any" if configuration.service_helper is None else "helper"
    found: dict[str, Directory] = {}
    directories: Iterable[Directory]
    for each in configuration.service_directories:
        if each == STANDARD_SESSION:
            directories = session(environment, naming, complaints)
        elif each == STANDARD_SYSTEM:
            directories = system(naming)
        else:
            directories = [Directory(each, naming)]
        for directory in directories:
            found.setdefault(directory.path, directory).join(directory)
    return tuple(found.values())


def system(naming: Naming) -> Iterator[Directory]:
    """The directories of the machine."""
    for place in LOCAL:
        yield Directory(os.path.join(place, SYSTEM), "strict")
    for place in INSTALLED:
        yield Directory(os.path.join(place, SYSTEM), naming)


def session(
    environment: Mapping[str, str], naming: Naming, complaints: list[str]
) -> Iterator[Directory]:
    """The directories of a user: what is made at run time, the user's own, the machine's."""
    runtime = environment.get("XDG_RUNTIME_DIR")
    if runtime is not None:
        try:
            # Not watched, as by the reference: who writes there calls ReloadConfig.
            yield Directory(transient(runtime), "strict", watched=False)
        except ValueError as error:
            complaints.append(f"Unable to set up transient service directory: {error}")
    for place in data(environment):
        yield Directory(os.path.join(place, SESSION), naming)


def data(environment: Mapping[str, str]) -> Iterable[str]:
    """The XDG Base Directory Specification's places for data. What is not absolute does not
    count, it says."""
    own = environment.get("XDG_DATA_HOME")
    if own is None:
        own = os.path.join(home(environment), ".local/share")
    others = environment.get("XDG_DATA_DIRS", DATA_DIRS)
    places = [place.strip(" \t\n\r") for place in (*f"{own}:{others}".split(":"), DATA)]
    return [place for place in places if place.startswith("/")]


def home(environment: Mapping[str, str]) -> str:
    """As the reference: that of the user, and not what HOME says, if that is known."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return environment.get("HOME", "")


def transient(runtime: str) -> str:
    """The directory for services that are made at run time, which is made if it is missing.
    Raises ValueError: others could make services there."""
    private(runtime, "XDG_RUNTIME_DIR")
    path = runtime
    for name in SESSION.split("/"):
        path = os.path.join(path, name)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        except OSError as error:
            raise ValueError(f"Failed to create directory {path}: {error.strerror}") from None
        private(path, "XDG_RUNTIME_DIR subdirectory")
    return path


def private(path: str, what: str) -> None:
    """Is it a directory of ours, in which nobody else can write? Raises ValueError."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise ValueError(f'{what} "{path}" not available: {error.strerror}') from None
    if not stat.S_ISDIR(found.st_mode):
        raise ValueError(f'{what} "{path}" is not a directory')
    own = os.geteuid()
    if found.st_uid != own:
        raise ValueError(f'{what} "{path}" is owned by uid {found.st_uid}, not our uid {own}')
    if found.st_mode & (stat.S_IWOTH | stat.S_IWGRP):
        raise ValueError(f'{what} "{path}" can be written by others (mode 0{found.st_mode:o})')
