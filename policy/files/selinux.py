"""What includes need to know of SELinux: is it in use, and where is its policy. Nothing more."""

import os
import re
from typing import Final

ENFORCE: Final = "/sys/fs/selinux/enforce"  # only there while SELinux is in use
ROOT: Final = "/etc/selinux"
TYPE: Final = re.compile(r"^\s*SELINUXTYPE\s*=\s*([^\s#]+)", re.MULTILINE)
USUAL: Final = "targeted"  # selinux_policy_root(3) without a configuration


def enabled() -> bool:
    return os.path.exists(ENFORCE)


def policy_root() -> str:
    """The directory of the policy that is configured (selinux_policy_root(3))."""
    try:
        with open(os.path.join(ROOT, "config"), encoding="utf-8", errors="replace") as file:
            found = TYPE.search(file.read())
    except OSError:
        found = None
    return os.path.join(ROOT, found[1] if found else USUAL)
