"""The numbers of the native protocol, as PROTOCOL.md gives them. It knows nothing else.

Both sides have them from here: the daemon and the library for programs.
"""

from typing import Final

VERSION: Final = 1

PACKET_MOST: Final = 131072  # bytes in a packet
FDS_MOST: Final = 253  # descriptors in a packet: what one sendmsg takes (SCM_MAX_FD)
INLINE_MOST: Final = 65536  # bytes of a payload that is no memfd
TRANSFERS_MOST: Final = 1024  # handles that one message carries
DESTINATIONS_MOST: Final = 4096  # nodes that one message goes to
COPIES_MOST: Final = 16384  # handles that all its receivers get together

HEADER: Final = 16  # bytes: size, kind, flags, cookie, fds

# Requests.
CREATE: Final = 1
HANDLE: Final = 2
TRANSFER: Final = 3
RELEASE: Final = 4
DESTROY: Final = 5
SEND: Final = 6
SEED: Final = 7
SET_SEED: Final = 8
QUERY: Final = 9
RESET: Final = 10
PEER: Final = 11
DISCONNECT: Final = 12

# What comes.
WELCOME: Final = 64
RESULT: Final = 65
DATA: Final = 66
NODE_GONE: Final = 67
NO_HANDLES_LEFT: Final = 68
ONCE_DROPPED: Final = 69

# Flags of requests.
QUIET: Final = 0x8000  # any request: a RESULT only if it fails
WITH_HANDLE: Final = 1  # CREATE
CONTINUE: Final = 1  # SEND
MEMFD: Final = 2  # SEND, SET_SEED, PEER; and of RESULT and DATA
FLUSH: Final = 1  # RESET
FLUSH_SEED: Final = 2  # RESET

# Flags of DATA, beside MEMFD.
MORE: Final = 1
ONCE: Final = 4

# What goes along with a message: the first word of a transfer.
CARRY_HANDLE: Final = 0
CARRY_NODE: Final = 1
CARRY_ONCE: Final = 2

ONE_SHOT: Final = 1  # flag of a handle in DATA

# struct formats, with the machine's own byte order and no padding but what stands there.
HEADER_FORMAT: Final = "=IHHII"  # size, kind, flags, cookie, fds
SEND_FORMAT: Final = "=IIQ"  # destinations, transfers, size
TRANSFER_FORMAT: Final = "=IIQQ"  # what, 0, id, cookie
WELCOME_FORMAT: Final = "=IIQ16s"  # version, uid, number of the peer, id of the bus
RESULT_FORMAT: Final = "=iIQQ"  # errno, values, stamp, size
DATA_FORMAT: Final = "=QQQQIIIIQ"  # stamp, sender, node, cookie, uid, pid, handles, 0, size
CARRIED_FORMAT: Final = "=QII"  # id, flags, 0
NOTICE_FORMAT: Final = "=QQQQ"  # stamp, sender, node or handle, cookie
LIMITS_FORMAT: Final = "=qqqq"  # bytes, messages, handles, descriptors
