"""Who is at the console, for rules with at_console: whoever has a seat, as logind says."""

import os.path
from typing import Final

# logind's own record of users, which sd_uid_get_seats(3) reads, too. No call on any bus.
USERS: Final = "/run/systemd/users"


def is_at_console(uid: int | None) -> bool:
    """Has this user a session on a seat?"""
    if uid is None:
        return False
    try:
        with open(os.path.join(USERS, str(uid)), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return False
    return any(line.startswith("SEATS=") and line.strip() != "SEATS=" for line in lines)
