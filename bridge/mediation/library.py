"""A library of the system's security modules, found by the loader, or missing. No policy here."""

import os
from typing import Any, Final

SELINUX: Final = "libselinux.so.1"
APPARMOR: Final = "libapparmor.so.1"
AUDIT: Final = "libaudit.so.1"


class Missing(Exception):
    """The machine does not have what is asked for; the text says what, in one line."""


def load(name: str) -> Any:
    """The library by its name in the loader's directories. Raises Missing."""
    import ctypes  # slow, and only needed where there is something to load

    try:
        return ctypes.CDLL(name, use_errno=True)
    except OSError as error:
        raise Missing(str(error)) from None


def failure() -> str:
    """Why the last call failed, in words."""
    import ctypes

    return os.strerror(ctypes.get_errno())
