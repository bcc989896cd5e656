"""The reference library, where this machine has it, as a second opinion beside the model."""

import ctypes
import ctypes.util

NAME = ctypes.util.find_library("dbus-1")
LIBRARY = ctypes.CDLL(NAME) if NAME else None
if LIBRARY is not None:
    LIBRARY.dbus_message_demarshal.restype = ctypes.c_void_p
    LIBRARY.dbus_message_unref.argtypes = [ctypes.c_void_p]


def agrees(valid: bool, data: bytes) -> bool:
    """Whether the reference thinks the same of a message; it has no say where descriptors are
    claimed, which it cannot get here, and in field 10, which is its own."""
    if LIBRARY is None or b"\x09\x01u\0" in data or b"\x0a\x01" in data:
        return True
    found = LIBRARY.dbus_message_demarshal(data, len(data), None)
    if found:
        LIBRARY.dbus_message_unref(found)
    return bool(found) == valid


def agrees_on(function: str, valid: bool, text: bytes) -> bool:
    """The same for one of its functions that check a text, which ends at a NUL."""
    if LIBRARY is None or b"\0" in text:
        return True
    return bool(getattr(LIBRARY, function)(text, None)) == valid
