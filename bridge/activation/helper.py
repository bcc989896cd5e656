"""What a launch helper says with its exit status, and what is said to clients then.

The numbers and the texts are the reference's, so that its launch helper works with this bus, and
ours with it. It knows no processes.
"""

from enum import IntEnum, unique
from typing import Final

from bridge.routing.errors import INVALID_ARGS, PREFIX, SPAWN


@unique
class Exit(IntEnum):
    """Why no service was started. The trampoline (bridge/cli/trampoline.c) has some, too."""

    FAILED = 1  # a key of the service file is missing, for example
    NO_MEMORY = 2
    CONFIG_INVALID = 3
    SETUP_FAILED = 4
    NAME_INVALID = 5
    SERVICE_NOT_FOUND = 6
    PERMISSIONS_INVALID = 7
    FILE_INVALID = 8
    EXEC_FAILED = 9
    INVALID_ARGS = 10
    CHILD_SIGNALED = 11


ERRORS: Final = {
    Exit.NO_MEMORY: (PREFIX + "NoMemory", "Launcher could not run (out of memory)"),
    Exit.CONFIG_INVALID: (
        SPAWN + "ConfigInvalid",
        "Invalid configuration (missing or empty <user>?)",
    ),
    Exit.SETUP_FAILED: (SPAWN + "FailedToSetup", "Failed to setup environment correctly"),
    Exit.NAME_INVALID: (SPAWN + "ServiceNotValid", "Bus name is not valid or missing"),
    Exit.SERVICE_NOT_FOUND: (
        SPAWN + "ServiceNotFound",
        "Bus name not found in system service directory",
    ),
    Exit.PERMISSIONS_INVALID: (
        SPAWN + "PermissionsInvalid",
        "The permission of the setuid helper is not correct",
    ),
    Exit.FILE_INVALID: (  # so the reference: there is a Spawn.FileInvalid, which it does not use
        SPAWN + "PermissionsInvalid",
        "The service file is incorrect or does not have all required attributes",
    ),
    Exit.EXEC_FAILED: (
        SPAWN + "ExecFailed",
        "Cannot launch daemon, file not found or permissions invalid",
    ),
    Exit.INVALID_ARGS: (INVALID_ARGS, "Invalid arguments to command line"),
    Exit.CHILD_SIGNALED: (
        SPAWN + "ChildSignaled",
        "Launched child was signaled, it probably crashed",
    ),
}


def error_of(status: int) -> tuple[str, str]:
    """The error for an exit status that is not 0: its name, and its text. What was started as a
    service has the helper's place then, and its own statuses are taken for the helper's."""
    found = {int(reason): error for reason, error in ERRORS.items()}.get(status)
    if found is not None:
        return found
    return SPAWN + "ChildExited", f"Launch helper exited with unknown return code {status}"
