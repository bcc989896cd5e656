"""Denials of security modules go to the kernel's audit log, or else to the bus's own.

It knows nothing of who denied what. Writing there takes CAP_AUDIT_WRITE, which the bus keeps
when it becomes its user (capabilities.py).
"""

import ctypes
import logging
import os
from typing import Any, Final, final

from bridge.mediation.library import AUDIT, Missing, load
from policy.text import printable

# Linux, include/uapi/linux/audit.h
USER_AVC: Final = 1107
USER_MAC_POLICY_LOAD: Final = 2310
USER_MAC_STATUS: Final = 2311

LONGEST: Final = 8000  # bytes of a record: MAX_AUDIT_MESSAGE_LENGTH is 8970

log = logging.getLogger("bus1.policy")


@final
class Audit:
    """The way to the audit log; `fd` is None where there is none."""

    def __init__(self, library: str = AUDIT) -> None:
        self.library: Any = None
        self.fd: int | None = None
        try:
            self.library = load(library)
        except Missing:
            return
        self.library.audit_log_user_avc_message.argtypes = [
            *(ctypes.c_int, ctypes.c_int),
            *(ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p),
            ctypes.c_uint,
        ]
        fd = self.library.audit_open()
        if fd >= 0:
            os.set_inheritable(fd, False)
            os.set_blocking(fd, False)
            self.fd = fd

    def record(self, text: str, kind: int = USER_AVC) -> None:
        """One record; what the kernel does not take is in the bus's own log."""
        line = printable(text)
        if not self.send(line.encode()[:LONGEST], kind):
            log.warning("%s", line)

    def send(self, line: bytes, kind: int) -> bool:
        """Did the kernel take it?"""
        if self.fd is None:
            return False
        uid = os.getuid()
        sent = self.library.audit_log_user_avc_message(self.fd, kind, line, None, None, None, uid)
        return int(sent) > 0

    def close(self) -> None:
        """Nothing is recorded there any more."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
