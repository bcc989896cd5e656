"""What test_dbusmock.py needs and Debian does not install: the tests, and programs that they call.

python-dbusmock's tests come with its source, of the version that is installed. The programs are
unpacked and not installed, so that no service of theirs starts here. Neither is in the
repository; REFERENCE_CACHE names another place than tests/reference/.cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.alone import alone
from tests.buses import SYSTEM_PYTHON
from tests.packages import fetch as packages
from tests.packages.fetch import Unavailable, download

CACHE = Path(os.environ.get("REFERENCE_CACHE", Path(__file__).with_name(".cache")))
# nmcli, bluetoothctl, upower, notify-send, powerprofilesctl, monitor-sensor, list-modems, and the
# libraries of theirs that nothing else here brings
PACKAGES = (
    "network-manager",
    "libnm0",
    "bluez",
    "upower",
    "libupower-glib3",
    "libnotify-bin",
    "libnotify4",
    "libgdk-pixbuf-2.0-0",
    "libjpeg62-turbo",
    "libpng16-16",
    "power-profiles-daemon",
    "iio-sensor-proxy",
    "ofono-scripts",
)


def dbusmock() -> Path:
    """The directory that has python-dbusmock's `tests`."""
    version = said(SYSTEM_PYTHON, "-c", "import dbusmock; print(dbusmock.__version__)").strip()
    source = CACHE / f"python-dbusmock-{version}"
    if not source.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=CACHE, prefix="download-") as place:
            source_only = ("--no-deps", "--no-binary", "python-dbusmock")
            wanted = f"python-dbusmock=={version}"
            said(sys.executable, "-m", "pip", "download", "-q", *source_only, "-d", place, wanted)
            archive = next(Path(place).glob("*.tar.gz"))
            with tarfile.open(archive) as content:
                content.extractall(place, filter="data")
            (Path(place) / source.name).rename(source)
    return source


def programs() -> Path:
    """The directory in which the programs are, as if it were the root."""
    root = CACHE / "programs"
    if not root.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        # apt-get is for one at a time
        with alone(packages.CACHE), TemporaryDirectory(dir=CACHE, prefix="download-") as place:
            download(place, PACKAGES)
            for archive in Path(place).glob("*.deb"):
                said("dpkg-deb", "-x", str(archive), f"{place}/root")
            Path(place, "root").rename(root)
    return root


def said(*argv: str) -> str:
    """What a program wrote that must succeed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(argv)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout
