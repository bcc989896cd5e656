"""The policy files of the packages in packages.txt: downloaded, unpacked and kept.

They belong to others, so they are not in the repository. Run as a program it fetches what is
missing and says what there is. PACKAGES_CACHE names another place than tests/packages/.cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from tests.alone import alone

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("PACKAGES_CACHE", HERE / ".cache"))
PLACES = ("etc/dbus-1/system.d", "usr/share/dbus-1/system.d")
APT = ("apt-get", "-qq", "-o", "APT::Sandbox::User=root")
PATIENCE = 300.0  # seconds for apt-get


class Unavailable(Exception):
    """The packages cannot be had here; the text says why."""


def packages() -> list[str]:
    """Those listed."""
    lines = (HERE / "packages.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def files() -> dict[str, list[Path]]:
    """Each package's policy files; fetches the packages that are not there yet."""
    if absent():
        with alone(CACHE):
            fetch(absent())
    return {name: sorted((CACHE / name).rglob("*.conf")) for name in packages()}


def absent() -> list[str]:
    """Those that are not there yet."""
    return [name for name in packages() if not (CACHE / name).is_dir()]


def fetch(names: list[str]) -> None:
    """Download and unpack."""
    if not names:  # another process has fetched them
        return
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise Unavailable(f"{program} is needed to get Debian packages")
    with TemporaryDirectory(dir=CACHE, prefix="download-") as place:
        download(place, names)
        size = sum(archive.stat().st_size for archive in Path(place).glob("*.deb"))
        print(f"{len(names)} packages downloaded, {size / 1e6:.1f} MB", file=sys.stderr)
        for name in names:
            unpack(name, Path(place))


def download(place: str, names: Sequence[str]) -> None:
    """Get packages. An old list of packages is renewed, once. Raises Unavailable."""
    failed = run(place, "download", *names)
    if failed:
        failed = run(place, "update") or run(place, "download", *names)
    if failed:
        raise Unavailable(f"apt-get cannot get the packages: {failed}")


def run(place: str, *arguments: str) -> str:
    """'' if apt-get did it, else why not."""
    try:
        done = subprocess.run(
            [*APT, *arguments],
            cwd=place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"nothing after {PATIENCE:.0f} s"
    lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
    return "; ".join(lines[:5]) or f"exit {done.returncode}" if done.returncode else ""


def unpack(name: str, place: Path) -> None:
    """Its policy files; the folder appears when all are in it."""
    archives = list(place.glob(f"{name}_*.deb"))
    if len(archives) != 1:
        raise Unavailable(f"apt-get left no archive of {name}")
    fresh = place / "unpacked" / name
    fresh.mkdir(parents=True)
    for path, content in policies(archives[0]):
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    if not any(fresh.rglob("*.conf")):
        raise Unavailable(f"{archives[0].name} has no policy files any more")
    fresh.rename(CACHE / name)


def policies(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Path and content of the policy files in one archive."""
    with (
        subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE
        ) as unpacker,
        tarfile.open(fileobj=unpacker.stdout, mode="r|") as members,
    ):
        for member in members:
            path = PurePosixPath(re.sub(r"^(\./|/)+", "", member.name))
            if str(path.parent) in PLACES and path.suffix == ".conf" and member.isfile():
                content = members.extractfile(member)
                assert content
                yield str(path), content.read()
    if unpacker.returncode:
        raise Unavailable(f"dpkg-deb cannot read {archive.name}")


def main() -> int:
    try:
        found = files()
    except Unavailable as reason:
        print(f"tests/packages: {reason}", file=sys.stderr)
        return 1
    print(f"{sum(map(len, found.values()))} policy files of {len(found)} packages in {CACHE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
