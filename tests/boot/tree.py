"""The machine's root file system from Debian packages, made once and kept.

It has the project's dependencies, but neither the project nor anything of its tests: these come
in a layer of their own with each boot. BOOT_CACHE names another place than ~/.cache/bus1/boot.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.alone import alone
from tests.boot import wheels
from tests.boot.trouble import Trouble

HERE = Path(__file__).resolve().parent
SUITE = "bookworm"
HOME = "/opt/bus1"  # the project's own Python environment in the machine
PEOPLE = {"anna": "", "ben": "netdev,bluetooth"}  # with their groups
AGE = 14 * 86400.0  # seconds after which a tree that nobody used goes


def cache() -> Path:
    """Where trees are kept."""
    chosen = os.environ.get("BOOT_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(home) / "bus1" / "boot"


def tree() -> Path:
    """The root file system; makes it if there is none of these packages."""
    place = cache()
    with alone(place):
        found = place / f"tree-{fingerprint()}"
        if not found.is_dir():
            build(found)
        os.utime(found)
        forget(place)
    return found


def packages() -> list[str]:
    """Those listed."""
    lines = (HERE / "packages.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def fingerprint() -> str:
    """Of all that a tree is made of."""
    parts = [SUITE, platform.machine(), HOME, str(PEOPLE), *packages(), *wheels.dependencies()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def build(target: Path) -> None:
    """Packages, people, dependencies; it appears when all are in it."""
    with TemporaryDirectory(dir=target.parent, prefix="making-") as directory:
        root = Path(directory) / "root"
        say(f"Debian {SUITE} from {len(packages())} packages and theirs")
        run(
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            '--aptopt=APT::Install-Recommends "false"',
            f"--include={','.join(packages())}",
            SUITE,
            str(root),
        )
        for name, groups in PEOPLE.items():
            within(root, "useradd", "-m", "-s", "/bin/bash", "-G", groups, name)
        say("the project's dependencies")
        wheels.fetch(root / "wheels")
        within(root, "python3", "-m", "venv", HOME)
        install(root, *wheels.dependencies())
        shutil.rmtree(root / "wheels")
        root.rename(target)


def install(root: Path, *what: str) -> None:
    """Into the project's environment, from the files in /wheels alone."""
    within(
        root,
        *(f"{HOME}/bin/pip", "install", "--quiet", "--no-index", "--no-cache-dir"),
        *("--disable-pip-version-check", "--find-links=/wheels", *what),
    )


def forget(place: Path) -> None:
    """Remove the trees that have not been used for long."""
    for old in place.glob("tree-*"):
        if old.stat().st_mtime < time.time() - AGE:
            shutil.rmtree(old)


def within(root: Path, *command: str) -> None:
    """Run a program of the tree there, with nothing of this machine's settings."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    run("env", "-i", f"PATH={path}", "LC_ALL=C.UTF-8", "chroot", str(root), *command)


def run(*command: str) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise Trouble(f"{command[0]} is needed (a Debian package of that name)") from None
    if done.returncode:
        raise Trouble(f"{' '.join(command)[:300]} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def say(text: str) -> None:
    print(f"tests/boot: {text}", flush=True)
