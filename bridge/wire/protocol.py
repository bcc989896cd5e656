"""The numbers and names of the D-Bus Specification that more than one room needs."""

from typing import Final

# Message types ("Message Types"); 0 is invalid, 5 to 255 mean nothing yet.
CALL: Final = 1
RETURN: Final = 2
ERROR: Final = 3
SIGNAL: Final = 4
TYPES: Final = ("invalid", "method_call", "method_return", "error", "signal")

# Flags ("Message Format").
NO_REPLY_EXPECTED: Final = 1
NO_AUTO_START: Final = 2

# The bus itself ("Message Bus Specification").
DRIVER: Final = "org.freedesktop.DBus"
DRIVER_PATH: Final = "/org/freedesktop/DBus"
