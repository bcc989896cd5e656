"""Which security module has a say on this bus, if any; and whether it may start without one.

The kernel has at most one that writes labels; whoever it is, the bus asks it, unless the
configuration says otherwise.
"""

from typing import Final

from bridge.mediation.library import Missing
from bridge.routing.credentials import Credentials
from bridge.routing.mediator import Mediator
from policy.configuration import Configuration

# Read, not asked of a library: to load one costs more than all else at the start, and nearly
# nobody needs it.
ENFORCE: Final = "/sys/fs/selinux/enforce"
APPARMOR: Final = "/sys/module/apparmor/parameters/enabled"

REQUIRED: Final = "AppArmor mediation required but not present"  # in dbus-daemon's words


def find(configuration: Configuration, bus: Credentials) -> Mediator | None:
    """The one to ask. Raises Missing where this bus must not run without it."""
    found = by_apparmor(configuration, bus)
    if found is None and configuration.apparmor == "required":
        raise Missing(REQUIRED)
    return found or by_selinux(configuration, bus)


def by_selinux(configuration: Configuration, bus: Credentials) -> Mediator | None:
    """While SELinux only warns it is no harm if nobody can be asked; else it is."""
    enforcing = read(ENFORCE)
    if not enforcing:
        return None
    from bridge.mediation.audit import Audit
    from bridge.mediation.selinux import SELinux

    audit = Audit()
    try:
        return SELinux(dict(configuration.selinux), bus, audit)
    except Missing as missing:
        audit.close()
        if enforcing == "1":
            raise Missing(f"SELinux is enforced, and cannot be asked: {missing}") from None
        return None


def by_apparmor(configuration: Configuration, bus: Credentials) -> Mediator | None:
    """Not every kernel with AppArmor mediates D-Bus."""
    if configuration.apparmor == "disabled" or read(APPARMOR) != "Y":
        return None
    from bridge.mediation.apparmor import AppArmor
    from bridge.mediation.audit import Audit

    audit = Audit()
    try:
        return AppArmor(configuration.type, bus, audit)
    except Missing:
        audit.close()
        return None


def read(path: str) -> str:
    """What a file of the kernel says; nothing if it is not there."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
