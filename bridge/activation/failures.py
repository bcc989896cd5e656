"""What those hear who waited for a service that does not come. Knows only words.

The texts are dbus-daemon's, which tools and people search for; the names are those of the D-Bus
Specification, "Message Bus Starting Services (Activation)".
"""

from typing import Final

from bridge.routing.errors import INVALID_ARGS, LIMITS_EXCEEDED, PREFIX, SPAWN, Refused
from bridge.wire.names import is_error_name

TIMED_OUT: Final = PREFIX + "TimedOut"
EXEC_FAILED: Final = SPAWN + "ExecFailed"
FORK_FAILED: Final = SPAWN + "ForkFailed"
CHILD_EXITED: Final = SPAWN + "ChildExited"
CHILD_SIGNALED: Final = SPAWN + "ChildSignaled"
FILE_INVALID: Final = SPAWN + "FileInvalid"
FAILED: Final = SPAWN + "Failed"


def not_executed(name: str, error: OSError) -> Refused:
    """There is no such program, or the bus may not execute it."""
    return Refused(EXEC_FAILED, f"Failed to execute program {name}: {error.strerror}")


def not_forked(name: str, error: OSError) -> Refused:
    """The system has no room for one more process."""
    return Refused(FORK_FAILED, f"Failed to fork a new process {name}: {error.strerror}")


def ended(name: str, status: int) -> Refused:
    """It exited, or a signal (a negative status) killed it, without having the name."""
    if status < 0:
        return Refused(CHILD_SIGNALED, f"Process {name} received signal {-status}")
    return Refused(CHILD_EXITED, f"Process {name} exited with status {status}")


def not_to_split(wrong: str) -> Refused:
    """Exec= is no command line."""
    return Refused(INVALID_ARGS, wrong)


def no_user() -> Refused:
    """The launch helper has to be told whom to become; the line end is the reference's."""
    return Refused(FILE_INVALID, "Cannot do system-bus activation with no user\n")


def too_slow(name: str, milliseconds: int) -> Refused:
    """service_start_timeout."""
    text = (
        f"Failed to activate service '{name}': timed out (service_start_timeout={milliseconds}ms)"
    )
    return Refused(TIMED_OUT, text)


def too_many(name: str, limit: int) -> Refused:
    """max_pending_service_starts."""
    return Refused(
        LIMITS_EXCEEDED,
        f"The maximum number of pending activations has been reached, activation of {name} failed "
        f"(max_pending_service_starts={limit})",
    )


def too_much(name: str) -> Refused:
    """The sender's quota."""
    return Refused(LIMITS_EXCEEDED, f"Too much waits for services to start, {name} among them")


def from_systemd(error: str, text: str) -> Refused:
    """What systemd says of it, if that is the name of an error."""
    return Refused(error if is_error_name(error) else FAILED, text)
