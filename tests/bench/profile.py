"""Where the bus's CPU time goes in one workload: its busiest functions, room by room."""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.bus import Bus, pinned
from tests.bench.cases import named
from tests.bench.measure import Length, build, load, placement
from tests.bench.targets import KINDS, Failure, Target, target

# A room is the first whose pattern is found in the path of the object; what is left is ours.
ROOMS = {
    "kernel": r"^\[|/vmlinux|\.ko",
    "loop": r"uvloop|libuv",
    "python": r"/(lib)?python3[\d.]*(\.so[\d.]*)?$|lib-dynload|/Python-3",
    "libc": r"/(libc|libm|ld-linux[\w-]*|libpthread)[-\d.]*\.so|vdso",
}
LENGTH = Length(2.0, 0.2)
Rows = list[tuple[float, str, str]]  # share, object, symbol


def room(path: str) -> str:
    return next((name for name, wanted in ROOMS.items() if re.search(wanted, path)), "bus")


def run(bus: Bus, name: str, length: Length) -> None:
    case = named(name)[0]
    sample = load(bus, case, length, placement(case))
    if sample.error:
        raise Failure(sample.error + bus.says())


def by_perf(one: Target, name: str, directory: Path) -> Rows:
    """Sampled by the clock: good for shares, blurred where the kernel holds off interrupts."""
    data = directory / "perf.data"
    with Bus(one, placement(named(name)[0])) as bus:
        record = ["perf", "record", "-q", "-F", "5000", "-o", str(data), "-p", str(bus.pid)]
        with pinned(None), subprocess.Popen(record) as perf:
            try:
                run(bus, name, LENGTH)
            finally:
                perf.send_signal(signal.SIGINT)
    report = ["perf", "report", "-v", "--stdio", "-i", str(data), "-F", "overhead,dso,symbol"]
    shown = subprocess.run([*report, "-t", "|"], check=True, capture_output=True, text=True)
    found = (re.match(r" *([\d.]+)% *\|(.*?) *\|(.*)", line) for line in shown.stdout.splitlines())
    return [(float(hit[1]), hit[2], symbol(hit[3])) for hit in found if hit]


def symbol(text: str) -> str:
    """Without address and level; Cython's name without its prefix."""
    name = re.sub(r"^.*\[[.kguH]\] *", "", text).split(" ")[0]
    return re.sub(r"^__pyx_(f|pf|pw)_", "", name)


def by_callgrind(one: Target, name: str, directory: Path) -> Rows:
    """Instructions counted, from the first client on; user mode only, and no time."""
    data = directory / "callgrind.out"
    slow = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no"]
    with Bus(one._replace(program=[*slow, f"--callgrind-out-file={data}", *one.program])) as bus:
        subprocess.run(
            ["callgrind_control", "-i", "on", str(bus.pid)], check=True, capture_output=True
        )
        run(bus, name, LENGTH)
    shown = subprocess.run(
        ["callgrind_annotate", "--threshold=95", str(data)],
        check=True,
        capture_output=True,
        text=True,
    )
    pattern = r" *[\d,]+ \( *([\d.]+)%\) +(\S*?):(.*?)(?: \[(.*)\])?$"
    found = (re.match(pattern, line) for line in shown.stdout.splitlines())
    return [(float(hit[1]), hit[4] or hit[2], symbol(hit[3])) for hit in found if hit]


def show(rows: Rows, top: int) -> str:
    rooms: dict[str, Rows] = defaultdict(list)
    for row in rows:
        rooms[room(row[1])].append(row)
    lines = []
    for name, inside in sorted(rooms.items(), key=lambda item: -sum(row[0] for row in item[1])):
        lines.append(f"{sum(row[0] for row in inside):6.2f}%  {name}")
        for share, path, function in sorted(inside, reverse=True)[:top]:
            lines.append(f"{share:14.2f}%  {function}  ({Path(path).name.split('.')[0]})")
    return "\n".join(lines)


def perf_works() -> bool:
    probe = ["perf", "record", "-q", "-o", "/dev/null", "true"]
    try:
        return subprocess.run(probe, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser("tests/bench/profile", description=__doc__)
    parser.add_argument("case", help="a workload; tests/bench/run --list shows them")
    parser.add_argument("target", nargs="?", default=KINDS[0], help="(default bus1)")
    parser.add_argument("--top", type=int, default=12, help="functions of a room (default 12)")
    parser.add_argument("--callgrind", action="store_true", help="count instructions instead")
    chosen = parser.parse_args()
    if not named(chosen.case):
        parser.error(f"no workload {chosen.case!r}")
    build()
    profile = by_callgrind if chosen.callgrind or not perf_works() else by_perf
    with TemporaryDirectory(prefix="bus1-profile-") as directory:
        try:
            print(show(profile(target(chosen.target), chosen.case, Path(directory)), chosen.top))
        except Failure as error:
            print(f"tests/bench/profile: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
