"""What would go wrong on a machine whose bus is bus1. Only looks."""

import os
import pwd
import re
import resource
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, final

from bridge.activation.service import Service, Services
from bridge.cli.install.place import Place
from policy.configuration import Configuration
from policy.study.remark import Level

ENOUGH: Final = 65536  # descriptors, as many as dbus-daemon gives itself
APPARMOR: Final = Path("/sys/module/apparmor/parameters/enabled")
LIMITS: Final = Path("/proc/1/limits")
OPEN_FILES: Final = re.compile(r"^Max open files\s+\S+\s+(\d+)", re.MULTILINE)


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or good to know: `code` is a short word for its kind."""

    level: Level
    code: str
    why: str
    advice: str = ""

    def record(self) -> dict[str, Any]:
        return asdict(self)


def of_the_process(place: Place, configuration: Configuration) -> Iterator[Finding]:
    """What the bus itself needs."""
    name = configuration.user
    if name is not None and not known(name):
        yield Finding(
            "error",
            "no-user",
            f"there is no user {name}, whom the bus is to become: it does not start",
            "the package dbus makes this user",
        )
    if configuration.apparmor == "required" and not apparmor():
        yield Finding(
            "error",
            "no-apparmor",
            "the configuration requires AppArmor, which this kernel does not have, or not enabled",
            'say <apparmor mode="enabled"/>, or start the kernel with apparmor=1',
        )
    most = descriptors()
    if place.bus == "system" and most < ENOUGH:
        yield Finding(
            "warning",
            "few-descriptors",
            f"a process may have no more than {most} descriptors open, and each client is one",
            "raise DefaultLimitNOFILE in /etc/systemd/system.conf",
        )


def known(name: str) -> bool:
    """A user, by name or number."""
    try:
        pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        return name.isdecimal()
    return True


def apparmor() -> bool:
    try:
        return APPARMOR.read_text().strip() == "Y"
    except OSError:
        return False


def descriptors() -> int:
    """As many as what systemd starts may have; of a user who may not see that, our own."""
    try:
        found = OPEN_FILES.search(LIMITS.read_text())
    except OSError:
        found = None
    return int(found[1]) if found else resource.getrlimit(resource.RLIMIT_NOFILE)[1]


# ------------------------------------------------------------------------- services


def of_services(
    place: Place, configuration: Configuration, services: Services, systemd: bool
) -> Iterator[Finding]:
    """Those that could not be started: by systemd, if it runs and they have a unit."""
    for complaint in services.complaints:
        yield Finding("warning", "service-file", complaint)
    helped: list[Service] = []
    for service in services.all():
        if systemd and service.unit:
            yield from of_unit(place, service)
        else:
            yield from of_program(place, service)
            helped.append(service)
    if place.bus == "system" and helped:
        yield from of_helper(configuration.service_helper, helped)


def of_unit(place: Place, service: Service) -> Iterator[Finding]:
    """Often on purpose: a service that is disabled has no alias."""
    assert service.unit is not None
    if place.find(service.unit) is None:
        yield Finding(
            "note",
            "no-unit",
            f"{service.name} cannot be started: systemd has no unit {service.unit}"
            f" ({service.file})",
        )


def of_program(place: Place, service: Service) -> Iterator[Finding]:
    """A service that is started without systemd."""
    about = f"{service.name} cannot be started"
    if service.wrong:
        yield Finding("warning", "no-program", f"{about}: {service.wrong} ({service.file})")
    elif service.words and not os.access(program := service.words[0], os.X_OK):
        hint = "" if "/" in program else ", nobody looks for it in $PATH"
        why = f"{about}: there is no program {program}{hint} ({service.file})"
        yield Finding("warning", "no-program", why)
    if place.bus == "session":
        return
    if service.user is None:
        why = f"{about}: its file has no User= and no SystemdService= ({service.file})"
        yield Finding("warning", "no-service-user", why)
    elif not known(service.user):
        why = f"{about}: there is no user {service.user} ({service.file})"
        yield Finding("warning", "no-service-user", why)


def of_helper(program: str | None, helped: list[Service]) -> Iterator[Finding]:
    """Who becomes the users of services."""
    who = ", ".join(service.name for service in helped)
    if program is None:
        why = "the configuration names no launch helper"
    else:
        try:
            found = os.stat(program)
        except OSError as error:
            why = f"the launch helper {program} cannot be used: {error.strerror}"
        else:
            if found.st_uid == 0 and found.st_mode & stat.S_ISUID:
                return
            why = f"the launch helper {program} is not setuid root"
    yield Finding("warning", "no-helper", f"{why}; it is needed to start {who}")
