"""Figures of two machines, side by side. Judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

PEOPLE = ("root", "anna", "ben")

Found = dict[str, Any]


def report(theirs: Found, ours: Found) -> None:
    """Figures of both, side by side."""
    print(f"{'':30}{'dbus-daemon':>14}{'bus1':>14}")
    for title, value in ROWS.items():
        print(f"{title:30}{shown(value, theirs):>14}{shown(value, ours):>14}")


def shown(value: Any, found: Found) -> str:
    """A figure; a machine that did not get so far has none."""
    try:
        return str(value(found))
    except (KeyError, TypeError, ValueError):
        return "-"


def start_of(found: Found) -> float:
    stamps = found["bus"]["shown"]
    begun, entered = (f"{name}TimestampMonotonic" for name in ("ExecMainStart", "ActiveEnter"))
    return (int(stamps[entered]) - int(stamps[begun])) / 1e6


def memory_of(found: Found, kind: str) -> float:
    return int(found["bus at the end"]["process"]["memory"][kind]) / 1e3


def highest_of(found: Found) -> float:
    return int(found["bus at the end"]["status"]["VmHWM"][0]) / 1e3


def cpu_of(found: Found) -> float:
    return int(found["bus at the end"]["shown"]["CPUUsageNSec"]) / 1e9


ROWS: Mapping[str, Callable[[Found], Any]] = {
    "systemd says": lambda found: found["settled"]["state"],
    "boot, seconds": lambda found: f"{found['settled']['boot']:.2f}",
    "start of the bus, seconds": lambda found: f"{start_of(found):.2f}",
    "CPU at the end, seconds": lambda found: f"{found['bus at the end']['process']['seconds']:.2f}",
    "with what it started": lambda found: f"{cpu_of(found):.2f}",
    "memory at the end, MB": lambda found: f"{memory_of(found, 'Rss'):.1f}",
    "of it, nobody else's": lambda found: f"{memory_of(found, 'Anonymous'):.1f}",
    "the most it ever had": lambda found: f"{highest_of(found):.1f}",
    "service file seen, seconds": lambda found: found["late"]["seen"],
    "answers": lambda found: sum(len(found[f"answers of {who}"]) for who in PEOPLE),
    "names": lambda found: len(found["names"]),
    "failed units": lambda found: sum(map(len, found["failed"].values())),
    "denied": lambda found: sum("Rejected " in line for line in found["journal"].splitlines()),
}
