"""Who is behind a name: the methods of org.freedesktop.DBus that tell what the kernel told."""

import os
from typing import Final

from bridge.driver.call import Call, unowned
from bridge.driver.interface import Body
from bridge.routing.credentials import Credentials
from bridge.routing.errors import (
    AUDIT_UNKNOWN,
    FAILED,
    SECURITY_CONTEXT_UNKNOWN,
    UNIX_PROCESS_ID_UNKNOWN,
    Refused,
)
from bridge.wire.protocol import DRIVER

SELINUX: Final = "/sys/fs/selinux/enforce"  # is there only where SELinux is on


def get_connection_unix_user(call: Call) -> Body:
    uid = find(call, "UID").uid
    if uid is None:
        raise unknown(call, FAILED, "UID")
    return (uid,)


def get_connection_unix_process_id(call: Call) -> Body:
    pid = find(call, "PID").pid
    if pid is None:
        raise unknown(call, UNIX_PROCESS_ID_UNKNOWN, "PID")
    return (pid,)


def get_connection_credentials(call: Call) -> Body:
    """All that is known, each under its key; what is not known has no key."""
    known = find(call, "credentials")
    table = described(known)
    if known.pidfd is None or not call.client.takes_fds:  # or they would be disconnected
        return (table,)
    table["ProcessFD"] = "h", 0
    call.answer(table, fds=known.pidfd)
    return None


def described(known: Credentials) -> dict[str, tuple[str, object]]:
    """All of it that is no descriptor."""
    table: dict[str, tuple[str, object]] = {}
    if known.pid is not None:
        table["ProcessID"] = "u", known.pid
    if known.uid is not None:
        table["UnixUserID"] = "u", known.uid
    if known.groups is not None:
        table["UnixGroupIDs"] = "au", list(known.groups)
    if known.label is not None:
        table["LinuxSecurityLabel"] = "ay", known.label
    return table


def get_adt_audit_session_data(call: Call) -> Body:
    """Solaris has such data; Linux does not."""
    find(call, "audit session data")
    raise unknown(call, AUDIT_UNKNOWN, "audit session data")


def get_connection_selinux_security_context(call: Call) -> Body:
    """The label if SELinux wrote it, without the NUL that closes it in LinuxSecurityLabel."""
    label = find(call, "security context").label
    if label is None or not os.path.exists(SELINUX):
        raise unknown(call, SECURITY_CONTEXT_UNKNOWN, "security context")
    return (label.rstrip(b"\0"),)


def find(call: Call, wanted: str) -> Credentials:
    """The credentials of whoever owns the name; for the bus's own name, those of the bus."""
    (name,) = call.arguments
    if name == DRIVER:
        return call.hub.credentials
    owner = call.hub.names.owner(name)
    if owner is None:
        raise unowned(wanted, name)
    return owner.credentials


def unknown(call: Call, error: str, wanted: str) -> Refused:
    """The name has an owner, but the kernel did not say this of it."""
    return Refused(error, f"Could not determine {wanted} for '{call.arguments[0]}'")
