"""The one right of root that a bus keeps when it becomes its user: to write to the audit log."""

import ctypes
import os
from collections.abc import Callable
from typing import Final

# Linux, include/uapi/linux/capability.h and prctl.h
AUDIT_WRITE: Final = 29
VERSION_3: Final = 0x20080522
SET_KEEPCAPS: Final = 8


def keeping_audit(become: Callable[[], None]) -> None:
    """Have `become` change the user, and keep CAP_AUDIT_WRITE alone. What the bus starts does not
    get it: nothing is inheritable. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(SET_KEEPCAPS, 1, 0, 0, 0):
        raise failed("Failed to keep capabilities")
    become()
    mask = 1 << AUDIT_WRITE
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    # effective, permitted, inheritable of the first 32; then of the others
    sets = (ctypes.c_uint32 * 6)(mask, mask, 0, 0, 0, 0)
    if library.capset(header, sets):
        raise failed("Failed to drop capabilities")
    if library.prctl(SET_KEEPCAPS, 0, 0, 0, 0):
        raise failed("Failed to unset keep-capabilities")


def failed(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
